"""Trajectories of a flow: the points at time t and the trails they have drawn."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.style import axis, f32, plane, plane_layout, quiet_layout, scatter, segments, span


def until(path: np.ndarray, times: np.ndarray, t: float) -> np.ndarray:
    """The part of paths (n, k, d) up to time t, its last point interpolated, the rest held there: (n, k, d)."""
    if len(times) < 2:
        return path
    held = np.minimum(times, max(t, float(times[0])))
    i = np.clip(np.searchsorted(times, held, side="right") - 1, 0, len(times) - 2)
    share = ((held - times[i]) / np.maximum(times[i + 1] - times[i], 1e-12))[None, :, None]
    return ((1 - share) * path[:, i] + share * path[:, i + 1]).astype(np.float32)


@VIEWS.register("trajectories")
class TrajectoryView(View):
    """Paths up to time t."""

    title = "Trajectories"
    summary = "The flow from source to target: drag t to move the points along their paths."
    needs = frozenset({"x", "y", "path", "path_t"})
    order = 20
    options: ClassVar[dict[str, Any]] = {"t": 1.0, "trails": True, "source": True, "target": True}

    def traces(self, arrays: Arrays, *, t=1.0, trails=True, source=True, target=True, **_: Any) -> list[dict[str, Any]]:
        times = f32(arrays["path_t"])
        x, y, path = plane(arrays, "x"), plane(arrays, "y"), plane(arrays, "path")
        if path.shape[-1] == 1:  # on a line, time runs to the right
            across = np.broadcast_to(times[None, :, None], path.shape)
            path = np.concatenate([across, path], axis=-1)
            ends = (float(times[0]), float(times[-1])) if len(times) else (0.0, 1.0)
            x, y = (np.concatenate([np.full_like(v, at), v], axis=1) for v, at in zip((x, y), ends, strict=True))
        path = until(path, times, float(t))
        found = []
        if source:
            found.append(scatter("source", x, SOURCE, marker={"opacity": 0.45, "size": 4}, meta="static"))
        if target:
            found.append(scatter("target", y, TARGET, marker={"opacity": 0.45, "size": 4}, meta="static"))
        if trails:
            px, py = segments(path)
            line = {
                "type": "scattergl",
                "mode": "lines",
                "name": "trails",
                "x": px,
                "y": py,
                "line": {"color": MAPPED, "width": 1},
                "opacity": 0.4,
            }
            found.append({**line, "hoverinfo": "skip"})
        now = path[:, -1] if path.shape[1] else np.zeros((0, 2), np.float32)
        found.append(scatter("at time t", now, MAPPED, marker={"size": 6, "opacity": 0.95}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if arrays["path"].shape[-1] == 1:
            return quiet_layout(axis("time t", range=[-0.04, 1.04]), axis("position", range=span(arrays["x"], arrays["y"])))
        return plane_layout(arrays)
