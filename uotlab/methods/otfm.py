"""OT-FM: flow matching on pairs from a balanced entropic plan of each mini-batch.

Reference: tong2024improving, Algorithm 3; eyring2024unbalancedness, Algorithm 2 with tau = 1.
"""

from uotlab.methods.base import METHODS
from uotlab.methods.fm import flow_matching_loss
from uotlab.methods.uotfm import UOTFM


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
