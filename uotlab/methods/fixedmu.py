"""Fixed-mu: semi-unbalanced, the source is kept exactly and only the target is relaxed.

Reference: choi2023generative, Section 5.2 ("Fixed-mu": psi1* the identity, psi2* of KL).
"""

from uotlab.methods.base import METHODS
from uotlab.methods.uotm import UOTM


@METHODS.register("fixedmu")
class FixedMu(UOTM):
    """Semi-unbalanced optimal transport map: the source marginal held, the target relaxed."""

    title, order = "Fixed-μ", 3
    summary = "Every source point keeps its mass; only the target may be re-weighted, so outliers there are let go."
    equation = r"\inf_g \sup_T\; \mathbb E_{\mu}\big[g(T x)-c(x,Tx)\big]+\mathbb E_{\nu}\big[(\rho_2\psi_2)^*\big(-g(y)\big)\big]"
    relaxed = (False, True)
