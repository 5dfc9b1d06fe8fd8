"""Curves over training steps: losses in one plot, metrics in small panels."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, class_color, f32, quiet_layout

PANELS = 12
STRONG = 6  #: colours of the palette that read well on light and dark pages alike
BESIDE = (" floor", " optimum")  #: endings of names that are drawn in the panel of the name before them
AGAINST = ("error", "gap")  #: words in the names of what is measured against the optimum
CHOICES = ("errors and gaps", "all others")


def series(arrays: Arrays, *, losses: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> (steps, values) of the finite history entries, in their order; names with "loss" in them are losses."""
    step = np.asarray(arrays.get("history/step", np.zeros(0)), dtype=np.float32)
    found = {}
    for key in [k for k in arrays if k.startswith("history/") and k != "history/step"]:
        name = key.removeprefix("history/")
        if ("loss" in name.lower()) != losses:
            continue
        value = np.asarray(arrays[key], dtype=np.float32)[: len(step)]
        ok = np.isfinite(value)
        if ok.any() or losses:
            found[name] = (step[: len(value)][ok], value[ok])
    return found


def titled(arrays: Arrays, name: str) -> str:
    """What a number is called, for people."""
    words: Any = arrays.get(f"names/history/{name}", ())
    return str(words[0]) if len(words) else name.replace("_", " ")


def smoothed(value: np.ndarray, smooth: float) -> np.ndarray:
    """Exponential moving average over about 100 x smooth entries, unbiased at its start, as a convolution."""
    window = 1 + 100 * smooth**2
    if len(value) < 3 or window <= 1.5:
        return f32(value)
    weights = np.exp(-np.arange(min(len(value), int(5 * window))) / window)
    top, bottom = (np.convolve(v, weights)[: len(value)] for v in (value.astype(np.float64), np.ones(len(value))))
    return f32(top / bottom)


@VIEWS.register("losses")
class LossView(View):
    """Raw and smoothed losses; every name in the history that has "loss" in it."""

    title = "Losses"
    summary = "The training losses over the steps, raw and smoothed. A saddle problem's losses settle; they need not fall."
    needs = frozenset({"history/step"})
    order = 70
    options: ClassVar[dict[str, Any]] = {"raw": True, "smooth": 0.5}

    def applies(self, arrays: Arrays) -> bool:
        return bool(series(arrays, losses=True))

    def traces(self, arrays: Arrays, *, raw: bool = True, smooth: float = 0.5, **_: Any) -> list[dict[str, Any]]:
        found = []
        for i, (name, (step, value)) in enumerate(series(arrays, losses=True).items()):
            color = class_color(i)
            shown = titled(arrays, name)
            if raw:
                faint = {
                    "type": "scattergl",
                    "mode": "lines",
                    "name": f"{shown}, raw",
                    "x": step,
                    "y": value,
                    "line": {"color": color, "width": 1},
                }
                found.append({**faint, "opacity": 0.28, "hoverinfo": "skip", "showlegend": False, "legendgroup": name})
            line = {"color": color, "width": 2.2}
            curve = {"type": "scattergl", "mode": "lines", "name": shown, "x": step, "y": smoothed(value, smooth), "line": line}
            found.append({**curve, "legendgroup": name, "hovertemplate": "step %{x:.0f}: %{y:.4g}<extra>" + shown + "</extra>"})
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return quiet_layout(axis("training step", rangemode="tozero"), axis("loss (mean-cost units)"))


def panels(arrays: Arrays, show: str) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """title -> {name: (steps, values)} of at most 12 panels; a floor or an optimum lies in its metric's own."""
    found = series(arrays, losses=False)
    errors = {name for name in found if any(word in name for word in AGAINST)}
    wanted = [name for name in found if (name in errors) == (show == CHOICES[0])] or list(found)
    held: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for name in wanted:
        base = next((name.removesuffix(end) for end in BESIDE if name.endswith(end)), name)
        held.setdefault(base if base in found else name, {})[name] = found[name]
    return dict(list(held.items())[:PANELS])


@VIEWS.register("metrics")
class MetricsView(View):
    """All other curves of the history, each metric in a panel of its own scale."""

    title = "Metrics"
    summary = (
        "The metrics over the training steps, each in its own panel: errors against the optimum, or all others. Dashed lines are floors."
    )
    needs = frozenset({"history/step"})
    order = 75
    options: ClassVar[dict[str, Any]] = {"show": CHOICES}

    def applies(self, arrays: Arrays) -> bool:
        return bool(series(arrays, losses=False))

    def traces(self, arrays: Arrays, *, show: str = CHOICES[0], **_: Any) -> list[dict[str, Any]]:
        found = []
        for i, curves in enumerate(panels(arrays, show).values()):
            number = "" if i == 0 else str(i + 1)
            for name, (step, value) in curves.items():
                beside = name.endswith(BESIDE) and len(curves) > 1
                mode = "lines+markers" if len(value) < 30 and not beside else "lines"
                curve = {"type": "scatter", "mode": mode, "name": name, "x": step, "y": value, "xaxis": f"x{number}", "yaxis": f"y{number}"}
                style = {
                    "color": class_color(i % STRONG),
                    "width": 1.5 if beside else 2,
                    "dash": ("dot" if name.endswith(" optimum") else "dash") if beside else "solid",
                }
                line = {"line": style, "marker": {"size": 4}, "showlegend": False}
                found.append({**curve, **line, "hovertemplate": "step %{x:.0f}: %{y:.4g}<extra>" + titled(arrays, name) + "</extra>"})
        return found

    def layout(self, arrays: Arrays, *, show: str = CHOICES[0], **options: Any) -> dict[str, Any]:
        names = list(panels(arrays, show))
        columns = 1 if len(names) < 2 else 2 if len(names) <= 4 else 3
        rows = max(1, -(-len(names) // columns))
        layout = quiet_layout(annotations=[], meta={"panels": len(names)}, margin={"l": 44, "r": 16, "t": 34, "b": 40})
        width, height = 1 / columns, 1 / rows
        for i, name in enumerate(names):
            row, column = divmod(i, columns)
            number = "" if i == 0 else str(i + 1)
            across = [column * width + (0.05 if column else 0), (column + 1) * width - 0.01]
            down = [1 - (row + 1) * height + (0.14 * height if row < rows - 1 else 0), 1 - row * height - 0.16 * height]
            last = i + columns >= len(names)
            layout[f"xaxis{number}"] = axis(
                "training step" if last else "", domain=across, anchor=f"y{number}", rangemode="tozero", nticks=4
            )
            layout[f"yaxis{number}"] = axis("", domain=down, anchor=f"x{number}", nticks=4, tickformat=".3~g", automargin=False)
            label = {"text": titled(arrays, name), "x": across[0], "y": down[1], "xref": "paper", "yref": "paper", "showarrow": False}
            layout["annotations"].append({**label, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}})
        return layout
