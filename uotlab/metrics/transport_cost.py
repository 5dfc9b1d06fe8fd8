"""What moving the mass costs."""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("transport-cost")
class TransportCost(Metric):
    """Source mass times E[xi(x) c(x, T(x))] in the unscaled cost's units."""

    title, unit, better, live, order = "Transport cost", "cost units", "neither", True, 3
    summary = "Cost of moving the mass, in the units of the chosen cost; what is made or destroyed costs nothing here."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        cost = (e.weights * e.cost(e.x, e.Tx)).mean() * e.cost.scale
        return {"transport cost": e.masses[0] * float(cost)}
