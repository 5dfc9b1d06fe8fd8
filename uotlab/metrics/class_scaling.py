"""Does the scaling recover how much each class grows?"""

import numpy as np
from scipy.stats import pearsonr, spearmanr

from uotlab.metrics.base import METRICS, Evaluation, Metric


def class_means(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean of values (n,) by label."""
    return {str(c): float(values[labels == c].mean()) for c in np.unique(labels)}


@METRICS.register("class-scaling")
class ClassScaling(Metric):
    """Spearman, and Pearson of logarithms, between class means of xi and the true ratios of target to source shares."""

    title, unit, better, order = "Class scaling against truth", "correlation", "higher", 7
    summary = "Agreement of each class's mean scaling with how much more frequent the class is in the target; needs at least 3 classes."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        truth = e.truth.get("true_ratio")
        if truth is None or e.xi is None or e.x_labels is None:
            return {}
        found = class_means(e.xi.double().numpy(), np.asarray(e.x_labels))
        wanted = {str(k): float(v) for k, v in truth.items()}
        both = sorted(set(found) & set(wanted))
        xi, ratio = (np.array([d[c] for c in both]) for d in (found, wanted))
        if len(both) < 3 or np.ptp(xi) == 0 or np.ptp(ratio) == 0:
            return {}
        positive = np.maximum(xi, 1e-12)
        return {
            "class scaling spearman": float(spearmanr(xi, ratio).statistic),
            "class scaling pearson": float(pearsonr(np.log(positive), np.log(np.maximum(ratio, 1e-12))).statistic),
        }
