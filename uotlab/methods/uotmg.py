"""UOT-MG: OT-MG on batches that an unbalanced plan re-weights, with learned re-weightings.

Reference: eyring2024unbalancedness, Algorithm 1 with OT-MG, Section 5.2.
"""

from typing import Any, ClassVar

from uotlab.methods.base import METHODS
from uotlab.methods.otmg import OTMG, fitting_loss, monge_gap_loss, sampled_gap_loss
from uotlab.methods.rebalance import Rebalanced, rescaling_loss


@METHODS.register("uotmg")
class UOTMG(Rebalanced, OTMG):
    """Unbalanced optimal transport map by the Monge gap."""

    title, order = "UOT-MG", 23
    summary = (
        "The Monge gap between batches that an unbalanced plan re-weights: no opponent, any differentiable cost, and mass that would "
        "travel too far is made and destroyed. Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\min_T\;S_\varepsilon(T_\#(u\mu),w\nu)+\lambda\,\mathcal M^c_{u\mu}(T),\quad "
        r"u=\tfrac{\mathrm d\hat P_1}{\mathrm d\mu},\;w=\tfrac{\mathrm d\hat P_2}{\mathrm d\nu}"
    )
    reference = "eyring2024unbalancedness"
    relaxed = (True, True)
    losses: ClassVar[tuple[Any, ...]] = (fitting_loss, sampled_gap_loss, monge_gap_loss, rescaling_loss)
