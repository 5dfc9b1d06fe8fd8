"""Entropic unbalanced optimal transport by Sinkhorn's algorithm.

    min_{P >= 0}  <P, C> + rho1 KL(P 1 | a) + rho2 KL(P^T 1 | b) + eps KL(P | a b^T),   C the cost over its mean

rho = infinity holds a marginal. The plan is P = a b exp((f + g - C) / eps). Iterations (`dense`) are compiled sweeps over an absorbed
kernel, float32 by default with potentials in float64, with eps annealing, the translation-invariant shift of sejourne2022faster and
Anderson's acceleration. They stop on the certificate, never on the change of potentials.

Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3.
"""

import math
import warnings
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from uotlab.arrays import like, masses, two_clouds
from uotlab.costs import Cost, make_cost
from uotlab.divergences import DIVERGENCES
from uotlab.errors import InputError
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan
from uotlab.plans.certificate import certify, plan_matrix, rough_plan, round_plan
from uotlab.plans.dense import Potentials, Search, among, cost_matrix, solve, spread
from uotlab.plans.setting import MOST_PAIRS, check_calls, positive, potentials_of, sharp
from uotlab.plans.solver import SOLVERS, Cancel, Progress, Solver

__all__ = ["Potentials", "Sinkhorn", "certify", "check_masses", "plan_matrix", "rough_plan", "round_plan", "sinkhorn", "solve", "warm_up"]


def sinkhorn(
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
    max_iter: int = 100_000,
    init: tuple[Any, Any] | None = None,
    divergence: str = "kl",
    divergence1: str | None = None,
    divergence2: str | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Plan:
    """The entropic unbalanced plan between weighted points.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch; float64 in, float64 work.
        a, b: masses (n,), (m,), never normalised; None is equal weights of total 1.
        cost: a name of `uotlab.COSTS` or a Cost.
        eps, rho1, rho2: in units of the mean cost (of the cost itself when `scale_cost` is False).
        tol: relative certificate to reach; None is 1e-4, or 1e-6 in float64.
        init: potentials (f, g) of an earlier plan, in the cost's own units, to start from.
        divergence: what holds each marginal, of `uotlab.DIVERGENCES`; divergence1, divergence2: of one side only.
        progress, cancel: see `uotlab.plans.solver`.

    Returns:
        A Plan; value, parts and potentials in the cost's own units.

    Raises:
        InputError: bad points, weights or numbers; both sides hard with unequal masses.
    """
    chosen = (divergence1 or divergence, divergence2 or divergence)
    names = [d if d == "range" else DIVERGENCES[d].name for d in chosen]
    if not set(names) <= {"kl", "balanced"}:
        from uotlab.plans.scaling import sinkhorn_scaling

        return sinkhorn_scaling(
            x, y, a, b, cost, eps, rho1, rho2, tol, divergence1=names[0], divergence2=names[1],
            scale_cost=scale_cost, max_iter=max_iter, init=init, progress=progress, cancel=cancel,
        )  # fmt: skip
    rho1, rho2 = (math.inf if name == "balanced" else rho for name, rho in zip(names, (rho1, rho2), strict=True))
    check_calls(progress, cancel, scale_cost)
    X, Y = two_clouds(x, y)
    if len(X) * len(Y) > MOST_PAIRS:
        raise InputError(
            f"x and y make {len(X) * len(Y):.2g} pairs; at most {MOST_PAIRS:.2g} fit into memory. "
            "Use sinkhorn_lazy, or a subsample of the points."
        )
    eps = positive("eps", eps, "Small values such as 0.01 give sharp plans, 0.05 a quick one.")
    penalty = Penalty(check_number("rho1", rho1), check_number("rho2", rho2))
    double = X.dtype == torch.float64 or Y.dtype == torch.float64
    tol = (1e-6 if double else 1e-4) if tol is None else check_number("tol", tol)
    check_count("max_iter", max_iter, least=0, most=2**31)
    if not tol > 0:
        raise InputError(f"tol must be positive; it is {tol!r}. It bounds the relative error of the value.")
    A, B = masses(a, len(X), "a").to(X.device), masses(b, len(Y), "b").to(X.device)
    check_masses(A, B, penalty)
    work = torch.float64 if double or tol < 1e-7 else torch.float32
    ground, X64, Y64 = make_cost(cost), X.detach().double(), Y.detach().double().to(X.device)
    C, mean, factor = cost_matrix(ground, X64, Y64, A, B, work)
    s = mean / factor  # the mean cost in the cost's own units
    proper = 1e-300 < s < math.inf
    if not proper:
        if scale_cost and bool((X64[:1] != X64).any() | (Y64 != X64[:1]).any()):
            ground.unscaled().calibrated(X64, Y64, A, B)  # raises the error that says why
        s, mean = 1.0, factor
    unit = s if scale_cost and proper else 1.0  # what one unit of eps and rho stands for
    eps, penalty = sharp(eps, unit / s) if proper else eps, Penalty(penalty.rho1 * unit / s, penalty.rho2 * unit / s)
    start = None if init is None else potentials_of(init, len(X), len(Y), X.device, s)
    return _dense(x, y, C, mean, s, unit, A, B, eps, penalty, tol, max_iter, start, work, progress, cancel)


@SOLVERS.register("sinkhorn")
class Sinkhorn(Solver):
    """Entropic transport, balanced or unbalanced."""

    title, order, relaxed, entropic = "Sinkhorn", 1, True, True
    summary = "Entropic transport by Sinkhorn's iterations, each marginal held or relaxed. The quick one: it answers while a slider moves."
    equation = (
        r"\min_{P\ge0}\;\langle P,C\rangle+\rho_1\mathrm{KL}(P\mathbf 1|a)"
        r"+\rho_2\mathrm{KL}(P^\top\mathbf 1|b)+\varepsilon\,\mathrm{KL}(P|ab^\top)"
    )
    reference = "chizat2018scaling"

    eps: float = Field(0.05, gt=0, allow_inf_nan=False, description="Entropic temperature in mean-cost units; small is sharp and slow")
    rho1: float = Field(
        math.inf, gt=0, description="Weight of the source divergence in units of the mean cost; infinity holds the marginal"
    )
    rho2: float = Field(
        math.inf, gt=0, description="Weight of the target divergence in units of the mean cost; infinity holds the marginal"
    )
    tol: float | None = Field(None, gt=0, description="Relative certificate to reach; empty is 1e-4, or 1e-6 for float64 points")
    max_iter: int = Field(100_000, ge=0, le=2**31, description="Most iterations")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return sinkhorn(
            x, y, a, b, self.ground, self.eps, self.rho1, self.rho2, self.tol, max_iter=self.max_iter, init=init,
            progress=progress, cancel=cancel,
        )  # fmt: skip


def warm_up() -> None:
    """Solves tiny problems, so that a first plan need not wait for the loops to be compiled: seconds the first time on a machine."""
    for kind in (torch.float32, torch.float64):
        x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=kind)
        for rho in (1.0, math.inf):
            sinkhorn(x, x + 1, rho1=rho, rho2=rho)
        rough_plan(torch.cdist(x, x), x[:, 0] + 1, x[:, 0] + 1, x[:, 0], x[:, 0], 1.0)


def _dense(
    x: Any, y: Any, C: Tensor, mean: float, s: float, unit: float, a: Tensor, b: Tensor, eps: float, penalty: Penalty, tol: float,
    max_iter: int, start: tuple[Tensor, Tensor] | None, work: torch.dtype, progress: Progress | None, cancel: Cancel | None,
) -> Plan:  # fmt: skip
    """The Plan of a cost matrix C whose mean stands for s units of the cost; points of mass 0 take no part in the iterations."""
    i, j = a > 0, b > 0
    whole = bool(i.all() and j.all())
    held = C if whole else C[i][:, j]
    if start is not None and not whole:
        start = start[0][i], start[1][j]
    search = Search(held, mean, a[i], b[j], eps, penalty, tol, max_iter, work, progress=progress, cancel=cancel)
    found = search.run(start, certify=True)
    assert found is not None
    P, f, g = found.P, found.f, found.g
    if not whole:
        f, g = spread(C.double() / mean, a, b, f, g, eps, penalty)
        P = among(P, i, j)
    if not found.certificate <= tol and not search.cancelled:
        warnings.warn(
            f"Sinkhorn stopped after {search.n_iter} iterations at a certificate of {found.certificate:.1e}, above {tol:.0e}. "
            "Give a larger eps, a smaller rho or more max_iter.",
            UserWarning, stacklevel=3,
        )  # fmt: skip
    parts = {k: s * v for k, v in found.parts.items()}
    return Plan(
        _as_given(x, P), like(x, s * f), like(x, s * g), like(x, a), like(x, b), sum(parts.values()), parts, found.certificate, unit,
        search.n_iter, found.certificate <= tol, x, y,
    )  # fmt: skip


def _as_given(x: Any, P: Tensor) -> Any:
    """`like(x, P)` without a copy of the plan where its float type is already right."""
    same = not isinstance(x, Tensor) and P.device.type == "cpu" and getattr(x, "dtype", None) == P.numpy().dtype
    return P.numpy() if same else like(x, P)


def check_masses(a: Tensor, b: Tensor, penalty: Penalty) -> None:
    """Raises InputError where both marginals are held but their masses differ."""
    A, B = float(a.sum()), float(b.sum())
    if penalty.balanced and abs(A - B) > 1e-6 * max(A, B):
        raise InputError(
            f"Both marginals are held (rho1 = rho2 = infinity) but their masses differ ({A:g} and {B:g}): no plan exists. "
            "Give one side a finite rho, or weights of equal total."
        )
