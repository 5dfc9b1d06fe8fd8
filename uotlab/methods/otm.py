"""OTM: the balanced twin of UOTM; both conjugates are the identity.

Reference: choi2023generative, Section 4 (its baseline "OTM", which needs R1; the paper's weight is 0.01 on its own unscaled cost).
"""

from typing import ClassVar

from pydantic import Field

from uotlab.methods.base import METHODS
from uotlab.methods.uotm import UOTM


@METHODS.register("otm")
class OTM(UOTM):
    """Optimal transport map (balanced semi-dual)."""

    title, order = "OTM", 2
    summary = "The balanced twin of UOTM: every point keeps its mass, outliers included. Compare the two to see what relaxing buys."
    equation = r"\inf_g \sup_T\; \mathbb E_{\mu}\big[g(T x)-c(x,Tx)\big]-\mathbb E_{\nu}\big[g(y)\big]"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 5000

    # without R1 the balanced game does not settle; and it swings again late if the steps stay large or have momentum
    lr_half: int = Field(1000, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's first moment decay")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second moment decay")
    r1: float = Field(0.5, ge=0, description="Weight of the gradient penalty E|∇g(y)|² on target points (R1), in standardised units")
