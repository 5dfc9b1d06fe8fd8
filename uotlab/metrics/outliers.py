"""How much mass is sent to the target's outliers."""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("outlier-share")
class OutlierShare(Metric):
    """Share of mapped mass that lies nearer the outlier than the bulk: xi-weighted, and plain with each source point counted once.

    Both are always printed: xi may be near zero where the map still points at the outlier.
    """

    title, unit, live, order = "Share sent to the outlier", "share", True, 5
    summary = "Mass that lands nearer the outlier than the bulk, weighted by the scaling and plain."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if "outlier_position" not in e.truth:
            return {}
        there = (e.Tx[:, 0] - e.truth["outlier_position"]).abs() < (e.Tx[:, 0] - e.truth["bulk_position"]).abs()
        w = e.weights
        return {
            "outlier share": float((w * there).sum() / w.sum().clamp(min=1e-12)),
            "outlier share plain": float(there.double().mean()),
        }
