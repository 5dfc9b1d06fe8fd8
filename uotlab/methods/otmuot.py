"""UOT-OTM: OTM between mini-batches that an unbalanced plan re-weights and draws anew.

Reference: eyring2024unbalancedness, Algorithm 1, which makes any estimator unbalanced; gazdieva2025robust, Table 1, its second baseline.
"""

from typing import Any, ClassVar

from torch import Tensor

from uotlab.methods.base import METHODS
from uotlab.methods.otm import OTM
from uotlab.methods.rebalance import Rebalanced, rescaling_loss
from uotlab.methods.uotm import map_loss, potential_loss
from uotlab.penalty import Penalty


@METHODS.register("otmuot")
class OTMUOT(Rebalanced, OTM):
    """OTM with unbalanced mini-batch sampling."""

    title, order = "UOT-OTM", 4
    summary = (
        "The balanced map between points drawn by unbalanced mini-batch plans: what a batch would not match is drawn less often. "
        "Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\inf_g \sup_T\; \mathbb E_{u\mu}\big[g(T x)-c(x,Tx)\big]-\mathbb E_{w\nu}\big[g(y)\big],"
        r"\quad u=\tfrac{\mathrm d\hat P_1}{\mathrm d\mu},\;w=\tfrac{\mathrm d\hat P_2}{\mathrm d\nu}"
    )
    reference = "eyring2024unbalancedness"
    convention = "sinkhorn"  # type: ignore[assignment]
    relaxed = (True, True)
    losses: ClassVar[tuple[Any, ...]] = (potential_loss, map_loss, rescaling_loss)

    def step(self, state: Any) -> dict[str, Tensor]:
        held, psi = Penalty(), self.psi(1)  # of the points as drawn both marginals are kept
        batch, extra = self.draw(state)
        x, y = batch.resampled(state.rng)
        return self.play(state, x, lambda: y, psi, psi, held) | extra

    def potential(self, state: Any, y: Tensor) -> Tensor:
        return state.g_ema(y)  # type: ignore[no-any-return]

    def scheduled(self, state: Any) -> Penalty:
        return state.penalty  # type: ignore[no-any-return]
