"""What quality control decides on: histograms over all cells, with the limits that are set."""

from typing import Any

import numpy as np

from uotlab.views.base import SOURCE, VIEWS, Arrays, View
from uotlab.views.style import INK, SHRINK, axis, f32, quiet_layout
from uotlab.views.texts import texts

GAP = 0.06


@VIEWS.register("cell-quality")
class CellQualityView(View):
    """One panel a number of the cells; what lies beyond a dashed line is left out."""

    title = "Quality control"
    summary = "How many cells have so many genes, so large a total and share of mitochondrial counts; dashed lines are the limits."
    needs = frozenset({"quality/heights", "quality/edges", "quality/limits"})
    order = 344

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        found = []
        for k, title in enumerate(texts(arrays, "quality")):
            number = str(k + 1) if k else ""
            edges, heights = f32(arrays["quality/edges"][k]), f32(arrays["quality/heights"][k])
            middle, wide = f32((edges[:-1] + edges[1:]) / 2), f32(np.diff(edges))
            bars = {
                "type": "bar",
                "name": title,
                "x": middle,
                "y": heights,
                "width": wide,
                "marker": {"color": SOURCE, "line": {"width": 0}},
            }
            hover = {"hovertemplate": title + " %{x:.3g}: %{y} cells<extra></extra>", "showlegend": False}
            found.append({**bars, **hover, "xaxis": f"x{number}", "yaxis": f"y{number}"})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        count = len(texts(arrays, "quality"))
        narrow = {"rows": max(0.5 * count, 1), "layout": self._panels(arrays, count, 1)}
        return quiet_layout(**self._panels(arrays, 1, max(count, 1)), bargap=0, meta={"narrow": narrow})

    @staticmethod
    def _panels(arrays: Arrays, down: int, across: int) -> dict[str, Any]:
        """Axes and limits of the panels."""
        layout: dict[str, Any] = {"shapes": []}
        low_gap = 0.5 / down if down > 1 else 0.0
        tall, wide = (1 - low_gap * (down - 1)) / max(down, 1), (1 - GAP * (across - 1)) / across
        for k, title in enumerate(texts(arrays, "quality")):
            number, row, column = str(k + 1) if k else "", k // across, k % across
            left, top = column * (wide + GAP), 1 - row * (tall + low_gap)
            layout[f"xaxis{number}"] = axis(title, domain=[left, min(left + wide, 1)], anchor=f"y{number}", nticks=6)
            up = {"domain": [max(top - tall, 0), min(top, 1)], "anchor": f"x{number}", "nticks": 4, "rangemode": "tozero"}
            layout[f"yaxis{number}"] = axis("cells" if column == 0 else "", **up)
            for limit in np.asarray(arrays["quality/limits"][k], dtype=np.float64):
                if np.isfinite(limit):
                    place = {"xref": f"x{number}", "yref": f"y{number} domain", "x0": float(limit), "x1": float(limit), "y0": 0, "y1": 1}
                    layout["shapes"].append({"type": "line", **place, "line": {"color": SHRINK, "width": 2, "dash": "dash"}})
        if not layout["shapes"]:
            layout["annotations"] = []
        return layout | {"font": {"color": INK, "size": 12}}
