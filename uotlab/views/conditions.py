"""Conditions: the error of a balanced method against that of its unbalanced twin.

Reference: eyring2024unbalancedness, Figure 4.
"""

from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import GROW, INK, KEEP, SHRINK, axis, f32, quiet_layout
from uotlab.views.texts import texts


@VIEWS.register("conditions")
class ConditionsView(View):
    """One point a condition; below the diagonal the unbalanced method is nearer to the treated cells."""

    title = "Conditions"
    summary = "Distance of predicted to treated cells by condition: balanced across, unbalanced up; below the diagonal unbalanced wins."
    needs = frozenset({"conditions/x", "conditions/y"})
    order = 330

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        x, y = f32(arrays["conditions/x"]), f32(arrays["conditions/y"])
        names = texts(arrays, "conditions")
        better = [[0.0, SHRINK], [0.45, SHRINK], [0.5, KEEP], [0.55, GROW], [1.0, GROW]]
        marker = {"size": 10, "color": f32(np.sign(y - x)), "cmin": -1, "cmax": 1, "colorscale": better, "line": {"width": 0}}
        hover = {"hovertemplate": "%{text}<br>balanced %{x:.3g}, unbalanced %{y:.3g}<extra></extra>", "text": names}
        points = {"type": "scatter", "mode": "markers", "name": "conditions", "x": x, "y": y, "marker": marker, "showlegend": False}
        end = self._end(arrays)
        line = {"type": "scatter", "mode": "lines", "name": "equal", "x": f32([0, end]), "y": f32([0, end])}
        return [{**line, "line": {"color": INK, "width": 1, "dash": "dot"}, "hoverinfo": "skip"}, {**points, **hover}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        measure, balanced, unbalanced = [*texts(arrays, "conditions/title"), "distance", "balanced", "unbalanced"][:3]
        end = self._end(arrays)
        first = axis(f"{measure}, {balanced}", range=[0, end])
        few = texts(arrays, "conditions")[:30]
        notes = [
            {"x": float(a), "y": float(b), "text": name, "showarrow": False, "yshift": 12, "font": {"size": 10}}
            for a, b, name in zip(f32(arrays["conditions/x"]), f32(arrays["conditions/y"]), few)
        ]
        return quiet_layout(first, axis(f"{measure}, {unbalanced}", range=[0, end]), annotations=notes)

    @staticmethod
    def _end(arrays: Arrays) -> float:
        both = np.concatenate([f32(arrays["conditions/x"]), f32(arrays["conditions/y"])])
        return 1.1 * float(both.max(initial=0)) or 1.0
