"""Runs compared: one loss or metric over the steps, one colour a run."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.curves import smoothed
from uotlab.views.style import axis, class_color, f32, quiet_layout


def run_names(arrays: Arrays) -> list[str]:
    """Names of the runs that are compared."""
    return [str(name) for name in arrays.get("names/compare", ())]


def finite_curve(arrays: Arrays, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of run k where it has them."""
    step, value = (f32_or_empty(arrays, f"compare/{k}/{name}") for name in ("step", "value"))
    ok = np.isfinite(value)
    return step[ok], value[ok]


def f32_or_empty(arrays: Arrays, key: str) -> np.ndarray:
    """The array, or an empty one."""
    return np.asarray(arrays.get(key, np.zeros(0)), dtype=np.float32)


@VIEWS.register("compare-curves")
class CompareCurvesView(View):
    """One line a run, raw values faint behind a smooth line."""

    title = "Curves"
    summary = "One loss or metric of every chosen run over the training steps, in the colours of the table."
    needs = frozenset({"compare/color"})
    order = 210
    options: ClassVar[dict[str, Any]] = {"log_x": False, "log_y": False, "raw": True, "smooth": 0.3}

    def traces(self, arrays: Arrays, *, log_y=False, raw=True, smooth=0.3, **_: Any) -> list[dict[str, Any]]:
        found = []
        for k, name in enumerate(run_names(arrays)):
            step, value = finite_curve(arrays, k)
            color = class_color(int(arrays["compare/color"][k]))
            base = {"type": "scattergl", "mode": "lines" if len(step) != 1 else "markers", "legendgroup": str(k)}
            if raw:
                faint = {"name": f"{name}, raw", "x": f32(step), "y": f32(value), "line": {"color": color, "width": 1}, "opacity": 0.28}
                found.append({**base, **faint, "hoverinfo": "skip", "showlegend": False})
            line = {"name": name, "x": f32(step), "y": smoothed(value, smooth), "line": {"color": color, "width": 2.2}}
            marker = {"marker": {"color": color, "size": 8}}
            found.append({**base, **line, **marker, "hovertemplate": "step %{x:.0f}: %{y:.4g}<extra>" + name + "</extra>"})
        return found

    def layout(self, arrays: Arrays, *, log_x=False, log_y=False, **_: Any) -> dict[str, Any]:
        values = [finite_curve(arrays, k)[1] for k in range(len(run_names(arrays)))]
        positive = any(len(v) for v in values) and all((v > 0).all() for v in values)
        title = [str(t) for t in arrays.get("names/compare/title", ("",))]
        horizontal = axis("training step", **({"type": "log"} if log_x else {"rangemode": "tozero"}))
        return quiet_layout(horizontal, axis(title[0] if title else "", **({"type": "log"} if log_y and positive else {})))
