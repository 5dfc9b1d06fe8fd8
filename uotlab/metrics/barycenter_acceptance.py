"""Who takes part in a learned barycenter: acceptance of each marginal and of its classes, and how many points carry it."""

import numpy as np

from uotlab.metrics.base import METRICS, Evaluation, Metric
from uotlab.resampling import acceptance_rate, effective_share

CLASSES = 12  #: a label column with more values than this is not told apart


@METRICS.register("acceptance")
class Acceptance(Metric):
    """mean w / max w: the share of points that rejection sampling keeps; of each class apart where there are labels, such as outliers."""

    title, unit, better, of, live, order = "Acceptance", "share", "neither", "barycenter", True, 2
    summary = (
        "The share of a marginal's points that rejection sampling keeps, and of each of its classes: near 0 for outliers left out. "
        "One heavy point lowers it for all others; the effective share does not depend on one."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.barycenter is None:
            return {}
        found: dict[str, float] = {}
        for k, (w, labels) in enumerate(zip(e.barycenter.taken, e.barycenter.labels, strict=True), 1):
            found[f"acceptance of marginal {k}"] = acceptance_rate(w)
            kinds = np.array([]) if labels is None else np.unique(labels)
            if 1 < len(kinds) <= CLASSES:
                chance = (w / w.max().clamp(min=1e-30)).numpy()
                found |= {f"acceptance of marginal {k}, {kind}": float(chance[labels == kind].mean()) for kind in kinds}
        return found


@METRICS.register("effective-share")
class EffectiveShare(Metric):
    """(sum w)² / (n sum w²) of each marginal's weights."""

    title, unit, better, of, live, order = "Effective share", "share", "neither", "barycenter", True, 3
    summary = "1 where every point of a marginal carries the same mass; near 0 where a few points carry it all."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        taken = () if e.barycenter is None else e.barycenter.taken
        return {f"effective share of marginal {k}": effective_share(w) for k, w in enumerate(taken, 1)}
