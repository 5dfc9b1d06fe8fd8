"""What the pictures of a learned barycenter share: whose arrays are whose, their names and colours, the window of the plane.

Arrays (engine/frames.py makes them), for marginals k = 0, 1, ...: `marginal/k` (n, d) points, `marginal_label/k` (n,) their classes,
`image/k` (n, d) where they go, `weight/k` (n,) how much of each is taken, `accepted/k` (n,) 1 where it takes part; `lambda` (K,) the
weights, `barycenter` (m, d) samples. More than two columns come with a fixed projection: `marginal2/k`, `image2/k`, `barycenter2`.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from uotlab.views.barycenter import measure_color
from uotlab.views.base import Arrays
from uotlab.views.style import axis, f32, point_size, quiet_layout, scatter, span

GREY = "#9AA0A8"
POINTS = re.compile(r"marginal/(\d+)")


def marginals(arrays: Arrays) -> list[int]:
    """Numbers of the marginals, in order."""
    return sorted(int(m[1]) for name in arrays if (m := POINTS.fullmatch(name)))


def on_line(arrays: Arrays) -> bool:
    """Whether the points have one coordinate."""
    return arrays["marginal/0"].shape[1] == 1


def flat(arrays: Arrays, name: str) -> np.ndarray:
    """Two coordinates (n, 2) of "marginal/0", "image/1", "barycenter": the fixed projection where there is one."""
    stem, slash, number = name.partition("/")
    projected = f"{stem}2{slash}{number}"
    return f32(arrays[projected] if projected in arrays else arrays[name])[..., :2]


def taken(arrays: Arrays, k: int) -> np.ndarray:
    """Which points of marginal k take part, (n,) bool; all where nothing is said."""
    given = arrays.get(f"accepted/{k}")
    return np.ones(len(arrays[f"marginal/{k}"]), bool) if given is None else f32(given) > 0.5


def weight_name(arrays: Arrays, k: int) -> str:
    """ "P1, λ 0.5", or "P1" where no weights are known."""
    weights = arrays.get("lambda")
    return f"P{k + 1}" if weights is None or k >= len(weights) else f"P{k + 1}, λ {float(weights[k]):.3g}"


def window(arrays: Arrays, numbers: Sequence[int], **more: Any) -> dict[str, Any]:
    """Equal aspect, fixed on the points of these marginals, so that nothing jumps while training."""
    points = np.concatenate([flat(arrays, f"marginal/{k}") for k in numbers]) if numbers else np.zeros((0, 2), np.float32)
    projected = "marginal2/0" in arrays
    first, second = ("component 1 (projected)", "component 2 (projected)") if projected else ("coordinate 1", "coordinate 2")
    vertical = axis(second, range=span(points[:, 1]), scaleanchor="x", scaleratio=1)
    return quiet_layout(axis(first, range=span(points[:, 0])), vertical, **more)


def rejected_points(arrays: Arrays, numbers: Sequence[int]) -> dict[str, Any]:
    """What is let go of these marginals, in grey."""
    left = np.concatenate([flat(arrays, f"marginal/{k}")[~taken(arrays, k)] for k in numbers])
    return scatter("rejected", left, GREY, marker={"size": point_size(len(left), 4.5), "opacity": 0.6})


def cloud(arrays: Arrays, k: int, points: np.ndarray, **more: Any) -> dict[str, Any]:
    """Points of marginal k in its colour."""
    marker = {"opacity": 0.55, "size": point_size(len(points), 4.5), **more.pop("marker", {})}
    return scatter(weight_name(arrays, k), points, measure_color(k), marker=marker, **more)
