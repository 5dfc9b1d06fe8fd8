"""The data as they are, before any training: source and target points, densities or images."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.images import ImagesView
from uotlab.views.line import DensityView
from uotlab.views.style import class_marker, class_names, is_line, plane, plane_layout, scatter


@VIEWS.register("data")
class DataView(View):
    """Offered only while nothing is mapped yet."""

    title = "Data"
    summary = "The data as they are, not matched yet: source and target. Of images, the source is above and the target below."
    needs = frozenset({"x", "y"})
    order = 2
    options: ClassVar[dict[str, Any]] = {"color_by": ("role", "class")}

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and "Tx" not in arrays

    def traces(self, arrays: Arrays, *, color_by="role", **_: Any) -> list[dict[str, Any]]:
        if "x_image" in arrays and "y_image" in arrays:
            return ImagesView().traces(_as_pairs(arrays), scaling="none")
        if is_line(arrays):
            return DensityView().traces(dict(arrays) | {"Tx": arrays["x"]}, plain=False, weighted=False)
        found = []
        for name, key, color in (("target", "y", TARGET), ("source", "x", SOURCE)):
            look: dict[str, Any] = {"color": color}
            if color_by == "class" and f"{key}_label" in arrays:
                look = class_marker(arrays[f"{key}_label"], class_names(arrays, f"{key}_label"), bar=name == "source")
            found.append(scatter(name, plane(arrays, key), marker={**look, "opacity": 0.6}))
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if "x_image" in arrays and "y_image" in arrays:
            return ImagesView().layout(_as_pairs(arrays))
        if is_line(arrays):
            return DensityView().layout(dict(arrays) | {"Tx": arrays["x"]})
        return plane_layout(arrays)


def _as_pairs(arrays: Arrays) -> dict[str, np.ndarray]:
    """Source images above target images, unmatched."""
    k = min(len(arrays["x_image"]), len(arrays["y_image"]))
    return {"x_image": arrays["x_image"][:k], "Tx_image": arrays["y_image"][:k]}
