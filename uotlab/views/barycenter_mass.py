"""Whether each marginal's plan has the mass that it must have: E[psi*'((f_k - c_k)/rho_k)] over the steps, which tends to 1."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import measure_color
from uotlab.views.barycenter_parts import weight_name
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.curves import smoothed
from uotlab.views.style import INK, axis, f32, quiet_layout

START = "history/mass of marginal "


@VIEWS.register("barycenter-mass")
class MassView(View):
    """One curve a marginal, and a line at 1."""

    title = "Mass of the plans"
    summary = "The mass of each marginal's plan over the steps. At the optimum all are 1: the constant m sees to it."
    needs = frozenset({"history/step", f"{START}1"})
    order = 8
    options: ClassVar[dict[str, Any]] = {"raw": True, "smooth": 0.3, "log": True}

    def traces(self, arrays: Arrays, *, raw: bool = True, smooth: float = 0.3, log: bool = True, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        curves = _curves(arrays)
        last = max((float(step[-1]) for step, _ in curves.values() if len(step)), default=1.0)
        flat = {"type": "scatter", "mode": "lines", "name": "1", "x": f32([0, last]), "y": f32([1, 1]), "hoverinfo": "skip"}
        found.append({**flat, "line": {"color": INK, "width": 1.5, "dash": "dot"}, "showlegend": False})
        for k, (step, value) in curves.items():
            name, color = weight_name(arrays, k), measure_color(k)
            shown = np.maximum(value, 1e-6) if log else value
            base = {"type": "scattergl", "mode": "lines" if len(step) != 1 else "markers", "legendgroup": name}
            if raw:
                faint = {"name": f"{name}, raw", "x": step, "y": f32(shown), "line": {"color": color, "width": 1}, "opacity": 0.28}
                found.append({**base, **faint, "hoverinfo": "skip", "showlegend": False})
            line = {"name": name, "x": step, "y": smoothed(shown, smooth), "line": {"color": color, "width": 2.2}}
            found.append({**base, **line, "hovertemplate": "step %{x:.0f}: %{y:.4g}<extra>" + name + "</extra>"})
        return found

    def layout(self, arrays: Arrays, *, log: bool = True, **_: Any) -> dict[str, Any]:
        return quiet_layout(axis("training step", rangemode="tozero"), axis("mass of the plan", **({"type": "log"} if log else {})))


def _curves(arrays: Arrays) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Marginal -> (steps, masses) where it was measured."""
    step, found = f32(arrays["history/step"]), {}
    for name in arrays:
        number = name.removeprefix(START)
        if name.startswith(START) and number.isdigit():
            value = np.asarray(arrays[name], np.float32)[: len(step)]
            ok = np.isfinite(value)
            found[int(number) - 1] = (step[: len(value)][ok], value[ok])
    return dict(sorted(found.items()))
