"""Unbalanced transport without entropy, for few points: POT's majorisation-minimisation or L-BFGS-B on the plan itself.

    min_{P >= 0}  <P, C> + D1(P 1 | a) + D2(P^T 1 | b),   D = rho KL,  or  rho/2 |P 1 - a|^2  ("l2", which is not chi2)

Without an entropy no reference measure matters. The certificate is that of the dual: potentials from the marginals, f = -rho log(r / a)
for KL and rho (a - r) for l2, and from an entropic plan, made feasible (f + g <= C) by c-transforms.

Notation: r and c are the marginals of P; C is over its mean, so that rho is in mean-cost units as everywhere here.
Reference: chapel2021unbalanced; flamary2021pot.
"""

import math
import warnings
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import Cost
from uotlab.errors import InputError, short
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan, weighted_kl
from uotlab.plans.certificate import plan_matrix
from uotlab.plans.crossover import column_minima, row_minima
from uotlab.plans.pot import pot
from uotlab.plans.proximal import make_side
from uotlab.plans.scaling import solve_sides
from uotlab.plans.setting import setting
from uotlab.plans.solver import SOLVERS, Solver

Algorithm = Literal["auto", "mm", "lbfgsb"]
Divergence = Literal["kl", "l2"]
MOST_PAIRS = 2**18  #: 512 x 512: half a minute
TOL = 1e-3  #: relative certificate of what counts as converged
EPS = 2e-3  #: temperature of the plan that it starts from


def exact_unbalanced(
    x: Any, y: Any, a: Any = None, b: Any = None, cost: str | Cost = "sqeuclidean", rho1: float = 1.0, rho2: float = 1.0, *,
    divergence: Divergence = "kl", algorithm: Algorithm = "auto", max_iter: int = 2000,
) -> Plan:  # fmt: skip
    """The unregularised unbalanced plan between few weighted points.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch; at most 2^18 pairs.
        a, b: masses (n,), (m,), never normalised; None is equal weights of total 1.
        rho1, rho2: finite weights in units of the mean cost; with "l2" also per unit of mass.
        divergence: "kl", or "l2", half the squared Euclidean distance of the marginals.
        algorithm: "mm", multiplicative updates, or "lbfgsb"; "auto" is the first for KL and the second for l2.

    Returns:
        A Plan; with "l2" its parts are "divergence1", "divergence2" in place of "kl1", "kl2". `n_iter` is the limit, `max_iter`: POT
        does not tell how many it took.

    Raises:
        InputError: bad points, weights or numbers; a rho that is infinite.
    """
    for name, value, known in (("divergence", divergence, ("kl", "l2")), ("algorithm", algorithm, ("auto", "mm", "lbfgsb"))):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}; it is {short(repr(value))}.")
    rho = Penalty(check_number("rho1", rho1), check_number("rho2", rho2))
    if math.isinf(rho.rho1) or math.isinf(rho.rho2):
        raise InputError(
            "rho1 and rho2 must be finite for exact unbalanced transport; one is infinite. Use exact or sinkhorn to hold a side."
        )
    check_count("max_iter", max_iter, least=1, most=10_000_000)
    at = setting(x, y, a, b, cost, most=MOST_PAIRS)
    C, A, B = at.C.cpu(), at.a.cpu(), at.b.cpu()
    near = (make_side("kl", rho.rho1, 1.0, 1.0), make_side("kl", rho.rho2, 1.0, 1.0))
    found = solve_sides(C, A, B, EPS, near[0], near[1], 1e-4, max_iter=3000)
    start = plan_matrix(C, A, B, found.f, found.g, EPS)
    P = _pot(C, A, B, start, rho, divergence, algorithm, max_iter)
    one, two = (Penalised(w, r, divergence) for w, r in ((A, rho.rho1), (B, rho.rho2)))
    values = [float((P * C).sum()), one.value(P.sum(1)), two.value(P.sum(0))]
    f, g, dual = best_dual(C, one, two, [(one.potential(P.sum(1)), two.potential(P.sum(0))), (found.f, found.g)])
    primal = sum(values)
    certificate = max(primal - dual, 0.0) / max(abs(primal), float(P.sum()), 1e-12)
    if certificate > TOL:
        warnings.warn(
            f"Exact unbalanced transport reached a certificate of {certificate:.1e}, above {TOL:.0e}. Give more max_iter, another "
            "algorithm, or use sinkhorn with a small eps.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    names = ("transport", "kl1", "kl2") if divergence == "kl" else ("transport", "divergence1", "divergence2")
    parts = {**dict(zip(names, values)), "entropy": 0.0}
    return at.plan(P, f, g, parts, certificate=certificate, n_iter=max_iter, converged=certificate <= TOL)


@SOLVERS.register("exact-unbalanced")
class ExactUnbalanced(Solver):
    """Unbalanced transport without entropy."""

    title, order, relaxed, most_pairs = "Exact unbalanced (few points)", 6, True, 2**16
    summary = (
        "Unbalanced transport without the blur of an entropy, for a few hundred points. The yardstick of Sinkhorn at small temperatures."
    )
    equation = r"\min_{P\ge0}\;\langle P,C\rangle+\rho_1\mathrm{D}(P\mathbf 1|a)+\rho_2\mathrm{D}(P^\top\mathbf 1|b)"
    reference = "chapel2021unbalanced"

    rho1: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Weight of the source divergence in units of the mean cost; finite here"
    )
    rho2: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Weight of the target divergence in units of the mean cost; finite here"
    )
    divergence: Divergence = Field("kl", description="`kl`, or `l2`, half the squared distance of the marginals")
    algorithm: Algorithm = Field(
        "auto", description="`mm`, multiplicative updates, or `lbfgsb`; `auto` is the first for kl, the second for l2"
    )
    max_iter: int = Field(2000, ge=1, le=2**31, description="Most iterations")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return exact_unbalanced(
            x, y, a, b, self.ground, self.rho1, self.rho2, divergence=self.divergence, algorithm=self.algorithm, max_iter=self.max_iter
        )


def _pot(
    C: Tensor, a: Tensor, b: Tensor, start: Tensor, rho: Penalty, divergence: Divergence, algorithm: Algorithm, max_iter: int
) -> Tensor:  # fmt: skip
    """POT's plan on the points that have mass."""
    i, j = (a > 0, b > 0) if divergence == "kl" else (torch.ones_like(a) > 0, torch.ones_like(b) > 0)  # l2 may put mass anywhere
    args = (a[i].numpy(), b[j].numpy(), C[i][:, j].numpy())
    how = {"G0": start[i][:, j].clamp(min=1e-300 if divergence == "kl" else 1e-12).numpy(), "numItermax": max_iter}
    weights = (rho.rho1, rho.rho2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if algorithm == "mm" or (algorithm == "auto" and divergence == "kl"):
            found = pot().unbalanced.mm_unbalanced(*args, weights, div=divergence, stopThr=1e-13, **how)
        else:
            import numpy as np

            found = pot().unbalanced.lbfgsb_unbalanced(*args, 0.0, np.array(weights), regm_div=divergence, stopThr=1e-14, **how)
    P = torch.zeros_like(C)
    P[i.nonzero(), j.nonzero()[:, 0]] = torch.from_numpy(found).clamp(min=0)
    return P


class Penalised:
    """One marginal's penalty, its potential and its dual."""

    def __init__(self, a: Tensor, rho: float, divergence: Divergence) -> None:
        self.a, self.rho, self.kl = a, rho, divergence == "kl"

    def value(self, r: Tensor) -> float:
        return weighted_kl(self.rho, r, self.a) if self.kl else self.rho / 2 * float((r - self.a).square().sum())

    def potential(self, r: Tensor) -> Tensor:
        """Minus the derivative of the penalty at r."""
        if not self.kl:
            return self.rho * (self.a - r)
        return -self.rho * (r / self.a).nan_to_num(1.0, 1.0).clamp(min=1e-12).log()

    def dual(self, f: Tensor) -> float:
        """-sum F*(-f), increasing in f."""
        if self.kl:
            held = self.a > 0
            return -self.rho * float(self.a[held] @ torch.expm1(-f[held] / self.rho))
        f = torch.minimum(f, self.rho * self.a)
        return float((self.a * f - f * f / (2 * self.rho)).sum())


def best_dual(C: Tensor, one: Penalised, two: Penalised, pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, float]:
    """The best of the potentials, made feasible from either side: (f, g, dual value)."""
    candidates = []
    for f, g in pairs:
        if one.kl:  # points that cannot have mass must not narrow what the others may do
            f, g = (torch.where(side.a > 0, k, -math.inf) for side, k in ((one, f), (two, g)))
        up = row_minima(C, g)
        candidates.append((up, column_minima(C, up)))
        down = column_minima(C, f)
        candidates.append((row_minima(C, down), down))
    f, g = max(candidates, key=lambda pair: one.dual(pair[0]) + two.dual(pair[1]))
    return f, g, one.dual(f) + two.dual(g)
