"""How much of each marginal a learned barycenter accepts: the spread of the acceptance, and its mean by class."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import faded, measure_color
from uotlab.views.barycenter_parts import weight_name
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, class_names, f32, quiet_layout

BINS = 40
CLASSES = 12  #: most classes that get bars


@VIEWS.register("barycenter-acceptance")
class AcceptanceView(View):
    """Histograms of w/max w, one line a marginal; bars of their means by class."""

    title = "Acceptance"
    summary = "The chance w/max w that a point is accepted: its spread in each marginal, and its mean by class, such as of outliers."
    needs = frozenset({"weight/0", "weight/1"})
    order = 7
    options: ClassVar[dict[str, Any]] = {"classes": True}

    def traces(self, arrays: Arrays, *, classes: bool = True, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        edges = np.linspace(0, 1, BINS + 1)
        for k in _shown(arrays):
            chance = acceptance(arrays[f"weight/{k}"])
            share = np.histogram(chance, edges)[0] / max(len(chance), 1) * 100
            name, color = weight_name(arrays, k), measure_color(k)
            curve = {"type": "scatter", "mode": "lines", "name": name, "x": f32((edges[1:] + edges[:-1]) / 2), "y": f32(share)}
            look = {"line": {"color": color, "width": 2, "shape": "hvh"}, "fill": "tozeroy", "fillcolor": faded(color, 0.12)}
            found.append({**curve, **look, "legendgroup": name, "hovertemplate": "%{x:.2f}: %{y:.1f}%<extra>" + name + "</extra>"})
        for k, names, means in _bars(arrays) if classes else []:
            name = weight_name(arrays, k)
            bar = {"type": "bar", "name": name, "x": names, "y": means, "marker": {"color": measure_color(k)}, "showlegend": False}
            hover = "%{x}: %{y:.3f}<extra>" + name + "</extra>"
            found.append({**bar, "xaxis": "x2", "yaxis": "y2", "legendgroup": name, "hovertemplate": hover})
        return found

    def layout(self, arrays: Arrays, *, classes: bool = True, **_: Any) -> dict[str, Any]:
        layout = quiet_layout(axis("acceptance (0 is rejected)", range=[0, 1]), axis("points (%)", rangemode="tozero"))
        if classes and _bars(arrays):
            layout["yaxis"]["domain"], layout["xaxis"]["anchor"] = [0.6, 1], "y"
            layout["xaxis2"] = axis("class", anchor="y2", type="category")
            layout["yaxis2"] = axis("mean acceptance", domain=[0, 0.4], anchor="x2", range=[0, 1.05])
        return layout


def acceptance(weight: np.ndarray) -> np.ndarray:
    """w/max w in [0, 1], (n,)."""
    weight = np.clip(f32(weight), 0, None)
    return weight / max(float(weight.max(initial=0)), 1e-30)


def _shown(arrays: Arrays) -> list[int]:
    return sorted(int(name.rpartition("/")[2]) for name in arrays if name.startswith("weight/"))


def _bars(arrays: Arrays) -> list[tuple[int, list[str], np.ndarray]]:
    """(marginal, its classes, mean acceptance (c,)) of the marginals that have classes."""
    found = []
    for k in _shown(arrays):
        key = f"marginal_label/{k}"
        if key not in arrays or len(arrays[key]) != len(arrays[f"weight/{k}"]):
            continue
        names, number = class_names(arrays, key), f32(arrays[key]).astype(int)
        if not 1 < len(names) <= CLASSES:
            continue
        chance, count = acceptance(arrays[f"weight/{k}"]), np.bincount(number, minlength=len(names))[: len(names)]
        total = np.bincount(number, weights=chance, minlength=len(names))[: len(names)]
        found.append((k, names, f32(total / np.maximum(count, 1))))
    return found
