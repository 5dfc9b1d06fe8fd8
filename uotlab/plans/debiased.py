"""The debiased Sinkhorn divergence, balanced or unbalanced: 0 where the measures are equal, which an entropic value is not.

    S(mu, nu) = OT(mu, nu) - OT(mu, mu) / 2 - OT(nu, nu) / 2 + eps / 2 (mass(mu) - mass(nu))^2

OT is the whole objective of `uotlab.sinkhorn`, entropy against a b^T included; all three terms have the same absolute eps and rho.

Reference: sejourne2019sinkhorn, Section 4; feydy2019interpolating, eq. (3).
"""

import math
from typing import Any

import torch

from uotlab.arrays import masses, two_clouds
from uotlab.costs import Cost, make_cost
from uotlab.parameters import check_number
from uotlab.plans.setting import positive
from uotlab.plans.sinkhorn import sinkhorn

ROWS = 1024  #: rows of the cost held at a time


def sinkhorn_divergence(
    x: Any, y: Any, a: Any = None, b: Any = None, eps: float = 0.05, rho1: float = math.inf, rho2: float = math.inf,
    cost: str | Cost = "sqeuclidean", tol: float = 1e-6, *, scale_cost: bool = True,
) -> float:  # fmt: skip
    """S between weighted points, in the cost's own units; never negative beyond rounding where rho1 = rho2 and exp(-C) is a kernel.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch.
        a, b: masses (n,), (m,), never normalised; None is equal weights of total 1.
        eps, rho1, rho2: in units of the mean cost between x and y (of the cost itself when `scale_cost` is False).
        tol: relative certificate of each of the three terms.

    Raises:
        InputError: as `uotlab.sinkhorn`.
    """
    X, Y = (points.double() for points in two_clouds(x, y))
    A, B = masses(a, len(X), "a").to(X.device), masses(b, len(Y), "b").to(X.device)
    eps = positive("eps", eps, "Such as 0.05.")
    rho1, rho2 = check_number("rho1", rho1), check_number("rho2", rho2)
    ground = make_cost(cost).unscaled()._fit(X, Y)  # one cost for the three terms
    unit = _mean(ground, X, Y, A, B) if scale_cost else 1.0
    if not unit > 0:  # all points coincide: only masses may differ, and any unit of cost will do
        unit = 1.0
    eps, rho1, rho2 = eps * unit, rho1 * unit, rho2 * unit

    def value(p: Any, q: Any, v: Any, w: Any, one: float, two: float) -> float:
        return sinkhorn(p, q, v, w, ground, eps, one, two, tol, scale_cost=False).value

    gap = float(A.sum() - B.sum())
    return value(X, Y, A, B, rho1, rho2) - value(X, X, A, A, rho1, rho1) / 2 - value(Y, Y, B, B, rho2, rho2) / 2 + eps / 2 * gap**2


def _mean(ground: Cost, X: torch.Tensor, Y: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> float:
    """The mean cost under the masses, a few rows at a time."""
    rows = [float(a[k : k + ROWS] @ ground.matrix(X[k : k + ROWS], Y) @ b) for k in range(0, len(X), ROWS)]
    return sum(rows) / float(a.sum() * b.sum())
