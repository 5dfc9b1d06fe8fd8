"""A learned barycenter between its marginals: all points with their weights, samples of what lies between; densities on a line."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import BARYCENTER, faded, measure_color
from uotlab.views.barycenter_parts import GREY, cloud, flat, marginals, on_line, weight_name, window
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import axis, f32, point_size, quiet_layout, scatter, span

BINS = 60


@VIEWS.register("barycenter-samples")
class SamplesView(View):
    """Marginals in their colours, samples of the barycenter, the reference where one is known."""

    title = "Barycenter"
    summary = "All marginals with their weights λ, and samples of the barycenter that is learned between them."
    needs = frozenset({"marginal/0", "marginal/1"})
    order = 5
    options: ClassVar[dict[str, Any]] = {"marginals": True, "samples": True, "reference": False}

    def traces(self, arrays: Arrays, *, marginals: bool = True, samples: bool = True, reference: bool = False, **_: Any):
        numbers = _marginals(arrays)
        if on_line(arrays):
            return self._densities(arrays, numbers, marginals, samples)
        found = [cloud(arrays, k, flat(arrays, f"marginal/{k}"), meta="static") for k in numbers] if marginals else []
        if reference and "reference" in arrays:
            known = flat(arrays, "reference")
            found.append(scatter("reference", known, GREY, marker={"size": point_size(len(known), 4), "opacity": 0.7}, meta="static"))
        if samples and "barycenter" in arrays:
            made = flat(arrays, "barycenter")
            found.append(scatter("barycenter", made, BARYCENTER, marker={"size": point_size(len(made), 5), "opacity": 0.8}))
        return found

    @staticmethod
    def _densities(arrays: Arrays, numbers: list[int], marginals: bool, samples: bool) -> list[dict[str, Any]]:
        clouds = [(weight_name(arrays, k), arrays[f"marginal/{k}"], measure_color(k), 1.5) for k in numbers] if marginals else []
        clouds += [("barycenter", arrays["barycenter"], BARYCENTER, 3)] if samples and "barycenter" in arrays else []
        low, high = span(*(arrays[f"marginal/{k}"] for k in numbers), pad=0.05)
        edges = np.linspace(low, high, BINS + 1)
        width = edges[1] - edges[0]
        found = []
        for name, points, color, thick in clouds:
            share = np.histogram(np.clip(f32(points)[:, 0], edges[0], edges[-1]), edges)[0] / max(len(points), 1) / width
            trace = {"type": "scatter", "mode": "lines", "name": name, "x": f32((edges[1:] + edges[:-1]) / 2), "y": f32(share)}
            look = {"line": {"color": color, "width": thick, "shape": "hvh"}, "fill": "tozeroy", "fillcolor": faded(color, 0.12)}
            found.append({**trace, **look, "hovertemplate": "%{x:.3g}: %{y:.3g}<extra>" + name + "</extra>"})
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if on_line(arrays):
            return quiet_layout(axis("position"), axis("density", rangemode="tozero"))
        return window(arrays, _marginals(arrays))


_marginals = marginals  # the option of the same name hides it inside `traces`
