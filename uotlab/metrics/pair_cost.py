"""What a learned coupling costs, by the matches that it generates."""

import itertools

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("pair-cost")
class PairCost(Metric):
    """Mean cost of generated matches in the unscaled cost's units, summed over the pairs of more than two marginals.

    `truth["optimal_cost"]`, a dict by the cost's name, gives the exact value where one is known: "pair cost error" is the relative gap.
    A coupling may cost less than the optimum where its parts miss their marginals.
    """

    title, unit, better, live, order = "Cost of matches", "cost units", "neither", True, 4
    summary = "Mean cost of the matches that the learned coupling generates: for two marginals, the transport cost it has found."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.pairs is None:
            return {}
        cost = sum(float(e.cost(x, y).double().mean()) for x, y in itertools.combinations(e.pairs, 2)) * e.cost.scale
        exact = e.truth.get("optimal_cost", {}).get(e.cost.name)
        return {"pair cost": e.masses[0] * cost} | ({} if exact is None else {"pair cost error": abs(cost / exact - 1)})
