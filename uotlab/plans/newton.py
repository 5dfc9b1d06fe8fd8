"""Newton's method on the semi-dual of dense Sinkhorn: for the few problems on which sweeps make no headway, such as near-permutations.

With f(g) the update of f, the dual D(f(g), g) is concave in g, and in units of eps

    gradient  b e^{-g/rho2} - c,      Hessian  -(diag(c + b e^{-g/rho2} / rho2) - P^T diag(r (1 + 1/rho1))^-1 P),      r = P 1, c = P^T 1

(b and 0 for terms with rho2 infinite, r for rho1 infinite). Steps are damped until the dual rises.
Reference: sejourne2022faster, Section 2 (the dual).
"""

import math

import torch
from torch import Tensor

from uotlab.penalty import Penalty

MOST_PAIRS, MOST_COLUMNS = 2**22, 2048  #: beyond these a step takes too long to be of use
STEPS = 60


def finish(
    C: Tensor, unit: float, a: Tensor, b: Tensor, g: Tensor, eps: float, penalty: Penalty, tol: float
) -> tuple[Tensor, Tensor] | None:
    """Better potentials (f, g) from g, in mean-cost units; C / unit is the cost. None where the problem is too large."""
    if C.numel() > MOST_PAIRS or C.shape[1] > MOST_COLUMNS:
        return None
    Ce, la, lb, h = C.double() / (eps * unit), a.log(), b.log(), g / eps
    r1, r2 = penalty.rho1 / eps, penalty.rho2 / eps
    tau1 = 1.0 if math.isinf(r1) else r1 / (1 + r1)

    def at(h: Tensor) -> tuple[Tensor, float]:
        f = -tau1 * torch.logsumexp((h + lb)[None] - Ce, 1)
        # after the update of f the plan's mass is sum a e^{-f/rho1}, so that the dual has one term a side and that mass
        left = float(a @ f) if math.isinf(r1) else -(1 + r1) * float(a @ torch.expm1(-f / r1))
        return f, left + (float(b @ h) if math.isinf(r2) else -r2 * float(b @ torch.expm1(-h / r2)))

    f, dual = at(h)
    for _ in range(STEPS):
        P = (((f + la)[:, None] + (h + lb)[None]) - Ce).exp_()
        r, c = P.sum(1), P.sum(0)
        wanted = b * (-h / r2).exp()  # b where side 2 is held
        gradient = wanted - c
        if float(gradient.abs().sum()) <= tol * float(c.sum()):
            break
        step = _step(P, r * (1 + 1 / r1), c + wanted / r2, b, gradient, penalty.balanced)
        if step is None:
            break
        rise, t = float(gradient @ step), 1.0
        while t > 1e-6:
            new_f, new_dual = at(h + t * step)
            if new_dual >= dual + 1e-4 * t * rise - 1e-14 * abs(dual):
                break
            t /= 2
        else:
            break
        h, f, dual = h + t * step, new_f, new_dual
    return eps * f, eps * h


def _step(P: Tensor, rows: Tensor, columns: Tensor, b: Tensor, gradient: Tensor, balanced: bool) -> Tensor | None:
    """The Newton step, with as little damping of its matrix as makes it positive; None where none does."""
    root = rows.sqrt()
    half = P / root[:, None]
    matrix = torch.diag(columns) - half.T @ half
    if balanced:  # a constant added to g changes nothing
        matrix += torch.outer(b, b) / b.sum()
    for ridge in (1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4):
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(ridge * columns))
        if not int(failed):
            step = torch.cholesky_solve(gradient[:, None], factor)[:, 0]
            largest = float(step.abs().max())
            if math.isfinite(largest):
                return step * min(1.0, 50.0 / max(largest, 1e-300))
    return None
