"""Runs compared: their maps side by side, zoom and pan linked between runs on the same data."""

import math
from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.compare_curves import run_names
from uotlab.views.style import FAINT, area_sizes, axis, class_color, f32, pick, quiet_layout, segments, span

ARROWS = 80
GREY = "#9AA0A8"


def panels(arrays: Arrays) -> list[int]:
    """Numbers of the runs that have a map to show."""
    return [k for k in range(len(run_names(arrays))) if f"compare/{k}/Tx" in arrays]


def number(i: int) -> str:
    """How plotly counts its axes: "", "2", "3", ..."""
    return "" if i == 0 else str(i + 1)


def columns_of(count: int) -> int:
    """Panels in a row: one to three side by side, more in a square."""
    return max(1, count if count <= 3 else math.ceil(math.sqrt(count)))


def points(arrays: Arrays, k: int, name: str) -> np.ndarray:
    """Two coordinates (n, 2); on a line x against itself, or against T(x)."""
    found = f32(arrays[f"compare/{k}/{name}"])
    if found.shape[1] > 1:
        return found[:, :2]
    x = f32(arrays[f"compare/{k}/x"])
    return np.concatenate([x if name == "Tx" else found, found], axis=1)


@VIEWS.register("compare-maps")
class CompareMapsView(View):
    """One panel a run: the target in grey, the mapped points in the run's colour, their size by the scaling."""

    title = "Maps"
    summary = "The maps side by side: the target in grey, mapped points in each run's colour. Zoom in one panel and the others follow."
    needs = frozenset({"compare/color", "compare/group"})
    order = 211
    options: ClassVar[dict[str, Any]] = {"target": True, "source": False, "arrows": False, "size_by_scaling": True}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and bool(panels(arrays))

    def traces(self, arrays: Arrays, *, target=True, source=False, arrows=False, size_by_scaling=True, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for i, k in enumerate(panels(arrays)):
            color, name = class_color(int(arrays["compare/color"][k])), run_names(arrays)[k]
            base = {"type": "scattergl", "mode": "markers", "xaxis": f"x{number(i)}", "yaxis": f"y{number(i)}", "showlegend": False}
            line = arrays[f"compare/{k}/Tx"].shape[1] == 1
            for shown, key, look in ((target and not line, "y", GREY), (source and not line, "x", FAINT)):
                if shown:
                    cloud = points(arrays, k, key)
                    marker = {"size": 4, "color": look, "opacity": 0.45, "line": {"width": 0}}
                    found.append({**base, "name": f"{name}, {'target' if key == 'y' else 'source'}", "marker": marker,
                        "x": f32(cloud[:, 0]), "y": f32(cloud[:, 1]), "hoverinfo": "skip", "meta": "static"})  # fmt: skip
            Tx = points(arrays, k, "Tx")
            if arrows and not line:
                x = points(arrays, k, "x")
                rows = pick(min(len(x), len(Tx)), ARROWS)
                ax, ay = segments(np.stack([x[rows], Tx[rows]], axis=1))
                thin = {"line": {"color": FAINT, "width": 1}, "hoverinfo": "skip"}
                found.append({**base, **thin, "mode": "lines", "name": "arrows", "x": ax, "y": ay})
            xi = arrays.get(f"compare/{k}/xi")
            size = {"size": area_sizes(xi)} if size_by_scaling and xi is not None and len(xi) == len(Tx) else {"size": 5}
            marker = {**size, "color": color, "opacity": 0.75, "line": {"width": 0}}
            hover = "%{x:.3g}, %{y:.3g}<extra>" + name + "</extra>"
            found.append({**base, "name": name, "marker": marker, "x": f32(Tx[:, 0]), "y": f32(Tx[:, 1]), "hovertemplate": hover})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        shown = panels(arrays)
        layout = quiet_layout(margin={"l": 34, "r": 8, "t": 26, "b": 30}) | self._panels(arrays, shown, columns_of(len(shown)))
        narrow = {"rows": len(shown), "layout": self._panels(arrays, shown, 1)}  # on a phone
        return layout | ({"meta": {"narrow": narrow}} if len(shown) > 1 else {})

    @staticmethod
    def _panels(arrays: Arrays, shown: list[int], columns: int) -> dict[str, Any]:
        """Axes and titles of the panels in so many columns; the first on each data leads the zoom of the others."""
        rows = max(1, -(-len(shown) // columns))
        found: dict[str, Any] = {"annotations": []}
        leaders: dict[int, int] = {}
        for i, k in enumerate(shown):
            row, column = divmod(i, columns)
            left, top = column / columns, 1 - row / rows
            across = [left + (0.03 if column else 0), left + 1 / columns - 0.01]
            down = [top - 1 / rows + (0.09 / rows if row < rows - 1 else 0), top - 0.1 / rows]
            leader = leaders.setdefault(int(arrays["compare/group"][k]), i)
            horizontal, vertical = _ranges(arrays, k, i) if leader == i else ({"matches": f"{a}{number(leader)}"} for a in "xy")
            found[f"xaxis{number(i)}"] = axis("", domain=across, anchor=f"y{number(i)}", nticks=5, **horizontal)
            found[f"yaxis{number(i)}"] = axis("", domain=down, anchor=f"x{number(i)}", nticks=5, **vertical)
            label = {"text": f"<b>{run_names(arrays)[k][:40]}</b>", "x": across[0], "y": down[1], "xref": "paper", "yref": "paper"}
            color = class_color(int(arrays["compare/color"][k]))
            style = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12, "color": color}}
            found["annotations"].append({**label, **style})
        return found


def _ranges(arrays: Arrays, k: int, i: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of both axes that show all of source and target of run k, in panel i."""
    x, y = (points(arrays, k, name) for name in ("x", "y"))
    if arrays[f"compare/{k}/Tx"].shape[1] == 1:
        return {"range": span(x[:, 0])}, {"range": span(y[:, 1])}
    horizontal, vertical = span(x[:, 0], y[:, 0]), span(x[:, 1], y[:, 1])
    return {"range": horizontal}, {"range": vertical, "scaleanchor": f"x{number(i)}", "scaleratio": 1}
