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
SHARES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2)  #: what share of a point's mass makes a pair matter, the first that leaves few enough
ENOUGH = 0.9  #: of the mass, that these pairs carry together
CACHE = 2**18  #: numbers worked on at a time, so that they stay near the processor


def support(P: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """Which pairs of P matter, bool (n, m), at most MOST (n + m) of them; None where P is too blurred for that."""
    most = MOST * sum(P.shape)
    for share in SHARES:
        held = P > torch.minimum((share * a).to(P)[:, None], (share * b).to(P)[None])
        if int(held.sum()) <= most:
            return held if float(P[held].sum()) >= ENOUGH * float(P.sum()) else None
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
    b = b * (a.sum() / b.sum())
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
        flat[rows * m + (C[rows] - g).argmin(1)] = True
        columns = (column_minima(C, f) < g - 1e-12).nonzero()[:, 0]
        flat[(C[:, columns] - f[:, None]).argmin(0) * m + columns] = True
    flow = flow.tocoo()
    P = torch.zeros_like(C)
    P[torch.from_numpy(flow.row).long(), torch.from_numpy(flow.col).long()] = torch.from_numpy(flow.data)
    return P, lowest, g, value


def row_minima(C: Tensor, g: Tensor) -> Tensor:
    """min_j C_ij - g_j, (n,), a few rows at a time."""
    rows = max(CACHE // C.shape[1], 1)
    return torch.cat([(C[k : k + rows] - g).amin(1) for k in range(0, len(C), rows)])


def column_minima(C: Tensor, f: Tensor) -> Tensor:
    """min_i C_ij - f_i, (m,), a few rows at a time."""
    rows = max(CACHE // C.shape[1], 1)
    least = torch.full_like(C[0], torch.inf)
    for k in range(0, len(C), rows):
        least = torch.minimum(least, (C[k : k + rows] - f[k : k + rows, None]).amin(0))
    return least


def corner(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of the north-west corner plan, n + m - 1 of them: one feasible plan, however bad."""
    n, m = len(a), len(b)
    ends = torch.cat([a.cumsum(0)[:-1], b.cumsum(0)[:-1]])
    down = torch.cat([torch.ones(n - 1), torch.zeros(m - 1)])[ends.argsort(stable=True)].long()
    i = torch.cat([torch.zeros(1, dtype=torch.long), down.cumsum(0)])
    return i, torch.arange(n + m - 1) - i
