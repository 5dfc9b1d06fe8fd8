"""How far a learned barycenter is from the discrete one, which the optimal plan between two measures, or of three at once, gives.

The plan's mean partner y of x puts x at lambda_1 x + (1 - lambda_1) y; what takes part are the plan's marginals, divided by its mass.
Reference: gazdieva2025robust, Table 1, whose measures these are: E|T_1 - T*|² and W2²/2, over points that take part.
"""

import torch
from torch import Tensor

from uotlab.costs import make_cost
from uotlab.metrics.base import METRICS, Evaluation, Metric
from uotlab.metrics.reference import Reference
from uotlab.plans.emd import optimal

POINTS = 1000
LEAST = 1e-9  #: share of the largest weight below which a point takes no part


@METRICS.register("barycenter-error")
class BarycenterError(Metric):
    """L2 = E|T_1(x) - T*_1(x)|² over points as the reference takes them, and W2²/2 between both barycenters."""

    begins = ("barycenter L2", "barycenter W2²/2")
    title, unit, of, order = "Error of the barycenter", "squared data units", "barycenter", 6
    summary = "Squared distance of the map of marginal 1 from the discrete one, and W2²/2 between the learned and the discrete barycenter."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.barycenter is None or e.reference is None or e.answers is None:
            return {}
        where, taken = discrete_barycenter(e.reference, e.barycenter.weights)
        there = torch.isfinite(where).all(1) & (taken > LEAST * taken.max())
        where, taken, Tx = where[there], taken[there], e.answers.Tx.double()[there]
        if len(where) < 2:
            return {}
        own = taken if e.answers.xi is None else (e.reference.a[there] * e.answers.xi.double()[there]).clamp(min=0)
        gap = (Tx - where).square().sum(1)
        found = {"barycenter L2": float(taken @ gap / taken.sum())}
        if "map" in e.reference.noise:
            found["barycenter L2 floor"] = float(((1 - e.barycenter.weights[0]) * e.reference.noise["map"] * e.reference.spread) ** 2)
        if float(own.sum()) > 0:
            found["barycenter W2²/2"] = half_w2(Tx[:POINTS], where[:POINTS], own[:POINTS], taken[:POINTS])
        return found


def discrete_barycenter(reference: Reference, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Points (n, d) of the discrete barycenter, one for each x, and their masses (n,), of sum 1."""
    where = float(lam[0]) * reference.x.double() + float(1 - lam[0]) * reference.Tx.double()
    taken = (reference.a * reference.xi).double()
    return where, taken / taken.sum()


def half_w2(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    """W2²/2 between weighted points, weights of any sum, exactly."""
    C = make_cost("sqeuclidean").matrix(x, y) / 2
    a, b = ((w := v.clamp(min=LEAST * float(v.max()))) / w.sum() for v in (a, b))
    mean = float(C.mean())
    P, _, _ = optimal(C / mean, a, b)
    return float((P * C).sum())
