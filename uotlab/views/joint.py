"""The joint density of a learned coupling of two marginals on a line, as a heat map between the two."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.line import GRID_POINTS, density
from uotlab.views.plan_parts import HEAT
from uotlab.views.style import axis, color_bar, f32, is_line, quiet_layout, scatter, span

EDGE = 0.17  #: share of the picture that a marginal takes
CELLS = 80  #: a side, where the density is counted from matches
BLUR = 1.5  #: cells


def counted(pairs: np.ndarray, xs: list[float], ys: list[float]) -> np.ndarray:
    """Smoothed density (g, g) of matches (k, 2) on an even grid: for couplings without a formula."""
    z = np.histogram2d(pairs[:, 0], pairs[:, 1], CELLS, (xs, ys))[0]
    area = (xs[1] - xs[0]) * (ys[1] - ys[0]) / CELLS**2
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / BLUR) ** 2)
    kernel /= kernel.sum()
    for side in (0, 1):
        z = np.apply_along_axis(np.convolve, side, z, kernel, "same")
    return f32(z / (max(len(pairs), 1) * area))


@VIEWS.register("joint-density")
class JointView(View):
    """Density of the coupling by source and target position, its own marginals over those of the data."""

    title = "Joint density"
    summary = "How the coupling's mass lies over source and target positions. Filled: the data; line: the coupling's own marginals."
    needs = frozenset({"x", "y", "pairs"})
    order = 11
    options: ClassVar[dict[str, Any]] = {"marginals": True, "matches": False, "log": False}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and is_line(arrays) and arrays["pairs"].shape[1] == 2

    def traces(self, arrays: Arrays, *, marginals=True, matches=False, log=False, **_: Any) -> list[dict[str, Any]]:
        pairs, (xs, ys) = f32(arrays["pairs"])[:, :, 0], self._window(arrays)
        if "joint" in arrays:
            z, down, across = f32(arrays["joint"]), f32(arrays["joint_x"]), f32(arrays["joint_y"])
        else:
            z, down, across = counted(pairs, xs, ys), _centres(xs, CELLS), _centres(ys, CELLS)
        bar = {**color_bar("log10 of the density" if log else "density (mass per unit²)"), "len": 0.6}
        z = f32(np.log10(np.maximum(z, 1e-6)) if log else z)
        trace = {"type": "heatmap", "name": "joint density", "x": across, "y": down, "z": z, "colorscale": HEAT, "colorbar": bar}
        hover = "source %{y:.3g}, target %{x:.3g}: %{z:.3g}<extra></extra>"
        found: list[dict[str, Any]] = [{**trace, "zsmooth": False, "hovertemplate": hover}]
        if matches:
            found.append(scatter("matches", pairs[:, ::-1], "#858b95", marker={"size": 3, "opacity": 0.5}))
        if marginals:
            for k, (color, key, ends) in enumerate(((SOURCE, "x", xs), (TARGET, "y", ys))):
                sigma = 0.014 * (ends[1] - ends[0])
                data, made = (density(v, None, ends[0], ends[1], sigma) for v in (f32(arrays[key])[:, 0], pairs[:, k]))
                found += [_edge(color, _centres(ends, GRID_POINTS), height, k, line) for line, height in enumerate((data, made))]
        return found

    def layout(self, arrays: Arrays, *, marginals: bool = True, **_: Any) -> dict[str, Any]:
        xs, ys = self._window(arrays)
        start = EDGE if marginals else 0.0
        across = axis("target position", domain=[start, 1], range=ys, side="bottom")
        layout = quiet_layout(across, axis("source position", domain=[0, 1 - start], range=xs))
        if marginals:
            layout["yaxis"] |= {"anchor": "x2"}
            bare = {"showgrid": False, "showticklabels": False, "rangemode": "tozero"}
            layout["xaxis2"] = axis("", domain=[0, start - 0.01], autorange="reversed", anchor="y", **bare)
            layout["yaxis2"] = axis("", domain=[1 - start + 0.01, 1], anchor="x", **bare)
        return layout

    @staticmethod
    def _window(arrays: Arrays) -> tuple[list[float], list[float]]:
        """Ranges of source and target positions, by the data alone, so that the picture does not jump while training."""
        return span(arrays["x"], pad=0.15), span(arrays["y"], pad=0.15)


def _centres(ends: list[float], k: int) -> np.ndarray:
    return f32(np.linspace(ends[0], ends[1], k, endpoint=False) + (ends[1] - ends[0]) / k / 2)


def _edge(color: str, along: np.ndarray, height: np.ndarray, side: int, line: int) -> dict[str, Any]:
    """One marginal on its edge of the picture: the data's filled (line 0), the coupling's own as a line (line 1)."""
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    x, y, axes = (height, along, ("x2", "y")) if side == 0 else (along, height, ("x", "y2"))
    fill = {"meta": "static", "fill": "tozerox" if side == 0 else "tozeroy", "fillcolor": f"rgba({r},{g},{b},0.3)"} if not line else {}
    name = f"{('source', 'target')[side]} {'of the coupling' if line else 'data'}"
    look = {"color": color, "width": 2 if line else 0}
    trace = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": look, "xaxis": axes[0], "yaxis": axes[1], **fill}
    return {**trace, "hoverinfo": "skip"}
