"""The barycenter of debiased Sinkhorn divergences: the blur of the entropy is taken out to first order.

    q = argmin_q sum_k lam_k S_eps(p_k, q),   S_eps(p, q) = OT_eps(p, q) - OT_eps(p, p)/2 - OT_eps(q, q)/2

POT's in the exp domain, our own in the log domain.
Reference: janati2020debiased, Algorithm 1.
"""

from typing import Literal

from pydantic import Field

from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS, Found
from uotlab.plans.barycenters.convolutional import FLOOR, square
from uotlab.plans.barycenters.given import MOST_POINTS, Given
from uotlab.plans.barycenters.scaling import Scaling, rounds
from uotlab.plans.barycenters.sinkhorn import VARIANTS, EntropicSupport, by_pot, options, shares, steep
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel, Progress


@BARYCENTERS.register("debiased")
class Debiased(EntropicSupport):
    """Fixed support, debiased entropic."""

    title, order, reference = "Debiased Sinkhorn", 3, "janati2020debiased"
    summary = "Entropic, with the blur taken out again: a Gaussian stays as narrow as it is. It can ring where measures have sharp edges."
    equation = r"\min_q \sum_k \lambda_k\,S_\varepsilon(p_k,q)"

    variant: Literal["auto", "exp", "log"] = Field("auto", description=VARIANTS)

    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        if given.shape is not None and self.cost == "sqeuclidean":
            images, reg = square(given, self.eps)
        elif given.p.shape[1] > MOST_POINTS:
            raise InputError(f"{self.name} takes at most {MOST_POINTS} points; it got {given.p.shape[1]}. Use a coarser grid.")
        if steep(given, self):
            return rounds(Scaling(given, debias=True), self.eps, self.iterations, self.tol, progress, cancel)
        lam, bregman = given.weights.numpy(), pot().bregman
        if given.separable:
            run = bregman.convolutional_barycenter2d_debiased
            return by_pot(given, self, lambda: run(images, reg, lam, stabThr=FLOOR, **options(self)))
        p, C = shares(given).T.copy(), (given.C / given.scale).numpy()
        return by_pot(given, self, lambda: bregman.barycenter_debiased(p, C, self.eps, lam, **options(self)))
