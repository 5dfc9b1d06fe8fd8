"""The potentials f on the source and g on the target: the prices behind a plan."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.plan_parts import ends_of, panels
from uotlab.views.style import axis, f32, is_line, point_size, quiet_layout, scatter, span


@VIEWS.register("plan-potentials")
class PlanPotentialsView(View):
    """Curves on a line, colours in the plane."""

    title = "Potentials"
    summary = "The price f of taking mass away at x, and g of bringing it to y. Mass moves where f(x) + g(y) comes close to the cost."
    needs = frozenset({"x", "y", "f", "g"})
    order = 52
    options: ClassVar[dict[str, Any]] = {}

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        found = []
        sides = (("f on the source", "x", "f", SOURCE), ("g on the target", "y", "g", TARGET))
        if is_line(arrays):
            for title, side, key, color in sides:
                at = f32(arrays[side])[:, 0]
                order = np.argsort(at, kind="stable")
                curve = {"type": "scatter", "mode": "lines", "name": title, "x": at[order], "y": f32(arrays[key])[order]}
                hover = "%{x:.3g}: %{y:.3g}<extra>" + title + "</extra>"
                found.append({**curve, "line": {"color": color, "width": 2.5}, "hovertemplate": hover})
            return found
        for number, ((name, _side, key, _color), points) in enumerate(zip(sides, ends_of(arrays), strict=True), start=1):
            axes = {"xaxis": "x2", "yaxis": "y2"} if number == 2 else {}
            colours = "coloraxis" if number == 1 else "coloraxis2"
            marker = {"color": f32(arrays[key]), "coloraxis": colours, "size": 1.4 * point_size(len(points)), "opacity": 0.9}
            trace = scatter(name, points, marker=marker, showlegend=False, **axes)
            found.append(trace | {"hovertemplate": "%{x:.3g}, %{y:.3g}: %{marker.color:.4g}<extra>" + name + "</extra>"})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        if is_line(arrays):
            return quiet_layout(axis("position", range=span(arrays["x"], arrays["y"])), axis("potential (units of the cost)"))
        layout = quiet_layout() | panels(arrays, ["f on the source", "g on the target"], 2)
        bar = {"orientation": "h", "y": -0.02, "yanchor": "top", "len": 0.42, "thickness": 10, "outlinewidth": 0, "ticklen": 3}
        layout["coloraxis"] = {"colorscale": "Viridis", "colorbar": {**bar, "x": 0.245}}
        layout["coloraxis2"] = {"colorscale": "Viridis", "colorbar": {**bar, "x": 0.755}}
        return layout | {"margin": {"l": 12, "r": 12, "t": 34, "b": 50}}
