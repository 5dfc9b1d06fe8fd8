"""Barycenters of images as mosaics: inputs beside results, and one row a method, one column a digit (Figure 2.8 of the thesis)."""

import math
from typing import Any

import numpy as np

from uotlab.views.barycenter import measure_color
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, quiet_layout

GAP = 0.10  #: of a tile's side, between tiles
TITLE = 0.28  #: of a result's side, for its title of two lines
PER_LINE = 2  #: results on one line
INK_SCALE = [[0, "#000000"], [1, "#FFFFFF"]]


def inked(image: np.ndarray) -> np.ndarray:
    """An image over its brightest part, in [0, 1]; NaN, a picture that is not there yet, stays."""
    image = np.asarray(image, np.float32)
    top = float(np.nanquantile(image, 0.998)) if np.isfinite(image).any() else 0.0
    return np.clip(image / top, 0, 1) if top > 0 else image


def resampled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest neighbour in another size."""
    rows = np.minimum((np.arange(height) + 0.5) * image.shape[0] / height, image.shape[0] - 1).astype(np.intp)
    columns = np.minimum((np.arange(width) + 0.5) * image.shape[1] / width, image.shape[1] - 1).astype(np.intp)
    return image[rows[:, None], columns]


def collage(images: np.ndarray, side: int) -> np.ndarray:
    """Several images (m, h, w) in one square tile of `side` pixels."""
    across = math.ceil(math.sqrt(max(len(images), 1)))
    small = max(side // across - 1, 1)
    out = np.full((side, side), np.nan, np.float32)
    for k, image in enumerate(images):
        top, left = (k // across) * (small + 1), (k % across) * (small + 1)
        out[top : top + small, left : left + small] = resampled(inked(image), small, small)
    return out


def _heat(z: np.ndarray) -> dict[str, Any]:
    return {
        "type": "heatmap", "name": "images", "z": np.ascontiguousarray(z, np.float32), "zmin": 0, "zmax": 1, "colorscale": INK_SCALE,
        "showscale": False, "zsmooth": False, "hoverinfo": "skip",
    }  # fmt: skip


def _words(x: list[float], y: list[float], text: list[str], colors: Any = INK, size: int = 12) -> dict[str, Any]:
    look = {"type": "scatter", "mode": "text", "name": "titles", "x": np.asarray(x, np.float32), "y": np.asarray(y, np.float32)}
    return {**look, "text": text, "textposition": "top center", "textfont": {"size": size, "color": colors}, "hoverinfo": "skip"}


def _frame(height: int, width: int, **more: Any) -> dict[str, Any]:
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    across = {**hidden, "range": [-1, width], "constrain": "domain"}
    down = {**hidden, "range": [height, -1], "scaleanchor": "x", "constrain": "domain"}
    return quiet_layout(across, down, showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8}, **more)


@VIEWS.register("barycenter-images")
class BarycenterImagesView(View):
    """Inputs in a column, results beside them."""

    title = "Barycenter"
    summary = "Left, the images that are averaged, with their weights; right, their barycenter and others to compare, with their sharpness."
    needs = frozenset({"tiles/input", "tiles/image"})
    order = 82

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        inputs, images = np.asarray(arrays["tiles/input"]), np.asarray(arrays["tiles/image"])
        lay = _Tiles(len(inputs), len(images), *images.shape[1:])
        z = np.full((lay.height, lay.width), np.nan, np.float32)
        for (top, left), image in zip(lay.inputs, inputs, strict=True):
            z[top : top + lay.small, left : left + lay.small] = resampled(inked(image), lay.small, lay.small)
        for (top, left), image in zip(lay.results, images, strict=True):
            z[top : top + lay.side, left : left + lay.side] = resampled(inked(image), lay.side, lay.side)
        names = [*_listed(arrays, "tiles/input", len(inputs)), *_listed(arrays, "tiles/image", len(images))]
        places = [(t, lft + lay.small / 2) for t, lft in lay.inputs] + [(t, lft + lay.side / 2) for t, lft in lay.results]
        colors = [*(measure_color(k) for k in range(len(inputs))), *([INK] * len(images))]
        return [_heat(z), _words([x for _, x in places], [t - 1.0 for t, _ in places], names, colors)]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        images = np.asarray(arrays["tiles/image"])
        lay = _Tiles(len(arrays["tiles/input"]), len(images), *images.shape[1:])
        return _frame(lay.height, lay.width)


class _Tiles:
    """Where the tiles lie: (top, left) of each, in pixels of the mosaic; inputs in a column on the left, results in two on the right."""

    def __init__(self, k: int, results: int, h: int, w: int) -> None:
        across = max(1, min(results, PER_LINE))
        lines = max(1, math.ceil(results / across))
        self.side = (2 if across > 1 and lines > 1 else 4 if across == 1 else 3) * max(h, w)
        gap, title = round(GAP * self.side), round(TITLE * self.side)
        self.height = lines * (self.side + title)
        step = self.height // max(k, 1)
        name = min(step // 3, round(0.1 * self.height))
        self.small = max(1, min(step - name, self.side // 2 if k > 1 else self.side))
        top = (self.height - k * (self.small + name)) // 2
        self.inputs = [(top + i * (self.small + name) + name, 0) for i in range(k)]
        start = self.small + 2 * gap
        self.results = [(title + (i // across) * (self.side + title), start + (i % across) * (self.side + gap)) for i in range(results)]
        self.width = start + across * (self.side + gap) - gap


@VIEWS.register("barycenter-rows")
class BarycenterRowsView(View):
    """The thesis' Figure 2.8: demo of the inputs, then one row a method; one column a digit."""

    title = "Sharp and blurred"
    summary = "One column a digit: above, some of its scaled and shifted images; below, one row a method. The number is the sharpness."
    needs = frozenset({"rows/input", "rows/image"})
    order = 83

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        inputs, images = np.asarray(arrays["rows/input"]), np.asarray(arrays["rows/image"])
        rows, columns = images.shape[:2]
        side, step = _step(images)
        z = np.full((step * (rows + 1), step * columns), np.nan, np.float32)
        for c in range(columns):
            z[:side, c * step : c * step + side] = collage(inputs[c], side)
            for r in range(rows):
                top = (r + 1) * step
                z[top : top + side, c * step : c * step + side] = resampled(inked(images[r, c]), side, side)
        sharp = np.asarray(arrays["rows/sharpness"]) if "rows/sharpness" in arrays else np.full((rows, columns), np.nan)
        cells = [(r, c) for r in range(rows) for c in range(columns) if np.isfinite(sharp[r, c])]
        at = [c * step + 0.80 * side for _, c in cells], [(r + 2) * step - 0.16 * side for r, _ in cells]
        return [_heat(z), _words(*at, [f"{sharp[r, c]:.2f}" for r, c in cells], "#56B4E9", 13)]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        images = np.asarray(arrays["rows/image"])
        rows, columns = images.shape[:2]
        side, step = _step(images)
        names = ["some inputs", *_listed(arrays, "rows/image", rows)]
        down = {"tickvals": [r * step + side / 2 for r in range(rows + 1)], "ticktext": names}
        across = {"tickvals": [c * step + side / 2 for c in range(columns)], "ticktext": _listed(arrays, "rows/columns", columns)}
        base = _frame(step * (rows + 1), step * columns)
        ticks = {"showticklabels": True, "tickfont": {"size": 12, "color": INK}}
        base["xaxis"] |= {**ticks, **across, "side": "top", "range": [-1, step * columns]}
        base["yaxis"] |= {**ticks, **down, "automargin": True}
        return base | {"margin": {"l": 8, "r": 8, "t": 26, "b": 8}}


def _step(images: np.ndarray) -> tuple[int, int]:
    side = 2 * max(images.shape[2:])
    return side, side + round(GAP * side / 2)


def _listed(arrays: Arrays, key: str, n: int) -> list[str]:
    given = arrays.get(f"names/{key}")
    return [str(v) for v in given] if given is not None and len(given) == n else [str(k + 1) for k in range(n)]
