"""Cells on an embedding: source, target and mapped cells, coloured by scaling, mass, an obs column or a gene; where they move.

Arrays: `cells/x` (n, 2), `cells/y` (m, 2) and, once something is mapped, `cells/Tx` (n, 2) on the embedding; `cells/xi` (n,);
`cells/value` (n,) and `cells/value_y` (m,), the numbers of the colouring, codes of `names/cells/value` where it is a label;
`cells/arrows` (k, 2, 2) and `cells/streams` (s, t, 2), the velocity averaged on the map; `cells/chosen` (k, 2), the cells that are
selected; `names/cells/about`, (axis, axis, title of the colouring, its kind).
"""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.lines import ended, gapped, headed
from uotlab.views.style import (
    INK,
    RANGES,
    axis,
    class_marker,
    class_names,
    color_bar,
    f32,
    pick,
    quiet_layout,
    scaling_marker,
    scatter,
    span,
)

ARROWS = 200
LINES = ("no arrows", "each cell", "arrows", "streams")  #: choices of the velocity
LINE = {"color": "rgba(110,117,128,0.75)", "width": 1.3}
#: of a gene: silent cells stay grey, on dark and on light
EXPRESSION = [[0.0, "#9AA1AB"], [0.25, "#A98FBE"], [0.6, "#B8489F"], [1.0, "#E0006C"]]


@VIEWS.register("cells")
class CellsView(View):
    """The cells of a study while a method learns to map them."""

    title = "Cells"
    summary = "Source cells in their colours, target cells pale behind them, and where the map carries each; lasso cells to follow them."
    needs = frozenset({"cells/x", "cells/y"})
    order = 4
    options: ClassVar[dict[str, Any]] = {"source": True, "target": True, "mapped": True, "velocity": LINES, "range": tuple(RANGES)}

    def traces(self, arrays: Arrays, *, source=True, target=True, mapped=True, velocity=LINES[0], range="×2", **_: Any):
        x, y, kind = arrays["cells/x"], arrays["cells/y"], about(arrays)[3]
        found: list[dict[str, Any]] = []
        if target:
            look = marker(arrays, "cells/value_y", kind, range, bar=not source) if kind in ("label", "number") else {"color": TARGET}
            found.append(scatter("target", y, marker={**look, "opacity": 0.6 if kind == "number" else 0.35}, meta="static"))
        if source:
            values = "cells/xi" if kind == "scaling" else "cells/value"
            look = marker(arrays, values, kind, range, bar=True) if values in arrays else {"color": SOURCE}
            found.append(scatter("source", x, marker={**look, "opacity": 0.9}))
        if mapped and "cells/Tx" in arrays:
            look = {"color": MAPPED, "opacity": 0.7, "symbol": "cross-thin", "line": {"width": 1, "color": MAPPED}, "size": 5}
            found.append(scatter("mapped", arrays["cells/Tx"], marker=look))
        lines = moves(arrays, velocity)
        if len(lines):
            ax, ay = gapped(lines)
            found.append({"type": "scattergl", "mode": "lines", "name": "velocity", "x": ax, "y": ay, "line": LINE, "hoverinfo": "skip"})
        if "cells/chosen" in arrays:
            ring = {"symbol": "circle-open", "size": 9, "color": INK, "line": {"width": 1.5}}
            found.append(scatter("chosen", arrays["cells/chosen"], marker=ring))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        clouds = [arrays["cells/x"], arrays["cells/y"]]
        first, second = about(arrays)[:2]
        across, up = (axis(title, range=span(*(c[:, k] for c in clouds), pad=0.06)) for k, title in enumerate((first, second)))
        return quiet_layout(across, up)


def moves(arrays: Arrays, lines: str) -> np.ndarray:
    """Polylines (k, t, 2), NaN where they end: the way of some cells to their images, or the field of all; none where there is none."""
    if lines == "each cell" and "cells/Tx" in arrays:
        rows = pick(len(arrays["cells/x"]), ARROWS)
        return headed(np.stack([f32(arrays["cells/x"])[rows], f32(arrays["cells/Tx"])[rows]], axis=1), 0.12)
    if lines == "arrows" and "cells/arrows" in arrays:
        return headed(f32(arrays["cells/arrows"]))
    if lines == "streams" and "cells/streams" in arrays:
        return ended(arrays["cells/streams"])
    return np.zeros((0, 2, 2), np.float32)


def about(arrays: Arrays) -> list[str]:
    """(axis, axis, title of the colouring, its kind: role, scaling, label or number)."""
    given = arrays.get("names/cells/about")
    return [str(word) for word in given] if given is not None else ["component 1", "component 2", "", "role"]


def marker(arrays: Arrays, values: str, kind: str, end: str, *, bar: bool) -> dict[str, Any]:
    """Marker fields of one side's colours."""
    if values not in arrays:
        return {"color": INK}
    given, title = arrays[values], about(arrays)[2]
    if kind == "scaling":
        return scaling_marker(given, RANGES[end], bar=bar)
    if kind == "label":
        look = class_marker(given, class_names(arrays, "cells/value"), bar=bar)
        if bar:
            look["colorbar"]["title"] |= {"text": title, "side": "top"}
        return look
    both = np.concatenate([arrays[k] for k in ("cells/value", "cells/value_y") if k in arrays])
    low, high = (float(np.nanmin(both)), float(np.nanquantile(both, 0.99))) if np.isfinite(both).any() else (0.0, 1.0)
    look = {"color": f32(given), "colorscale": EXPRESSION, "cmin": low, "cmax": max(high, low + 1e-6), "showscale": bar}
    return look | ({"colorbar": color_bar(title)} if bar else {})
