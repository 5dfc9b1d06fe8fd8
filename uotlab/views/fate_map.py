"""Where the mass of a group of cells goes, or comes from, on a map of two dimensions."""

from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, axis, color_bar, f32, quiet_layout, scatter, span
from uotlab.views.texts import texts

MASS = [[0.0, "#9AA1AB"], [0.15, "#D9A66B"], [0.5, "#E8702A"], [1.0, "#D01C00"]]  #: cells without any stay grey, on dark and light


@VIEWS.register("fate-map")
class FateMapView(View):
    """Cells by the mass they get or send, the group ringed."""

    title = "Fate map"
    summary = "The ringed cells are the group; colour is the mass that goes from it, or comes to it, 1 an even share of all."
    needs = frozenset({"fate-map/cells", "fate-map/mass", "fate-map/chosen"})
    order = 326

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        cells, mass = f32(arrays["fate-map/cells"]), f32(arrays["fate-map/mass"])
        others, group = [*texts(arrays, "fate-map"), "cells", "group"][:2]
        high = float(np.quantile(mass, 0.98)) if len(mass) else 1.0
        bar = color_bar("mass, 1 is even")
        order = np.argsort(mass, kind="stable")  # the strongest in front
        look = {"color": mass[order], "colorscale": MASS, "cmin": 0.0, "cmax": max(high, 2.0), "showscale": True, "colorbar": bar}
        ring = {"symbol": "circle-open", "size": 8, "color": INK, "line": {"width": 1.3}}
        found = [scatter(others, cells[order], marker={**look, "opacity": 0.9})]
        found.append(scatter(group, f32(arrays["fate-map/chosen"]), marker=ring))
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        both = np.concatenate([f32(arrays["fate-map/cells"]), f32(arrays["fate-map/chosen"])])
        titles = (texts(arrays, "fate-map/axes") or ["map 1", "map 2"])[:2]
        return quiet_layout(*(axis(title, range=span(both[:, k], pad=0.06)) for k, title in enumerate(titles)))
