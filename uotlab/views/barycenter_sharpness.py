"""How sharp barycenters are: one bar a method."""

from typing import Any

import numpy as np

from uotlab.views.barycenter import BARYCENTER
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import FAINT, INK, axis, f32, quiet_layout


@VIEWS.register("barycenter-sharpness")
class SharpnessView(View):
    """Sharpness in bars, the first one the barycenter that is shown."""

    title = "Sharpness"
    summary = "Points that hold the inputs over points that hold the barycenter, by exp(entropy): 1 is as sharp as the inputs."
    needs = frozenset({"sharp/value"})
    order = 84

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        values = f32(arrays["sharp/value"])
        given = arrays.get("names/sharp/value")
        names = [str(n) for n in given] if given is not None and len(given) == len(values) else [str(i + 1) for i in range(len(values))]
        colors = [BARYCENTER, *([FAINT] * (len(values) - 1))]
        text = [f"{v:.2f}" for v in values]
        bars = {"type": "bar", "orientation": "h", "name": "sharpness", "x": values, "y": names, "marker": {"color": colors}}
        return [
            {
                **bars,
                "text": text,
                "textposition": "outside",
                "cliponaxis": False,
                "textfont": {"color": INK},
                "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
            }
        ]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        top = max(1.0, float(np.max(f32(arrays["sharp/value"]), initial=0.0))) * 1.1
        across = axis("sharpness (1: as sharp as the inputs)", range=[0, top])
        down = axis("", autorange="reversed", showgrid=False)
        return quiet_layout(across, down, showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 40}, bargap=0.3)
