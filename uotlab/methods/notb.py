"""NOTB: the balanced barycenter, every marginal kept whole; the twin that shows what robustness changes.

Reference: kolesov2024estimating; gazdieva2025robust, Corollary 2, by which m = 0.
"""

from typing import ClassVar

from uotlab.methods.base import METHODS
from uotlab.methods.marginals import MOST
from uotlab.methods.unotb import UNOTB


@METHODS.register("notb")
class NOTB(UNOTB):
    """Neural optimal transport barycenter."""

    title, order = "NOTB", 61
    summary = (
        "Learns a map from each of two to five marginals to their common barycenter, keeping all of their mass. "
        "The balanced twin of U-NOTB: every outlier is dragged along."
    )
    equation = r"\sup_{\sum_k\lambda_k f_k=0}\;\inf_{T}\;\sum_{k}\lambda_k\,\mathbb E_{x\sim P_k}\big[c_k(x,T_kx)-f_k(T_kx)\big]"
    reference = "kolesov2024estimating"
    relaxed: ClassVar[tuple[bool, ...]] = (False,) * MOST
