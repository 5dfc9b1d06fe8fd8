"""The transport plan as a heat map between its two marginals."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.line import GRID_POINTS, density
from uotlab.views.plan_parts import HEAT, binned, bins, carried, given
from uotlab.views.style import axis, color_bar, f32, is_line, quiet_layout, span

SIDE = 160
EDGE = 0.17  #: share of the picture that a marginal takes


def by_position(points: np.ndarray) -> np.ndarray:
    """Row numbers that sort points (n, d) along their longest axis."""
    centred = f32(points) - f32(points).mean(axis=0) if len(points) else f32(points)
    if centred.shape[1] == 1 or len(centred) < 2:
        return np.argsort(centred[:, 0], kind="stable")
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    direction = direction * (np.sign(direction[np.abs(direction).argmax()]) or 1)
    return np.argsort(centred @ direction, kind="stable")


def pooled(P: np.ndarray, side: int = SIDE) -> np.ndarray:
    """P with as many neighbouring entries of each axis summed as make no axis longer than `side`; all sums but the last of as many."""
    for number in range(P.ndim):
        together = -(-P.shape[number] // side)
        if together > 1:
            P = np.add.reduceat(P, np.arange(0, P.shape[number], together), axis=number)
    return P


@VIEWS.register("plan")
class PlanView(View):
    """On a line, mass by source and target position; else P sorted along the clouds and pooled to at most 160 a side."""

    title = "Plan"
    summary = "Where mass goes: source down the side, target along the top. Filled: the mass given; line: the mass the plan carries."
    needs = frozenset({"P"})
    order = 40
    options: ClassVar[dict[str, Any]] = {"marginals": True, "log": False}

    def traces(self, arrays: Arrays, *, marginals: bool = True, log: bool = False, **_: Any) -> list[dict[str, Any]]:
        P, (a, b) = f32(arrays["P"]), given(arrays)
        on_line = self._on_line(arrays)
        if on_line:
            x, y = f32(arrays["x"])[:, 0], f32(arrays["y"])[:, 0]
            xs, ys = span(x, pad=0.1), span(y, pad=0.1)
            k = bins(min(len(x), len(y)))
            z, across, down = binned(P, x, y, k, xs, ys), _centres(ys[0], ys[1], k), _centres(xs[0], xs[1], k)
        else:
            rows, columns = (_order(arrays, name, P.shape[side]) for side, name in enumerate(("x", "y")))
            P, a, b = P[rows][:, columns], a[rows], b[columns]
            z = pooled(P)
            across, down = f32(np.arange(z.shape[1])), f32(np.arange(z.shape[0]))
        z = z / max(float(z.sum()), 1e-30) * 100
        bar = {**color_bar("mass (log10 of %)" if log else "mass (% of what is carried)"), "len": 0.6}
        z = np.log10(np.maximum(z, 1e-6)) if log else z
        where = "source %{y:.3g}, target %{x:.3g}: " if on_line else "row %{y}, column %{x}: "
        trace = {
            "type": "heatmap",
            "name": "plan",
            "x": across,
            "y": down,
            "z": f32(z),
            "colorscale": HEAT,
            "colorbar": bar,
            "zsmooth": False,
        }
        found: list[dict[str, Any]] = [{**trace, "hovertemplate": where + "%{z:.3g}<extra></extra>"}]
        if not marginals:
            return found
        r, c = carried(P)
        for name, color, whole, part, n in (("source", SOURCE, a, r, 0), ("target", TARGET, b, c, 1)):
            if on_line:
                points, (low, high) = (x, y)[n], (xs, ys)[n]
                sigma = 0.014 * (high - low)
                along = _centres(low, high, GRID_POINTS)
                heights = [density(points, mass * len(points), low, high, sigma) for mass in (whole, part)]
            else:
                along, heights = (down, across)[n], [f32(pooled(mass)) for mass in (whole, part)]
            found += [_edge(name, color, along, height, n, line) for line, height in enumerate(heights)]
        return found

    def layout(self, arrays: Arrays, *, marginals: bool = True, **_: Any) -> dict[str, Any]:
        on_line = self._on_line(arrays)
        start = EDGE if marginals else 0.0
        if on_line:
            across = axis("target position", domain=[start, 1], range=span(arrays["y"], pad=0.1), side="bottom")
            down = axis("source position", domain=[0, 1 - start], range=span(arrays["x"], pad=0.1))
        else:
            across = axis("target points, along the cloud", domain=[start, 1], showticklabels=False)
            down = axis("source points, along the cloud", domain=[0, 1 - start], autorange="reversed", showticklabels=False)
        layout = quiet_layout(across, down)
        if marginals:
            # the marginals stand on the edges of the plan: the source's grows to the left, the target's upwards
            layout["yaxis"] |= {"anchor": "x2"}
            bare = {"showgrid": False, "showticklabels": False, "rangemode": "tozero"}
            layout["xaxis2"] = axis("", domain=[0, start - 0.01], autorange="reversed", anchor="y", **bare)
            layout["yaxis2"] = axis("", domain=[1 - start + 0.01, 1], anchor="x", **bare)
        return layout

    @staticmethod
    def _on_line(arrays: Arrays) -> bool:
        shapes = [arrays[name].shape if name in arrays else () for name in ("x", "y")]
        n, m = arrays["P"].shape
        return shapes == [(n, 1), (m, 1)] and is_line(arrays)


def _order(arrays: Arrays, name: str, n: int) -> np.ndarray:
    points = arrays.get(name)
    return by_position(points) if points is not None and len(points) == n else np.arange(n)


def _centres(low: float, high: float, k: int) -> np.ndarray:
    return f32(np.linspace(low, high, k, endpoint=False) + (high - low) / k / 2)


def _edge(side: str, color: str, along: np.ndarray, height: np.ndarray, number: int, line: int) -> dict[str, Any]:
    """One marginal on its edge: filled as given (line 0), a line as carried (line 1)."""
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    x, y, axes = (height, along, ("x2", "y")) if number == 0 else (along, height, ("x", "y2"))
    look = {"color": color, "width": 2 if line else 0, "shape": "linear"}
    fill = {} if line else {"fill": "tozerox" if number == 0 else "tozeroy", "fillcolor": f"rgba({r},{g},{b},0.3)"}
    name = f"{side} carried" if line else side
    trace = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": look, "xaxis": axes[0], "yaxis": axes[1], **fill}
    return {**trace, "hoverinfo": "skip"}
