"""The entropic barycenter of images by convolutions: no matrix between pixels, rows and columns one after the other.

POT's in the exp domain, our own in the log domain.
Reference: solomon2015convolutional.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS, Found
from uotlab.plans.barycenters.given import Given
from uotlab.plans.barycenters.scaling import Scaling, rounds
from uotlab.plans.barycenters.sinkhorn import VARIANTS, EntropicSupport, by_pot, options, shares, steep
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel, Progress

FLOOR = 1e-300  #: POT adds this to kernel sums; its own 1e-30 blurs the answer


@BARYCENTERS.register("convolutional")
class Convolutional(EntropicSupport):
    """Images, entropic."""

    title, order, reference, takes = "Convolutional Sinkhorn", 4, "solomon2015convolutional", frozenset({"images"})
    summary = "The entropic barycenter of images by blurring rows and columns. The same answer as Sinkhorn's, without its memory."
    equation = r"\min_q \sum_k \lambda_k\,\mathrm{OT}_\varepsilon(p_k,q)"

    cost: Literal["sqeuclidean"] = Field("sqeuclidean", description="Ground cost; convolutions need this one")
    eps: float = Field(
        0.02, gt=0, allow_inf_nan=False, title="Blur ε", json_schema_extra={"basic": True},
        description="Entropic temperature in mean-cost units: the blur",
    )  # fmt: skip
    variant: Literal["auto", "exp", "log"] = Field("auto", description=VARIANTS)

    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        images, reg = square(given, self.eps)
        if steep(given, self):
            return rounds(Scaling(given), self.eps, self.iterations, self.tol / 10, progress, cancel)
        run = pot().bregman.convolutional_barycenter2d
        return by_pot(given, self, lambda: run(images, reg, given.weights.numpy(), stabThr=FLOOR, **options(self)))


def square(given: Given, eps: float) -> tuple[np.ndarray, float]:
    """Images (K, h, h) of mass 1 and eps in POT's unit, the squared side of the picture.

    Raises:
        InputError: height and width differ, which POT would stretch.
    """
    assert given.shape is not None
    h, w = given.shape
    if h != w:
        raise InputError(f"Convolutional barycenters take square images; these are {h} x {w}. Pad them with zeros, or use 'ipot'.")
    return shares(given).reshape(-1, h, w), eps * given.scale / max(h - 1, 1) ** 2
