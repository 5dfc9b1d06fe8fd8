"""Unbalanced Sinkhorn divergence between the mapped points and the target, at the run's own rho.

Reference: sejourne2019sinkhorn, Section 4.
"""

import math

import torch

from uotlab.metrics.base import METRICS, Evaluation, Metric
from uotlab.plans.debiased import sinkhorn_divergence

POINTS = 800
EPS = 0.01
TOL = 1e-3  #: relative, of each term: the figure is read to three digits


@METRICS.register("unbalanced-divergence")
class UnbalancedDivergence(Metric):
    """S(T#mu, nu) of whole masses under the run's cost and rho, the smaller one of the two sides; nothing for balanced runs."""

    title, unit, order = "Unbalanced divergence", "cost units", 12
    summary = (
        "Gap between mapped points and target when far mass may be let go, at the run's own τ: an outlier that is missed counts little."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        rho = min(e.penalty.rho1, e.penalty.rho2)
        n, m = min(POINTS, len(e.Tx)), min(POINTS, len(e.y))
        Tx, y = e.Tx[:n].double(), e.y[:m].double()
        if math.isinf(rho) or not bool((Tx != y[0]).any()):
            return {}
        s = e.cost.scale
        a, b = (torch.full((k,), mass / k, dtype=torch.float64) for k, mass in zip((n, m), e.masses))
        S = sinkhorn_divergence(Tx, y, a, b, EPS * s, rho * s, rho * s, e.cost, TOL, scale_cost=False)
        return {"unbalanced divergence": max(S, 0.0)} if math.isfinite(S) else {}
