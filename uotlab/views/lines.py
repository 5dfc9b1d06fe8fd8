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


def gapped(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polylines (k, t, 2), NaN after their ends, as one line with gaps: x and y, (k (t+1),) each."""
    x, y = segments(lines)
    hole = np.ones((len(lines), lines.shape[1] + 1), dtype=bool)
    hole[:, :-1] = ~np.isfinite(lines[..., 0])
    x[hole.ravel()] = y[hole.ravel()] = np.nan
    return x, y
