"""Exact balanced transport: the linear programme itself, with dual potentials that prove the answer.

    min_{P >= 0}  <P, C>   with  P 1 = a,  P^T 1 = b;        dual  max <a, f> + <b, g>  with  f + g <= C

Equal weights and n = m make it an assignment (scipy's Jonker-Volgenant); the rest is POT's network simplex.

Reference: peyre2019computational, Section 3.
"""

from typing import Any

import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.plans.base import Plan
from uotlab.plans.pot import pot
from uotlab.plans.setting import check_equal, setting
from uotlab.plans.solver import SOLVERS, Solver

MOST_PAIRS = 2**26  #: 8192 x 8192: minutes
TOL = 1e-6  #: relative certificate of what counts as exact
NEAR = 48  #: cheapest edges a point with which the potentials of an assignment start


def exact(x: Any, y: Any, a: Any = None, b: Any = None, cost: str | Cost = "sqeuclidean") -> Plan:
    """The optimal plan between points of equal total mass, without any regularisation.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch.
        a, b: masses (n,), (m,) of equal total, never normalised; None is equal weights of total 1.
        cost: a name of `uotlab.COSTS` or a Cost.

    Returns:
        A Plan whose f and g are dual potentials, f + g <= C, of equal mean under their masses; entropy 0.

    Raises:
        InputError: bad points or weights; unequal masses.
    """
    at = setting(x, y, a, b, cost, most=MOST_PAIRS)
    check_equal(at.a, at.b, "Exact transport", "Give weights of equal total, or use sinkhorn with a finite rho.")
    C = at.C.cpu()
    P, f, g = optimal(C, at.a.cpu(), at.b.cpu())
    primal, dual = float((P * C).sum()), float(at.a.cpu() @ f + at.b.cpu() @ g)
    certificate = max(primal - dual, 0.0) / max(abs(primal), float(P.sum()), 1e-12)
    parts = {"transport": primal, "kl1": 0.0, "kl2": 0.0, "entropy": 0.0}
    return at.plan(P, f, g, parts, certificate=certificate, n_iter=0, converged=certificate <= TOL)


@SOLVERS.register("exact")
class Exact(Solver):
    """Exact balanced transport."""

    title, order, relaxed, most_pairs = "Exact (network simplex)", 3, False, 2**22
    summary = "Classical transport without entropy: the sparse optimal plan that others are measured by. It needs equal masses."
    equation = r"\min_{P\ge0}\;\langle P,C\rangle\quad\text{s.t. }P\mathbf 1=a,\;P^\top\mathbf 1=b"
    reference = "peyre2019computational"

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return exact(x, y, a, b, self.ground)


def optimal(C: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(P, f, g), float64, of a cost (n, m) and masses of equal total; f + g <= C up to rounding errors."""
    n, m = C.shape
    if n == m and float(a.max() - a.min()) <= 1e-12 * float(a.max()) and float(b.max() - b.min()) <= 1e-12 * float(b.max()):
        P, g = _assignment(C, float(a[0]))
    else:
        P, g = _network_simplex(C, a, b)
    f = (C - g).amin(1)  # twice the c-transform: feasible everywhere, points without mass too, and never worse
    g = (C - f[:, None]).amin(0)
    shift = (a @ f / a.sum() - b @ g / b.sum()) / 2
    return P, f - shift, g + shift


def _network_simplex(C: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    mass = a.sum()  # POT's own tolerances are for masses of order 1
    P, log = pot().emd((a / mass).numpy(), (b / b.sum()).numpy(), C.numpy(), numItermax=100_000_000, log=True)
    return mass * torch.from_numpy(P), torch.from_numpy(log["v"])


def _assignment(C: Tensor, mass: float) -> tuple[Tensor, Tensor]:
    """The best permutation as a plan, and the potential g of the columns.

    Along the permutation j(i) the constraint is tight, so that g[k] <= g[j(i)] + C[i, k] - C[i, j(i)] is what is left to hold: g is
    a distance in a graph without negative cycles. Bellman and Ford's iteration finds it, on the cheapest edges before all.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = (torch.from_numpy(k) for k in linear_sum_assignment(C.numpy()))
    P = torch.zeros_like(C)
    P[rows, columns] = mass
    M = C[:, columns].T.contiguous()  # M[k, i]: what it costs to send i where k belongs
    M -= M.diagonal().clone()[None]
    d = torch.zeros_like(C[0])
    if len(d) > 8 * NEAR:
        edges, sources = M.topk(NEAR, dim=1, largest=False, sorted=False)
        d = _distances(d, lambda d: (edges + d[sources]).amin(1))
    d = _distances(d, lambda d: (M + d).amin(1))
    g = torch.empty_like(d)
    g[columns] = d
    return P, g


def _distances(d: Tensor, shorter: Any) -> Tensor:
    for _ in range(len(d) + 1):
        new = torch.minimum(d, shorter(d))
        change = float((d - new).max())
        d = new
        if change <= 1e-13:
            break
    return d
