"""What the learned potential proves: the dual objective, which no plan can pay less than.

    D(g) = -a E_mu[(rho1 psi1)*(-g^c)] - b E_nu[(rho2 psi2)*(-g)],   g^c(x) = min_y c(x, y) - g(y)

Reference: choi2023generative, eq. (8).
"""

import math

import torch
from torch import Tensor

from uotlab.divergences import weighted_star
from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores
from uotlab.metrics.reference import ROWS


@METRICS.register("semi-dual")
class SemiDual(Metric):
    """D(g) in the cost's own units, and its gap to the optimal value in %; the minimum is over T(x) and the target's points.

    Both potentials, the learned one and the optimal, are averaged over the same points, so that sampling cancels in the gap.
    """

    title, unit, better, order = "Semi-dual value", "cost units", "higher", 8
    summary = "What the learned potential proves the optimal value to be at least, and its distance from that value in %: 0 is optimal."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        r, found = e.reference, e.answers
        if r is None or found is None or found.g_Tx is None or found.g_y is None or r.value == 0:
            return {}
        near = e.cost(r.x, found.Tx) - found.g_Tx
        s, g = e.cost.scale, found.g_y
        there = torch.cat([(e.cost.matrix(rows, r.y) - g).amin(1) for rows in r.x.split(ROWS)])
        value = s * dual(e, torch.minimum(near, there).double(), g.double())
        best = s * dual(e, r.f / s, r.g / s)
        if not (math.isfinite(value) and math.isfinite(best)):
            return {}
        return Scores({"semi-dual value": r.value + value - best, "semi-dual gap %": 100 * (value - best) / abs(r.value)})


def dual(e: Evaluation, f: Tensor, g: Tensor) -> float:
    """The dual objective of potentials f (n,), g (m,) at the reference's points, in calibrated units."""
    assert e.reference is not None
    source = -weighted_star(e.psi(1), e.penalty.rho1, -f)
    target = -weighted_star(e.psi(2), e.penalty.rho2, -g)
    return float(e.reference.a @ source + e.reference.b @ target)
