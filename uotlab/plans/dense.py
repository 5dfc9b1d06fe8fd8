"""Dense Sinkhorn on a cost matrix: coarser temperatures first, then accelerated sweeps until the certificate is small enough.

On the CPU sweeps are compiled (`sweeps`), in float32 first, and go on in float64 where float32 cannot get further, then
by Newton's method (`newton`), then without acceleration. On other devices torch does the iterations (`absorbed`).
Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3 (the shift); walker2011anderson, Section 2.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uotlab.costs import Cost, Feature, SquaredEuclidean
from uotlab.penalty import Penalty
from uotlab.plans import newton
from uotlab.plans.absorbed import Absorbed
from uotlab.plans.accelerated import accelerated
from uotlab.plans.certificate import Certified, certified
from uotlab.plans.passes import passes
from uotlab.plans.solver import Cancel, Progress

WARMEST = 0.07  #: annealing goes up from eps by factors of 4, not beyond this
WORK = {torch.float32: (30.0, 1e-30, 1e-7), torch.float64: (200.0, 1e-290, 1e-12)}  #: reach, tiny and ridge of `accelerated.iterate`
FLOAT32 = 1e-5  #: relative gap that float32 sweeps reach without trouble
CHUNK = 50  #: sweeps between two looks at `cancel`
FEW = 8  #: dimensions up to which distances are summed from differences, which lose no digits
SPREAD = 8.0  #: squared distance from the centre, in mean costs, up to which products of float32 are good enough
#: pairs up to which the CPU solves for another device: the plan of a batch of 256 took 70 ms on an H100, where each sweep is launched
#: and waited for, and takes 3 here
NEAR = 2**20
BLOCK = 2**16  #: pairs of the cost that are computed at once, in float64


@dataclass(frozen=True)
class Potentials:
    """f (n,), g (m,) float64 in mean-cost units, the iterations done and the last relative gap estimate.

    `P` (n, m) is the plan rounded to its marginals, which comes for free where both are held; None elsewhere.
    """

    f: Tensor
    g: Tensor
    n_iter: int
    gap: float
    P: Tensor | None = None


def solve(
    C: Tensor, a: Tensor, b: Tensor, eps: float, penalty: Penalty, tol: float, *,
    max_iter: int = 100_000, init: tuple[Tensor, Tensor] | None = None, dtype: torch.dtype = torch.float32, check: int = 2,
) -> Potentials:  # fmt: skip
    """Optimal potentials for a scaled cost matrix C (n, m), whose certificate is within `tol`; float32 or float64 work."""
    if C.device.type != "cpu" and C.numel() <= NEAR:
        start = None if init is None else (init[0].cpu(), init[1].cpu())
        found = solve(C.cpu(), a.cpu(), b.cpu(), eps, penalty, tol, max_iter=max_iter, init=start, dtype=dtype, check=check)
        there = C.device
        return Potentials(found.f.to(there), found.g.to(there), found.n_iter, found.gap, None if found.P is None else found.P.to(there))
    i, j = a > 0, b > 0
    if bool(i.all() and j.all()):
        search = Search(C, 1.0, a, b, eps, penalty, tol, max_iter, dtype, check)
        certified = search.run(init)
        return Potentials(search.f, search.g, search.n_iter, search.gap, None if certified is None else certified.P)
    # points of mass 0 take no part; their potentials come by one update at the end
    start = None if init is None else (init[0][i], init[1][j])
    found = solve(C[i][:, j], a[i], b[j], eps, penalty, tol, max_iter=max_iter, init=start, dtype=dtype, check=check)
    f, g = spread(C.double(), a, b, found.f, found.g, eps, penalty)
    P = None if found.P is None else among(found.P, i, j)
    return Potentials(f, g, found.n_iter, found.gap, P)


def among(P: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The plan P of the rows i (n,) and columns j (m,) that have mass, among the others, (n, m)."""
    whole = P.new_zeros(len(i), len(j))
    whole[i.nonzero(), j.nonzero()[:, 0]] = P
    return whole


def spread(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float, penalty: Penalty) -> tuple[Tensor, Tensor]:
    """Potentials of all points from those (f, g) of the points with mass; the others' by the update that they satisfy at the optimum."""
    i, j = a > 0, b > 0
    all_f, all_g = a.new_zeros(len(a)), b.new_zeros(len(b))
    all_f[i], all_g[j] = f, g
    tau1, tau2 = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (penalty.rho1, penalty.rho2))
    all_f[~i] = -tau1 * eps * torch.logsumexp((g - C[~i][:, j]) / eps + b[j].log(), 1)
    all_g[~j] = -tau2 * eps * torch.logsumexp((f - C[i][:, ~j].T) / eps + a[i].log(), 1)
    return all_f, all_g


class Search:
    """Potentials f, g (float64, mean-cost units) of one problem with positive masses on the way to a certificate of `tol`.

    C / unit is the cost over its mean. `found` is the last certified plan, where one was asked for.
    """

    def __init__(
        self, C: Tensor, unit: float, a: Tensor, b: Tensor, eps: float, penalty: Penalty, tol: float, max_iter: int,
        dtype: torch.dtype, check: int = 2, progress: Progress | None = None, cancel: Cancel | None = None,
    ) -> None:  # fmt: skip
        self.C, self.unit, self.a, self.b, self.eps, self.penalty, self.tol = C.contiguous(), unit, a, b, eps, penalty, tol
        self.max_iter, self.dtype, self.check = max_iter, dtype, check
        self.progress, self.cancel, self.cancelled = progress, cancel, False
        self.f, self.g = a.new_zeros(len(a)), b.new_zeros(len(b))
        self.n_iter, self.gap, self.depth, self.polished = 0, math.inf, 6, False
        self.kernel: Tensor | None = None

    def run(self, init: tuple[Tensor, Tensor] | None, certify: bool = False) -> Certified | None:
        """Iterates to the end; returns the certified plan where `certify`, or where both sides are held and it was needed."""
        self._begin(init)
        balanced, target = self.penalty.balanced, 0.8 * self.tol
        while True:
            reached = self._sweeps(self.eps, self.max_iter - self.n_iter, target)
            if not (certify or balanced):
                if reached or not self._harder():
                    return None
                continue
            found = certified(self.C, self.unit, self.a, self.b, self.f, self.g, self.eps, self.penalty, self.kernel)
            if found.certificate <= self.tol or self.n_iter >= self.max_iter or self.cancelled:
                return found
            if reached and target > self.tol / 50:
                target *= max(0.1, min(0.5, 0.6 * self.tol / found.certificate))
            elif not self._harder():
                return found

    def _begin(self, init: tuple[Tensor, Tensor] | None) -> None:
        C, double = self.C, self.dtype == torch.float64
        if init is not None and bool((init[1] - init[1].mean()).abs().max() < 1e6):
            self.f, self.g = init[0].clone(), init[1].clone()
            self.C = C.to(self.dtype)
            return
        self.C = C.float() if not double or C.numel() > BLOCK else C.double()
        for level in levels(self.eps):
            self._sweeps(level, min(4, self.max_iter - self.n_iter), 0.0)
        if double and self.C.dtype == torch.float32:  # float32 sweeps are half as long: the first digits come from them
            if self.tol < FLOAT32 / 2:
                self._sweeps(self.eps, self.max_iter - self.n_iter, FLOAT32)
            self.C, self.kernel = C.double(), None

    def _harder(self) -> bool:
        """Goes to the next safer way of iterating; False where there is none left, or no sweep either."""
        if self.n_iter >= self.max_iter or self.cancelled:
            return False
        if self.C.dtype == torch.float32:
            self.C, self.kernel = self.C.double(), None
            return True
        if not self.polished:  # sweeps no longer get on: Newton's method does, where it can be afforded
            self.polished = True
            better = newton.finish(self.C, self.unit, self.a, self.b, self.g, self.eps, self.penalty, self.tol / 50)
            if better is not None:
                self.f, self.g = better
                return True
        if self.depth > 0:
            self.depth = 0
            return True
        return False

    def _sweeps(self, eps: float, most: int, target: float) -> bool:
        """Up to `most` sweeps at one eps; whether they reached the target gap."""
        iterate = self._compiled_sweeps if self.C.device.type == "cpu" else self._torch_sweeps
        watched, first = self.progress is not None or self.cancel is not None, self.gap
        while most > 0 and not self.cancelled:
            chunk = min(most, CHUNK) if watched and target > 0 else most
            done, stalled = iterate(eps, chunk, target)
            self.n_iter, most = self.n_iter + done, most - done
            if self.progress is not None and target > 0:
                first = self.gap if not math.isfinite(first) else first
                self.progress(min(max(math.log(first / self.gap) / math.log(max(first / target, 2)), 0.0), 1.0) if self.gap > 0 else 1.0)
            self.cancelled = self.cancel is not None and self.cancel()
            if target > 0 and self.gap <= target:
                return True
            if stalled or done < chunk:
                break
        return False

    def _compiled_sweeps(self, eps: float, most: int, target: float) -> tuple[int, bool]:
        reach, tiny, ridge = WORK[self.C.dtype]
        if self.kernel is None:
            self.kernel = empty(len(self.a), len(self.b), self.C.dtype)
        f, g = self.f / eps, self.g / eps
        arrays = (t.numpy() for t in (self.C, self.kernel, self.a, self.b, f, g))
        done, gap, stalled = accelerated()(
            *arrays, eps, 1.0 / (eps * self.unit), self.penalty.rho1 / eps, self.penalty.rho2 / eps,
            most, target, self.check, reach, tiny, ridge, self.depth,
        )  # fmt: skip
        self.f, self.g = eps * f, eps * g
        if target > 0:
            self.gap = gap
        return done, stalled

    def _torch_sweeps(self, eps: float, most: int, target: float) -> tuple[int, bool]:
        la, lb = self.a.log(), self.b.log()
        run = Absorbed(self.C / self.unit, la, lb, eps, self.penalty, self.C.dtype, self.f, self.g)
        done = run.iterate(most, target, self.check)
        self.f, self.g = run.potentials()
        if target > 0:
            self.gap = run.gap
        return done, False


def levels(eps: float) -> list[float]:
    """The coarser temperatures to pass on the way to eps, warmest first: eps 4^k up to `WARMEST`. Measured: below, they pay."""
    count = max(0, math.floor(math.log(WARMEST / eps) / math.log(4)))
    return [eps * 4.0**k for k in range(min(count, 6), 0, -1)]


def cost_matrix(ground: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, dtype: torch.dtype) -> tuple[Tensor, float, float]:
    """(C, unit, factor): C (n, m) of `dtype` is factor times the unscaled cost, of order 1, and unit is its mean under the masses.

    Computed in float64 block by block, so that a float32 matrix costs no float64 one.
    """
    ground = ground.unscaled()._fit(x, y)
    if type(ground) is SquaredEuclidean and x.device.type == "cpu" and x.shape[1] > FEW:
        found = products(x, y, a, b, dtype)
        if found is not None:
            return found
    few = ground.matrix(x[:: max(1, len(x) // 32)], y[:: max(1, len(y) // 32)])
    rough = float(few.mean())
    factor = 1.0 / rough if 1e-300 < rough < math.inf else 1.0
    mass = float(a.sum()) * float(b.sum())
    if x.device.type != "cpu" or isinstance(ground, Feature):
        whole = ground.matrix(x, y).mul_(factor)
        return whole.to(dtype), float(a @ (whole @ b)) / mass, factor
    C = empty(len(x), len(y), dtype)
    if type(ground) is SquaredEuclidean and x.shape[1] <= FEW:
        arrays: list[np.ndarray] = [t.contiguous().numpy() for t in (x, y.T, a, b)]
        return C, float(passes().squares(*arrays[:2], factor, *arrays[2:], C.numpy())) / mass, factor
    rows, total = max(1, BLOCK // len(y)), 0.0
    for i in range(0, len(x), rows):
        part = ground.matrix(x[i : i + rows], y).mul_(factor)
        total += float(a[i : i + rows] @ (part @ b))
        C[i : i + rows] = part
    return C, total / mass, factor


def products(x: Tensor, y: Tensor, a: Tensor, b: Tensor, dtype: torch.dtype) -> tuple[Tensor, float, float] | None:
    """`cost_matrix` of squared distances in many dimensions: by matrix products, and the mean from the moments of the points.

    None where the moments do not resolve the mean: points that coincide, or numbers out of range.
    """
    centre = y.mean(0)
    x, y = x - centre, y - centre
    xx, yy = x.square().sum(1), y.square().sum(1)
    A, B = float(a.sum()), float(b.sum())
    left, right = float(a @ xx) / A, float(b @ yy) / B
    mean = left + right - 2 * float((a @ x) @ (b @ y)) / (A * B)
    if not (mean > 1e-9 * (left + right) and 1e-300 < mean < math.inf):
        return None
    factor = 1.0 / mean
    # products in float32 where no point is far out: then their errors, like those of C itself, are some 1e-7 of the mean cost
    kind = torch.float32 if dtype == torch.float32 and float(max(xx.max(), yy.max())) * factor < SPREAD else torch.float64
    root = factor**0.5
    x, yt, xx, yy = (x * (-2 * root)).to(kind), (y * root).T.to(kind), (xx * factor).to(kind), (yy * factor).to(kind)
    rows = max(1, 4 * BLOCK // len(yy))
    if kind == dtype and rows >= len(xx):
        return torch.addmm(yy[None], x, yt).add_(xx[:, None]).relu_(), mean * factor, factor
    C, work = empty(len(xx), len(yy), dtype), torch.empty((min(rows, len(xx)), len(yy)), dtype=kind)
    for i in range(0, len(xx), rows):
        some = x[i : i + rows]
        part = torch.addmm(yy[None], some, yt, out=work[: len(some)])
        C[i : i + rows] = part.add_(xx[i : i + rows, None]).relu_()
    return C, mean * factor, factor


def empty(n: int, m: int, dtype: torch.dtype) -> Tensor:
    """An unset matrix, by numpy: it asks for huge pages, which take a quarter of the time to be touched first."""
    return torch.from_numpy(np.empty((n, m), dtype=np.float64 if dtype == torch.float64 else np.float32))
