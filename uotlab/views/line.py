"""One dimension: densities of source, target and image, and the map T(x) against x."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.style import RANGES, area_sizes, axis, f32, is_line, quiet_layout, scaling_marker, scatter, span

GRID_POINTS = 400


def density(values: np.ndarray, weights: np.ndarray | None, low: float, high: float, sigma: float) -> np.ndarray:
    """Gaussian kernel density (g,) of points (n,) on an even grid of [low, high], by binning and one convolution.

    It integrates to the mean weight: a scaling's density has the transported mass, not 1.
    """
    step = (high - low) / GRID_POINTS
    counts = np.histogram(values, GRID_POINTS, (low, high), weights=weights)[0] / max(len(values), 1) / step
    reach = max(1, int(np.ceil(4 * sigma / step)))
    if sigma <= 0:
        return f32(counts)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / sigma) ** 2)
    return f32(np.convolve(counts, kernel / kernel.sum())[reach : reach + GRID_POINTS])


class _LineView(View):
    needs = frozenset({"x", "y", "Tx"})

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and is_line(arrays)


@VIEWS.register("density")
class DensityView(_LineView):
    """Kernel densities or histograms on one fixed grid."""

    title = "Densities"
    summary = "Source, target and where the mass arrives: the image of the source as it is (plain) and weighted by its scaling."
    order = 12
    options: ClassVar[dict[str, Any]] = {"style": ("smooth", "histogram"), "bandwidth": 0.3, "plain": True, "weighted": True}

    def traces(self, arrays: Arrays, *, style="smooth", bandwidth=0.3, plain=True, weighted=True, **_: Any) -> list[dict[str, Any]]:
        x, y, Tx = (f32(arrays[k])[:, 0] for k in ("x", "y", "Tx"))
        low, high = span(x, y, pad=0.15)
        sigma = (high - low) * (0.002 + 0.04 * bandwidth) if style == "smooth" else 0.0
        grid = f32(np.linspace(low, high, GRID_POINTS, endpoint=False) + (high - low) / GRID_POINTS / 2)
        rows: list[tuple[str, np.ndarray, np.ndarray | None, str, str, bool]] = [
            ("source", x, None, SOURCE, "solid", True),
            ("target", y, None, TARGET, "solid", True),
        ]
        if plain:
            rows.append(("image, plain", Tx, None, MAPPED, "dot", False))
        if weighted and "xi" in arrays:
            rows.append(("image, weighted by scaling", Tx, f32(arrays["xi"]), "#D55E00", "solid", False))
        found = []
        for name, values, weights, color, dash, static in rows:
            height = density(values, weights, low, high, sigma)
            at = grid
            if style == "histogram":
                height, at = height.reshape(-1, 5).mean(axis=1), grid.reshape(-1, 5).mean(axis=1)
            shape = "hvh" if style == "histogram" else "linear"
            trace = {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": at,
                "y": height,
                "line": {"color": color, "dash": dash, "width": 2, "shape": shape},
            }
            if static:
                trace |= {"meta": "static", "fill": "tozeroy", "fillcolor": _faded(color)}
            found.append({**trace, "hovertemplate": "%{x:.3g}: %{y:.3g}<extra>" + name + "</extra>"})
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        return quiet_layout(
            axis("position", range=span(arrays["x"], arrays["y"], pad=0.15)), axis("density (mass per unit)", rangemode="tozero")
        )


@VIEWS.register("map1d")
class LineMapView(_LineView):
    """T(x) against x, beside the balanced optimum of the drawn samples."""

    title = "T(x) against x"
    summary = "The map as a curve. For a convex cost the optimal map increases; crosses mark points that break the order."
    order = 14
    options: ClassVar[dict[str, Any]] = {"reference": True, "inversions": True, "color_by": ("scaling", "role"), "range": tuple(RANGES)}

    def traces(self, arrays: Arrays, *, reference=True, inversions=True, color_by="scaling", range="×2", **_: Any) -> list[dict[str, Any]]:
        x, y, Tx = (f32(arrays[k])[:, 0] for k in ("x", "y", "Tx"))
        found = []
        if reference:
            q = np.linspace(0, 1, 201)
            exact = [f32(np.quantile(v, q)) if len(v) else np.zeros(0, np.float32) for v in (x, y)]
            look = {"color": TARGET, "width": 2}
            name = "balanced optimum (sorted samples)"
            found.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": name,
                    "x": exact[0],
                    "y": exact[1],
                    "line": look,
                    "opacity": 0.7,
                    "meta": "static",
                }
            )
        marker: dict[str, Any] = {"color": MAPPED, "size": 5}
        if "xi" in arrays:
            marker["size"] = area_sizes(arrays["xi"], 5)
            if color_by == "scaling":
                marker |= scaling_marker(arrays["xi"], RANGES[range])
        found.append(scatter("T(x)", np.stack([x, Tx], axis=1), marker=marker))
        if inversions:
            order = np.argsort(x, kind="stable")
            sorted_Tx = Tx[order]
            broken = order[1:][np.diff(sorted_Tx) < -1e-3 * (np.ptp(Tx) if len(Tx) else 0)]
            cross = {"symbol": "x-thin", "size": 8, "line": {"width": 1.5, "color": "#CC79A7"}, "opacity": 0.9}
            found.append(scatter("order broken", np.stack([x[broken], Tx[broken]], axis=1), marker=cross))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        x, y = arrays["x"], arrays["y"]
        return quiet_layout(axis("x (source)", range=span(x)), axis("T(x) (target side)", range=span(y, x, pad=0.08)))


def _faded(color: str) -> str:
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.14)"
