"""The kinetic energy of a flow's paths.

Reference: benamou2000computational, eq. (8).
"""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("path-energy")
class PathEnergy(Metric):
    """E ∫ |dx/dt|² dt, and its excess over E|x_1 - x_0|², the energy of straight lines at even speed, as a share of it."""

    title, unit, order = "Path energy", "squared data units", 33
    summary = "Kinetic energy of the paths; the excess over straight lines at even speed is 0 for optimal transport."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.path is None:
            return {}
        steps = e.path.shape[1] - 1
        energy = float(e.path.diff(dim=1).square().sum(2).sum(1).mean()) * steps  # even times, 1 / steps apart
        least = float((e.path[:, -1] - e.path[:, 0]).square().sum(1).mean())
        return {"path energy": energy} | ({"path energy excess": energy / least - 1} if least > 0 else {})
