"""Image pairs of a learned barycenter: each point of a marginal above the image it is mapped to, grey or in colour; rejected ones fade."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import measure_color
from uotlab.views.barycenter_acceptance import acceptance
from uotlab.views.barycenter_parts import weight_name
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import CLEAR, f32, quiet_layout

COLUMNS = 15
GAP = 3  #: px of an image, between tiles
HEAD = 8  #: px of an image, above a marginal's rows
FAINT = 0.22  #: opacity of what is rejected altogether


@VIEWS.register("barycenter-digits")
class LearnedImagesView(View):
    """One picture in red, green, blue and opacity, so that a live frame replaces one array."""

    title = "Images"
    summary = "Each image of a marginal above its place in the barycenter. The fainter a pair, the less of it is accepted."
    needs = frozenset({"marginal_image/0", "image_image/0"})
    order = 3
    options: ClassVar[dict[str, Any]] = {"fade_rejected": True}

    def traces(self, arrays: Arrays, *, fade_rejected: bool = True, **_: Any) -> list[dict[str, Any]]:
        grid = _Grid(arrays)
        z = np.zeros((grid.height, grid.width, 4), np.float32)
        for k in grid.numbers:
            tops, bottoms = colours(arrays[f"marginal_image/{k}"]), colours(arrays[f"image_image/{k}"])
            opacity = f32(np.ones(len(tops)))
            if fade_rejected and f"image_weight/{k}" in arrays:
                opacity = f32(FAINT + (1 - FAINT) * acceptance(arrays[f"image_weight/{k}"]))
            for i, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
                y, x = grid.place(k, i)
                for pixels, at in ((top, y), (bottom, y + grid.h + 1)):
                    z[at : at + grid.h, x : x + grid.w, :3] = 255 * pixels
                    z[at : at + grid.h, x : x + grid.w, 3] = opacity[i]
        z[..., :3] = np.rint(z[..., :3])
        return [{"type": "image", "name": "images", "z": z, "colormodel": "rgba", "hoverinfo": "skip"}]

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        grid = _Grid(arrays)
        hidden = {"visible": False, "showgrid": False, "zeroline": False, "constrain": "domain"}
        notes = []
        for k in grid.numbers:
            label = {"text": f"<b>{weight_name(arrays, k)}</b> above, its place in the barycenter below", "x": 0, "y": grid.starts[k]}
            style = {"showarrow": False, "xanchor": "left", "yanchor": "top", "bgcolor": CLEAR, "xref": "x", "yref": "y"}
            notes.append({**label, **style, "font": {"size": 12, "color": measure_color(k)}})
        horizontal, vertical = {**hidden, "range": [-1, grid.width]}, {**hidden, "range": [grid.height, -1], "scaleanchor": "x"}
        return quiet_layout(horizontal, vertical, annotations=notes, margin={"l": 8, "r": 8, "t": 8, "b": 8})


def colours(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w) or (n, h, w, 3) as (n, h, w, 3) in [0, 1]."""
    images = np.clip(f32(images), 0, 1)
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)


class _Grid:
    """Where each pair of tiles lies: the marginals one below the other, each in rows of at most 15 pairs."""

    def __init__(self, arrays: Arrays) -> None:
        names = sorted(name for name in arrays if name.startswith("marginal_image/"))
        self.numbers = [k for name in names if f"image_image/{(k := int(name.rpartition('/')[2]))}" in arrays]
        self.h, self.w = arrays[f"image_image/{self.numbers[0]}"].shape[1:3]
        self.columns = max(1, min(COLUMNS, max(len(arrays[f"image_image/{k}"]) for k in self.numbers)))
        self.starts, at = {}, 0
        for k in self.numbers:
            self.starts[k] = at
            rows = -(-len(arrays[f"image_image/{k}"]) // self.columns)
            at += HEAD + rows * (2 * self.h + 1 + GAP) + GAP
        self.height, self.width = max(at, 1), self.columns * (self.w + GAP)

    def place(self, k: int, i: int) -> tuple[int, int]:
        """Row and column of the upper left pixel of pair i of marginal k."""
        row, column = divmod(i, self.columns)
        return self.starts[k] + HEAD + row * (2 * self.h + 1 + GAP), column * (self.w + GAP)
