"""The conditional plans of a learned barycenter: a line from each accepted point to where it goes, rejected points in grey."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import BARYCENTER, faded, measure_color
from uotlab.views.barycenter_parts import cloud, flat, marginals, on_line, rejected_points, taken, window
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import pick, point_size, scatter, segments

LINES = ("60 lines", "20 lines", "200 lines", "no lines")


@VIEWS.register("barycenter-plans")
class PlansView(View):
    """All marginals, the lines of their plans, samples of the barycenter."""

    title = "Conditional plans"
    summary = "A line leads from each accepted point to its place in the barycenter. Grey points are rejected: so much mass is let go."
    needs = frozenset({"marginal/0", "marginal/1", "image/0", "image/1", "barycenter"})
    order = 4
    options: ClassVar[dict[str, Any]] = {"lines": LINES, "samples": True, "rejected": True}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and not on_line(arrays)

    def traces(self, arrays: Arrays, *, lines: str = LINES[0], samples: bool = True, rejected: bool = True, **_: Any):
        numbers = [k for k in marginals(arrays) if f"image/{k}" in arrays]
        points = {k: flat(arrays, f"marginal/{k}") for k in numbers}
        kept = {k: taken(arrays, k) for k in numbers}
        found: list[dict[str, Any]] = []
        if rejected:
            found.append(rejected_points(arrays, numbers))
        for k in numbers:
            name = cloud(arrays, k, points[k][kept[k]])
            if lines != LINES[-1]:
                rows = np.flatnonzero(kept[k])
                rows = rows[pick(len(rows), int(lines.split()[0]))]
                lx, ly = segments(np.stack([points[k][rows], flat(arrays, f"image/{k}")[rows]], axis=1))
                line = {"type": "scattergl", "mode": "lines", "name": "plans", "x": lx, "y": ly, "hoverinfo": "skip", "showlegend": False}
                found.append({**line, "line": {"color": faded(measure_color(k), 0.35), "width": 1}, "legendgroup": name["name"]})
            found.append({**name, "legendgroup": name["name"]})
        if samples:
            made = flat(arrays, "barycenter")
            found.append(scatter("barycenter", made, BARYCENTER, marker={"size": point_size(len(made), 4.5), "opacity": 0.7}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return window(arrays, marginals(arrays))
