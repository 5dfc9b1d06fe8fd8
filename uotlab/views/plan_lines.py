"""The plan as lines from source to target, the stronger the wider."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.plan_parts import carried, chosen, given, panel, ratio
from uotlab.views.style import (
    area_sizes,
    axis,
    f32,
    is_line,
    plane,
    plane_layout,
    quiet_layout,
    scaling_marker,
    scatter,
    span,
)

LINES = ("2 a point", "1 a point", "5 a point", "100 strongest", "600 strongest", "2000 strongest")


@VIEWS.register("plan-lines")
class PlanLinesView(View):
    """The k strongest pairs; on a line, the source above and the target below."""

    title = "Lines"
    summary = "Who goes to whom: the wider the line, the more mass. A point's size is the mass of it that is carried."
    needs = frozenset({"x", "y", "P"})
    order = 42
    options: ClassVar[dict[str, Any]] = {"lines": LINES}

    def traces(self, arrays: Arrays, *, lines: str = LINES[0], **_: Any) -> list[dict[str, Any]]:
        P, (a, b) = f32(arrays["P"]), given(arrays)
        r, c = carried(P)
        return panel(arrays, *chosen(P, lines), ratio(r, a), ratio(c, b), base=5.5)

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if is_line(arrays):
            heights = axis("", range=[-0.15, 1.15], tickvals=[0, 1], ticktext=["target", "source"], showgrid=False)
            return quiet_layout(axis("position", range=span(arrays["x"], arrays["y"])), heights)
        return plane_layout(arrays)


@VIEWS.register("plan-scaling")
class PlanScalingView(View):
    """Both sides coloured and sized by the share of their mass that is carried."""

    title = "Scaling"
    summary = "How much of each point is carried. Violet points shrink or vanish, grey ones are kept, red ones grow."
    needs = frozenset({"x", "y", "P"})
    order = 44
    options: ClassVar[dict[str, Any]] = {"source": True, "target": True}

    def traces(self, arrays: Arrays, *, source: bool = True, target: bool = True, **_: Any) -> list[dict[str, Any]]:
        P, (a, b) = f32(arrays["P"]), given(arrays)
        r, c = carried(P)
        found = []
        for shown, name, part, whole, symbol in ((target, "target", c, b, "diamond"), (source, "source", r, a, "circle")):
            if not shown:
                continue
            xi = ratio(part, whole)
            points = f32(arrays["x" if name == "source" else "y"])
            points = np.stack([points[:, 0], xi], axis=1) if is_line(arrays) else plane(arrays, "x" if name == "source" else "y")
            bar = name == ("source" if source else "target")
            look = {**scaling_marker(xi, bar=bar, title="share carried"), "size": area_sizes(xi, 6), "symbol": symbol, "opacity": 0.85}
            found.append(scatter(name, points, marker=look))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if is_line(arrays):
            one = {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 1,
                "y1": 1,
                "line": {"width": 1, "dash": "dot", "color": "#858b95"},
            }
            across = axis("position", range=span(arrays["x"], arrays["y"]))
            return quiet_layout(across, axis("share carried (1 keeps the mass)", rangemode="tozero"), shapes=[one])
        return plane_layout(arrays)
