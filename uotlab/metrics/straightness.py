"""How straight the paths of a flow are."""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("path-straightness")
class Straightness(Metric):
    """E|x_1 - x_0| / E(length of the path): 1 for straight lines."""

    title, unit, better, order = "Path straightness", "share", "higher", 32
    summary = "Distance from start to end over the length of the path: 1 is a straight line, which few steps can follow."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.path is None:
            return {}
        length = e.path.diff(dim=1).norm(dim=2).sum(1).mean()
        return {"path straightness": float((e.path[:, -1] - e.path[:, 0]).norm(dim=1).mean() / length.clamp(min=1e-12))}
