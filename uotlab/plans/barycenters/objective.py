"""What a barycenter costs without any entropy: sum_k lam_k OT(p_k, q), exactly."""

import warnings

import numpy as np
from torch import Tensor

from uotlab.plans.barycenters.given import Given
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel

MOST_PIVOTS = 5_000_000
CONVEX = {"sqeuclidean", "euclidean", "power"}  #: costs of |x - y| for which sorted mass is optimal on a line


def objective(given: Given, q: Tensor, cancel: Cancel | None = None) -> float:
    """sum_k lam_k OT(p_k, q) in the cost's own units, each p_k taken at the mass of q; NaN where it was cancelled."""
    share = (q / q.sum()).numpy()
    rows = np.flatnonzero(share > 0)
    total = 0.0
    for lam, p in zip(given.weights.tolist(), given.p, strict=True):
        if lam == 0:
            continue
        if cancel is not None and cancel():
            return float("nan")
        columns = np.flatnonzero(p.numpy() > 0)
        total += lam * _transport(given, share[rows], rows, (p / p.sum()).numpy()[columns], columns)
    return total * float(q.sum())


def _transport(given: Given, q: np.ndarray, rows: np.ndarray, p: np.ndarray, columns: np.ndarray) -> float:
    if given.support.shape[1] == 1 and given.cost.name in CONVEX:
        return monotone_cost(given, q, rows, p, columns)
    C = given.cost.matrix(given.support[rows], given.support[columns]).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a simplex that ran out of pivots is still an upper bound
        return float(pot().emd2(q / q.sum(), p / p.sum(), C, numItermax=MOST_PIVOTS))


def monotone_cost(given: Given, q: np.ndarray, rows: np.ndarray, p: np.ndarray, columns: np.ndarray) -> float:
    """The cost of the sorted coupling on a line, exact for convex costs: the integral of c(Q^-1(u), P^-1(u)) over u in [0, 1]."""
    x = given.support[:, 0].numpy()
    rows, q = _sorted(x, rows, q)
    columns, p = _sorted(x, columns, p)
    up_q, up_p = np.cumsum(q), np.cumsum(p)
    levels = np.sort(np.concatenate([up_q, up_p])).clip(0, 1)
    width = np.diff(levels, prepend=0.0)
    middle = levels - width / 2
    i = np.searchsorted(up_q, middle).clip(max=len(q) - 1)
    j = np.searchsorted(up_p, middle).clip(max=len(p) - 1)
    cost = given.cost(given.support[rows[i]], given.support[columns[j]]).numpy()
    return float(width @ cost)


def _sorted(x: np.ndarray, at: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x[at], kind="stable")
    return at[order], mass[order]
