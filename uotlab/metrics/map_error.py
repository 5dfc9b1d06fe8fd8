"""How far the map is from the optimal one."""

import math

import torch

from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores


@METRICS.register("map-error")
class MapError(Metric):
    """sqrt(E_mu |T(x) - T*(x)|²), in data units and as a share of sqrt(trace Cov) of T*#mu; T* exact, or the barycentric map of a plan.

    The floor is the reference's own error by sampling, of which the error itself also has its part.
    """

    title, unit, live, order = "Map error", "data units", True, 4
    summary = "Root mean squared distance of the map from the optimal one, and its share of the optimal image's spread."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.reference is None or e.answers is None:
            return {}
        there = torch.isfinite(e.reference.Tx).all(1)  # points that take no part have no image
        a, spread = e.reference.a[there], e.reference.spread
        if not spread > 0:
            return {}
        gap = (e.answers.Tx.double() - e.reference.Tx.double())[there].square().sum(1)
        error = float((a @ gap / a.sum()).sqrt())
        if not math.isfinite(error):
            return {}
        scores = Scores({"map error": error, "map error share": error / spread})
        floor = e.reference.noise.get("map")
        if floor is not None:
            scores["map error share floor"] = floor
            if error / spread < math.sqrt(2) * floor:
                scores.notes[self.name] = (
                    f"The map's error, {error / spread:.1%} of the spread, is not told from the reference's own by sampling, {floor:.1%}: "
                    "the map may be better than this figure."
                )
        return scores
