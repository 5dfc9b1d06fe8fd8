"""How far the re-weighted image is from the re-weighted target, which it should be equal to, beside what sampling alone makes of it.

Reference: peyre2019computational, Section 3.
"""

import math

from torch import Tensor

from uotlab.costs import make_cost
from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores
from uotlab.plans.emd import optimal

POINTS = 1000
LEAST = 20
LEAST_SHARE = 1e-9  #: weights below it, of the largest, are put up to it


def w2(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    """The exact Wasserstein-2 distance between weighted points, weights of any sum, in data units."""
    C = make_cost("sqeuclidean").matrix(x.double(), y.double())
    mean = max(float(C.mean()), 1e-300)
    P, _, _ = optimal(C / mean, _shares(a), _shares(b))
    return math.sqrt(max(float((P * C).sum()), 0.0))


def _shares(w: Tensor) -> Tensor:
    w = w.double().clamp(min=LEAST_SHARE * max(float(w.max()), 1e-300))
    return w / w.sum()


@METRICS.register("w2")
class WassersteinToTarget(Metric):
    """W2(T#(xi mu), zeta nu), both normalised, and W2 between two independent samples of zeta nu of the same size: its floor."""

    title, unit, order = "W2 to the re-weighted target", "data units", 9
    summary = "Distance of the re-weighted image from the re-weighted target; two samples of that target are the floor apart."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        n = min(POINTS, len(e.Tx), len(e.y) // 2)
        if n < LEAST:
            return Scores(notes={self.name: f"No W2 to the re-weighted target: it needs {2 * LEAST} target points, there are {len(e.y)}."})
        y, zeta, xi = e.y, e.target_weights, e.weights
        if not float(xi[:n].sum()) > 0 or not min(float(zeta[:n].sum()), float(zeta[n : 2 * n].sum())) > 0:
            return {}
        value = w2(e.Tx[:n], y[n : 2 * n], xi[:n], zeta[n : 2 * n])
        floor = w2(y[:n], y[n : 2 * n], zeta[:n], zeta[n : 2 * n])
        scores = Scores({"w2": value, "w2 floor": floor})
        if value < 1.2 * floor:
            scores.notes[self.name] = f"W2 to the re-weighted target is at the floor of {n} points, {floor:.2g}: no difference can be seen."
        return scores
