"""Features of treated cells: the mean shift that was predicted against the one that was measured."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, VIEWS, Arrays, View
from uotlab.views.style import INK, axis, f32, point_size, quiet_layout
from uotlab.views.texts import strongest, texts

NAMED = 20  #: features that shift most get their name where there is room


@VIEWS.register("feature-shift")
class FeatureShiftView(View):
    """One point a feature; on the diagonal the prediction is exact."""

    title = "Feature means"
    summary = (
        "Each feature's mean change from control to treated cells: as measured across, as predicted up; on the dotted line they agree."
    )
    needs = frozenset({"shift/measured", "shift/predicted"})
    order = 332
    options: ClassVar[dict[str, Any]] = {"labels": True}

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        x, y = f32(arrays["shift/measured"]), f32(arrays["shift/predicted"])
        low, high = self._span(arrays)
        line = {"type": "scatter", "mode": "lines", "name": "equal", "x": f32([low, high]), "y": f32([low, high]), "hoverinfo": "skip"}
        hover = {"text": texts(arrays, "shift"), "hovertemplate": "%{text}<br>measured %{x:.3g}, predicted %{y:.3g}<extra></extra>"}
        marker = {"color": MAPPED, "size": point_size(len(x), 7), "opacity": 0.7, "line": {"width": 0}}
        points = {"type": "scattergl", "mode": "markers", "name": "features", "x": x, "y": y, "marker": marker, "showlegend": False}
        return [{**line, "line": {"color": INK, "width": 1, "dash": "dot"}}, {**points, **hover}]

    def layout(self, arrays: Arrays, *, labels=True, **_: Any) -> dict[str, Any]:
        x, y, names = f32(arrays["shift/measured"]), f32(arrays["shift/predicted"]), texts(arrays, "shift")
        low, high = self._span(arrays)
        wide, notes = high - low, list[dict[str, Any]]()
        for i in strongest(np.maximum(np.abs(x), np.abs(y)), NAMED) if labels and names else ():
            if not any(abs(n["x"] - x[i]) < 0.14 * wide and abs(n["y"] - y[i]) < 0.05 * wide for n in notes):
                look = {"text": names[i], "showarrow": False, "yshift": 10, "font": {"size": 11}}
                notes.append({"x": float(x[i]), "y": float(y[i]), **look})
        first = axis("measured change of the mean", range=[low, high])
        return quiet_layout(first, axis("predicted change", range=[low, high]), annotations=notes)

    @staticmethod
    def _span(arrays: Arrays) -> tuple[float, float]:
        both = np.concatenate([f32(arrays["shift/measured"]), f32(arrays["shift/predicted"]), np.zeros(1, np.float32)])
        room = 0.08 * float(np.ptp(both)) or 1.0
        return float(both.min()) - room, float(both.max()) + room
