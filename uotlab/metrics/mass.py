"""Transported mass, and how many points carry it."""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("mass")
class Mass(Metric):
    """Mass of the plan: source mass times the mean of xi. Low mass means most points are made or destroyed, not moved."""

    title, unit, better, live, order = "Transported mass", "mass", "neither", True, 1
    summary = "How much mass the plan moves; the rest is destroyed at the source and made at the target."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        values = {} if e.xi is None else {"mass": e.masses[0] * float(e.xi.mean())}
        return values if e.zeta is None else {**values, "mass target": e.masses[1] * float(e.zeta.mean())}


@METRICS.register("ess")
class EffectiveSampleSize(Metric):
    """(sum xi)² / (n sum xi²) in (0, 1]: the share of source points that effectively carry the mass."""

    title, unit, better, live, order = "Effective sample share", "share", "neither", True, 2
    summary = "1 when every source point carries the same mass; near 0 when a few points carry it all."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        total = 0.0 if e.xi is None else float(e.xi.square().sum())
        return {} if e.xi is None or total == 0 else {"ess": float(e.xi.sum()) ** 2 / (len(e.xi) * total)}
