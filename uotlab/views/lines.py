"""Many lines as one trace: arrows with heads, and lines that end before others do."""

import numpy as np

from uotlab.views.style import f32, segments


def headed(arrows: np.ndarray, size: float = 0.32) -> np.ndarray:
    """Arrows (k, 2, 2) as polylines (k, 5, 2) with a head."""
    tail, head = arrows[:, 0], arrows[:, 1]
    way = head - tail
    side = np.stack([-way[:, 1], way[:, 0]], 1)
    barbs = [head - size * way + sign * 0.6 * size * side for sign in (1, -1)]
    return f32(np.stack([tail, head, barbs[0], head, barbs[1]], 1))


def ended(lines: np.ndarray, size: float = 0.015) -> np.ndarray:
    """Polylines (k, t, 2), NaN after their ends, as (k, t + 3, 2) with a head at each end, of `size` times what all of them span."""
    lines = np.asarray(lines, dtype=np.float32)
    found = np.concatenate([lines, np.full((len(lines), 3, 2), np.nan, np.float32)], 1)
    last = np.isfinite(lines[..., 0]).sum(1) - 1
    rows = np.flatnonzero(last > 0)
    if not len(rows):
        return found
    last, tip = last[rows], lines[rows, last[rows]]
    across = np.maximum(np.nanmax(lines, (0, 1)) - np.nanmin(lines, (0, 1)), 1e-12)
    way = (tip - lines[rows, last - 1]) / across
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-12)
    side = np.stack([-way[:, 1], way[:, 0]], 1)
    for k, point in enumerate((size * (0.6 * side - way), 0 * way, -size * (0.6 * side + way)), 1):
        found[rows, last + k] = tip + across * point
    return found


def gapped(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polylines (k, t, 2), NaN after their ends, as one line with gaps: x and y, (k (t+1),) each."""
    x, y = segments(lines)
    hole = np.ones((len(lines), lines.shape[1] + 1), dtype=bool)
    hole[:, :-1] = ~np.isfinite(lines[..., 0])
    x[hole.ravel()] = y[hole.ravel()] = np.nan
    return x, y
