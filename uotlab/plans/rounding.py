"""Certificate of potentials under any divergence: a plan rounded into what both marginals allow, against the dual.

Reference: altschuler2017near, Algorithm 2, here for bounds instead of equalities.
"""

import math

import torch
from torch import Tensor

from uotlab.plans.base import kl
from uotlab.plans.proximal import Side


def certify_sides(
    C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float, one: Side, two: Side
) -> tuple[Tensor, tuple[float, float, float, float], float]:
    """(plan, parts, certificate): the plan of f and g rounded into the bounds of both sides, its objective and relative gap."""
    E = (f[:, None] + g[None] - C) / eps
    reference = a[:, None] * b[None]
    P = torch.where(reference > 0, (E + a.log()[:, None] + b.log()[None]).exp(), 0.0)
    dual = one.dual(a, f) + two.dual(b, g) - eps * (float(P.sum()) - float(reference.sum()))
    P = round_into(P, a, b, one.bounds, two.bounds)
    parts = (float((P * C).sum()), one.value(a, P.sum(1)), two.value(b, P.sum(0)), eps * float(kl(P, reference)))
    primal = sum(parts)
    return P, parts, max(primal - dual, 0.0) / max(abs(primal), float(P.sum()), 1e-12)


def round_into(P: Tensor, a: Tensor, b: Tensor, rows: tuple[float, float], columns: tuple[float, float]) -> Tensor:
    """A plan near P whose marginals lie between their bounds times a and b: scaled down first, then a rank-one rest is added."""
    (low1, high1), (low2, high2) = ((w * bounds[0], w * bounds[1]) for w, bounds in ((a, rows), (b, columns)))
    high1, high2 = high1.nan_to_num(nan=0.0, posinf=math.inf), high2.nan_to_num(nan=0.0, posinf=math.inf)
    P = P * _down(P.sum(1), high1)[:, None]
    P = P * _down(P.sum(0), high2)[None]
    lack1, lack2 = (low1 - P.sum(1)).clamp(min=0), (low2 - P.sum(0)).clamp(min=0)
    if not bool((lack1 > 0).any() | (lack2 > 0).any()):
        return P
    if not math.isfinite(rows[1]) and rows[0] == 0:  # the source takes any mass: scale the columns up
        return P * _up(P.sum(0), low2)[None]
    if not math.isfinite(columns[1]) and columns[0] == 0:
        return P * _up(P.sum(1), low1)[:, None]
    P = P * _share(P.sum(1), P.sum(0), low1, high1, low2, high2)
    r, c = P.sum(1), P.sum(0)
    lack1, lack2 = (low1 - r).clamp(min=0), (low2 - c).clamp(min=0)
    total = max(float(lack1.sum()), float(lack2.sum()))
    if total == 0:
        return P
    more1, more2 = _fill(lack1, high1 - r - lack1, total), _fill(lack2, high2 - c - lack2, total)
    return P + more1[:, None] * more2[None] / total


def _down(sums: Tensor, high: Tensor) -> Tensor:
    return torch.where(sums > high, high / sums, 1.0)


def _up(sums: Tensor, low: Tensor) -> Tensor:
    return torch.where((sums < low) & (sums > 0), low / sums, 1.0)


def _fill(lack: Tensor, room: Tensor, total: float) -> Tensor:
    """`lack` raised to a sum of `total`, within the room that is left."""
    missing, room = total - float(lack.sum()), room.clamp(min=0)
    space = float(room.sum())
    return lack + room * min(missing / space, 1.0) if missing > 0 and 0 < space < math.inf else lack


def _share(r: Tensor, c: Tensor, low1: Tensor, high1: Tensor, low2: Tensor, high2: Tensor) -> float:
    """The greatest factor at most 1 on the plan at which what either side lacks still fits into the other's bounds."""

    def fits(k: float) -> bool:
        for low, sums, high, other in ((low1, r, high2, c), (low2, c, high1, r)):
            if float((low - k * sums).clamp(min=0).sum()) > float((high - k * other).sum()) * (1 + 1e-12) + 1e-15:
                return False
        return True

    if fits(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
