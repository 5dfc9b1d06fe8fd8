"""Do points land among points of their own class?"""

import numpy as np
from scipy.spatial import cKDTree

from uotlab.metrics.base import METRICS, Evaluation, Metric

NEIGHBOURS = 5
POINTS = 2000


@METRICS.register("label-kept")
class LabelKept(Metric):
    """Share of source points whose image has mostly targets of the same label among its 5 nearest; xi-weighted and plain."""

    title, unit, better, order = "Label kept", "share", "higher", 6
    summary = "How often a point lands among target points of its own class or side, where both sides have the same set of classes."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.x_labels is None or e.y_labels is None or set(np.unique(e.x_labels)) != set(np.unique(e.y_labels)):
            return {}
        near = cKDTree(e.y.numpy()).query(e.Tx[:POINTS].numpy(), k=min(NEIGHBOURS, len(e.y)))[1].reshape(min(POINTS, len(e.Tx)), -1)
        same = (np.asarray(e.y_labels)[near] == np.asarray(e.x_labels)[: len(near), None]).mean(1) > 0.5
        w = e.weights[: len(near)].double().numpy()
        return {"label kept": float((w * same).sum() / max(w.sum(), 1e-12)), "label kept plain": float(same.mean())}
