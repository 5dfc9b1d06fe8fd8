"""The correlation kernel: where a cell goes among its neighbours, by how well the way to each agrees with its velocity.

For a cell i with velocity v_i and neighbours k, P_ik is the softmax over k of s corr(x_k - x_i, v_i): Pearson's correlation over the
coordinates (of one or two, where it is only ever 1 or -1, the cosine). The graph is that of the nearest neighbours among all cells, made
symmetric. s is 1 / median |corr|, as CellRank takes it; CellRank's own kernel does not run on this numpy, and scvelo's is another one
(cosines, neighbours of neighbours, a fixed s).

References: eyring2024unbalancedness, Appendices F.5.4 and F.5.6; lange2022cellrank.
"""

from typing import Any

import numpy as np

from uotlab.errors import InputError
from uotlab.parameters import check_count

NEIGHBOURS = 30
BLOCK = 2**22  #: numbers of displacements held at a time


def graph(points: np.ndarray, neighbours: int = NEIGHBOURS) -> Any:
    """The symmetric graph of nearest neighbours of points (N, d): csr (N, N) of ones, no cell its own neighbour."""
    from sklearn.neighbors import NearestNeighbors

    neighbours = min(check_count("neighbours", neighbours, least=1, most=1000), len(points) - 1)
    if neighbours < 1:
        raise InputError("A graph of neighbours needs at least two cells.")
    near = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors_graph(mode="connectivity")
    found = near.maximum(near.T).tocsr()
    found.sort_indices()
    return found


def correlations(points: np.ndarray, velocity: np.ndarray, edges: Any) -> np.ndarray:
    """Pearson's correlation of displacement and velocity along every edge of a csr graph, in the order of its data; 0 where one is zero."""
    rows = np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr))
    V = _centred(np.asarray(velocity, dtype=np.float64))
    found = np.empty(len(rows))
    step = max(BLOCK // max(points.shape[1], 1), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        way = _centred(points[edges.indices[part]].astype(np.float64) - points[rows[part]])
        v = V[rows[part]]
        norm = np.linalg.norm(way, axis=1) * np.linalg.norm(v, axis=1)
        found[part] = np.divide((way * v).sum(1), norm, out=np.zeros(len(v)), where=norm > 0)
    return found


def kernel(points: np.ndarray, velocity: np.ndarray, neighbours: int = NEIGHBOURS, scale: float | None = None, edges: Any = None) -> Any:
    """Row-stochastic csr (N, N).

    Args:
        points: (N, d) all cells.
        velocity: (N, d); a cell that stands still goes to all its neighbours alike.
        neighbours: of each cell, before the graph is made symmetric.
        scale: s; None is 1 / median |corr| of the cells that move.
        edges: the `graph` of the points where it is known already.
    """
    if points.shape != velocity.shape:
        raise InputError(f"velocity must have the shape of points, {points.shape}; it has {velocity.shape}.")
    edges = graph(points, neighbours) if edges is None else edges.copy()
    corr = correlations(points, velocity, edges)
    moving = np.abs(corr[corr != 0])
    s = scale if scale is not None else 1 / max(float(np.median(moving)), 1e-12) if len(moving) else 1.0
    weight = np.exp(s * (corr - 1))
    edges.data = weight / np.repeat(np.add.reduceat(weight, edges.indptr[:-1]), np.diff(edges.indptr))
    return edges


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True) if values.shape[1] > 2 else values
