"""How iterations bring a discrete solver to the exact plan: the error, and the plan's non-zero entries.

Reference: xie2020fast, Figures 2 and 4 (Figures 2.2 and 2.4 of the thesis).
"""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import PALETTE, VIEWS, Arrays, View
from uotlab.views.plan_parts import HEAT, axis_names, message, said, title_above
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
        names = [str(name) for name in arrays.get("names/convergence", ())] if "convergence/at" in arrays else []
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
        few = f" ({int(arrays['convergence/points'][0])} points a side)" if "convergence/points" in arrays else ""
        across = axis(f"iterations{few}", type="log", exponentformat="power", dtick=1)
        layout = quiet_layout(across, axis("relative error of the transport cost", type="log", exponentformat="power", dtick=1))
        if why := said(arrays, "convergence"):
            layout["annotations"] = [message(why)]
        elif "convergence/at" not in arrays:
            layout["annotations"] = [message(waiting(arrays, "convergence"))]
        return layout


@VIEWS.register("plan-sparsity")
class PlanSparsityView(View):
    """Plans after several iterations, the exact plan's non-zero entries on top."""

    title = "Sparsity"
    summary = "Plans after more and more iterations; dots: where the exact plan has mass. Sinkhorn stays blurred, IPOT gets sparse."
    needs = frozenset({"sparsity/progress"})
    order = 56
    options: ClassVar[dict[str, Any]] = {"exact": True, "methods": ("two", "all")}

    def traces(self, arrays: Arrays, *, exact: bool = True, methods: str = "two", **_: Any) -> list[dict[str, Any]]:
        if "sparsity/plans" not in arrays:
            return []
        plans, dots = f32(arrays["sparsity/plans"]), f32(arrays["sparsity/exact"])
        found: list[dict[str, Any]] = []
        for k, z in enumerate(plans[_shown(arrays, methods)[0]]):
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

    def layout(self, arrays: Arrays, *, methods: str = "two", **_: Any) -> dict[str, Any]:
        if "sparsity/plans" not in arrays:
            blank = axis("", showticklabels=False, range=[0, 1])
            return quiet_layout(blank, blank, annotations=[message(said(arrays, "convergence") or waiting(arrays, "sparsity"))])
        which, rows = _shown(arrays, methods)
        names, k = [str(arrays["names/sparsity"][i]) for i in which], len(which)
        columns = -(-k // rows)
        layout = quiet_layout(annotations=[], margin={"l": 8, "r": 8, "t": 26, "b": 8})
        for i in range(k):
            row, column = divmod(i, columns)
            left, right = column / columns + 0.008, (column + 1) / columns - 0.008
            bottom, upper = 1 - (row + 1) / rows + 0.01, 1 - row / rows - 0.085
            x, y = axis_names(i + 1)
            bare = {"showticklabels": False, "showgrid": False, "constrain": "domain"}
            layout[f"xaxis{x[1:]}"] = axis("", domain=[left, right], anchor=y, **bare)
            layout[f"yaxis{y[1:]}"] = axis("", domain=[bottom, upper], anchor=x, autorange="reversed", **bare)
            layout["annotations"].append(title_above(names[i].replace(", ", "<br>"), (left + right) / 2, upper, 11))
        return layout


def _shown(arrays: Arrays, methods: str) -> tuple[list[int], int]:
    """Numbers of the plans that are shown, and in how many rows: all methods, or the middle and the last of them."""
    kinds = [str(name).split(",")[0] for name in arrays["names/sparsity"]]
    wanted = list(dict.fromkeys(kinds))
    if methods == "two" and len(wanted) > 2:
        wanted = [wanted[(len(wanted) - 1) // 2], wanted[-1]]
    return [i for i, kind in enumerate(kinds) if kind in wanted], len(wanted)


def waiting(arrays: Arrays, key: str) -> str:
    """The sentence of a picture under way, with the share done."""
    done = float(np.max(f32(arrays[f"{key}/progress"]), initial=0.0))
    return f"Running four solvers against the exact plan: {min(max(done, 0.0), 1.0):.0%}"
