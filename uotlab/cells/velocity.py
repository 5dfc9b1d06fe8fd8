"""Velocity T(x) - x on a map of two dimensions, as arrows or as streams.

A cell's arrow is the mean direction to its neighbours on the map, weighted by the correlation kernel, less what a kernel without a
preference would give. Arrows are averaged over a grid with Gaussian weights.

Reference: eyring2024unbalancedness, Appendix F.5.6.
"""

from typing import Any

import numpy as np

from uotlab.cells.kernel import NEIGHBOURS, kernel
from uotlab.cells.outcome import Outcome
from uotlab.errors import InputError
from uotlab.views.base import Arrays

GRID, SEEDS, STEPS = 24, 14, 40  #: nodes a side of the grid, streams a side, points of a stream


def projected(P: Any, places: np.ndarray) -> np.ndarray:
    """(n, 2) sum over k of (P_ik - 1/deg i) (z_k - z_i) / |z_k - z_i|, for row-stochastic csr P (n, N) whose rows are the first places."""
    rows = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
    way = places[P.indices].astype(np.float64) - places[rows]
    length = np.linalg.norm(way, axis=1, keepdims=True)
    way = np.divide(way, length, out=np.zeros_like(way), where=length > 0)
    weight = P.data - 1 / np.maximum(np.diff(P.indptr), 1)[rows]
    return np.stack([np.bincount(rows, weight * way[:, k], P.shape[0]) for k in (0, 1)], 1)


def gridded(at: np.ndarray, arrows: np.ndarray, size: int = GRID) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Arrows (n, 2) at places (n, 2), averaged on a grid: its x (size,) and y (size,), field (size, size, 2) by row and column, mass."""
    low, high = at.min(0), at.max(0)
    axes = [np.linspace(a, b if b > a else a + 1, size) for a, b in zip(low, high, strict=True)]
    weights = [np.exp(-0.5 * ((axes[k][:, None] - at[None, :, k]) / (axes[k][1] - axes[k][0])) ** 2) for k in (0, 1)]  # (size, n)
    mass = weights[1] @ weights[0].T
    field = np.stack([(weights[1] * arrows[:, k]) @ weights[0].T for k in (0, 1)], -1) / np.maximum(mass, 1e-12)[..., None]
    return axes[0], axes[1], field, mass


def streams(x: np.ndarray, y: np.ndarray, field: np.ndarray, inside: np.ndarray, seeds: int = SEEDS, steps: int = STEPS) -> np.ndarray:
    """Lines (k, steps, 2) that follow the field from evenly spread nodes inside; half a cell a step, NaN after leaving."""
    from scipy.ndimage import map_coordinates

    cell = np.array([x[1] - x[0], y[1] - y[0]])
    pick = np.linspace(0, len(x) - 1, min(seeds, len(x))).astype(int)
    start = np.array([(x[i], y[j]) for i in pick for j in pick if inside[j, i]]).reshape(-1, 2)
    lines = np.full((len(start), steps, 2), np.nan)
    here, alive = start.copy(), np.ones(len(start), dtype=bool)
    for t in range(steps):
        lines[alive, t] = here[alive]
        where = ((here - [x[0], y[0]]) / cell)[:, ::-1].T  # row, column
        v = np.stack([map_coordinates(field[..., k], where, order=1, mode="nearest") for k in (0, 1)], 1) / cell
        speed = np.linalg.norm(v, axis=1, keepdims=True)
        alive &= (map_coordinates(inside.astype(float), where, order=1, cval=0.0) > 0.5) & (speed[:, 0] > 1e-6)
        here = here + 0.5 * cell * np.divide(v, speed, out=np.zeros_like(v), where=speed > 0)
    return lines[np.isfinite(lines[..., 0]).sum(1) > 3]


def velocity_arrays(
    outcome: Outcome, places: np.ndarray, mapped: np.ndarray | None = None, neighbours: int = NEIGHBOURS, least_mass: float = 1.0
) -> Arrays:
    """What the view "velocity" draws.

    Args:
        outcome: source cells move, target cells stand.
        places: (N, 2) all prepared cells on the map, as `embedding.points`.
        mapped: (n, 2) the images on the map, as `embedding.place(outcome.mapped)`: they allow a line from each cell to its image.
        neighbours: of the kernel.
        least_mass: cells (in weight) that a node of the grid must have.

    Raises:
        InputError: places or images of another shape.
    """
    study = outcome.study
    n = len(study.source)
    if places.shape != (len(study.points), 2):
        raise InputError(f"places must have shape ({len(study.points)}, 2), one point a prepared cell; it has {places.shape}.")
    if mapped is not None and mapped.shape != (n, 2):
        raise InputError(f"mapped must have shape ({n}, 2), one point a source cell; it has {mapped.shape}.")
    points = np.concatenate([study.x, study.y])
    P = kernel(points, np.concatenate([outcome.velocity, np.zeros_like(study.y)]), neighbours)[:n]
    arrows, lines = drawn(P, places[np.concatenate([study.source, study.target])], least_mass)
    images = {} if mapped is None else {"velocity/mapped": mapped.astype(np.float32)}
    return images | {
        "velocity/source": places[study.source].astype(np.float32),
        "velocity/target": places[study.target].astype(np.float32),
        "velocity/arrows": arrows,
        "velocity/streams": lines,
    }


def drawn(P: Any, places: np.ndarray, least_mass: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Arrows (k, 2, 2), tail and head, and streams (s, t, 2), NaN where they end, float32.

    Args:
        P: (n, N) row-stochastic csr of the moving cells, which are the first of all.
        places: (N, 2) all cells on the map.
        least_mass: as in `velocity_arrays`.
    """
    places = places.astype(np.float64)
    x, y, field, mass = gridded(places[: P.shape[0]], projected(P, places))
    inside = mass >= min(least_mass, 0.25 * mass.max())
    rows, columns = np.nonzero(inside)
    v = field[rows, columns]
    longest = max(float(np.linalg.norm(v, axis=1).max(initial=0)), 1e-12)
    tail = np.stack([x[columns], y[rows]], 1)
    head = tail + v / longest * 1.6 * np.array([x[1] - x[0], y[1] - y[0]])
    return np.stack([tail, head], 1).astype(np.float32), streams(x, y, field, inside).astype(np.float32)
