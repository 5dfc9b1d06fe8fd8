"""Entropic transport with any divergence on either side, by the scaling algorithm.

    min_{P >= 0}  <P, C> + F1(P 1) + F2(P^T 1) + eps KL(P | a b^T),   F(r) = sum a rho psi(r / a)

f and g are updated in turn by the proximal operators of `uotlab.plans.proximal`, on a kernel that holds the potentials (absorbed), after
a few levels of eps annealing; now and then a constant moves from g to f, which costs nothing and mends a mass that is off. Iterations
stop on the certificate: primal minus dual with the exact psi and psi*, the plan rounded into what the constraints allow.

Reference: chizat2018scaling, Algorithm 2; sejourne2019sinkhorn, Section 3.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from uotlab.costs import Cost
from uotlab.divergences import Divergence
from uotlab.errors import InputError
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.ascent import Run
from uotlab.plans.base import Plan
from uotlab.plans.proximal import Side, make_side
from uotlab.plans.rounding import certify_sides
from uotlab.plans.setting import check_calls, positive, setting
from uotlab.plans.solver import SOLVERS, Cancel, Progress, Solver

BLOCK = 256  #: most iterations between looks at the certificate


def sinkhorn_scaling(
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
    divergence1: str | Divergence = "kl",
    divergence2: str | Divergence = "kl",
    lo: float = 0.8,
    hi: float = 1.25,
    scale_cost: bool = True,
    max_iter: int = 20_000,
    init: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Plan:
    """The entropic plan between weighted points under a penalty of its own on either marginal.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch; float64 in, float64 work.
        a, b: masses (n,), (m,), never normalised; None is equal weights of total 1.
        eps, rho1, rho2: in units of the mean cost (of the cost itself when `scale_cost` is False); an infinite rho holds a marginal.
        divergence1, divergence2: a name of `uotlab.DIVERGENCES`, "range" (every marginal between lo and hi times its mass, at
            no cost; rho plays no part), or a Divergence.
        tol: relative certificate to reach; None is 1e-4, or 1e-6 in float64.
        init: potentials (f, g) of an earlier plan, in the cost's own units.

    Returns:
        A Plan; `parts` has "kl1", "kl2" where both sides are KL or held, else "divergence1", "divergence2".

    Raises:
        InputError: bad points, weights or numbers; marginals that no plan can have.
    """
    check_calls(progress, cancel, scale_cost)
    eps = positive("eps", eps, "Small values such as 0.01 give sharp plans, 0.05 a quick one.")
    penalty = Penalty(check_number("rho1", rho1), check_number("rho2", rho2))
    check_count("max_iter", max_iter, least=0, most=2**31)
    at = setting(x, y, a, b, cost, scale_cost=scale_cost)
    tol = (1e-6 if at.double else 1e-4) if tol is None else positive("tol", tol, "It bounds the relative error of the value.")
    one = make_side(divergence1, at.own(penalty.rho1), lo, hi)
    two = make_side(divergence2, at.own(penalty.rho2), lo, hi)
    check_feasible(at.a, at.b, one, two)
    work = torch.float64 if at.double or tol < 1e-5 else torch.float32
    found = solve_sides(
        at.C, at.a, at.b, at.own_eps(eps), one, two, tol,
        max_iter=max_iter, init=at.potentials(init), dtype=work, progress=progress, cancel=cancel,
    )  # fmt: skip
    P, parts, certificate = certify_sides(at.C, at.a, at.b, found.f, found.g, at.own_eps(eps), one, two)
    if not certificate <= tol and not (cancel is not None and cancel()):
        warnings.warn(
            f"The scaling algorithm stopped after {found.n_iter} iterations at a certificate of {certificate:.1e}, above {tol:.0e}. "
            "Give a larger eps, a smaller rho or more max_iter.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    plain = all(side.psi.name in ("kl", "balanced") for side in (one, two))
    names = ("transport", "kl1", "kl2", "entropy") if plain else ("transport", "divergence1", "divergence2", "entropy")
    return at.plan(P, found.f, found.g, dict(zip(names, parts)), certificate=certificate, n_iter=found.n_iter, converged=certificate <= tol)


@SOLVERS.register("scaling")
class Scaling(Solver):
    """Entropic transport with any divergence."""

    title, order, relaxed, entropic, most_pairs = "Scaling (any divergence)", 2, True, True, 2**22
    summary = "Entropic transport whose marginals are let go under any divergence, or held within a range. To compare what divergences do."
    equation = (
        r"\min_{P\ge0}\;\langle P,C\rangle+\rho_1\mathrm{D}_{\psi_1}(P\mathbf 1|a)"
        r"+\rho_2\mathrm{D}_{\psi_2}(P^\top\mathbf 1|b)+\varepsilon\,\mathrm{KL}(P|ab^\top)"
    )
    reference = "chizat2018scaling"

    eps: float = Field(0.05, gt=0, allow_inf_nan=False, description="Entropic temperature in mean-cost units; small is sharp and slow")
    rho1: float = Field(1.0, gt=0, description="Weight of the source divergence in units of the mean cost; infinity holds the marginal")
    rho2: float = Field(1.0, gt=0, description="Weight of the target divergence in units of the mean cost; infinity holds the marginal")
    divergence1: str = Field("tv", description="Divergence of the source marginal: one of the registry, or `range`")
    divergence2: str = Field("tv", description="Divergence of the target marginal: one of the registry, or `range`")
    lo: float = Field(0.8, ge=0, allow_inf_nan=False, description="Least factor that the divergence `range` allows")
    hi: float = Field(1.25, gt=0, allow_inf_nan=False, description="Greatest factor that the divergence `range` allows")
    tol: float | None = Field(None, gt=0, description="Relative certificate to reach; empty is 1e-4, or 1e-6 for float64 points")
    max_iter: int = Field(20_000, ge=0, le=2**31, description="Most iterations")

    @field_validator("divergence1", "divergence2")
    @classmethod
    def _known(cls, name: str) -> str:
        return make_side(name, 1.0, 0.8, 1.25).psi.name

    @model_validator(mode="after")
    def _ordered(self) -> "Scaling":
        make_side("range", 1.0, self.lo, self.hi)
        return self

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return sinkhorn_scaling(
            x, y, a, b, self.ground, self.eps, self.rho1, self.rho2, self.tol, divergence1=self.divergence1, divergence2=self.divergence2,
            lo=self.lo, hi=self.hi, max_iter=self.max_iter, init=init, progress=progress, cancel=cancel,
        )  # fmt: skip


def check_feasible(a: Tensor, b: Tensor, one: Side, two: Side) -> None:
    """Raises InputError where no total mass suits both marginals."""
    totals = [tuple(bound * float(w.sum()) for bound in side.bounds) for w, side in ((a, one), (b, two))]
    low, high = max(t[0] for t in totals), min(t[1] for t in totals)
    if low > high * (1 + 1e-6):
        A, B = float(a.sum()), float(b.sum())
        if one.hard and two.hard:
            raise InputError(
                f"Both marginals are held (rho1 = rho2 = infinity) but their masses differ ({A:g} and {B:g}): no plan exists. "
                "Give one side a finite rho, or weights of equal total."
            )
        (l1, h1), (l2, h2) = totals
        raise InputError(
            f"The marginals allow total masses of {l1:g} to {h1:g} (source) and {l2:g} to {h2:g} (target), which do not meet: no plan "
            "exists. Widen lo and hi, give a side a finite rho, or weights of equal total."
        )


@dataclass(frozen=True)
class Found:
    """Potentials f (n,), g (m,), float64, and the iterations done."""

    f: Tensor
    g: Tensor
    n_iter: int


def solve_sides(
    C: Tensor, a: Tensor, b: Tensor, eps: float, one: Side, two: Side, tol: float, *, max_iter: int = 20_000,
    init: tuple[Tensor, Tensor] | None = None, dtype: torch.dtype = torch.float64,
    progress: Progress | None = None, cancel: Cancel | None = None,
) -> Found:  # fmt: skip
    """Potentials for a scaled cost matrix C (n, m) whose certificate is within `tol`, or the last ones after `max_iter`."""
    i, j = a > 0, b > 0
    if not bool(i.all() and j.all()):  # points without mass would only slow the kernel down
        start = None if init is None else (init[0][i], init[1][j])
        found = solve_sides(
            C[i][:, j], a[i], b[j], eps, one, two, tol, max_iter=max_iter, init=start, dtype=dtype, progress=progress, cancel=cancel
        )
        f, g = torch.zeros_like(a), torch.zeros_like(b)
        f[i], g[j] = found.f, found.g
        f[~i] = one.update(-eps * torch.logsumexp((found.g - C[~i][:, j]) / eps + b[j].log(), 1), eps)
        g[~j] = two.update(-eps * torch.logsumexp((found.f - C[i][:, ~j].T) / eps + a[i].log(), 1), eps)
        return Found(f, g, found.n_iter)
    f, g = init if init is not None else (torch.zeros_like(a), torch.zeros_like(b))
    f, g, n_iter = f.clamp(min=one.least), g.clamp(min=two.least), 0
    level = max(eps, min(1.0, 4 * eps**0.5)) if init is None else eps
    while level > eps:  # annealing: what a large eps settles quickly, a small one need not
        run = Run(C, a, b, level, one, two, dtype, f, g)
        n_iter += run.iterate(min(12, max_iter - n_iter), 0.0)
        f, g = run.f, run.g
        level = max(level / 4, eps)
    target = tol
    while n_iter < max_iter:
        run = Run(C, a, b, eps, one, two, dtype, f, g)
        n_iter += run.iterate(min(BLOCK, max_iter - n_iter), target)
        f, g = run.f, run.g
        if run.gap <= target:  # the cheap test has passed: the certificate of the rounded plan decides
            if certify_sides(C, a, b, f, g, eps, one, two)[2] <= tol:
                break
            if dtype == torch.float32 and target < tol / 8:
                dtype = torch.float64  # float32 kernels cannot resolve it any further
            target /= 4
        if progress is not None:
            progress(min(n_iter / max_iter, 1.0))
        if cancel is not None and cancel():
            break
    return Found(f, g, n_iter)
