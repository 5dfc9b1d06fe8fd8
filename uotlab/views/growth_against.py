"""Growth of each cell against another number of it: a proliferation score, or the truth."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, axis, class_marker, f32, log2_scaling, point_size, quiet_layout
from uotlab.views.texts import texts


@VIEWS.register("growth-against")
class GrowthAgainstView(View):
    """One point a source cell, coloured by its type; `against/chosen`, row numbers, are ringed."""

    title = "Growth against"
    summary = (
        "Growth of every source cell against its proliferation score, or against the truth of simulated cells, with the rank correlation."
    )
    needs = frozenset({"against/x", "against/y", "against/class"})
    order = 312
    options: ClassVar[dict[str, Any]] = {"log": True}

    def traces(self, arrays: Arrays, *, log=True, **_: Any) -> list[dict[str, Any]]:
        x = self._across(arrays, log=log)
        y = log2_scaling(arrays["against/y"]) if log else f32(arrays["against/y"])
        marker = {**class_marker(arrays["against/class"], texts(arrays, "against")), "size": point_size(len(x), 5), "opacity": 0.75}
        marker["colorbar"] = {**marker["colorbar"], "title": {"text": ""}}  # beside names of types a title would lie on them
        hover = {"hovertemplate": "%{x:.3g}, %{y:.3g}<extra></extra>", "showlegend": False}
        cells = {"type": "scattergl", "mode": "markers", "name": "cells", "x": x, "y": y, "marker": marker, **hover}
        rows = np.asarray(arrays.get("against/chosen", ()), dtype=np.intp)
        if not len(rows):
            return [cells]
        ring = {"symbol": "circle-open", "size": 9, "color": INK, "line": {"width": 1.5}}
        chosen = {"type": "scattergl", "mode": "markers", "name": "selected", "x": x[rows], "y": y[rows], "marker": ring}
        return [cells, {**chosen, "hoverinfo": "skip", "showlegend": False}]

    def layout(self, arrays: Arrays, *, log=True, **_: Any) -> dict[str, Any]:
        title = texts(arrays, "against/title")
        rank = np.asarray(arrays.get("against/spearman", []), dtype=np.float64)
        said = f" · Spearman {float(rank[0]):.2f}" if len(rank) and np.isfinite(rank[0]) else ""
        scale = " (log2)" if log and self._by_factors(arrays) else ""
        return quiet_layout(axis((title[0] if title else "") + scale + said), axis("growth (log2)" if log else "growth"))

    def _across(self, arrays: Arrays, *, log: bool) -> np.ndarray:
        return log2_scaling(arrays["against/x"]) if log and self._by_factors(arrays) else f32(arrays["against/x"])

    @staticmethod
    def _by_factors(arrays: Arrays) -> bool:
        """Whether the other number is a factor too, as a true growth is; a score may be negative."""
        return bool(len(arrays["against/x"]) and np.min(arrays["against/x"]) > 0)
