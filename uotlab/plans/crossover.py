"""The best plan among few pairs, and the pairs that are missing: how an approximate plan becomes an exact one.

A plan near the optimum says which pairs matter. POT's network simplex on those alone is quick, and its potentials (f, g) say whether
another pair would help: one with C < f + g. Such pairs are added and the simplex is asked again, until none is left (or `rounds` are over).

Reference: peyre2019computational, Section 3.
"""

import warnings

import torch
from torch import Tensor

from uotlab.plans.pot import pot

MOST = 16  #: pairs that are kept, as a multiple of n + m
SHARES = (
    1e-9,
    1e-8,
    1e-7,
    1e-6,
    1e-5,
    1e-4,
    1e-3,
    1e-2,
)  #: what share of a point's mass makes a pair matter, the first that leaves few enough
ENOUGH = 0.9  #: of the mass, that these pairs carry together
CACHE = 2**18  #: numbers worked on at a time, so that they stay near the processor


def support(P: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """Which pairs of P matter, bool (n, m), about MOST (n + m) of them at most; None where P is too blurred for that."""
    n, m = P.shape
    step = max(n * m // CACHE, 1)  # some rows say which share to take: each look at all of them costs as much as a step
    few, most = P[::step], MOST * (n + m) * -(-n // step) // n

    thresholds = (a.to(P), b.to(P))
    for share in SHARES:
        if int((few > share * torch.minimum(thresholds[0][::step, None], thresholds[1][None])).sum()) <= most:
            found, mass = torch.empty(n, m, dtype=torch.bool, device=P.device), 0.0
            for k in _blocks(P, m):
                torch.gt(P[k], share * torch.minimum(thresholds[0][k, None], thresholds[1][None]), out=found[k])
                mass += float((P[k] * found[k]).sum())
            return found if mass >= ENOUGH * float(P.sum()) else None
    return None


def best_plan(
    C: Tensor, a: Tensor, b: Tensor, held: Tensor, tol: float = 0.0, rounds: int = 8
) -> tuple[Tensor, Tensor, Tensor, float] | None:  # fmt: skip
    """The best plan on the pairs `held` (bool, overwritten) and those that up to `rounds` of pricing add to them.

    C (n, m), a (n,), b (m,) float64 with equal totals. The pairs of one feasible plan are always added. It stops early when the
    relative gap is at most `tol`.

    Returns:
        (P, f, g, value): the plan, dense; dual potentials, f + g <= C; <P, C>. None where the simplex fails.
    """
    from scipy.sparse import coo_matrix

    n, m = C.shape
    mass = float(a.sum())  # POT's own tolerances are for masses of order 1
    a, b = a / mass, b / b.sum()
    flat, costs = held.view(-1), C.view(-1)
    i, j = corner(a, b)
    flat[i * m + j] = True
    while True:
        pairs = flat.nonzero()[:, 0]
        i, j = pairs // m, pairs % m
        # a stored zero is no edge to scipy, and a constant on all pairs changes nothing but the value
        sparse = coo_matrix(((costs[pairs] + 1.0).numpy(), (i.numpy(), j.numpy())), shape=(n, m))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flow, log = pot().emd(a.numpy(), b.numpy(), sparse, numItermax=100_000_000, log=True)
        if log["warning"] is not None:
            return None
        f, g, rounds = torch.from_numpy(log["u"]), torch.from_numpy(log["v"]) - 1.0, rounds - 1
        lowest = row_minima(C, g)
        value = float(a @ f + b @ g)
        if rounds <= 0 or float(a @ (f - lowest)) <= tol * max(value, 1e-12):
            break
        add = lowest < f - 1e-12
        if not bool(add.any()):
            break
        rows = add.nonzero()[:, 0]
        flat[rows * m + torch.cat([(C[rows[k]] - g).argmin(1) for k in _blocks(rows, m)])] = True
        columns = (column_minima(C, f) < g - 1e-12).nonzero()[:, 0]
        if len(columns):
            flat[_column_places(C, f, columns) * m + columns] = True
    flow = flow.tocoo()
    P = torch.zeros_like(C)
    P[torch.from_numpy(flow.row).long(), torch.from_numpy(flow.col).long()] = mass * torch.from_numpy(flow.data)
    return P, lowest, g, mass * value


def row_minima(C: Tensor, g: Tensor) -> Tensor:
    """min_j C_ij - g_j, (n,)."""
    return torch.cat([(C[k] - g).amin(1) for k in _blocks(C, C.shape[1])])


def column_minima(C: Tensor, f: Tensor) -> Tensor:
    """min_i C_ij - f_i, (m,)."""
    least = torch.full_like(C[0], torch.inf)
    for k in _blocks(C, C.shape[1]):
        least = torch.minimum(least, (C[k] - f[k, None]).amin(0))
    return least


def _column_places(C: Tensor, f: Tensor, columns: Tensor) -> Tensor:
    """The rows where C_ij - f_i is least, for some columns."""
    least, where = torch.full_like(C[0, columns], torch.inf), torch.zeros_like(columns)
    for k in _blocks(C, C.shape[1]):
        part = (C[k][:, columns] - f[k, None]).min(0)
        lower = part.values < least
        least, where = torch.where(lower, part.values, least), torch.where(lower, part.indices + k.start, where)
    return where


def _blocks(rows: Tensor, m: int) -> list[slice]:
    """Rows of m numbers a few at a time: what fits near the processor is worked on several times as fast."""
    step = max(CACHE // m, 1)
    return [slice(k, k + step) for k in range(0, len(rows), step)]


def corner(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of the north-west corner plan, n + m - 1 of them: one feasible plan, however bad."""
    n, m = len(a), len(b)
    ends = torch.cat([a.cumsum(0)[:-1], b.cumsum(0)[:-1]])
    down = torch.cat([torch.ones(n - 1), torch.zeros(m - 1)])[ends.argsort(stable=True)].long()
    i = torch.cat([torch.zeros(1, dtype=torch.long), down.cumsum(0)])
    return i, torch.arange(n + m - 1) - i
