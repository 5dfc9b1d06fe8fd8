"""Debiased Sinkhorn divergence between the mapped points and the target.

Reference: feydy2019interpolating, eq. (3).
"""

import math

from uotlab.metrics.base import METRICS, Evaluation, Metric
from uotlab.plans.debiased import sinkhorn_divergence

POINTS = 800
EPS = 0.01
TOL = 1e-3  #: relative, of each term: the figure is read to three digits


@METRICS.register("sinkhorn-divergence")
class SinkhornDivergence(Metric):
    """S(T#mu, nu), and S(xi T#mu, zeta nu) between the re-weighted measures, which an unbalanced method should match."""

    title, unit, order = "Sinkhorn divergence", "cost units", 11
    summary = "Squared-distance gap between mapped points and target (0 is a perfect match), plain and with both sides re-weighted."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        n, m = min(POINTS, len(e.Tx)), min(POINTS, len(e.y))
        Tx, y = e.Tx[:n].double(), e.y[:m].double()
        if not bool((Tx != y[0]).any()):
            return {}
        values = {"sinkhorn divergence": sinkhorn_divergence(Tx, y, eps=EPS, tol=TOL)}
        if e.xi is not None and e.zeta is not None:
            a, b = e.xi[:n].double().clamp(min=1e-12), e.zeta[:m].double().clamp(min=1e-12)
            values["sinkhorn divergence re-weighted"] = sinkhorn_divergence(Tx, y, a / a.sum(), b / b.sum(), eps=EPS, tol=TOL)
        return {k: max(v, 0.0) for k, v in values.items() if math.isfinite(v)}
