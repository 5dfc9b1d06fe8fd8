"""The maps of a learned barycenter, one panel a marginal: where its points go, in colour how much of each is taken."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import measure_color
from uotlab.views.barycenter_parts import flat, marginals, on_line, weight_name
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import FAINT, INK, RANGES, axis, f32, pick, point_size, quiet_layout, scaling_marker, scatter, segments, span

ARROWS = 100


@VIEWS.register("barycenter-maps")
class MapsView(View):
    """T_k of every marginal, with linked zoom."""

    title = "Maps to barycenter"
    summary = "One panel a marginal: its points, arrows, and where they go. Colour shows how much of a point's mass is taken."
    needs = frozenset({"marginal/0", "marginal/1", "image/0", "image/1"})
    order = 6
    options: ClassVar[dict[str, Any]] = {"arrows": True, "points": True, "range": tuple(RANGES)}

    def traces(self, arrays: Arrays, *, arrows: bool = True, points: bool = True, range: str = "×2", **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        numbers = _shown(arrays)
        for i, k in enumerate(numbers):
            place: dict[str, Any] = {"xaxis": f"x{_number(i)}", "yaxis": f"y{_number(i)}", "showlegend": False}
            x, Tx = _places(arrays, k)
            if points and not on_line(arrays):
                marker = {"size": point_size(len(x), 4), "opacity": 0.4}
                found.append(scatter(weight_name(arrays, k), x, measure_color(k), marker=marker, meta="static", **place))
            if arrows and not on_line(arrays):
                rows = pick(len(x), ARROWS)
                ax, ay = segments(np.stack([x[rows], Tx[rows]], axis=1))
                line = {"type": "scattergl", "mode": "lines", "name": "arrows", "x": ax, "y": ay, "hoverinfo": "skip", **place}
                found.append({**line, "line": {"color": FAINT, "width": 1}})
            weight = f32(arrays.get(f"weight/{k}", np.ones(len(x))))
            marker = {**scaling_marker(weight, RANGES[range], bar=i == len(numbers) - 1, title="mass taken"), "opacity": 0.85}
            marker["size"] = point_size(len(x), 5)
            found.append(scatter(f"T{k + 1}", Tx, marker=marker, **place))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        count = len(_shown(arrays))
        columns = count if count <= 3 else -(-count // 2)
        layout = quiet_layout(margin={"l": 40, "r": 12, "t": 30, "b": 40}) | _placed(arrays, columns)
        return layout | {"meta": {"narrow": {"rows": count, "layout": _placed(arrays, 1)}}}


def _shown(arrays: Arrays) -> list[int]:
    return [k for k in marginals(arrays) if f"image/{k}" in arrays]


def _number(i: int) -> str:
    return "" if i == 0 else str(i + 1)


def _places(arrays: Arrays, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and images (n, 2); on a line both over the point itself, so that the map is a curve."""
    x, Tx = flat(arrays, f"marginal/{k}"), flat(arrays, f"image/{k}")
    return (x, Tx) if x.shape[1] > 1 else (np.concatenate([x, x], axis=1), np.concatenate([x, Tx], axis=1))


def _placed(arrays: Arrays, columns: int) -> dict[str, Any]:
    """Axes and headings of the panels in so many columns; all have the window of all marginals."""
    numbers = _shown(arrays)
    rows = max(1, -(-len(numbers) // columns))
    all_x, all_y = (np.concatenate([_places(arrays, k)[0][:, c] for k in numbers]) for c in (0, 1))
    found: dict[str, Any] = {"annotations": []}
    for i, k in enumerate(numbers):
        row, column = divmod(i, columns)
        across = [column / columns + (0.04 if column else 0), (column + 1) / columns - 0.01]
        down = [1 - (row + 1) / rows + (0.1 / rows if row < rows - 1 else 0), 1 - row / rows - 0.08 / rows]
        names = ("position", "position in the barycenter" if not column else "") if on_line(arrays) else ("", "")
        horizontal = axis(names[0], domain=across, anchor=f"y{_number(i)}", nticks=5)
        vertical = axis(names[1], domain=down, anchor=f"x{_number(i)}", nticks=5)
        if i:
            horizontal["matches"], vertical["matches"] = "x", "y"
        else:
            horizontal["range"], vertical["range"] = span(all_x), span(all_y)
            vertical |= {} if on_line(arrays) else {"scaleanchor": "x", "scaleratio": 1}
        found |= {f"xaxis{_number(i)}": horizontal, f"yaxis{_number(i)}": vertical}
        label = {"text": f"<b>{weight_name(arrays, k)}</b>", "x": across[0], "y": down[1], "xref": "paper", "yref": "paper"}
        style = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12, "color": measure_color(k) or INK}}
        found["annotations"].append({**label, **style})
    return found
