"""The reference of a learned barycenter where no plan between two measures gives it: three marginals, or two that both give way.

One plan joins all marginals, of mass 1. As in `reference`, the map is its mean partner, and what sampling alone does to it is measured by
two halves of the points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.metrics.reference import LEAST_HALF, Reference
from uotlab.plans.barycenters.joint import Joint
from uotlab.plans.proximal import make_side
from uotlab.plans.solver import Cancel

EPS, TOL, SWEEPS = 5e-4, 1e-4, 600  #: temperature as a share of the mean cost, of whose order lam_j lam_k c is
MOST_POINTS = {2: 1000, 3: 400}  #: of each marginal, by their number
UNABLE = ("tv", "softplus-raw")  #: whose mass factor is no number, or never above 1, so that nothing says how a mass of 1 comes about


@dataclass(frozen=True, eq=False)
class BarycenterQuestion:
    """K clouds: points (n_k, d), masses (n_k,) over the barycenter's, float64; cost, divergences, rho and weights are the run's own."""

    points: tuple[Tensor, ...]
    masses: tuple[Tensor, ...]
    cost: Cost
    divergences: tuple[str, ...]
    rho: tuple[float, ...]
    lam: tuple[float, ...]

    x, a = property(lambda self: self.points[0]), property(lambda self: self.masses[0])
    y, b = property(lambda self: self.points[1]), property(lambda self: self.masses[1])

    def joint(self) -> Joint:
        sides = [make_side(name, w * rho, 1.0, 1.0) for name, w, rho in zip(self.divergences, self.lam, self.rho, strict=True)]
        return Joint(self.points, self.masses, self.lam, sides, self.cost.scale)

    def half(self, of: int) -> "BarycenterQuestion":
        """Every other point, with the same total masses."""
        some = [(x[of::2], a[of::2] * (a.sum() / a[of::2].sum())) for x, a in zip(self.points, self.masses, strict=True)]
        return replace(self, points=tuple(x for x, _ in some), masses=tuple(a for _, a in some))


def barycenter_optimum(q: BarycenterQuestion, cancel: Cancel | None = None) -> Reference:
    """The optimum at the points of marginals 1 and 2; `Tx` is the mean of a point's partners in all other marginals, by their weights."""
    own = q.joint().solve(EPS, TOL, SWEEPS, cancel)
    primal, dual = own.values()
    dual = min(dual, primal)
    Tx, s = mean_partner(own), q.cost.scale
    xi, zeta = own.factors(0), own.factors(1)
    off = [float(p @ side.psi.psi(f)) if not side.hard else 0.0 for side, p, f in zip(own.sides[:2], (q.a, q.b), (xi, zeta), strict=True)]
    found = Reference(
        q.x.float(), q.y.float(), q.a, q.b, Tx.float(), xi, zeta, s * own.phi[0], s * own.phi[1], 1.0, s * dual, (off[0], off[1]),
        exact=False, certificate=(primal - dual) / max(abs(primal), 1e-300), noise={},
    )  # fmt: skip
    if min(map(len, q.points)) < 2 * LEAST_HALF or (cancel is not None and cancel()):
        return found
    one, two = (mean_partner(q.half(k).joint().solve(EPS, TOL, SWEEPS, cancel), q.x) for k in (0, 1))
    gap = float((q.a @ (one - two).square().sum(1) / q.a.sum() / 2).sqrt())
    return replace(found, noise={"map": gap / max(found.spread, 1e-300) / 2 ** (1 / max(q.x.shape[1], 2))})


def mean_partner(joint: Joint, x: Tensor | None = None) -> Tensor:
    """sum_{k>1} lam_k E[x_k | x_1 = x] / (1 - lam_1), (n, d)."""
    _, means = joint.partners(0, x, means=True)
    return _weighted(means, joint.lam)


def _weighted(means: dict[int, Tensor], lam: Sequence[float]) -> Tensor:
    return sum((lam[k] * mean for k, mean in means.items()), start=torch.zeros(())) / sum(lam[k] for k in means)
