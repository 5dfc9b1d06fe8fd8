"""Cell types that become cell types, as a table in colours."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, color_bar, f32, quiet_layout
from uotlab.views.texts import texts

LEAST = 0.005  #: a share that reads 0.00 is left blank
NONE = "rgba(107,130,153,0)"
#: white numbers read on each of them, whatever is behind the picture
SHARES = [[0.0, NONE], [LEAST, NONE], [LEAST, "#6B8299"], [0.4, "#2583C5"], [0.7, "#8C5BB0"], [1.0, "#D94A22"]]


@VIEWS.register("transitions")
class TransitionsView(View):
    """Source types down, target types across; a row sums to 1."""

    title = "Transitions"
    summary = "The share of each source type's mass that lands in each target type; rows sum to 1."
    needs = frozenset({"fates/P"})
    order = 320
    options: ClassVar[dict[str, Any]] = {"numbers": True}

    def traces(self, arrays: Arrays, *, numbers=True, **_: Any) -> list[dict[str, Any]]:
        P = f32(arrays["fates/P"])
        heat = {"type": "heatmap", "name": "shares", "z": P, "colorscale": SHARES, "zmin": 0, "zmax": 1, "xgap": 2, "ygap": 2}
        heat |= {"colorbar": color_bar("share of the row"), "hovertemplate": "%{y} → %{x}: %{z:.3f}<extra></extra>"}
        if numbers:
            heat |= {"text": np.where(P >= LEAST, np.char.mod("%.2f", P), "").tolist(), "texttemplate": "%{text}"}
            heat |= {"textfont": {"size": 11, "color": "#ffffff"}}
        return [{**heat, "x": texts(arrays, "fates/target"), "y": texts(arrays, "fates/source")}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        first = axis("target type", type="category", side="bottom")
        return quiet_layout(first, axis("source type", type="category", autorange="reversed"))
