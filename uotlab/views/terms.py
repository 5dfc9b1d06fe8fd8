"""The best gene sets as bars, with what shuffled scalings find."""

from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import GROW, INK, axis, f32, quiet_layout
from uotlab.views.texts import texts, without_number


@VIEWS.register("terms")
class TermsView(View):
    """One bar a term, the best on top; the dotted line is the best term of a shuffled scaling."""

    title = "Gene sets"
    summary = "The best gene sets by minus log10 p, descriptive, beside the best that shuffled scalings find (dotted)."
    needs = frozenset({"terms/p"})
    order = 304

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        p = f32(arrays["terms/p"])
        names = texts(arrays, "terms")
        bars = {"type": "bar", "orientation": "h", "name": "gene sets", "x": p, "y": np.arange(len(p), dtype=np.float32)}
        hover = {"text": names, "textposition": "none", "hovertemplate": "%{text}<br>−log10 p %{x:.1f}<extra></extra>"}
        found = [{**bars, **hover, "marker": {"color": GROW}, "showlegend": False}]
        if "terms/null" in arrays:
            null = f32(arrays["terms/null"])
            at = float(np.median(null)) if len(null) else 0.0
            line = {"color": INK, "width": 2, "dash": "dot"}
            ends = {"x": np.full(2, at, np.float32), "y": f32([-0.5, max(len(p), 1) - 0.5])}
            found.append({"type": "scatter", "mode": "lines", "name": "best of a shuffled scaling", "line": line, **ends})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        names = [without_number(name) for name in texts(arrays, "terms")]
        short = [name if len(name) <= 44 else name[:43] + "…" for name in names]
        rows = axis("", tickvals=list(range(len(short))), ticktext=short, range=[len(short) - 0.4, -0.6], tickfont={"size": 11})
        return quiet_layout(axis("−log10 p (descriptive)", rangemode="tozero"), rows, bargap=0.25)
