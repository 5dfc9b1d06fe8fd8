"""Shared pieces of the figures: role colours, the scaling colour scale, axes that suit light and dark pages, safe arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uotlab.views.base import PALETTE, Arrays

CLEAR = "rgba(0,0,0,0)"
INK = "#858b95"  #: text that reads on white and on near-black alike
GRID = "rgba(128,134,145,0.16)"
AXIS = "rgba(128,134,145,0.45)"
FAINT = "rgba(128,134,145,0.40)"
SHRINK, KEEP, GROW = "#7B5BD6", "#A9ADB5", "#E4572E"
SCALING_COLORS = [[0.0, "#5B3CC4"], [0.25, "#8F79DE"], [0.5, KEEP], [0.75, "#EC8A63"], [1.0, "#DD3D13"]]
RANGES = {"×2": 1.0, "×1.25": 0.322, "×4": 2.0, "×16": 4.0}  #: choices of the colour scale's end -> its log2


def f32(values: Any) -> np.ndarray:
    """A contiguous float32 array; infinities and NaN become the nearest finite numbers, so nothing breaks a picture."""
    return np.nan_to_num(np.ascontiguousarray(values, dtype=np.float32), nan=0.0, posinf=1e30, neginf=-1e30)


def log2_scaling(xi: np.ndarray) -> np.ndarray:
    """log2 of scaling factors (n,), with anything below 2^-20 shown as 2^-20."""
    return np.log2(np.clip(f32(xi), 2.0**-20, 2.0**20)).astype(np.float32)


def point_size(n: int, base: float = 5.0) -> float:
    """Marker diameter in px for n points: many points get smaller ones, which are clearer and quicker to draw."""
    return base * (1.0 if n <= 2500 else 0.7 if n <= 6000 else 0.5)


def area_sizes(xi: np.ndarray, base: float = 5.5) -> np.ndarray:
    """Marker diameters (n,) in px whose area is proportional to the mass, between a speck and 2.6 times `base`."""
    base = point_size(len(xi), base)
    return np.clip(base * np.sqrt(np.clip(f32(xi), 0, None)), 1.5, 2.6 * base).astype(np.float32)


def class_names(arrays: Arrays, key: str) -> list[str]:
    """Names of the integer classes of `key`, from `names/<key>` where given, else "0", "1", ..."""
    given = arrays.get(f"names/{key}")
    if given is not None and len(given):
        return [str(name) for name in given]
    numbers = f32(arrays[key]) if key in arrays else np.zeros(0, np.float32)
    return [str(i) for i in range(int(numbers.max()) + 1)] if len(numbers) else []


def class_color(number: int) -> str:
    """The colour of a class, the palette repeating."""
    return PALETTE[number % len(PALETTE)]


def class_marker(labels: np.ndarray, names: Sequence[str], *, bar: bool = True) -> dict[str, Any]:
    """Marker fields that colour points by integer class, the class names on the colour bar."""
    k = max(len(names), 1)
    scale = [[edge, class_color(i)] for i in range(k) for edge in (i / k, (i + 1) / k)]
    marker = {"color": f32(labels), "colorscale": scale, "cmin": -0.5, "cmax": k - 0.5, "showscale": bar}
    if bar:
        step = max(1, -(-k // 24))
        ticks = list(range(0, k, step))
        marker["colorbar"] = {**color_bar("class"), "tickvals": ticks, "ticktext": [names[i][:18] for i in ticks] if names else [""]}
    return marker


def scaling_marker(xi: np.ndarray, end: float = 2.0, *, bar: bool = True, title: str = "scaling ξ") -> dict[str, Any]:
    """Marker fields that colour points by log2 of their scaling, centred at 1."""
    marker = {"color": log2_scaling(xi), "colorscale": SCALING_COLORS, "cmin": -end, "cmax": end, "showscale": bar}
    if bar:
        marker["colorbar"] = scaling_bar(end, title)
    return marker


def scaling_bar(end: float, title: str = "scaling ξ") -> dict[str, Any]:
    """A colour bar in factors: ½ halves the mass, 2 doubles it."""
    ticks = [-end, -end / 2, 0.0, end / 2, end]
    text = {-4.0: "1/16", -2.0: "1/4", -1.0: "1/2", 0.0: "1", 1.0: "2", 2.0: "4", 4.0: "16"}
    return {**color_bar(title), "tickvals": ticks, "ticktext": [text.get(t, f"{2**t:.2g}") for t in ticks]}


def color_bar(title: str) -> dict[str, Any]:
    """A slim colour bar with its title along the side."""
    return {
        "title": {"text": title, "side": "right", "font": {"size": 12}},
        "thickness": 10,
        "len": 0.8,
        "outlinewidth": 0,
        "ticklen": 3,
        "x": 1.01,
        "xpad": 4,
    }


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with quiet grid lines."""
    base = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": AXIS,
        "ticks": "",
        "automargin": True,
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
    }
    return {**base, **more}


def quiet_layout(x: Mapping[str, Any] | None = None, y: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Transparent, small margins, legend above; the font colour reads on light and dark pages."""
    return {
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "size": 13},
        "margin": {"l": 48, "r": 16, "t": 34, "b": 44},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "bgcolor": CLEAR,
            "font": {"size": 12},
        },
        "hoverlabel": {"font": {"size": 12}},
        "uirevision": "keep",
        "xaxis": dict(x) if x is not None else axis(),
        "yaxis": dict(y) if y is not None else axis(),
        **more,
    }


def span(*clouds: np.ndarray, pad: float = 0.12) -> list[float]:
    """[low, high] that holds the numbers of all arrays, padded; [-1, 1] where there are none."""
    values = np.concatenate([np.ravel(c) for c in clouds]) if clouds else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return [-1.0, 1.0]
    low, high = float(values.min()), float(values.max())
    room = pad * (high - low) or max(1.0, abs(low)) * 0.5
    return [low - room, high + room]


def plane(arrays: Arrays, name: str) -> np.ndarray:
    """Two coordinates (n, 2) of `x`, `y`, `Tx` or `path`: the fixed projection where the engine gives one, else the first two columns."""
    points = arrays[f"{name}2"] if f"{name}2" in arrays else arrays[name]
    return f32(points)[..., :2]


def is_line(arrays: Arrays) -> bool:
    """Whether the points have one coordinate."""
    return arrays["x"].ndim == 2 and arrays["x"].shape[1] == 1


def axis_names(arrays: Arrays) -> tuple[str, str]:
    """Axis titles of the plane that is drawn."""
    return ("component 1 (projected)", "component 2 (projected)") if "x2" in arrays else ("coordinate 1", "coordinate 2")


def plane_layout(arrays: Arrays, **more: Any) -> dict[str, Any]:
    """Equal aspect, and a window fixed on source and target so that the picture does not jump while training."""
    x, y = plane(arrays, "x"), plane(arrays, "y")
    first, second = axis_names(arrays)
    horizontal = axis(first, range=span(x[:, 0], y[:, 0]))
    vertical = axis(second, range=span(x[:, 1], y[:, 1]), scaleanchor="x", scaleratio=1)
    return quiet_layout(horizontal, vertical, **more)


def scatter(name: str, points: np.ndarray, color: str | None = None, **more: Any) -> dict[str, Any]:
    """A cloud of points (n, 2) as one WebGL trace."""
    marker = {
        "size": point_size(len(points)),
        "opacity": 0.75,
        "line": {"width": 0},
        **({"color": color} if color else {}),
        **more.pop("marker", {}),
    }
    hover = "%{x:.3g}, %{y:.3g}<extra>" + name + "</extra>"
    trace = {"type": "scattergl", "mode": "markers", "name": name, "x": f32(points[:, 0]), "y": f32(points[:, 1]), "marker": marker}
    return {**trace, "hovertemplate": hover, **more}


def segments(paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polylines (k, t, 2) as one line with NaN gaps: x and y, (k (t+1),) each."""
    k, t = paths.shape[:2]
    gaps = np.full((k, t + 1, 2), np.nan, np.float32)
    gaps[:, :t] = f32(paths)
    return np.ascontiguousarray(gaps[..., 0]).ravel(), np.ascontiguousarray(gaps[..., 1]).ravel()


def pick(n: int, most: int) -> np.ndarray:
    """At most `most` row numbers of n, evenly spread, always the same."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp) if n else np.zeros(0, np.intp)
