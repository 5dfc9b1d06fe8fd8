"""Growth by cell type, with bootstrap intervals and the truth where it is known."""

from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, SCALING_COLORS, axis, f32, log2_scaling, quiet_layout
from uotlab.views.texts import texts


@VIEWS.register("growth-types")
class GrowthTypesView(View):
    """One bar a type, on a logarithmic axis on which 1 keeps the mass."""

    title = "Growth by type"
    summary = "Mean growth of each cell type (1 keeps its share) with bootstrap intervals; diamonds mark the truth of simulated cells."
    needs = frozenset({"growth/mean", "growth/low", "growth/high"})
    order = 310

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        mean, low, high = (f32(arrays[f"growth/{k}"]) for k in ("mean", "low", "high"))
        names, place = texts(arrays, "growth"), np.arange(len(mean), dtype=np.float32)
        marker = {"color": log2_scaling(mean), "colorscale": SCALING_COLORS, "cmin": -2, "cmax": 2}
        whiskers = {"type": "data", "symmetric": False, "array": f32(np.maximum(high - mean, 0)), "color": INK, "thickness": 1.5}
        whiskers["arrayminus"] = f32(np.maximum(mean - low, 0))
        words = [f"{n}<br>×{m:.2f} ({a:.2f} to {b:.2f})" for n, m, a, b in zip(names, mean, low, high)]
        bars = {"type": "bar", "name": "growth", "x": place, "y": mean, "marker": marker, "error_y": whiskers, "text": words}
        found = [{**bars, "textposition": "none", "hovertemplate": "%{text}<extra></extra>", "showlegend": False}]
        if "growth/truth" in arrays:
            tick = {"symbol": "diamond", "size": 11, "color": "#FFFFFF", "line": {"width": 2, "color": "#22262E"}}
            look = {
                "type": "scatter",
                "mode": "markers",
                "name": "truth",
                "marker": tick,
                "hovertemplate": "truth ×%{y:.2f}<extra></extra>",
            }
            found.append({**look, "x": place, "y": f32(arrays["growth/truth"])})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        names, cells = texts(arrays, "growth"), arrays.get("growth/cells")
        if cells is not None:
            names = [f"{name}<br>{int(n)}" for name, n in zip(names, f32(cells))]
        line = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 1, "y1": 1, "line": {"color": INK, "width": 1, "dash": "dot"}}
        first = axis("", tickvals=list(range(len(names))), ticktext=names)
        return quiet_layout(first, axis("growth (scaling / its mean)", rangemode="tozero"), shapes=[line], bargap=0.3)
