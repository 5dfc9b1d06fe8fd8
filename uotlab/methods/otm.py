"""OTM: the balanced twin of UOTM; both conjugates are the identity.

The paper's baseline needs R1 (`r1`; weight 0.01 there, on its own unscaled cost): without it the balanced game does not settle. With the
batch's target points searched it does, and R1, which flattens the potential, is left out. As before: search=False, map_steps=1,
activation="relu", lr=1e-3, r1=.5, beta1=0, beta2=.99, 5000 steps.
Reference: choi2023generative, Section 4 (its baseline "OTM").
"""

from uotlab.methods.base import METHODS
from uotlab.methods.uotm import UOTM


@METHODS.register("otm")
class OTM(UOTM):
    """Optimal transport map (balanced semi-dual)."""

    title, order = "OTM", 2
    summary = "The balanced twin of UOTM: every point keeps its mass, outliers included. Compare the two to see what relaxing buys."
    equation = r"\inf_g \sup_T\; \mathbb E_{\mu}\big[g(T x)-c(x,Tx)\big]-\mathbb E_{\nu}\big[g(y)\big]"
    relaxed = (False, False)
