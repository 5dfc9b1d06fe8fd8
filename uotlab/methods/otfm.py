"""OT-FM: flow matching on pairs from a balanced plan of each mini-batch, entropic or exact.

The exact plan of two batches of equal size is a permutation: each point is used once, where the paper draws from it with replacement.
Reference: tong2024improving, Algorithm 3; eyring2024unbalancedness, Algorithm 2 with tau = 1.
"""

from typing import Any, Literal

import torch
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from uotlab.methods.base import METHODS
from uotlab.methods.fm import flow_matching_loss
from uotlab.methods.uotfm import UOTFM
from uotlab.penalty import Penalty
from uotlab.plans.sinkhorn import solve

ROUGH, TOL = 0.01, 1e-3  #: temperature and certificate of the entropic potentials that an assignment starts from


@METHODS.register("otfm")
class OTFM(UOTFM):
    """Optimal transport flow matching (balanced twin of UOT-FM)."""

    title, order = "OT-FM", 5
    summary = (
        "Flow matching on pairs from a balanced plan of each mini-batch: straighter paths, "
        "but every point keeps its mass, outliers included."
    )
    equation = (
        r"\min_v\; \mathbb E_{t,\,(x,y)\sim P}\big\|v_t(x_t)-(y-x)\big\|^2,\quad "
        r"P=\arg\min_{P\in\Pi(a,b)}\langle P,C\rangle+\varepsilon\,\mathrm{KL}(P|ab^{\!\top})"
    )
    relaxed = (False, False)
    reference = "tong2024improving"
    losses = (flow_matching_loss,)

    coupling: Literal["sinkhorn", "exact"] = Field(
        "sinkhorn", description="Plan of each batch: entropic at eps, or exact as in the paper (eps is then not used)"
    )

    def pairs(self, state: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        if self.coupling == "sinkhorn":
            return super().pairs(state, x, y)
        partner = assigned(state.cost.matrix(x, y))
        return x, y[partner], {}


def assigned(C: Tensor) -> Tensor:
    """The columns (n,) that the rows of a square cost matrix are assigned to at the least total, exactly."""
    a = torch.full((len(C),), 1 / len(C), dtype=torch.float64, device=C.device)
    found = solve(C, a, a, ROUGH, Penalty(), TOL)
    # the optimum is the same for reduced costs, and found several times sooner: most rows then have their column's least
    _, columns = linear_sum_assignment((C - found.f[:, None] - found.g[None]).cpu().numpy())
    return torch.from_numpy(columns).to(C.device)
