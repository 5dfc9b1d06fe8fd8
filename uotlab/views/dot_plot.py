"""Genes by groups of cells: the size of a dot is the share of cells that express a gene, its colour how much."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, color_bar, f32, quiet_layout
from uotlab.views.texts import texts

LARGEST = 18.0


@VIEWS.register("dot-plot")
class DotPlotView(View):
    """One dot a gene and group."""

    title = "Dot plot"
    summary = "Genes by groups of cells: size is the share of cells with the gene, colour the mean of log values (yellow: most)."
    needs = frozenset({"dots/mean", "dots/share"})
    order = 302
    options: ClassVar[dict[str, Any]] = {"scale_genes": True}

    def traces(self, arrays: Arrays, *, scale_genes=True, **_: Any) -> list[dict[str, Any]]:
        mean, share = f32(arrays["dots/mean"]), f32(arrays["dots/share"])
        groups, genes = mean.shape
        if scale_genes:
            top = mean.max(axis=0, initial=0)
            mean = f32(np.divide(mean, top, out=np.zeros_like(mean), where=top > 0))
        column, row = np.meshgrid(np.arange(genes, dtype=np.float32), np.arange(groups, dtype=np.float32))
        bar = color_bar("mean, of the gene's largest" if scale_genes else "mean of log1p")
        size = f32(np.clip(LARGEST * np.sqrt(np.clip(share, 0, 1)), 1.5, LARGEST)).ravel()
        marker = {"size": size, "color": mean.ravel(), "colorscale": "Cividis", "showscale": True, "colorbar": bar, "line": {"width": 0}}
        shown = [
            f"{g} in {k}<br>{s:.0%} of cells"
            for k, line in zip(texts(arrays, "dots/group"), share)
            for g, s in zip(texts(arrays, "dots/gene"), line)
        ]
        dots = {"type": "scatter", "mode": "markers", "name": "genes", "x": column.ravel(), "y": row.ravel(), "marker": marker}
        return [{**dots, "text": shown, "hovertemplate": "%{text}, mean %{marker.color:.2f}<extra></extra>", "showlegend": False}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        groups, genes = texts(arrays, "dots/group"), texts(arrays, "dots/gene")
        first = axis("", tickvals=list(range(len(genes))), ticktext=genes, tickangle=-50, range=[-0.7, len(genes) - 0.3])
        return quiet_layout(first, axis("", tickvals=list(range(len(groups))), ticktext=groups, range=[-0.7, len(groups) - 0.3]))
