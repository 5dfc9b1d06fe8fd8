"""Where cells go, on a map of two dimensions."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.lines import ended, gapped, headed
from uotlab.views.style import INK, axis, f32, pick, quiet_layout, scatter, span
from uotlab.views.texts import texts

MOST_LINES = 400  #: cells of which the way to the image is drawn


def drawn(arrays: Arrays, lines: str) -> np.ndarray:
    """Polylines (k, t, 2), NaN where they end; none where the arrays hold none of that kind."""
    if lines == "streams" and "velocity/streams" in arrays:
        return ended(arrays["velocity/streams"])
    if lines == "arrows":
        return headed(f32(arrays["velocity/arrows"]))
    if lines == "each cell" and "velocity/mapped" in arrays:
        source, mapped = f32(arrays["velocity/source"]), f32(arrays["velocity/mapped"])
        rows = pick(len(source), MOST_LINES)
        return headed(np.stack([source[rows], mapped[rows]], 1), 0.15)
    return np.zeros((0, 2, 2), np.float32)


@VIEWS.register("velocity")
class VelocityView(View):
    """Cells, and the averaged directions in which source cells move."""

    title = "Velocity"
    summary = "The directions T(x) - x of source cells on the map, averaged on a grid by the kernel, or cell by cell."
    needs = frozenset({"velocity/source", "velocity/target", "velocity/arrows"})
    order = 324
    options: ClassVar[dict[str, Any]] = {"lines": ("arrows", "streams", "each cell")}

    def traces(self, arrays: Arrays, *, lines="arrows", **_: Any) -> list[dict[str, Any]]:
        source, target = f32(arrays["velocity/source"]), f32(arrays["velocity/target"])
        held = drawn(arrays, lines)
        x, y = gapped(held)
        line = {"type": "scattergl", "mode": "lines", "name": "velocity", "x": x, "y": y, "line": {"color": INK, "width": 1.6}}
        cells = [scatter("target", target, TARGET, marker={"opacity": 0.25}), scatter("source", source, SOURCE, marker={"opacity": 0.45})]
        return [*cells, {**line, "hoverinfo": "skip"}]

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        both = np.concatenate([f32(arrays["velocity/source"]), f32(arrays["velocity/target"])])
        titles = (texts(arrays, "velocity/axes") or ["map 1", "map 2"])[:2]
        return quiet_layout(*(axis(title, range=span(both[:, k], pad=0.06)) for k, title in enumerate(titles)))
