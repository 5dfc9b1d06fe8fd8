"""A learned barycenter between its marginals: who takes part, with the weights, and samples of what lies between; densities on a line."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.barycenter import BARYCENTER, faded, measure_color
from uotlab.views.barycenter_parts import cloud, flat, marginals, on_line, rejected_points, taken, weight_name, window
from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, axis, f32, point_size, quiet_layout, scatter, span

BINS = 60


@VIEWS.register("barycenter-samples")
class SamplesView(View):
    """Marginals in their colours, what is let go of them in grey, samples of the barycenter, the discrete one where there is one."""

    title = "Barycenter"
    summary = (
        "All marginals with their weights λ, and samples of the barycenter between them. Grey points are rejected: so much mass is let go."
    )
    needs = frozenset({"marginal/0", "marginal/1"})
    order = 5
    options: ClassVar[dict[str, Any]] = {"marginals": True, "samples": True, "rejected": True, "reference": False}

    def traces(
        self, arrays: Arrays, *, marginals: bool = True, samples: bool = True, rejected: bool = True, reference: bool = False, **_: Any
    ) -> list[dict[str, Any]]:
        numbers = _marginals(arrays)
        if on_line(arrays):
            return self._densities(arrays, numbers, marginals, samples, rejected)
        found: list[dict[str, Any]] = []
        moving = "accepted/0" in arrays
        if marginals and rejected and moving:
            found.append(rejected_points(arrays, numbers))
        for k in numbers if marginals else ():
            points = flat(arrays, f"marginal/{k}")
            found.append(cloud(arrays, k, points[taken(arrays, k)]) if moving else cloud(arrays, k, points, meta="static"))
        if samples and "barycenter" in arrays:
            made = flat(arrays, "barycenter")
            found.append(scatter("barycenter", made, BARYCENTER, marker={"size": point_size(len(made), 5), "opacity": 0.8}))
        if reference and "reference" in arrays:
            known = flat(arrays, "reference")
            marker = {"size": point_size(len(known), 5), "opacity": 0.8, "symbol": "circle-open"}
            found.append(scatter("discrete barycenter", known, INK, marker=marker, meta="static"))
        return found

    @staticmethod
    def _densities(arrays: Arrays, numbers: list[int], marginals: bool, samples: bool, rejected: bool) -> list[dict[str, Any]]:
        clouds = [(weight_name(arrays, k), arrays[f"marginal/{k}"], measure_color(k), 1.5) for k in numbers] if marginals else []
        clouds += [("barycenter", arrays["barycenter"], BARYCENTER, 3)] if samples and "barycenter" in arrays else []
        low, high = span(*(arrays[f"marginal/{k}"] for k in numbers), pad=0.05)
        edges = np.linspace(low, high, BINS + 1)
        found = []
        for name, points, color, thick in clouds:
            share = _density(points, edges)
            trace = {"type": "scatter", "mode": "lines", "name": name, "x": f32((edges[1:] + edges[:-1]) / 2), "y": f32(share)}
            look = {"line": {"color": color, "width": thick, "shape": "hvh"}, "fill": "tozeroy", "fillcolor": faded(color, 0.12)}
            found.append({**trace, **look, "hovertemplate": "%{x:.3g}: %{y:.3g}<extra>" + name + "</extra>"})
        for k in numbers if marginals and rejected else []:  # dotted: what takes part of a marginal, of mass 1 too
            if f"weight/{k}" in arrays:
                share = _density(arrays[f"marginal/{k}"], edges, f32(arrays[f"weight/{k}"]))
                line = {"color": measure_color(k), "width": 2, "dash": "dot", "shape": "hvh"}
                curve: dict[str, Any] = {"x": f32((edges[1:] + edges[:-1]) / 2), "y": f32(share), "line": line, "showlegend": False}
                found.append({"type": "scatter", "mode": "lines", "name": f"P{k + 1}, taken", **curve})
        return found

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        if on_line(arrays):
            return quiet_layout(axis("position"), axis("density", rangemode="tozero"))
        return window(arrays, _marginals(arrays))


def _density(points: np.ndarray, edges: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mass per unit of points on a line, (BINS,), of mass 1; what lies beyond the edges counts at them."""
    found = np.histogram(np.clip(f32(points)[:, 0], edges[0], edges[-1]), edges, weights=weights)[0].astype(float)
    return found / max(float(found.sum()), 1e-12) / (edges[1] - edges[0])


_marginals = marginals  # the option of the same name hides it inside `traces`
