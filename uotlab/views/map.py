"""The map in the plane: source, target, mapped points and arrows x -> T(x), with the scaling as colour and size."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.style import (
    RANGES,
    area_sizes,
    axis,
    class_marker,
    class_names,
    f32,
    is_line,
    pick,
    plane,
    plane_layout,
    quiet_layout,
    scaling_marker,
    scatter,
    segments,
)

SIZED = 5000  #: most points whose size follows the scaling
ARROWS = 150


def backdrop(points: np.ndarray) -> np.ndarray:
    """Points of a cloud that does not move, thinned where there are many: every frame draws them again."""
    return points if len(points) <= SIZED else points[pick(len(points), SIZED // 2)]


@VIEWS.register("map")
class MapView(View):
    """The plane, or the fixed projection `x2`, `y2`, `Tx2` of more dimensions."""

    title = "Map"
    summary = (
        "Where each source point goes: source, target and mapped points, with arrows; colour and size show how much mass a point keeps."
    )
    needs = frozenset({"x", "y", "Tx"})
    order = 10
    options: ClassVar[dict[str, Any]] = {
        "source": True,
        "target": True,
        "mapped": True,
        "arrows": True,
        "color_by": ("scaling", "class", "role"),
        "range": tuple(RANGES),
    }

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and not is_line(arrays)

    def traces(self, arrays: Arrays, *, source=True, target=True, mapped=True, arrows=True, color_by="scaling", range="×2", **_: Any):
        x, y, Tx = (plane(arrays, name) for name in ("x", "y", "Tx"))
        xi = arrays.get("xi")
        by_class = color_by == "class" and "x_label" in arrays
        # beyond some thousand points sizes are not told apart, and cost a third of the drawing
        size = {} if xi is None or len(x) > SIZED else {"size": area_sizes(xi)}
        found: list[dict[str, Any]] = []
        if target:
            own = by_class and "y_label" in arrays and class_names(arrays, "y_label") == class_names(arrays, "x_label")
            colour = class_marker(arrays["y_label"], class_names(arrays, "y_label"), bar=False) if own else {"color": TARGET}
            found.append(scatter("target", y if own else backdrop(y), marker={**colour, "opacity": 0.45}, meta="static"))
        if arrows:
            rows = pick(len(x), ARROWS)
            ax, ay = segments(np.stack([x[rows], Tx[rows]], axis=1))
            line = {"color": "rgba(128,134,145,0.38)", "width": 1}
            arrow = {
                "type": "scattergl",
                "mode": "lines",
                "name": "arrows",
                "x": ax,
                "y": ay,
                "line": line,
                "hoverinfo": "skip",
                "showlegend": False,
            }
            found.append(arrow)
        for shown, name, points, color, top in ((source, "source", x, SOURCE, not mapped), (mapped, "mapped", Tx, MAPPED, True)):
            if not shown:
                continue
            look: dict[str, Any] = {"color": color}
            if by_class:
                look = class_marker(arrays["x_label"], class_names(arrays, "x_label"), bar=top)
            elif color_by == "scaling" and xi is not None and top:
                look = scaling_marker(xi, RANGES[range])
            if top:  # size follows xi on one cloud only: the other never changes, which halves what a frame redraws
                found.append(scatter(name, points, marker={**look, **size, "opacity": 0.85 if name == "mapped" else 0.55}))
            else:
                found.append(scatter(name, points if by_class else backdrop(points), marker={**look, "opacity": 0.55}, meta="static"))
        if mapped and "Tx_z" in arrays:
            cloud = plane(arrays, "Tx_z").reshape(-1, 2)
            found.append(scatter("mapped, several z", cloud, MAPPED, marker={"size": 3, "opacity": 0.4}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return plane_layout(arrays)


@VIEWS.register("target-scaling")
class TargetScalingView(View):
    """zeta on the target points; on a line, zeta against y."""

    title = "Target scaling"
    summary = "How much of each target point is reached: violet points receive less mass than they ask for, red ones more."
    needs = frozenset({"x", "y", "zeta"})
    order = 35
    options: ClassVar[dict[str, Any]] = {"source": False, "range": tuple(RANGES)}

    def traces(self, arrays: Arrays, *, source=False, range="×2", **_: Any) -> list[dict[str, Any]]:
        zeta = arrays["zeta"]
        if is_line(arrays):
            at = f32(arrays["y"])[:, 0]
            one = np.stack([at, np.ones_like(at)], axis=1)
            kept = scatter("kept as it is", one, marker={"size": 2, "color": TARGET}, meta="static")
            return [kept, scatter("target", np.stack([at, f32(zeta)], axis=1), marker=scaling_marker(zeta, RANGES[range]))]
        found = []
        if source:
            found.append(scatter("source", plane(arrays, "x"), SOURCE, marker={"opacity": 0.3}, meta="static"))
        found.append(scatter("target", plane(arrays, "y"), marker={**scaling_marker(zeta, RANGES[range]), "size": area_sizes(zeta)}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if is_line(arrays):
            return quiet_layout(axis("y"), axis("scaling of the target (1 is kept)", rangemode="tozero"))
        return plane_layout(arrays)
