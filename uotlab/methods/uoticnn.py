"""UOT-ICNN: OT-ICNN on batches that an unbalanced plan re-weights, with learned re-weightings.

Reference: eyring2024unbalancedness, Algorithm 1 with OT-ICNN, Section 5.1.
"""

from typing import Any, ClassVar

from uotlab.methods.base import METHODS
from uotlab.methods.oticnn import OTICNN, conjugate_loss, dual_loss
from uotlab.methods.rebalance import Batch, Rebalanced, rescaling_loss


@METHODS.register("uoticnn")
class UOTICNN(Rebalanced, OTICNN):
    """Unbalanced optimal transport by a pair of input-convex networks."""

    title, order = "UOT-ICNN", 21
    summary = (
        "The gradient of a convex network as map, learned between batches that an unbalanced plan re-weights: mass that would travel "
        "too far is made and destroyed. Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\sup_{g}\inf_{f}\;\mathbb E_{u\mu}\big[g(\nabla f(x))-\langle x,\nabla f(x)\rangle\big]-\mathbb E_{w\nu}\big[g(y)\big],\quad "
        r"u=\tfrac{\mathrm d\hat P_1}{\mathrm d\mu},\;w=\tfrac{\mathrm d\hat P_2}{\mathrm d\nu}"
    )
    reference = "eyring2024unbalancedness"
    relaxed = (True, True)
    losses: ClassVar[tuple[Any, ...]] = (conjugate_loss, dual_loss, rescaling_loss)

    def held_batch(self, state: Any) -> Batch:
        """The held-out points with the shares of their own plan: what the map should match."""
        return self.couple(state, state.held_x, state.held_y).batch(state.held_x, state.held_y)
