"""Genes of growing cells against the rest: how much they change and how far the groups lie apart."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import FAINT, GROW, INK, SHRINK, axis, f32, point_size, quiet_layout, span
from uotlab.views.texts import strongest, texts

LEVEL = -np.log10(0.05)
MOST_FOLD = 10.0  #: log2; a gene that one group lacks altogether has an absurd fold change, and stands at this edge
ROOM = 1.25
NAMED = 40  #: strongest genes that get their name where there is room
THREE = [[0.0, SHRINK], [1 / 3, SHRINK], [1 / 3, "#9AA0AA"], [2 / 3, "#9AA0AA"], [2 / 3, GROW], [1.0, GROW]]


def fold(arrays: Arrays) -> np.ndarray:
    """log2 fold changes (g,); those beyond MOST_FOLD stand at an edge a little outside the others."""
    given = f32(arrays["genes/logfc"])
    within = np.abs(given[np.abs(given) < MOST_FOLD])
    edge = min(ROOM * float(within.max(initial=1.0)), MOST_FOLD)
    return np.clip(given, -edge, edge)


@VIEWS.register("volcano")
class VolcanoView(View):
    """Significant genes in colour, the strongest with their names, chosen ones ringed."""

    title = "Volcano"
    summary = "Each gene's log2 fold change in the group of cells against minus log10 of its descriptive p-value."
    needs = frozenset({"genes/logfc", "genes/p", "genes/adjusted"})
    order = 300
    options: ClassVar[dict[str, Any]] = {"labels": True, "adjusted": False}

    def traces(self, arrays: Arrays, *, adjusted=False, **_: Any) -> list[dict[str, Any]]:
        x, y = fold(arrays), f32(arrays["genes/adjusted" if adjusted else "genes/p"])
        state = np.where(arrays["genes/adjusted"] > LEVEL, np.sign(x), 0).astype(np.float32)
        marker = {"color": state, "colorscale": THREE, "cmin": -1.5, "cmax": 1.5, "size": point_size(len(x), 6), "opacity": 0.8}
        names = texts(arrays, "genes")
        hover = {"text": names, "hovertemplate": "%{text}<br>log2 fold change %{x:.2f}<br>-log10 p %{y:.1f}<extra></extra>"}
        cloud = {"type": "scattergl", "mode": "markers", "name": "genes", "x": x, "y": y, "marker": marker, "showlegend": False, **hover}
        rows = np.asarray(arrays.get("genes/chosen", np.zeros(0)), dtype=np.intp)
        ring = {"symbol": "circle-open", "size": 13, "color": INK, "line": {"width": 2}}
        chosen = {"type": "scattergl", "mode": "markers", "name": "chosen genes", "x": x[rows], "y": y[rows], "marker": ring}
        return [cloud, {**chosen, "hoverinfo": "skip", "showlegend": False}]

    def layout(self, arrays: Arrays, *, labels=True, adjusted=False, **_: Any) -> dict[str, Any]:
        x, y = fold(arrays), f32(arrays["genes/adjusted" if adjusted else "genes/p"])
        names = texts(arrays, "genes")
        notes: list[dict[str, Any]] = []
        wide, tall = 2 * float(np.abs(x).max(initial=0)), float(y.max(initial=0))
        for i in strongest(np.where(arrays["genes/adjusted"] > LEVEL, y, -1), NAMED) if labels and names else ():
            near = [n for n in notes if abs(n["x"] - x[i]) < 0.18 * wide and abs(n["y"] - y[i]) < 0.06 * tall]
            if arrays["genes/adjusted"][i] > LEVEL and not near:
                note = {"x": float(x[i]), "y": float(y[i]), "text": names[i], "showarrow": False, "yshift": 10, "font": {"size": 11}}
                notes.append(note)
        lines = [{"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": FAINT, "width": 1, "dash": "dot"}}]
        first = axis("log2 fold change (group / the rest)", range=span(x, -x))
        what = "adjusted p, descriptive" if adjusted else "p, descriptive"
        return quiet_layout(first, axis(f"−log10 {what}", rangemode="tozero"), annotations=notes, shapes=lines)
