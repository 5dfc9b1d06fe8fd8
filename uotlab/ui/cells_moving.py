"""What moves on the live picture of cells beside the cells themselves: the velocity as a field, and the mass that arrives."""

from typing import Any

import numpy as np

from uotlab.cells import Study
from uotlab.cells.fates import NEAREST
from uotlab.cells.kernel import graph, kernel
from uotlab.cells.velocity import drawn
from uotlab.views.style import pick

FIELDS = ("arrows", "streams")  #: choices of the view's velocity that need the field
MOST = 2000  #: cells a side in the field: its graph of neighbours is made while a person waits
MOST_TARGETS = 20_000  #: target cells among which arriving mass is looked for


class Moving:
    """The field of velocities of the cells in a snapshot; the graph of their neighbours is made once."""

    def __init__(self, study: Study, places: np.ndarray, target: np.ndarray) -> None:
        self.study, self.places = study, places
        self.target = target[pick(len(target), MOST)]
        self._graph: tuple[np.ndarray, Any] | None = None

    def arrays(self, rows: np.ndarray, Tx: np.ndarray) -> dict[str, np.ndarray]:
        """`cells/arrows` and `cells/streams` of source cells (n,), row numbers, and their images (n, d)."""
        few = pick(len(rows), MOST)
        cells = np.concatenate([rows[few], self.target])
        points = self.study.points[cells]
        if self._graph is None or not np.array_equal(self._graph[0], cells):
            self._graph = cells, graph(points)
        velocity = np.zeros_like(points)
        velocity[: len(few)] = Tx[few] - points[: len(few)]
        P = kernel(points, velocity, edges=self._graph[1])[: len(few)]
        arrows, streams = drawn(P, self.places[cells])
        return {"cells/arrows": arrows, "cells/streams": streams}


class Received:
    """Mass that cells send and get, 1 an even share: a source cell's scaling; a target cell's from the images nearest to it."""

    def __init__(self, study: Study, target: np.ndarray) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.count, few = len(target), pick(len(target), MOST_TARGETS)
        self._place = few
        self._near = NearestNeighbors(n_neighbors=min(NEAREST, len(few))).fit(study.points[target[few]])

    def arrays(self, Tx: np.ndarray, xi: np.ndarray | None) -> dict[str, np.ndarray]:
        """`cells/value` and `cells/value_y` from images (n, d) and scalings (n,); without these every cell sends its share."""
        sent = np.ones(len(Tx)) if xi is None else np.asarray(xi, dtype=np.float64)
        near = self._near.kneighbors(Tx, return_distance=False)
        got = np.bincount(near.ravel(), np.repeat(sent / near.shape[1], near.shape[1]), len(self._place)) * len(self._place) / len(Tx)
        every = np.full(self.count, np.nan, np.float32) if len(self._place) < self.count else np.empty(self.count, np.float32)
        every[self._place] = got
        return {"cells/value": sent.astype(np.float32), "cells/value_y": every}
