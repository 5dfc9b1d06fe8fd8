"""Images of a learned barycenter: each point of a marginal above its place in it, a row a class, and what is accepted of each class."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import BARYCENTER, measure_color
from uotlab.views.barycenter_acceptance import acceptance
from uotlab.views.barycenter_parts import weight_name
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import CLEAR, INK, axis, class_names, f32, quiet_layout

COLUMNS = 10
ROWS = 5  #: classes that get rows of their own
GAP = 3  #: px of an image, between tiles
MARK = 7  #: px of an image, under a pair
FAINT = 0.22  #: opacity of what is rejected altogether
KEPT, LEFT = "#009E73", "#D55E00"
BARS, NAMES = 0.2, 0.13  #: of a panel's width, for the acceptance of its classes, and for their names
HEAD = 0.09  #: of the height of a wide picture, above a panel
WIDE = 2.2  #: width over height of a wide picture
STRIP = 12  #: samples in a line
CROSS = np.float32(4)  #: plotly's number of that symbol
ROOM = 2.2  #: of the bars' axis: beyond 1 there is the number
BAR = 20  #: axes of the bars begin here


@VIEWS.register("barycenter-digits")
class LearnedImagesView(View):
    """One picture in red, green, blue and opacity a marginal, so that a live frame replaces its array; a row a class, bars at its end."""

    title = "Images by class"
    summary = (
        "Images of each marginal above their place in the barycenter, by class. Fainter is less accepted, a cross is let go; "
        "bars: mean acceptance."
    )
    needs = frozenset({"marginal_image/0"})
    order = 3
    options: ClassVar[dict[str, Any]] = {"fade_rejected": True, "marks": True, "samples": True}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and ("image_image/0" in arrays or "x" not in arrays)

    def traces(self, arrays: Arrays, *, fade_rejected: bool = True, marks: bool = True, samples: bool = True, **_: Any):
        found: list[dict[str, Any]] = []
        for i, k in enumerate(_numbers(arrays)):
            panel, place = _Panel(arrays, k), {"xaxis": f"x{_number(i)}", "yaxis": f"y{_number(i)}"}
            found.append({**_picture(panel.pixels(fade_rejected), weight_name(arrays, k)), **place})
            if marks:
                found += [{**trace, **place} for trace in panel.marks()]
            if panel.by_class and f"weight/{k}" in arrays:
                across = {"xaxis": f"x{BAR + i}", "yaxis": place["yaxis"]}
                found.append({**panel.bars(), **across, "marker": {"color": measure_color(k)}})
        if samples and "barycenter_image" in arrays:
            last = _number(len(_numbers(arrays)))
            found.append({**_picture(_strip(arrays), "barycenter"), "xaxis": f"x{last}", "yaxis": f"y{last}"})
        return found

    def layout(self, arrays: Arrays, *, samples: bool = True, **options: Any) -> dict[str, Any]:
        count = len(_numbers(arrays))
        layout = quiet_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, barmode="overlay", showlegend=False)
        wide, _ = _placed(arrays, min(count, 3) if count != 4 else 2, WIDE, samples)
        stacked, height = _placed(arrays, 1, 1.0, samples)
        return layout | wide | {"meta": {"narrow": {"rows": height, "layout": stacked, "beside": True}}}


def colours(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w) or (n, h, w, 3) as (n, h, w, 3) in [0, 1]."""
    images = np.clip(f32(images), 0, 1)
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)


def _picture(z: np.ndarray, name: str) -> dict[str, Any]:
    return {"type": "image", "name": name, "z": z, "colormodel": "rgba", "hoverinfo": "skip"}


def _number(i: int) -> str:
    return "" if i == 0 else str(i + 1)


def _numbers(arrays: Arrays) -> list[int]:
    """Marginals whose points are images."""
    return sorted(int(name.rpartition("/")[2]) for name in arrays if name.startswith("marginal_image/"))


class _Panel:
    """Where each pair of tiles of one marginal lies: a row a class where there are few, else in rows of ten."""

    def __init__(self, arrays: Arrays, k: int) -> None:
        self.arrays, self.k = arrays, k
        self.above = f32(arrays[f"marginal_image/{k}"])
        self.below = f32(arrays[f"image_image/{k}"]) if f"image_image/{k}" in arrays else None
        self.h, self.w = self.above.shape[1:3] if self.below is None else self.below.shape[1:3]
        n, labels = len(self.above), arrays.get(f"image_label/{k}")
        kinds = [] if labels is None or len(labels) != n else np.unique(f32(labels)).astype(int).tolist()
        self.kinds = kinds if 1 < len(kinds) <= ROWS else []
        self.row, self.column = np.divmod(np.arange(n), COLUMNS)
        if self.kinds and labels is not None:
            self.row, self.column = np.zeros(n, int), np.zeros(n, int)
            for r, kind in enumerate(self.kinds):
                own = np.flatnonzero(f32(labels).astype(int) == kind)
                self.row[own], self.column[own] = r, np.arange(len(own))
        self.pair = (2 * self.h + 1 if self.below is not None else self.h) + MARK
        self.height = (int(self.row.max(initial=0)) + 1) * self.pair
        self.width = max(int(self.column.max(initial=0)) + 1, 1) * (self.w + GAP)

    @property
    def by_class(self) -> bool:
        return bool(self.kinds)

    def pixels(self, fade: bool) -> np.ndarray:
        """(height, width, 4), the fourth the opacity."""
        z = np.zeros((self.height, self.width, 4), np.float32)
        opacity, weight = np.ones(len(self.above), np.float32), self.arrays.get(f"image_weight/{self.k}")
        if fade and weight is not None and self.below is not None:
            most = max(float(f32(self.arrays.get(f"weight/{self.k}", weight)).max(initial=0)), 1e-30)
            opacity = f32(FAINT + (1 - FAINT) * np.clip(f32(weight) / most, 0, 1))
        parts = [(0, colours(self.above))] + ([(self.h + 1, colours(self.below))] if self.below is not None else [])
        for start, images in parts:
            for i, image in enumerate(images):
                y, x = self.row[i] * self.pair + start, self.column[i] * (self.w + GAP)
                z[y : y + self.h, x : x + self.w, :3] = np.rint(255 * image)
                z[y : y + self.h, x : x + self.w, 3] = opacity[i]
        return z

    def marks(self) -> list[dict[str, Any]]:
        """A dot under a pair that takes part, a cross under one that is let go."""
        given = self.arrays.get(f"image_accepted/{self.k}")
        if given is None or self.below is None:
            return []
        left = f32(f32(given) <= 0.5)
        x, y = f32(self.column * (self.w + GAP) + self.w / 2), f32((self.row + 1) * self.pair - MARK / 2 - 0.5)
        marker = {"symbol": CROSS * left, "color": left, "colorscale": [[0, KEPT], [1, LEFT]], "cmin": 0, "cmax": 1, "size": 6}
        points = {
            "type": "scatter",
            "mode": "markers",
            "name": "accepted or rejected",
            "x": x,
            "y": y,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        return [{**points, "marker": marker | {"line": {"width": 0}, "opacity": 1}}]

    def bars(self) -> dict[str, Any]:
        """Mean acceptance of each class over all displayed points."""
        chance = acceptance(self.arrays[f"weight/{self.k}"])
        numbers = f32(self.arrays[f"marginal_label/{self.k}"]).astype(int)
        means = [float(chance[numbers == kind].mean()) if (numbers == kind).any() else np.nan for kind in self.kinds]
        centres = f32([(r + 0.5) * self.pair - MARK / 2 for r in range(len(self.kinds))])
        bar = {"type": "bar", "orientation": "h", "name": "acceptance", "x": f32(means), "y": centres, "width": self.pair * 0.55}
        look = {"texttemplate": "%{x:.0%}", "textposition": "outside", "textfont": {"size": 11}, "showlegend": False}
        return {**bar, **look, "hovertemplate": "acceptance %{x:.1%}<extra></extra>"}

    def names(self) -> list[tuple[str, float]]:
        """Each class and the middle of its row."""
        known = class_names(self.arrays, f"marginal_label/{self.k}")
        return [(known[kind] if kind < len(known) else str(kind), (r + 0.5) * self.pair - MARK / 2) for r, kind in enumerate(self.kinds)]


def _strip(arrays: Arrays) -> np.ndarray:
    """Samples of the barycenter in lines, (height, width, 4)."""
    images = colours(arrays["barycenter_image"])
    n, h, w = images.shape[:3]
    lines = -(-n // STRIP)
    z = np.zeros((max(lines * (h + GAP) - GAP, 1), max(min(n, STRIP) * (w + GAP), 1), 4), np.float32)
    for i, image in enumerate(images):
        y, x = i // STRIP * (h + GAP), i % STRIP * (w + GAP)
        z[y : y + h, x : x + w, :3] = np.rint(255 * image)
        z[y : y + h, x : x + w, 3] = 1
    return z


def _placed(arrays: Arrays, columns: int, width: float, samples: bool) -> tuple[dict[str, Any], float]:
    """Axes and headings of the panels in so many columns, the strip of samples below; and the height that they need for such a width."""
    numbers = _numbers(arrays)
    panels = [_Panel(arrays, k) for k in numbers]
    lines = [range(i, min(i + columns, len(panels))) for i in range(0, len(panels), columns)]
    inner = 1 - BARS - NAMES
    heights = [HEAD + inner * width / columns * max(panels[i].height / panels[i].width for i in line) for line in lines]
    strip = _strip(arrays) if samples and "barycenter_image" in arrays else None
    if strip is not None:
        heights.append(HEAD + width * strip.shape[0] / strip.shape[1])
    total = max(sum(heights), 1.0 if width > 1 else 0.1)  # few images stay at the top of a wide picture
    ends = 1 - np.cumsum([0.0, *heights]) / total
    found: dict[str, Any] = {"annotations": []}
    for i, (panel, k) in enumerate(zip(panels, numbers, strict=True)):
        row, column = divmod(i, columns)
        left, right = column / columns, (column + 1) / columns - 0.01
        across = left + (NAMES / columns if panel.by_class else 0.005), right - (BARS / columns if panel.by_class else 0)
        found |= _axes(i, panel.width, panel.height, across, (ends[row + 1] + 0.01, ends[row] - 0.8 * HEAD / total))
        if panel.by_class and f"weight/{k}" in arrays:
            bar = axis(
                "",
                domain=[across[1] + 0.01, right],
                anchor=f"y{_number(i)}",
                range=[0, ROOM],
                showticklabels=False,
                showgrid=False,
                showline=False,
            )
            found[f"xaxis{BAR + i}"] = bar
        found["annotations"].append(_note(f"<b>{weight_name(arrays, k)}</b>", left, ends[row], measure_color(k)))
        for name, at in panel.names():
            note = _note(name, across[0] - 0.004, at, INK, xanchor="right", yref=f"y{_number(i)}", yanchor="middle")
            found["annotations"].append(note)
    if strip is not None:
        down = 0.0, ends[-2] - 0.8 * HEAD / total
        found |= _axes(len(panels), strip.shape[1], strip.shape[0], (0.005, 0.995), down)
        found["annotations"].append(_note("<b>samples of the barycenter</b>", 0, ends[-2], BARYCENTER))
    return found, float(total)


def _axes(i: int, width: int, height: int, across: tuple[float, float], down: tuple[float, float]) -> dict[str, Any]:
    number = _number(i)
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "constrain": "domain"}
    y = {
        "range": [height, -1],
        "domain": [max(down[0], 0), max(down[1], down[0] + 0.01)],
        "anchor": f"x{number}",
        "scaleanchor": f"x{number}",
    }
    x = {"range": [-1, width], "domain": list(across), "anchor": f"y{number}", "constraintoward": "left"}
    return {f"xaxis{number}": hidden | x, f"yaxis{number}": hidden | y | {"constraintoward": "top"}}


def _note(text: str, x: float, y: float, color: str, **place: Any) -> dict[str, Any]:
    base = {"text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top", "showarrow": False}
    return base | {"bgcolor": CLEAR, "font": {"size": 12, "color": color}} | place
