"""Partial transport: only a share of the mass moves, the cheapest; what stays behind costs nothing.

    min_{P >= 0}  <P, C>   with  P 1 <= a,  P^T 1 <= b,  sum P = mass * min(sum a, sum b)

One more point on either side, at cost 0, takes what stays; POT's network simplex solves the rest. The dual is
max  M l + <a, f> + <b, g>  with  f, g <= 0,  f + g <= C - l, where M is the mass that moves and l what the last of it costs.

Reference: chapel2020partial, Section 2; caffarelli2010free.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import Cost
from uotlab.errors import InputError
from uotlab.parameters import check_number
from uotlab.plans.base import Plan
from uotlab.plans.emd import MOST_PAIRS, TOL, optimal
from uotlab.plans.setting import setting
from uotlab.plans.solver import SOLVERS, Solver


def partial(x: Any, y: Any, a: Any = None, b: Any = None, cost: str | Cost = "sqeuclidean", mass: float = 0.8) -> Plan:
    """The cheapest plan that moves a share `mass` of the smaller total.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch.
        a, b: masses (n,), (m,) of any total, never normalised; None is equal weights of total 1.
        cost: a name of `uotlab.COSTS` or a Cost.
        mass: the share to move, in (0, 1], of the smaller total mass.

    Returns:
        A Plan whose f and g are dual potentials, f + g <= C; entropy 0.

    Raises:
        InputError: bad points or weights, a share outside (0, 1].
    """
    mass = check_number("mass", mass)
    if not 0 < mass <= 1:
        raise InputError(f"mass must lie in (0, 1], the share of the smaller total that moves; it is {mass:g}.")
    at = setting(x, y, a, b, cost, most=MOST_PAIRS)
    C, A, B = at.C.cpu(), at.a.cpu(), at.b.cpu()
    moved = mass * min(float(A.sum()), float(B.sum()))
    P, f, g, price = cheapest(C, A, B, moved)
    primal = float((P * C).sum())
    dual = moved * price + float(A @ f + B @ g)
    certificate = max(primal - dual, 0.0) / max(abs(primal), moved, 1e-12)
    parts = {"transport": primal, "kl1": 0.0, "kl2": 0.0, "entropy": 0.0}
    return at.plan(P, f + price / 2, g + price / 2, parts, certificate=certificate, n_iter=0, converged=certificate <= TOL)


@SOLVERS.register("partial")
class Partial(Solver):
    """Partial transport."""

    title, order, relaxed, most_pairs = "Partial transport", 5, True, 2**22
    summary = "Moves the cheapest share of the mass exactly and leaves the rest where it is. Outliers are simply not moved."
    equation = r"\min_{P\ge0}\;\langle P,C\rangle\quad\text{s.t. }P\mathbf 1\le a,\;P^\top\mathbf 1\le b,\;\textstyle\sum P=m"
    reference = "chapel2020partial"

    mass: float = Field(0.8, gt=0, le=1, description="Share of the smaller total mass that moves")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return partial(x, y, a, b, self.ground, self.mass)


def cheapest(C: Tensor, a: Tensor, b: Tensor, moved: float) -> tuple[Tensor, Tensor, Tensor, float]:
    """(P, f, g, price), float64: the plan of a mass `moved`, and dual variables f, g <= 0 with f + g <= C - price."""
    n, m = C.shape
    wide = torch.zeros(n + 1, m + 1, dtype=torch.float64)
    wide[:n, :m] = C
    wide[n, m] = 2 * float(C.max()) + 1  # nothing stays behind for nothing
    stays1, stays2 = (max(float(w.sum()) - moved, 0.0) for w in (a, b))
    P, f, g = optimal(wide, torch.cat([a, a.new_tensor([stays2])]), torch.cat([b, b.new_tensor([stays1])]))
    top_f, top_g = float(f[:n][a > 0].max()), float(g[:m][b > 0].max())  # the extra points' own potentials, at their best
    f, g = (f[:n] - top_f).clamp(max=0), (g[:m] - top_g).clamp(max=0)
    return P[:n, :m], f, g, top_f + top_g
