"""UOT-ICNN: OT-ICNN on batches that an unbalanced plan re-weights, with learned re-weightings.

Reference: eyring2024unbalancedness, Algorithm 1 with OT-ICNN, Section 5.1.
"""

import math
from typing import Any, ClassVar

from torch import Tensor

from uotlab.methods.base import METHODS
from uotlab.methods.oticnn import OTICNN, conjugate_loss, dual_loss
from uotlab.methods.rebalance import Batch, Rebalanced, rescaling_loss

LEAST = 1e-3  #: a smaller learned factor counts as this


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

    def potential(self, state: Any, y: Tensor) -> Tensor:
        """As in OT-ICNN; its constant is what the learned re-weightings say: u = psi1*'(-f / rho1), w = psi2*'(-g / rho2), in the mean."""
        g, (x, held) = super().potential(state, y), (state.held_x, state.held_y)
        if math.isfinite(state.penalty.rho2):
            learned = -state.penalty.rho2 * self.target_scaling(state, held).clamp(min=LEAST).log()
            return g + (learned - super().potential(state, held)).mean()
        if math.isfinite(state.penalty.rho1):
            Tx = self.transport(state, x)
            learned = -state.penalty.rho1 * self.scaling(state, x).clamp(min=LEAST).log()
            return g + (state.cost(x, Tx) - super().potential(state, Tx) - learned).mean()
        return g

    def held_batch(self, state: Any) -> Batch:
        """The held-out points with the shares of their own plan: what the map should match."""
        return self.couple(state, state.held_x, state.held_y).batch(state.held_x, state.held_y)
