"""Matches drawn from a learned coupling: the points that a generator makes, and who belongs to whom."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import PALETTE, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.style import f32, is_line, pick, plane, plane_layout, scatter, segments

LINES = ("100 lines", "30 lines", "400 lines", "no lines")
NAMES = ("source", "target")


@VIEWS.register("matches")
class MatchesView(View):
    """Generated points of every marginal over the data, lines between the points of a match."""

    title = "Matches"
    summary = "Points that the generator makes, over the data; a line joins the points of one match. Crossing lines cost more."
    needs = frozenset({"x", "y", "pairs"})
    order = 16
    options: ClassVar[dict[str, Any]] = {"lines": LINES, "data": True, "mean": False}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and not is_line(arrays)

    def traces(self, arrays: Arrays, *, lines: str = LINES[0], data: bool = True, mean: bool = False, **_: Any) -> list[dict[str, Any]]:
        pairs = plane(arrays, "pairs")  # (k, m, 2)
        found = []
        if data:
            for name, key in zip(NAMES, "xy", strict=True):
                look = {"color": "#858b95", "opacity": 0.25, "size": 3}
                found.append(scatter(f"{name} data", plane(arrays, key), marker=look, meta="static"))
        if lines != LINES[-1]:
            chosen = pairs[pick(len(pairs), int(lines.split()[0]))]
            closed = chosen if chosen.shape[1] < 3 else np.concatenate([chosen, chosen[:, :1]], axis=1)
            px, py = segments(closed)
            line = {"type": "scattergl", "mode": "lines", "name": "pairs", "x": px, "y": py, "line": {"color": "#858b95", "width": 1}}
            found.append({**line, "opacity": 0.6, "hoverinfo": "skip"})
        for k in range(pairs.shape[1]):
            name = NAMES[k] if k < 2 else f"marginal {k + 1}"
            found.append(scatter(f"made {name}", pairs[:, k], color_of(k), marker={"size": 4, "opacity": 0.7}))
        if mean:
            found.append(scatter("mean of a match", pairs.mean(axis=1), "#CC79A7", marker={"size": 4, "opacity": 0.8}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if arrays["pairs"].shape[1] < 3:
            return plane_layout(arrays)
        # marginals beyond the second have no data points in the frame: the window is that of what is generated too
        pairs = plane(arrays, "pairs")
        return plane_layout({"x": np.concatenate([plane(arrays, "x"), *pairs.transpose(1, 0, 2)]), "y": f32(plane(arrays, "y"))})


def color_of(k: int) -> str:
    """The colour of marginal k."""
    return (SOURCE, TARGET, *PALETTE[2:])[k % (len(PALETTE))]
