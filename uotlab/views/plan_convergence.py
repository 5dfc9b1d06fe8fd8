"""How iterations bring a discrete solver to the exact plan: the error, and the plan's non-zero entries.

Reference: xie2018fast, Figures 1 and 3 (Figures 2.2 and 2.4 of the thesis).
"""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import PALETTE, VIEWS, Arrays, View
from uotlab.views.plan_parts import HEAT, axis_names, message, title_above
from uotlab.views.style import axis, f32, quiet_layout

DASHES = ("solid", "dash", "dot", "dashdot")


@VIEWS.register("plan-convergence")
class PlanConvergenceView(View):
    """Relative error of the rounded plan's cost against the iteration, both on logarithmic axes."""

    title = "Convergence"
    summary = "Error of the transport cost by iteration. Sinkhorn stops at its bias, the smaller ε the lower and the later; IPOT goes on."
    needs = frozenset({"convergence/progress"})
    order = 54
    options: ClassVar[dict[str, Any]] = {}

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        names = [str(name) for name in arrays.get("names/convergence", ())]
        found = []
        for k, name in enumerate(names):
            # what is not measured, or is exactly zero, has no place on a logarithmic axis: plotly leaves a gap
            at, error = (np.maximum(f32(arrays[f"convergence/{part}"][k]), 0) for part in ("at", "error"))
            color = PALETTE[5] if k == len(names) - 1 else PALETTE[(0, 4, 2, 3, 6)[k % 5]]
            line = {"color": color, "width": 2.5, "dash": DASHES[k % 4]}
            hover = "%{x} iterations: %{y:.2g}<extra>" + name + "</extra>"
            found.append({"type": "scatter", "mode": "lines", "name": name, "x": at, "y": error, "line": line, "hovertemplate": hover})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        across = axis("iterations", type="log", exponentformat="power", dtick=1)
        layout = quiet_layout(across, axis("relative error of the transport cost", type="log", exponentformat="power", dtick=1))
        if "names/convergence" not in arrays:
            layout["annotations"] = [message(waiting(arrays, "convergence", "Running four solvers against the exact plan"))]
        return layout


@VIEWS.register("plan-sparsity")
class PlanSparsityView(View):
    """Plans after several iterations, the exact plan's non-zero entries on top."""

    title = "Sparsity"
    summary = "Plans after more and more iterations; dots: where the exact plan has mass. Sinkhorn stays blurred, IPOT gets sparse."
    needs = frozenset({"sparsity/progress"})
    order = 56
    options: ClassVar[dict[str, Any]] = {"exact": True}

    def traces(self, arrays: Arrays, *, exact: bool = True, **_: Any) -> list[dict[str, Any]]:
        if "sparsity/plans" not in arrays:
            return []
        plans, dots = f32(arrays["sparsity/plans"]), f32(arrays["sparsity/exact"])
        found: list[dict[str, Any]] = []
        for k, z in enumerate(plans):
            axes = dict(zip(("xaxis", "yaxis"), axis_names(k + 1), strict=True))
            z = f32(np.minimum(z / max(float(z.max(initial=0)), 1e-30), 1))
            found.append({"type": "heatmap", "name": "plan", "z": z, "colorscale": HEAT, "showscale": False, "hoverinfo": "skip", **axes})
            if exact:
                marker = {"size": 2, "color": "#858b95", "opacity": 0.9}
                dot = {
                    "type": "scattergl",
                    "mode": "markers",
                    "name": "exact plan",
                    "x": f32(dots[:, 1]),
                    "y": f32(dots[:, 0]),
                    "marker": marker,
                }
                found.append({**dot, "hoverinfo": "skip", "showlegend": False, **axes})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        if "sparsity/plans" not in arrays:
            blank = axis("", showticklabels=False, range=[0, 1])
            return quiet_layout(blank, blank, annotations=[message(waiting(arrays, "sparsity", "Solving, at most some seconds"))])
        names, k = [str(name) for name in arrays["names/sparsity"]], len(arrays["sparsity/plans"])
        columns = max(1, k // max(1, len({name.split(",")[0] for name in names})))
        rows = -(-k // columns)
        layout = quiet_layout(annotations=[], margin={"l": 8, "r": 8, "t": 26, "b": 8})
        for i in range(k):
            row, column = divmod(i, columns)
            left, right = column / columns + 0.008, (column + 1) / columns - 0.008
            bottom, upper = 1 - (row + 1) / rows + 0.01, 1 - row / rows - 0.07
            x, y = axis_names(i + 1)
            bare = {"showticklabels": False, "showgrid": False, "constrain": "domain"}
            layout[f"xaxis{x[1:]}"] = axis("", domain=[left, right], anchor=y, **bare)
            layout[f"yaxis{y[1:]}"] = axis("", domain=[bottom, upper], anchor=x, autorange="reversed", **bare)
            text = names[i] if i < len(names) else ""
            layout["annotations"].append(title_above(text.replace(", ", "<br>"), (left + right) / 2, upper, 11))
        return layout


def waiting(arrays: Arrays, key: str, text: str) -> str:
    """The sentence of a picture under way, with the share done."""
    done = float(np.max(f32(arrays[f"{key}/progress"]), initial=0.0))
    return f"{text}: {min(max(done, 0.0), 1.0):.0%}"
