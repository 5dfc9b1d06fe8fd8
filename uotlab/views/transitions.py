"""Cell types that become cell types, as a table in colours."""

from typing import Any, ClassVar

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.plan_parts import HEAT
from uotlab.views.style import axis, color_bar, f32, quiet_layout
from uotlab.views.texts import texts


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
        heat = {"type": "heatmap", "name": "shares", "z": P, "colorscale": HEAT, "zmin": 0, "zmax": 1, "xgap": 2, "ygap": 2}
        heat |= {"colorbar": color_bar("share of the row"), "hovertemplate": "%{y} → %{x}: %{z:.3f}<extra></extra>"}
        if numbers:
            heat |= {"texttemplate": "%{z:.2f}", "textfont": {"size": 11}}
        return [{**heat, "x": texts(arrays, "fates/target"), "y": texts(arrays, "fates/source")}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        first = axis("target type", type="category", side="bottom")
        return quiet_layout(first, axis("source type", type="category", autorange="reversed"))
