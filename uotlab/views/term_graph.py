"""Enriched gene sets from general (top) to specific (bottom).

Reference: yang2019scalable, Figure 6d.
"""

from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import FAINT, axis, color_bar, f32, quiet_layout
from uotlab.views.texts import texts, without_number, wrapped

CROWDED = 8  #: nodes in a row whose texts would touch
STEP = 43  #: px, the height of a text of three lines
HEAT = [[0.0, "#F7E9A8"], [0.35, "#F2B65A"], [0.7, "#E4772E"], [1.0, "#B5301F"]]


def shifts(x: np.ndarray, y: np.ndarray) -> list[int]:
    """How far below its node each text (n,) hangs, in px: in a crowded row neighbours hang at different heights."""
    found = np.full(len(x), -13)
    for row in np.unique(y):
        here = np.flatnonzero(y == row)
        heights = -(-len(here) // CROWDED)
        found[here[np.argsort(x[here], kind="stable")]] -= STEP * (np.arange(len(here)) % max(heights, 1))
    return [int(v) for v in found]


@VIEWS.register("term-graph")
class TermGraphView(View):
    """One node a set of genes, an arrow to each set that it contains."""

    title = "Terms"
    summary = "Enriched gene sets, general ones above the special ones that they contain; the colour is minus log10 of the descriptive p."
    needs = frozenset({"graph/x", "graph/y", "graph/p", "graph/edges"})
    order = 306

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        x, y, p = (f32(arrays[f"graph/{k}"]) for k in ("x", "y", "p"))
        edges = np.asarray(arrays["graph/edges"], dtype=np.intp).reshape(-1, 2)
        gap = np.full(len(edges), np.nan, np.float32)
        ends = [np.ascontiguousarray(np.stack([v[edges[:, 0]], v[edges[:, 1]], gap], 1)).ravel() for v in (x, y)]
        lines = {"type": "scatter", "mode": "lines", "name": "arrows", "x": ends[0], "y": ends[1], "line": {"color": FAINT, "width": 1.6}}
        marker = {"color": p, "colorscale": HEAT, "cmin": 0, "size": 17, "symbol": "square", "showscale": True, "line": {"width": 0}}
        names, hits, size = texts(arrays, "graph"), arrays.get("graph/hits"), arrays.get("graph/size")
        if hits is not None and size is not None:
            names = [f"{name}<br>{int(h)} of {int(s)} genes lead" for name, h, s in zip(names, f32(hits), f32(size))]
        hover = {"text": names, "hovertemplate": "%{text}<br>−log10 p %{marker.color:.1f}<extra></extra>"}
        marker["colorbar"] = color_bar("−log10 p, descriptive")
        nodes = {"type": "scatter", "mode": "markers", "name": "gene sets", "x": x, "y": y, "marker": marker, "showlegend": False}
        return [{**lines, "hoverinfo": "skip", "showlegend": False}, {**nodes, **hover}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        x, y = f32(arrays["graph/x"]), f32(arrays["graph/y"])
        labels = [wrapped(without_number(name), 18) for name in texts(arrays, "graph")]
        notes = [
            {"x": float(a), "y": float(b), "text": text, "showarrow": False, "yshift": shift, "yanchor": "top", "font": {"size": 10}}
            for a, b, text, shift in zip(x, y, labels, shifts(x, y))
        ]
        if not len(x):
            notes = [{"x": 0, "y": 0, "text": "no gene set is significant here", "showarrow": False}]
        hidden = {"showgrid": False, "showticklabels": False, "showline": False}
        wide = [float(x.min(initial=0)) - 0.6, float(x.max(initial=0)) + 0.6]
        tall = [float(y.min(initial=0)) - 0.8, float(y.max(initial=0)) + 0.3]
        up = axis("general  →  specific", range=tall, **hidden) | {"autorange": False}
        narrow = {"rows": 1, "layout": {"annotations": notes if len(x) <= 3 else []}}  # no room for texts on a phone: touch a node
        return quiet_layout(axis("", range=wide, **hidden), up, annotations=notes, meta={"narrow": narrow})
