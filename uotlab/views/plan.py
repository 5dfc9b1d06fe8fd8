"""The transport plan as a heat map."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, color_bar, f32, quiet_layout

SIDE = 160


def by_position(points: np.ndarray) -> np.ndarray:
    """Row numbers that sort points (n, d) along their longest axis."""
    centred = f32(points) - f32(points).mean(axis=0) if len(points) else f32(points)
    if centred.shape[1] == 1 or len(centred) < 2:
        return np.argsort(centred[:, 0], kind="stable")
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return np.argsort(centred @ direction, kind="stable")


def pooled(P: np.ndarray) -> np.ndarray:
    """P (n, m) with neighbouring rows and columns summed until no side is longer than 160."""
    for side in (0, 1):
        if P.shape[side] > SIDE:
            P = np.add.reduceat(P, np.linspace(0, P.shape[side], SIDE, endpoint=False).astype(np.intp), axis=side)
    return P


@VIEWS.register("plan")
class PlanView(View):
    """P, sorted by position and pooled to at most 160 a side."""

    title = "Plan"
    summary = "The transport plan: how much mass goes from each source point (row) to each target point (column)."
    needs = frozenset({"P"})
    order = 40
    options: ClassVar[dict[str, Any]] = {"order": ("by position", "as given"), "log": False}

    def traces(self, arrays: Arrays, *, order: str = "by position", log: bool = False, **_: Any) -> list[dict[str, Any]]:
        P = f32(arrays["P"])
        for side, name in enumerate(("x", "y")):
            points = arrays.get(name)
            if order == "by position" and points is not None and len(points) == P.shape[side]:
                P = np.take(P, by_position(points), axis=side)
        z = pooled(P)
        z = z / max(float(z.sum()), 1e-30) * 100
        bar = color_bar("mass (% of all)")
        if log:
            z = np.log10(np.maximum(z, 1e-6))
            bar = color_bar("mass (log10 of %)")
        trace = {"type": "heatmap", "name": "plan", "z": f32(z), "colorscale": "Cividis", "colorbar": bar, "zsmooth": False}
        return [{**trace, "hovertemplate": "row %{y}, column %{x}: %{z:.3g}<extra></extra>"}]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return quiet_layout(axis("target points"), axis("source points", autorange="reversed"))
