"""The scaling factors xi: their histogram, and their mean by class beside the true ratio."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, SCALING_COLORS, axis, class_names, f32, log2_scaling, quiet_layout

BINS = 41
HALF_WIDTHS = np.array([0.25, 0.5, 1, 2, 4, 8, 20])


@VIEWS.register("scaling")
class ScalingView(View):
    """Histogram of log2 xi, and bars by class."""

    title = "Scaling"
    summary = "Who grows and who shrinks: the spread of the scaling factors, and their mean by class beside the true ratio where known."
    needs = frozenset({"xi"})
    order = 30
    options: ClassVar[dict[str, Any]] = {"classes": True}

    def traces(self, arrays: Arrays, *, classes: bool = True, **_: Any) -> list[dict[str, Any]]:
        value = log2_scaling(arrays["xi"])
        reach = np.quantile(np.abs(value), 0.995) if len(value) else 0.0
        half = HALF_WIDTHS[min(int(np.searchsorted(HALF_WIDTHS, reach)), len(HALF_WIDTHS) - 1)]
        edges = np.linspace(-half, half, BINS + 1)
        counts = f32(np.histogram(np.clip(value, -half, half), edges)[0] / max(len(value), 1) * 100)
        centres = f32((edges[1:] + edges[:-1]) / 2)
        mass = float(np.mean(f32(arrays["xi"]))) if len(value) else 1.0
        at = float(np.clip(np.log2(max(mass, 2.0**-20)), -half, half))
        bars = {
            "type": "bar",
            "name": "points",
            "x": centres,
            "y": counts,
            "width": np.full(BINS, edges[1] - edges[0], np.float32),
            "marker": {"color": centres / np.float32(half) * 2, "colorscale": SCALING_COLORS, "cmin": -2, "cmax": 2, "line": {"width": 0}},
            "hovertemplate": "log2 %{x:.2f}: %{y:.1f}%<extra></extra>",
            "showlegend": False,
        }
        mean = {
            "type": "scatter",
            "mode": "lines",
            "name": "mean = transported mass",
            "x": np.full(2, at, np.float32),
            "y": f32([0, counts.max(initial=1)]),
            "line": {"color": INK, "width": 2, "dash": "dot"},
        }
        found: list[dict[str, Any]] = [bars, mean]
        if classes and self._has_classes(arrays):
            found += _class_bars(arrays)
        return found

    def layout(self, arrays: Arrays, *, classes: bool = True, **_: Any) -> dict[str, Any]:
        both = classes and self._has_classes(arrays)
        first = axis("scaling (log2: 0 keeps the mass, 1 doubles it)")
        layout = quiet_layout(first, axis("points (%)", rangemode="tozero"), bargap=0.0 if not both else 0.12)
        if both:
            layout["yaxis"]["domain"], layout["xaxis"]["anchor"] = [0.6, 1], "y"
            layout["yaxis2"] = axis("mean scaling", domain=[0, 0.42], anchor="x2", rangemode="tozero")
            layout["xaxis2"] = axis("class", anchor="y2", type="category")
        return layout

    @staticmethod
    def _has_classes(arrays: Arrays) -> bool:
        return "xi_class" in arrays and len(arrays["xi_class"]) > 0


def _class_bars(arrays: Arrays) -> list[dict[str, Any]]:
    means = np.ascontiguousarray(arrays["xi_class"], dtype=np.float32)  # NaN: a class that is not on display
    given = class_names(arrays, "xi_class" if "names/xi_class" in arrays else "x_label")
    names = [given[i] if i < len(given) else str(i) for i in range(len(means))]
    log = log2_scaling(np.nan_to_num(means, nan=1.0))
    marker = {"color": log, "colorscale": SCALING_COLORS, "cmin": -2, "cmax": 2}
    shared = {"xaxis": "x2", "yaxis": "y2", "x": names}
    found = [
        {"type": "bar", "name": "learned", "y": means, "marker": marker, "hovertemplate": "%{x}: ×%{y:.2f}<extra>learned</extra>", **shared}
    ]
    if "true_ratio" in arrays:
        truth = np.ascontiguousarray(arrays["true_ratio"], dtype=np.float32)
        tick = {"symbol": "diamond", "size": 10, "color": "#FFFFFF", "line": {"width": 2, "color": "#22262E"}}
        found.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "true ratio",
                "y": truth,
                "marker": tick,
                "hovertemplate": "%{x}: ×%{y:.2f}<extra>true ratio</extra>",
                "meta": "static",
                **shared,
            }
        )
    return found
