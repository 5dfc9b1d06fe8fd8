"""Newton's method on a plan summed over cells: the shifts, one a cell, that raise the dual most.

Sinkhorn's updates cut errors that vary from point to point at once and those that vary over many points slowly. With P the plan of
(f, g) summed over pairs of cells, the dual of (f + s, g + t), s and t constant in each cell, is up to a constant

    -rho1 <A, e^{-s/rho1}> - rho2 <B, e^{-t/rho2}> - eps <P, e^{(s + t)/eps}>,   A = sums of a e^{-f/rho1}, B = sums of b e^{-g/rho2}

(<A, s> where rho1 is infinite): the dual of a small unbalanced problem. One cell a side gives the translation-invariant shift.
Reference: sejourne2022faster, Section 3 (one cell).
"""

import math

import torch
from torch import Tensor

STEPS = 8  #: Newton steps at most; the correction need not be exact
ENOUGH = 0.02  #: share of the marginal error that may be left


def cell_shifts(P: Tensor, A: Tensor, B: Tensor, eps: float, rho1: float, rho2: float) -> tuple[Tensor, Tensor]:
    """(s, t): shifts of f and g by cell, (k,) and (l,), zero where nothing can be gained.

    Args:
        P: the plan summed over pairs of cells, (k, l), float64.
        A, B: the masses wanted in each cell at the present potentials, (k,) and (l,).
    """
    if P.shape[0] < P.shape[1]:  # the linear system is as large as the second side
        t, s = cell_shifts(P.T, B, A, eps, rho2, rho1)
        return s, t
    s, t = torch.zeros_like(A), torch.zeros_like(B)
    Q, value, first = P, _dual(P, A, B, s, t, eps, rho1, rho2), 0.0
    for _ in range(STEPS):
        down, across = _newton_step(Q, A * _decay(s, rho1), B * _decay(t, rho2), eps, rho1, rho2)
        left = float((A * _decay(s, rho1) - Q.sum(1)).abs().sum() + (B * _decay(t, rho2) - Q.sum(0)).abs().sum())
        first = first or left
        if not left > ENOUGH * first:
            break
        for size in (1.0, 0.5, 0.25, 0.1, 0.03, 0.01):
            new_s, new_t = s + size * down, t + size * across
            moved = P * ((new_s[:, None] + new_t[None]) / eps).exp_()
            reached = _dual(moved, A, B, new_s, new_t, eps, rho1, rho2)
            if reached > value:
                break
        else:
            break
        s, t, Q, value = new_s, new_t, moved, reached
    return s, t


def _decay(s: Tensor, rho: float) -> Tensor:
    return torch.ones_like(s) if math.isinf(rho) else (-s / rho).exp()


def _dual(Q: Tensor, A: Tensor, B: Tensor, s: Tensor, t: Tensor, eps: float, rho1: float, rho2: float) -> float:
    gain = -eps * float(Q.sum())
    for masses, shift, rho in ((A, s, rho1), (B, t, rho2)):
        gain += float(masses @ shift) if math.isinf(rho) else -rho * float(masses @ torch.expm1(-shift / rho))
    return gain if math.isfinite(gain) else -math.inf


def _newton_step(Q: Tensor, p1: Tensor, p2: Tensor, eps: float, rho1: float, rho2: float) -> tuple[Tensor, Tensor]:
    """The Newton step of the dual where the plan is Q and the masses wanted are p1, p2: a Schur complement on side 2."""
    q1, q2 = Q.sum(1), Q.sum(0)
    h1, h2 = q1 / eps + p1 / rho1, q2 / eps + p2 / rho2
    h1 = h1 + 1e-14 * h1.mean()  # cells whose mass is all destroyed have none to shift
    h2 = h2 + 1e-12 * h2.mean()  # and a constant added to f and taken from g changes nothing where both sides are hard
    M = Q / eps
    slope1, slope2 = p1 - q1, p2 - q2
    scaled = M / h1[:, None]
    across, failed = torch.linalg.solve_ex(torch.diag(h2) - M.T @ scaled, slope2 - scaled.T @ slope1)
    if int(failed):
        across = torch.zeros_like(across)
    return (slope1 - M @ across) / h1, across
