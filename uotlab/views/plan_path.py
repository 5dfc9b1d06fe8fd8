"""Displacement interpolation: the plan's mass at time t on its way from source to target.

A pair keeps its mass on the way; what the plan leaves behind at the source fades in place, what it does not deliver
at the target appears in place. So time 0 shows the whole source, and time 1 the whole target. The page plays t without
asking the server: `customdata` holds, for each particle, both ends and both masses.
"""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import MAPPED, SOURCE, TARGET, VIEWS, Arrays, View
from uotlab.views.line import GRID_POINTS, density
from uotlab.views.plan_parts import carried, ends_of, given, ratio
from uotlab.views.style import axis, f32, is_line, pick, plane_layout, quiet_layout, scatter, span

LEFT, GROWN = "#7B5BD6", "#E4572E"


def drawn_pairs(P: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """k pairs (rows, columns) that stand for the plan, each for an equal part of its mass: systematic sampling."""
    cumulative = f32(P).ravel().astype(np.float64).cumsum()
    total = cumulative[-1] if len(cumulative) else 0.0
    places = np.searchsorted(cumulative, (np.arange(k) + 0.5) / k * total)
    return np.divmod(np.minimum(places, max(len(cumulative) - 1, 0)), P.shape[1])


def particles(arrays: Arrays, k: int) -> dict[str, np.ndarray]:
    """ "moving", "left" and "new": (k, 6) each, with start (2), end (2), mass at time 0 and at time 1."""
    P, (a, b) = f32(arrays["P"]), given(arrays)
    x, y = ends_of(arrays)
    if is_line(arrays):
        x, y = (p * f32([1, 0]) for p in (x, y))
    r, c = carried(P)
    rows, columns = drawn_pairs(P, k)
    each = float(P.sum()) / k
    first, last = np.minimum(ratio(a, r), 1)[rows] * each, np.minimum(ratio(b, c), 1)[columns] * each
    moving = np.column_stack([x[rows], y[columns], first, last])
    few = {"left": (x, np.maximum(a - r, 0), 0), "new": (y, np.maximum(b - c, 0), 1)}
    found = {"moving": f32(moving)}
    for name, (points, mass, when) in few.items():
        held = pick(len(points), max(k, 1))
        mass = mass[held] * (len(points) / max(len(held), 1))
        ends = np.stack([mass * (1 - when), mass * when], axis=1)
        found[name] = f32(np.column_stack([points[held], points[held], ends]))
    return found


def at_time(rows: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Places (k, 2) and masses (k,) of particles at time t."""
    return f32((1 - t) * rows[:, :2] + t * rows[:, 2:4]), f32((1 - t) * rows[:, 4] + t * rows[:, 5])


def sizes(mass: np.ndarray, unit: float) -> np.ndarray:
    """Diameters (k,) in px: area follows the mass, `unit` being a point of 5 px; what has no mass is not seen."""
    return f32(np.minimum(5 * np.sqrt(np.maximum(mass, 0) / max(unit, 1e-30)), 16))


@VIEWS.register("plan-path")
class PlanPathView(View):
    """Particles in the plane, a density on a line."""

    title = "In motion"
    summary = "The mass on its way. Green moves along straight lines; violet is left behind and fades, red appears at the target."
    needs = frozenset({"x", "y", "P"})
    order = 50
    options: ClassVar[dict[str, Any]] = {"t": 0.0, "particles": ("800", "300", "2000")}

    def traces(self, arrays: Arrays, *, t: float = 0.0, particles: str = "800", **_: Any) -> list[dict[str, Any]]:
        rows = _particles(arrays, int(particles))
        look = {"moving": ("on its way", MAPPED), "left": ("left behind", LEFT), "new": ("appears", GROWN)}
        if is_line(arrays):
            return self._on_a_line(arrays, rows, look, t)
        a = given(arrays)[0]
        x, y = ends_of(arrays)
        found = [
            scatter("source", x, SOURCE, marker={"opacity": 0.16, "size": 4}, meta="static"),
            scatter("target", y, TARGET, marker={"opacity": 0.2, "size": 4}, meta="static"),
        ]
        for key, (name, color) in look.items():
            unit = float(a.sum()) / max(len(rows["moving"]), 1)
            places, mass = at_time(rows[key], t)
            # the page scales masses as `sizes` does: it needs the unit beside both ends
            packed = np.column_stack([rows[key], np.full(len(places), unit, np.float32)]).astype(np.float32)
            marker = {"size": sizes(mass, unit), "opacity": 0.8}
            found.append(scatter(name, places, color, marker=marker, customdata=packed, hoverinfo="skip") | {"hovertemplate": None})
        return found

    def _on_a_line(self, arrays: Arrays, rows: dict[str, np.ndarray], look: dict[str, tuple[str, str]], t: float) -> list[dict[str, Any]]:
        low, high = span(arrays["x"], arrays["y"], pad=0.12)
        grid = f32(np.linspace(low, high, GRID_POINTS, endpoint=False) + (high - low) / GRID_POINTS / 2)
        a, b = given(arrays)
        found: list[dict[str, Any]] = []
        for name, points, mass, color in (("source", arrays["x"], a, SOURCE), ("target", arrays["y"], b, TARGET)):
            height = density(f32(points)[:, 0], mass * len(mass), low, high, 0.014 * (high - low))
            found.append({"type": "scatter", "mode": "lines", "name": name, "x": grid, "y": height, "line": {"color": color, "width": 1.5}})
        for key, (name, color) in look.items():
            places, mass = at_time(rows[key], t)
            height = density(places[:, 0], mass * len(mass), low, high, 0.014 * (high - low))
            r, g, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
            line = {"color": color, "width": 1}
            trace = {"type": "scatter", "mode": "lines", "name": name, "x": grid, "y": height, "line": line, "stackgroup": "mass"}
            found.append({**trace, "customdata": rows[key], "fillcolor": f"rgba({r},{g},{blue},0.35)", "hoverinfo": "skip"})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        if not is_line(arrays):
            return plane_layout(arrays)
        low, high = span(arrays["x"], arrays["y"], pad=0.12)
        tops = [
            density(f32(p)[:, 0], m * len(m), low, high, 0.014 * (high - low)).max(initial=0)
            for p, m in zip((arrays["x"], arrays["y"]), given(arrays), strict=True)
        ]
        layout = quiet_layout(axis("position", range=[low, high]), axis("mass per unit", range=[0, 1.25 * max(float(max(tops)), 1e-9)]))
        layout["legend"]["traceorder"] = "normal"
        return layout


_particles = particles
