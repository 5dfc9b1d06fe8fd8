"""Sinkhorn for B problems at once: mini-batches to couple, or one pair of clouds at several eps and rho.

The problem of `uotlab.plans.sinkhorn` with KL on either side, B times. On the CPU the compiled sweeps of the dense solver take one
problem after the other, whose kernel then stays in the cache, and where all have the same cost and masses each starts from the
potentials of the one before. On other devices all go together (`batched_sweeps`), and those that have converged drop out.

Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3.
"""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from uotlab.arrays import as_tensor, like, masses
from uotlab.errors import InputError
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.batched_sweeps import together
from uotlab.plans.certificate import Certified
from uotlab.plans.dense import Search, spread
from uotlab.plans.relaxed import relaxed
from uotlab.plans.setting import check_calls, positive, sharp
from uotlab.plans.sinkhorn import check_masses
from uotlab.plans.solver import Cancel, Progress

MOST_PAIRS = 2**30  #: entries of all plans: 4 GB in float32
Start = tuple[Tensor, Tensor] | None


@dataclass(frozen=True, eq=False)
class Task:
    """One problem in units of its mean cost; `shared`: its cost and masses are those of the one before."""

    C: Tensor
    mean: float
    a: Tensor
    b: Tensor
    eps: float
    penalty: Penalty
    shared: bool

    def solve(self, start: Start, tol: float, max_iter: int, work: torch.dtype, cancel: Cancel | None) -> tuple[Search, Certified]:
        """The search and what it found, for all points; those of mass 0 take no part in the sweeps."""
        i, j = self.a > 0, self.b > 0
        whole = bool(i.all() and j.all())
        C = self.C if whole else self.C[i][:, j]
        if start is not None and not whole:
            start = start[0][i], start[1][j]
        search = Search(C, self.mean, self.a[i], self.b[j], self.eps, self.penalty, tol, max_iter, work, cancel=cancel)
        if math.isinf(self.penalty.rho2) or C.device.type != "cpu":
            found = search.run(start, certify=True)
        else:
            search.run(start)
            found = relaxed(search.C, self.mean, search.a, search.b, search.f, search.g, self.eps, self.penalty)
            if not (found.certificate <= tol or search.n_iter >= max_iter or search.cancelled):
                found = search.run((found.f, found.g), certify=True)
        assert found is not None
        if whole:
            return search, found
        f, g = spread(self.C.double() / self.mean, self.a, self.b, found.f, found.g, self.eps, self.penalty)
        P = found.P.new_zeros(self.C.shape)
        P[i.nonzero(), j.nonzero()[:, 0]] = found.P
        return search, replace(found, P=P, f=f, g=g)


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """B plans between n and m points each.

    Args:
        P: the plans, (B, n, m).
        f, g: potentials, (B, n) and (B, m), in the units of C.
        a, b: masses, (B, n) and (B, m).
        mass: transported mass of each, (B,).
        value: objective of each in the units of C, (B,).
        certificate: as in `uotlab.Plan`, (B,).
        n_iter: sweeps of each, (B,); converged: whether the certificate reached the tolerance, (B,).
    """

    P: Any
    f: Any
    g: Any
    a: Any
    b: Any
    mass: Any
    value: Any
    certificate: Any
    n_iter: Any
    converged: Any

    def __len__(self) -> int:
        return len(self.P)

    def scaling(self) -> Any:
        """xi = d pi_1 / d mu at the source points of each problem, (B, n). NaN where a = 0."""
        return self.P.sum(2) / self.a

    def target_scaling(self) -> Any:
        """d pi_2 / d nu at the target points of each problem, (B, m). NaN where b = 0."""
        return self.P.sum(1) / self.b


def sinkhorn_batch(
    C: Any,
    a: Any = None,
    b: Any = None,
    eps: Any = 0.05,
    rho1: Any = math.inf,
    rho2: Any = math.inf,
    tol: float | None = None,
    *,
    scale_cost: bool = False,
    max_iter: int = 100_000,
    init: tuple[Any, Any] | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> BatchPlan:
    """The entropic unbalanced plans of B cost matrices.

    Args:
        C: costs (B, n, m); (1, n, m) or (n, m) is one matrix for all problems.
        a, b: masses (B, n), (B, m), or (n,), (m,) for all problems; None is equal weights of total 1.
        eps, rho1, rho2: a number, or one a problem, (B,); in the units of C, or of each C's mean with `scale_cost`.
        tol: relative certificate to reach; None is 1e-4, or 1e-6 in float64.
        init: potentials (f, g), (B, n) and (B, m), in the units of C, to start from.
        dtype: float32 or float64 for the sweeps and P; None is that of C.
        progress, cancel: see `uotlab.plans.solver`.

    Raises:
        InputError: bad shapes, weights or numbers; both sides of a problem hard with unequal masses.
    """
    check_calls(progress, cancel, scale_cost)
    costs, A, B, numbers = _checked(C, a, b, eps, rho1, rho2)
    dtype = costs.dtype if dtype is None else dtype
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype must be torch.float32 or torch.float64; it is {dtype}. float32 is quicker, float64 goes below 1e-5.")
    tol = positive("tol", (1e-6 if dtype == torch.float64 else 1e-4) if tol is None else tol, "It bounds the relative error of the value.")
    check_count("max_iter", max_iter, least=0, most=2**31)
    tasks: list[Task] = []
    for k, (one_eps, one_rho1, one_rho2) in enumerate(numbers):
        one, a_k, b_k = costs[k % len(costs)], A[k % len(A)], B[k % len(B)]
        shared = k > 0 and len(costs) == len(A) == len(B) == 1
        mean = tasks[0].mean if shared else _mean(one, a_k, b_k)
        unit = 1.0 if scale_cost else mean
        penalty = Penalty(one_rho1 / unit, one_rho2 / unit)
        check_masses(a_k, b_k, penalty)
        tasks.append(Task(one, mean, a_k, b_k, sharp(one_eps, 1 / unit), penalty, shared))
    starts: list[Start] = [None] * len(tasks)
    if init is not None:
        starts = _starts(init, tasks)
    elif costs.device.type != "cpu":
        starts = list(together(tasks, tol, max_iter))
    return _solved(C, tasks, starts, tol, max_iter, torch.float64 if tol < 1e-5 else dtype, dtype, progress, cancel)


def _solved(
    C: Any, tasks: list[Task], starts: list[Start], tol: float, max_iter: int, work: torch.dtype, dtype: torch.dtype,
    progress: Progress | None, cancel: Cancel | None,
) -> BatchPlan:  # fmt: skip
    """Each problem from its start, or from the potentials of the one before where it shares cost and masses with it."""
    count, (n, m), device = len(tasks), tasks[0].C.shape, tasks[0].C.device
    P = torch.zeros((count, n, m), dtype=dtype, device=device)
    f, g = (torch.zeros((count, size), dtype=torch.float64, device=device) for size in (n, m))
    numbers = torch.zeros((4, count), dtype=torch.float64, device=device)
    certificate = numbers[2].fill_(math.inf)  # of problems that a cancel leaves undone
    before: Start = None
    # measured: from hot to cold and from held to let go, potentials of the problem before save a third of the sweeps
    order = sorted(range(count), key=lambda k: (tasks[k].eps, min(tasks[k].penalty.rho1, tasks[k].penalty.rho2)), reverse=True)
    for done, k in enumerate(order if tasks[-1].shared else range(count), 1):
        task = tasks[k]
        start = before if starts[k] is None and tasks[-1].shared else starts[k]
        search, found = task.solve(start, tol, max_iter, work, cancel)
        P[k], before = found.P, (found.f, found.g)
        f[k], g[k] = task.mean * found.f, task.mean * found.g
        numbers[:, k] = torch.tensor([found.P.sum(), task.mean * sum(found.parts.values()), found.certificate, search.n_iter])
        if progress is not None:
            progress(done / count)
        if search.cancelled:
            break
    mass, value, _, n_iter = numbers
    failed = int((~(certificate <= tol)).sum())
    if failed and not search.cancelled:
        warnings.warn(
            f"{failed} of {count} problems stopped at a certificate of {float(certificate.max()):.1e} or less, above {tol:.0e}. "
            "Give a larger eps, a smaller rho or more max_iter.",
            UserWarning, stacklevel=3,
        )  # fmt: skip
    a, b = (torch.stack([getattr(t, side) for t in tasks]) for side in ("a", "b"))
    arrays = [like(C, part) for part in (P, f, g, a, b, mass, value, certificate)]
    whole = [part if isinstance(C, Tensor) else part.cpu().numpy() for part in (n_iter.long(), certificate <= tol)]
    return BatchPlan(*arrays, *whole)


def _checked(C: Any, a: Any, b: Any, *numbers: Any) -> tuple[Tensor, Tensor, Tensor, list[tuple[float, ...]]]:
    """(costs (B or 1, n, m), a (B or 1, n), b, [(eps, rho1, rho2)] of each problem)."""
    costs = as_tensor(C, "C")
    costs = costs[None] if costs.ndim == 2 else costs
    if costs.ndim != 3:
        raise InputError(f"C must have shape (B, n, m) or (n, m); it has shape {tuple(costs.shape)}. Reshape it first.")
    sides = []
    for name, given, size in (("a", a, costs.shape[1]), ("b", b, costs.shape[2])):
        if given is not None and as_tensor(given, name).ndim not in (1, 2):
            raise InputError(f"{name} must have shape ({size},), or one row a problem; it has shape {tuple(as_tensor(given, name).shape)}.")
        rows = [given] if given is None or as_tensor(given, name).ndim == 1 else list(as_tensor(given, name))
        sides.append(torch.stack([masses(row, size, name) for row in rows]).to(costs.device))
    settings = []
    for name, given in zip(("eps", "rho1", "rho2"), numbers, strict=True):
        row = [given] if not hasattr(given, "__len__") or getattr(given, "ndim", 1) == 0 else list(given)
        settings.append([positive(name, v, "Small is sharp and slow.") if name == "eps" else check_number(name, v) for v in row])
    lengths = {"C": len(costs), "a": len(sides[0]), "b": len(sides[1]), **dict(zip(("eps", "rho1", "rho2"), map(len, settings)))}
    count = max(lengths.values())
    wrong = [name for name, length in lengths.items() if length not in (1, count)]
    if wrong:
        raise InputError(f"{wrong[0]} must hold one or {count} problems, as many as the others; it holds {lengths[wrong[0]]}.")
    if count * costs.shape[1] * costs.shape[2] > MOST_PAIRS:
        raise InputError(f"C makes {count} plans of {costs.shape[1]} x {costs.shape[2]} entries, more than fit. Give fewer at once.")
    return costs, sides[0], sides[1], [tuple(row[k % len(row)] for row in settings) for k in range(count)]


def _mean(C: Tensor, a: Tensor, b: Tensor) -> float:
    mean = float(a @ (C @ b.to(C)).double()) / float(a.sum() * b.sum())
    return mean if 1e-300 < mean < math.inf else 1.0


def _starts(init: Any, tasks: list[Task]) -> list[Start]:
    """Given potentials (f, g) of each problem, in units of its mean cost."""
    n, m = tasks[0].C.shape
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise InputError(f"init must be a pair (f, g) of potentials, shapes (B, {n}) and (B, {m}); it is {type(init).__name__}.")
    f, g = (as_tensor(p, "init").double().to(tasks[0].C.device) for p in init)
    if f.shape != (len(tasks), n) or g.shape != (len(tasks), m):
        wanted = f"({len(tasks)}, {n}) and ({len(tasks)}, {m})"
        raise InputError(f"init must be potentials (f, g) of shapes {wanted}; they have {tuple(f.shape)} and {tuple(g.shape)}.")
    return [(f[k] / task.mean, g[k] / task.mean) for k, task in enumerate(tasks)]
