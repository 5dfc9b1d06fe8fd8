"""UOT-FM: flow matching on pairs drawn from an unbalanced entropic plan of each mini-batch, with learned re-weightings.

Each step solves Sinkhorn between the batches and draws as many pairs from the normalised plan, with replacement: re-weighting and
pairing in one. What is common to all re-balanced estimators, the plan and the nets that learn its marginals, is in `rebalance`.

Notation: the paper's u, v re-weighting nets are `u`, `w` here, v being the velocity. Its tau is λ/(λ + eps), λ = rho.
Reference: eyring2024unbalancedness, Algorithm 1 (line 8) and Algorithm 2.
"""

from typing import Any, ClassVar

from torch import Tensor

from uotlab.methods.base import METHODS
from uotlab.methods.fm import FM, flow_matching_loss
from uotlab.methods.rebalance import Rebalanced, rescaling_loss
from uotlab.plans.base import sample_pairs


@METHODS.register("uotfm")
class UOTFM(Rebalanced, FM):
    """Unbalanced optimal transport flow matching."""

    title, order = "UOT-FM", 6
    summary = (
        "Flow matching whose pairs come from an unbalanced plan of each mini-batch: mass that would travel too far is made and "
        "destroyed instead. Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\min_v\; \mathbb E_{t,\,(x,y)\sim\hat P}\big\|v_t(x_t)-(y-x)\big\|^2,\quad "
        r"\hat P=\arg\min_P \langle P,C\rangle+\rho_1\mathrm{KL}(P\mathbf 1|a)+\rho_2\mathrm{KL}(P^{\!\top}\mathbf 1|b)"
        r"+\varepsilon\,\mathrm{KL}(P|ab^{\!\top})"
    )
    reference = "eyring2024unbalancedness"
    relaxed = (True, True)
    default_steps: ClassVar[int] = 3000
    losses: ClassVar[tuple[Any, ...]] = (flow_matching_loss, rescaling_loss)

    def pairs(self, state: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        found = self.coupled(state, x, y)
        i, j = sample_pairs(found.P, len(x), state.rng)
        return x[i], y[j], {"re-weighting loss": self.learn_rescaling(state, x, y, found), "plan mass": found.mass}
