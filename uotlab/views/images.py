"""Image pairs: each source image above the image it is mapped to, sized or marked by its scaling, in one mosaic."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import CLEAR, INK, RANGES, f32, log2_scaling, quiet_layout, scaling_marker

COLUMNS = 12
GAP = 0.14  #: of an image's side, between tiles


def tile(image: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
    """An image (h, w) at `factor` of its size, nearest neighbour, centred in a transparent (height, width) tile."""
    h, w = image.shape
    new_h, new_w = (max(1, min(full, round(side * factor))) for side, full in ((h, height), (w, width)))
    rows = np.minimum((np.arange(new_h) + 0.5) * h / new_h, h - 1).astype(np.intp)
    columns = np.minimum((np.arange(new_w) + 0.5) * w / new_w, w - 1).astype(np.intp)
    out = np.full((height, width), np.nan, np.float32)
    top, left = (height - new_h) // 2, (width - new_w) // 2
    out[top : top + new_h, left : left + new_w] = image[rows[:, None], columns]
    return out


@VIEWS.register("images")
class ImagesView(View):
    """One heat map of a composed mosaic, so that a live frame replaces one array."""

    title = "Images"
    summary = "Source images, each above the image it is mapped to, ordered by class; larger tiles carry more mass."
    needs = frozenset({"x_image", "Tx_image"})
    order = 15
    options: ClassVar[dict[str, Any]] = {"scaling": ("size", "dot", "none"), "targets": False, "range": tuple(RANGES)}

    def traces(self, arrays: Arrays, *, scaling="size", targets=False, range="×2", **_: Any) -> list[dict[str, Any]]:
        grid = _Grid(arrays, targets)
        xi = f32(arrays["xi_image"]) if "xi_image" in arrays else None
        image = {
            "type": "heatmap",
            "name": "images",
            "z": grid.mosaic(xi if scaling == "size" else None),
            "zmin": 0,
            "zmax": 1,
            "colorscale": [[0, "#000000"], [1, "#FFFFFF"]],
            "showscale": False,
            "zsmooth": False,
            "hoverinfo": "skip",
        }
        if xi is None or scaling == "none":
            return [image]
        at_x, at_y = grid.pair_feet()
        marker = {**scaling_marker(xi[: len(at_x)], RANGES[range]), "size": 9, "symbol": "circle", "line": {"width": 0}}
        text = "scaling %{customdata:.2f}<extra></extra>"
        dots = {
            "type": "scatter",
            "mode": "markers",
            "name": "scaling",
            "x": at_x,
            "y": at_y,
            "marker": marker,
            "customdata": xi[: len(at_x)],
        }
        return [image, {**dots, "hovertemplate": text, "showlegend": False}]

    def layout(self, arrays: Arrays, *, targets: bool = False, **options: Any) -> dict[str, Any]:
        grid = _Grid(arrays, targets)
        hidden = {"visible": False, "showgrid": False, "zeroline": False}
        horizontal = {**hidden, "range": [-1, grid.total_width], "constrain": "domain"}
        vertical = {**hidden, "range": [grid.total_height, -1], "scaleanchor": "x", "constrain": "domain"}
        notes = []
        if grid.target_top is not None:
            note = {"text": "target samples", "x": 0, "y": grid.target_top, "showarrow": False, "xanchor": "left", "yanchor": "bottom"}
            notes.append({**note, "font": {"color": INK, "size": 12}, "bgcolor": CLEAR})
        return quiet_layout(horizontal, vertical, annotations=notes, margin={"l": 8, "r": 8, "t": 8, "b": 8})


class _Grid:
    """Where each tile of the mosaic lies: pairs in rows of at most 12, then a strip of target samples."""

    def __init__(self, arrays: Arrays, targets: bool) -> None:
        self.x, self.Tx = f32(arrays["x_image"]), f32(arrays["Tx_image"])
        self.k = len(self.x)
        h, w = self.x.shape[1:]
        self.h, self.w = round(h * 1.25), round(w * 1.25)  # room for an image that grows
        self.gap = max(1, round(GAP * h))
        self.pair = 2 * self.h + 3 * self.gap
        even = round(np.sqrt(1.5 * max(self.k, 1) * self.pair / (self.w + self.gap)))  # a mosaic half as wide again as it is high
        self.columns = max(1, min(COLUMNS, self.k, int(even)))
        self.rows = -(-self.k // self.columns)
        self.y = f32(arrays["y_image"])[: 2 * self.columns] if targets and "y_image" in arrays else self.x[:0]
        strips = -(-len(self.y) // self.columns)
        self.target_top = self.rows * self.pair + self.gap * 3 if strips else None
        self.total_width = self.columns * (self.w + self.gap)
        self.total_height = self.rows * self.pair + (strips * self.h + self.gap * 4 if strips else 0)

    def mosaic(self, xi: np.ndarray | None) -> np.ndarray:
        """(total height, total width) float32, NaN where nothing is drawn."""
        z = np.full((max(self.total_height, 1), max(self.total_width, 1)), np.nan, np.float32)
        factors = np.ones(self.k) if xi is None else np.exp2(np.clip(log2_scaling(xi), -4, 4) / 2).clip(0.3, 1.25)
        for i in range(self.k):
            row, column = divmod(i, self.columns)
            top, left = row * self.pair, column * (self.w + self.gap)
            z[top : top + self.h, left : left + self.w] = tile(self.x[i], factors[i], self.h, self.w)
            z[top + self.h : top + 2 * self.h, left : left + self.w] = tile(self.Tx[i], factors[i], self.h, self.w)
        for i, image in enumerate(self.y):
            row, column = divmod(i, self.columns)
            top, left = (self.target_top or 0) + self.gap + row * self.h, column * (self.w + self.gap)
            z[top : top + self.h, left : left + self.w] = tile(image, 1.0, self.h, self.w)
        return z

    def pair_feet(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (k,) and (k,) of the space under each pair."""
        row, column = np.divmod(np.arange(self.k), self.columns)
        return f32(column * (self.w + self.gap) + self.w / 2), f32(row * self.pair + 2 * self.h + self.gap)
