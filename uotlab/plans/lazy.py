"""Sinkhorn for many points: no n x m matrix, the plan in blocks that fit a processor's cache.

The problem of `uotlab.plans.sinkhorn` with KL on either side. Potentials of a few hundred to thousand weighted means come first
(`multiscale`), then sweeps over all pairs (`blocks`) until the certificate holds, which a last sweep computes with exponents in float64.
100000 x 100000 points in the plane take two to ten sweeps.

Where both sides are hard, columns are scaled down to b and the mass missing from both sides is added as its product measure
(altschuler2017near): a plan with the exact marginals, whose entropy is bounded from above by the convexity of KL.

Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3; altschuler2017near, Algorithm 2.
"""

import math
import warnings
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from uotlab.arrays import like, masses, two_clouds
from uotlab.costs import Cost, make_cost
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.blocks import NEAR, PAIRS, Blocks
from uotlab.plans.ground import calibrated, fitted, mean_cost, soft_minimum
from uotlab.plans.keops import Backend, blocks_for
from uotlab.plans.lazy_plan import Kernel, LazyPlan
from uotlab.plans.multiscale import Level
from uotlab.plans.refine import Found, Watch, finish
from uotlab.plans.setting import check_calls, positive, potentials_of, sharp
from uotlab.plans.sinkhorn import check_masses
from uotlab.plans.solver import SOLVERS, Cancel, Progress, Solver

MOST_PAIRS = 10**11


def sinkhorn_lazy(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    cost: str | Cost = "sqeuclidean",
    eps: float = 0.05,
    rho1: float = math.inf,
    rho2: float = math.inf,
    tol: float | None = None,
    *,
    scale_cost: bool = True,
    max_iter: int = 1000,
    init: tuple[Any, Any] | None = None,
    block: int | None = None,
    coarse: bool = True,
    backend: Backend = "auto",
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> LazyPlan:
    """The entropic unbalanced plan between many weighted points, without its matrix.

    Args:
        x, y, a, b, cost, eps, rho1, rho2, scale_cost, init: as in `uotlab.sinkhorn`.
        tol: relative certificate to reach; None is 1e-4. Below 1e-5 all work is in float64.
        max_iter: most sweeps over all pairs.
        block: pairs held at once; None is half a million on a CPU, 64 million on a GPU.
        coarse: whether to start from the potentials of cell means.
        backend: what sweeps: "blocks", "keops" (needs pykeops; costs other than "sqeuclidean" are swept in blocks all the same), or
            "auto", which is KeOps for points on a CUDA device where pykeops is installed, else blocks.
        progress, cancel: see `uotlab.plans.solver`; a cancelled plan has no certificate (infinite) and its value is NaN.

    Returns:
        A LazyPlan; n_iter counts the sweeps over all pairs, the last ones in float64 included.

    Raises:
        InputError: bad points, weights or numbers; both sides hard with unequal masses; KeOps asked for and not installed.
    """
    check_calls(progress, cancel, scale_cost)
    X, Y = two_clouds(x, y)
    eps = positive("eps", eps, "Small values such as 0.01 give sharp plans, 0.05 a quick one.")
    penalty = Penalty(check_number("rho1", rho1), check_number("rho2", rho2))
    tol = positive("tol", 1e-4 if tol is None else tol, "It bounds the relative error of the value.")
    check_count("max_iter", max_iter, least=0, most=2**31)
    pairs = (PAIRS if X.device.type == "cpu" else 2**26) if block is None else check_count("block", block, least=1, most=2**34)
    kind = blocks_for(backend, make_cost(cost), X.device, X.shape[1])
    A, B = masses(a, len(X), "a").to(X.device), masses(b, len(Y), "b").to(X.device)
    check_masses(A, B, penalty)
    X64, Y64 = X.double(), Y.double().to(X.device)
    ground, s, unit = _scaled(make_cost(cost), X64, Y64, A, B, scale_cost, pairs)
    eps, penalty = sharp(eps, unit / s), Penalty(penalty.rho1 * unit / s, penalty.rho2 * unit / s)

    held1, held2 = A > 0, B > 0
    flipped = math.isinf(penalty.rho2) and not math.isinf(penalty.rho1)  # f is updated last: side 1 is the one to be hard
    sides = [(X64[held1], A[held1]), (Y64[held2], B[held2])]
    (x1, a1), (y1, b1) = reversed(sides) if flipped else sides
    solved = Penalty(penalty.rho2, penalty.rho1) if flipped else penalty
    work = torch.float64 if tol < 1e-5 else torch.float32
    level = Level(ground, x1, y1, a1, b1, eps, solved, pairs, work, min(NEAR, tol / 100), kind)
    start = None
    if init is not None:
        f, g = potentials_of(init, len(X), len(Y), X.device, s)
        f, g = (g[held2], f[held1]) if flipped else (f[held1], g[held2])
        start = f[level.fine_x.order], g[level.fine_y.order]
    found = finish(level, start, tol, max_iter, coarse, Watch(progress, cancel, tol))
    if not found.certificate <= tol and not found.cancelled:
        warnings.warn(
            f"The lazy Sinkhorn stopped after {found.n_iter} sweeps at a certificate of {found.certificate:.1e}, above {tol:.0e}. "
            "Give a larger eps, a smaller rho or more max_iter.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    kernel = _kernel(found, level, held1, held2, penalty, flipped)
    f, g = _everywhere(kernel, X64, Y64, held1, held2, penalty)
    parts = {name: s * value for name, value in found.parts.items()}
    if flipped:
        parts["kl1"], parts["kl2"] = parts["kl2"], parts["kl1"]
    return LazyPlan(
        kernel, f=like(x, s * f), g=like(x, s * g), a=like(x, A), b=like(x, B), value=sum(parts.values()), parts=parts,
        certificate=found.certificate, cost_scale=unit, n_iter=found.n_iter, converged=found.certificate <= tol, x=x, y=y,
        marginal_error=found.marginal_error,
    )  # fmt: skip


def _scaled(cost: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, scale_cost: bool, pairs: int) -> tuple[Cost, float, float]:
    """(the cost over its mean s, s, what one unit of eps and rho stands for): s, or 1 where the cost is not to be scaled."""
    cost = cost.unscaled()
    if bool((x == x[:1]).all() & (y == x[:1]).all()):
        return cost, 1.0, 1.0
    if scale_cost:
        cost = calibrated(cost, x, y, a, b, pairs)
        return cost, cost.scale, cost.scale
    cost = fitted(cost, x, y)
    mean = mean_cost(cost, x, y, a, b, pairs)
    s = mean if 1e-300 < mean < math.inf else 1.0
    return replace(cost, factor=1.0 / s), s, 1.0


def _kernel(found: Found, level: Level, held1: Tensor, held2: Tensor, penalty: Penalty, flipped: bool) -> Kernel:
    """The plan in the person's orientation and order."""
    at, rows, cols = level.blocks, level.fine_x.order, level.fine_y.order
    f, g, left, right, r1, r2 = found.f, found.g, found.left, found.right, found.r1, found.r2
    if flipped:
        f, g, left, right, r1, r2, rows, cols = g, f, right, left, r2, r1, cols, rows
        at = Blocks(at.cost, at.y, at.x, at.b, at.a, at.cols, at.rows, at.eps, penalty, at.pairs, at.dtype, at.near)
    i, j = held1.nonzero()[:, 0][rows], held2.nonzero()[:, 0][cols]
    sums = [r.new_zeros(len(held)).index_copy_(0, k, r) for r, held, k in ((r1, held1, i), (r2, held2, j))]
    return Kernel(at, f, g, left, right, i, j, *sums)


def _everywhere(kernel: Kernel, x: Tensor, y: Tensor, held1: Tensor, held2: Tensor, penalty: Penalty) -> tuple[Tensor, Tensor]:
    """Potentials of all points: those without mass by one update."""
    at = kernel.blocks
    f = torch.zeros_like(kernel.r1).index_copy_(0, kernel.x_numbers, kernel.f)
    g = torch.zeros_like(kernel.r2).index_copy_(0, kernel.y_numbers, kernel.g)
    f[~held1] = at.tau1 * soft_minimum(at.cost, x[~held1], at.y, kernel.g / at.eps + at.lb, at.eps, at.pairs)
    g[~held2] = at.tau2 * soft_minimum(at.cost, y[~held2], at.x, kernel.f / at.eps + at.la, at.eps, at.pairs)
    return f, g


@SOLVERS.register("sinkhorn-lazy")
class SinkhornLazy(Solver):
    """Sinkhorn in blocks, for many points."""

    title, order, relaxed, entropic, most_pairs = "Sinkhorn, lazy", 2, True, True, MOST_PAIRS
    summary = (
        "Sinkhorn without the n x m matrix: blocks that fit a processor's cache, from a coarse problem to the whole. "
        "For 10000 to 100000 points a side."
    )
    equation = (
        r"\min_{P\ge0}\;\langle P,C\rangle+\rho_1\mathrm{KL}(P\mathbf 1|a)"
        r"+\rho_2\mathrm{KL}(P^\top\mathbf 1|b)+\varepsilon\,\mathrm{KL}(P|ab^\top)"
    )
    reference = "sejourne2022faster"

    eps: float = Field(0.05, gt=0, allow_inf_nan=False, description="Entropic temperature in mean-cost units; small is sharp and slow")
    rho1: float = Field(
        math.inf, gt=0, description="Weight of the source divergence in units of the mean cost; infinity holds the marginal"
    )
    rho2: float = Field(
        math.inf, gt=0, description="Weight of the target divergence in units of the mean cost; infinity holds the marginal"
    )
    tol: float = Field(1e-4, gt=0, description="Relative certificate to reach; below 1e-5 all work is in float64")
    max_iter: int = Field(1000, ge=0, le=2**31, description="Most sweeps over all pairs")
    backend: Backend = Field("auto", description="What sweeps: auto is KeOps for points on a GPU where pykeops is installed, else blocks")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return sinkhorn_lazy(
            x, y, a, b, self.ground, self.eps, self.rho1, self.rho2, self.tol, max_iter=self.max_iter, backend=self.backend,
            init=init, progress=progress, cancel=cancel,
        )  # fmt: skip
