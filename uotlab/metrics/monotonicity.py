"""In one dimension optimal maps never cross: the share of order inversions."""

import torch

from uotlab.metrics.base import METRICS, Evaluation, Metric

GRID = 500


@METRICS.register("inversions")
class Inversions(Metric):
    """Share of neighbouring points of an even grid inside the source's support (its 1% to 99% quantiles) that T puts in the wrong order.

    T on the grid is taken from its values at the sampled points by linear interpolation.
    """

    title, unit, order = "Order inversions", "share", 12
    summary = "0 for a monotone map, as every optimal map in one dimension is."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.x.shape[1] != 1 or len(e.x) < 100:
            return {}
        x, order = e.x[:, 0].double().sort()
        Tx = e.Tx[order, 0].double()
        low, high = (float(torch.quantile(x[: 10**6], q)) for q in (0.01, 0.99))
        grid = torch.linspace(low, high, GRID, dtype=torch.float64)
        right = torch.searchsorted(x, grid).clamp(1, len(x) - 1)
        share = (grid - x[right - 1]) / (x[right] - x[right - 1]).clamp(min=1e-12)
        on_grid = Tx[right - 1] + share.clamp(0, 1) * (Tx[right] - Tx[right - 1])
        # two in a million of the range: rounding is no inversion
        return {"inversions": float((on_grid.diff() < -2e-6 * float(Tx.max() - Tx.min() + 1e-12)).double().mean())}
