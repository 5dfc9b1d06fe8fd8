"""A sweep: a metric against rho (or any swept setting), one line a method, a band over seeds, the chosen value marked.

Reference: eyring2024unbalancedness, Figure 12; choi2023generative, Figure 7.
"""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import AXIS, INK, axis, class_color, f32, quiet_layout

CONVENTIONS = ("cost-weight τ", "divergence-weight τ", "Sinkhorn τ")


def names(arrays: Arrays, key: str) -> list[str]:
    """Words of the picture: of its curves, titles or ticks."""
    return [str(name) for name in arrays.get(f"names/sweep/{key}", ())]


def is_log(arrays: Arrays, wanted: bool) -> bool:
    """Whether the axis can be logarithmic: words cannot, nor can zero."""
    x = arrays["sweep/x"]
    return wanted and not len(arrays["sweep/tick"]) and bool((x > 0).all())


def tinted(color: str, opacity: float) -> str:
    """A "#rrggbb" with an opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


@VIEWS.register("sweep")
class SweepView(View):
    """Mean over seeds with its band; a method without a balance is a level line; a star marks each method's best value."""

    title = "Sweep"
    summary = "A metric against the swept setting: the mean over seeds, its spread as a band, and a star at the best value of each method."
    needs = frozenset({"sweep/x", "sweep/mean", "sweep/curve"})
    order = 200
    options: ClassVar[dict[str, Any]] = {
        "log_x": True,
        "log_y": False,
        "seeds": True,
        "band": ("standard deviation", "range", "none"),
    }

    def traces(self, arrays: Arrays, *, log_x=True, log_y=False, seeds=True, band="standard deviation", **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        ends = self._ends(arrays)
        for k, label in enumerate(names(arrays, "curve")):
            rows = np.flatnonzero(arrays["sweep/curve"] == k)
            if not len(rows):
                continue
            color, group = class_color(k), {"legendgroup": label}
            x, mean = f32(arrays["sweep/x"][rows]), f32(arrays["sweep/mean"][rows])
            low, high = self._band(arrays, rows, band)
            level = bool(arrays["sweep/level"][k])
            if level:
                x, mean, low, high = (np.repeat(v, 2) for v in (x, mean, low, high))
                x = ends
            if band != "none":
                around = {"fill": "toself", "fillcolor": tinted(color, 0.16), "line": {"width": 0}, "mode": "lines", "type": "scatter"}
                edge = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([low, high[::-1]])}
                found.append({**around, **edge, **group, "name": f"{label}, band", "hoverinfo": "skip", "showlegend": False})
            words = [self._hover(arrays, label, int(row)) for row in (np.repeat(rows, 2) if level else rows)]
            best = int(arrays["sweep/best"][k])
            line = {"color": color, "width": 2.4, **({"dash": "dash"} if level else {})}
            look = {"type": "scatter", "mode": "lines" if level else "lines+markers", "line": line, "marker": {"size": 7, "color": color}}
            shown = label + (", balanced" if level else "") + (f" · best at {self._value(arrays, best)}" if best >= 0 else "")
            found.append({**look, **group, "name": shown, "x": x, "y": mean, "text": words, "hovertemplate": "%{text}<extra></extra>"})
            if seeds and not level:
                at = np.flatnonzero(arrays["sweep/seed_curve"] == k)
                dots = {
                    "x": f32(arrays["sweep/seed_x"][at]),
                    "y": f32(arrays["sweep/seed_value"][at]),
                    "type": "scatter",
                    "mode": "markers",
                }
                dots |= {"marker": {"size": 5, "color": color, "opacity": 0.45}, "hoverinfo": "skip", "showlegend": False}
                found.append({**dots, **group, "name": f"{label}, single runs"})
            if best >= 0:
                star = {"x": f32(arrays["sweep/x"][[best]]), "y": f32(arrays["sweep/mean"][[best]]), "type": "scatter", "mode": "markers"}
                mark = {"symbol": "star", "size": 16, "color": color, "line": {"width": 1.5, "color": "#ffffff"}}
                found.append({**star, **group, "marker": mark, "name": f"{label}, best", "hoverinfo": "skip", "showlegend": False})
        if len(arrays["sweep/floor"]) and len(ends):
            floor = {"x": ends, "y": np.repeat(f32(arrays["sweep/floor"]), 2), "type": "scatter", "mode": "lines", "name": "sampling floor"}
            found.append({**floor, "line": {"color": INK, "width": 1.4, "dash": "dot"}, "hovertemplate": "floor %{y:.3g}<extra></extra>"})
        return found

    def layout(self, arrays: Arrays, *, log_x=True, log_y=False, **_: Any) -> dict[str, Any]:
        first, second = [*names(arrays, "title"), "", ""][:2]
        horizontal = axis(first)
        ticks, end = names(arrays, "tick"), arrays["sweep/end"]
        if ticks:
            horizontal |= {"tickvals": [float(v) for v in arrays["sweep/tick"]], "ticktext": ticks}
        elif len(end) or is_log(arrays, log_x):
            # the swept values themselves are the ticks, and infinity has a place of its own
            own = np.unique(np.concatenate([arrays["sweep/x"], end])) if len(arrays["sweep/x"]) else np.zeros(0)
            horizontal |= {"type": "log" if is_log(arrays, log_x) else "linear", "tickvals": [float(v) for v in own]}
            horizontal["ticktext"] = ["∞" if len(end) and v == end[0] else f"{v:.3g}" for v in own]
        positive = bool((arrays["sweep/mean"] > 0).all())
        vertical = axis(second, **({"type": "log"} if log_y and positive else {}))
        shapes = []
        for k, best in enumerate(arrays["sweep/best"]):
            if best >= 0:
                x = float(arrays["sweep/x"][best])
                line = {"color": class_color(k), "width": 1, "dash": "dot"}
                shapes.append({"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line, "opacity": 0.6})
        if not len(arrays["sweep/x"]):
            note = {"text": "results appear here as runs finish", "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
            return quiet_layout(horizontal, vertical, annotations=[{**note, "font": {"size": 14, "color": AXIS}}])
        return quiet_layout(horizontal, vertical, shapes=shapes, margin={"l": 56, "r": 16, "t": 34, "b": 48})

    @staticmethod
    def _ends(arrays: Arrays) -> np.ndarray:
        """Both ends of the horizontal axis, (2,)."""
        x = np.concatenate([arrays["sweep/x"], arrays["sweep/end"]])
        return f32([x.min(), x.max()]) if len(x) else f32([])

    @staticmethod
    def _band(arrays: Arrays, rows: np.ndarray, band: str) -> tuple[np.ndarray, np.ndarray]:
        if band == "range":
            return f32(arrays["sweep/low"][rows]), f32(arrays["sweep/high"][rows])
        mean, spread = f32(arrays["sweep/mean"][rows]), f32(arrays["sweep/spread"][rows])
        return mean - spread, mean + spread

    @staticmethod
    def _value(arrays: Arrays, row: int) -> str:
        x, end, ticks = arrays["sweep/x"][row], arrays["sweep/end"], names(arrays, "tick")
        if ticks:
            return ticks[int(np.abs(arrays["sweep/tick"] - x).argmin())]
        return "∞" if len(end) and x == end[0] else f"{x:.3g}"

    def _hover(self, arrays: Arrays, label: str, row: int) -> str:
        """Every number of a point, the three conventions of τ among them."""
        count, spread = int(arrays["sweep/count"][row]), float(arrays["sweep/spread"][row])
        words = [f"<b>{label}</b> at {self._value(arrays, row)}"]
        words.append(f"{float(arrays['sweep/mean'][row]):.4g}" + (f" ± {spread:.2g} ({count} seeds)" if count > 1 else " (1 seed)"))
        taus = [f"{name} {tau:.3g}" for name, tau in zip(CONVENTIONS, arrays["sweep/tau"][row]) if np.isfinite(tau)]
        return "<br>".join([*words, *taus])
