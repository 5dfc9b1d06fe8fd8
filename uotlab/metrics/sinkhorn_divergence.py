"""Debiased Sinkhorn divergence between the mapped points and the target.

Reference: feydy2019interpolating, eq. (3).
"""

import torch
from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric
from uotlab.plans.sinkhorn import sinkhorn

POINTS = 800
EPS = 0.01


def sinkhorn_divergence(x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None, eps: float = EPS) -> float:
    """S = OT(x, y) - (OT(x, x) + OT(y, y)) / 2 for cost |x - y|² and balanced entropic OT; (n, d), (m, d), weights of total 1.

    eps is in units of the mean cost between x and y, the same absolute temperature in all three terms.
    """
    absolute = eps * float((x[:, None] - y[None]).square().sum(2).mean()) if len(x) * len(y) < 1e5 else eps * _mean_cost(x, y)
    if absolute <= 0:
        return 0.0
    terms = [
        sinkhorn(p, q, v, w, eps=absolute, scale_cost=False, tol=1e-3, max_iter=3000).value
        for p, q, v, w in ((x, y, a, b), (x, x, a, a), (y, y, b, b))
    ]
    return terms[0] - (terms[1] + terms[2]) / 2


def _mean_cost(x: Tensor, y: Tensor) -> float:
    return float(x.var(0).sum() + y.var(0).sum() + (x.mean(0) - y.mean(0)).square().sum())


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
        values = {"sinkhorn divergence": sinkhorn_divergence(Tx, y)}
        if e.xi is not None and e.zeta is not None:
            a, b = e.xi[:n].double().clamp(min=1e-12), e.zeta[:m].double().clamp(min=1e-12)
            values["sinkhorn divergence re-weighted"] = sinkhorn_divergence(Tx, y, a / a.sum(), b / b.sum())
        return {k: max(v, 0.0) for k, v in values.items() if torch.isfinite(torch.tensor(v))}
