"""Barycenters on a line and of clouds: the measures, each in its colour, and what lies between them."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import PALETTE, SOURCE, VIEWS, Arrays, View
from uotlab.views.style import INK, axis, class_names, f32, pick, point_size, quiet_layout, span

BARYCENTER = "#D55E00"
OTHERS = ("dash", "dot", "dashdot", "longdash")
MOST = 4000  #: points drawn of one cloud
COLORS = (SOURCE, *PALETTE[1:5])  #: of the measures; the blue is the one that reads on dark pages too


def measure_color(k: int) -> str:
    """The colour of the k-th measure."""
    return COLORS[k % len(COLORS)]


def faded(color: str, alpha: float) -> str:
    """The colour with an opacity."""
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


@VIEWS.register("barycenter")
class BarycenterView(View):
    """Densities p_k and q on one axis, in mass per unit."""

    title = "Barycenter"
    summary = "The measures, each in its colour, their barycenter, and what other settings give. Dotted: what is carried of a measure."
    needs = frozenset({"bary/x", "bary/p", "bary/q"})
    order = 80
    options: ClassVar[dict[str, Any]] = {"measures": True, "others": True}

    def traces(self, arrays: Arrays, *, measures: bool = True, others: bool = True, **_: Any) -> list[dict[str, Any]]:
        x, p, q = f32(arrays["bary/x"]), f32(arrays["bary/p"]), f32(arrays["bary/q"])
        unit = 1 / max(float(np.median(np.diff(x))), 1e-12) if len(x) > 1 else 1.0
        found = []
        for k, (row, name) in enumerate(zip(p, _names(arrays, "bary/p", len(p)), strict=True)):
            if not measures:
                break
            color = measure_color(k)
            trace = _curve(name, x, row * unit, {"color": color, "width": 1.5}, faded(color, 0.10))
            found.append(trace)
            if "bary/carried" in arrays:
                part = _curve(f"{name}, carried", x, f32(arrays["bary/carried"])[k] * unit, {"color": color, "width": 2, "dash": "dot"})
                found.append({**part, "showlegend": False})
        if others and "bary/other" in arrays:
            rows = f32(arrays["bary/other"])
            for k, (row, name) in enumerate(zip(rows, _names(arrays, "bary/other", len(rows)), strict=True)):
                found.append(_curve(name, x, row * unit, {"color": INK, "width": 1.5, "dash": OTHERS[k % len(OTHERS)]}))
        found.append(_curve("barycenter", x, q * unit, {"color": BARYCENTER, "width": 3}, faded(BARYCENTER, 0.18)))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return quiet_layout(axis("position"), axis("density (mass per unit)", rangemode="tozero"))


@VIEWS.register("barycenter-clouds")
class CloudsView(View):
    """Clouds in the plane and the points of their barycenter."""

    title = "Barycenter"
    summary = "The clouds, each in its colour, and the points of their barycenter."
    needs = frozenset({"bary/points", "bary/group", "bary/support"})
    order = 81

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        points, group, support = f32(arrays["bary/points"]), f32(arrays["bary/group"]), f32(arrays["bary/support"])
        names = class_names(arrays, "bary/group")
        found = [
            _dots(name, points[group == k], {"color": measure_color(k), "opacity": 0.5, "size": point_size(len(points), 4.5)})
            for k, name in enumerate(names)
        ]
        return [*found, _dots("barycenter", support, {"color": BARYCENTER, "opacity": 0.95, "size": point_size(len(support), 6)})]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        points = f32(arrays["bary/points"])
        vertical = axis("coordinate 2", range=span(points[:, 1:2]), scaleanchor="x", scaleratio=1)
        return quiet_layout(axis("coordinate 1", range=span(points[:, :1])), vertical)


def _names(arrays: Arrays, key: str, n: int) -> list[str]:
    given = arrays.get(f"names/{key}")
    return [str(v) for v in given] if given is not None and len(given) == n else [f"measure {k + 1}" for k in range(n)]


def _curve(name: str, x: np.ndarray, y: np.ndarray, line: dict[str, Any], fill: str | None = None) -> dict[str, Any]:
    trace = {"type": "scatter", "mode": "lines", "name": name, "x": f32(x), "y": f32(y), "line": line}
    trace["hovertemplate"] = "%{x:.2f}: %{y:.3f}<extra>" + name + "</extra>"
    return {**trace, "fill": "tozeroy", "fillcolor": fill} if fill else trace


def _dots(name: str, points: np.ndarray, marker: dict[str, Any]) -> dict[str, Any]:
    few = points[pick(len(points), MOST)]
    trace = {"type": "scatter", "mode": "markers", "name": name, "x": f32(few[:, 0]), "y": f32(few[:, 1]), "marker": marker}
    return {**trace, "hovertemplate": "%{x:.2f}, %{y:.2f}<extra>" + name + "</extra>"}
