"""The unbalanced barycenter by scaling iterations in the log domain: measures may differ in mass, and outliers are let go.

    q = argmin_q sum_k lam_k UOT(p_k, q),   with the prices rho1 on p_k and rho2 on q; see `scaling` for the iterations

POT's `barycenter_unbalanced` takes the mean of powers that this needs in plain numbers, and overflows at small eps; its entropy is
against the counting measure, which makes the mass of q depend on the grid.
Reference: chizat2018scaling, Section 5.2.
"""

import math

from pydantic import Field

from uotlab.plans.barycenters.base import BARYCENTERS, FixedSupport, Found
from uotlab.plans.barycenters.given import Given
from uotlab.plans.barycenters.scaling import Scaling, rounds
from uotlab.plans.solver import Cancel, Progress


@BARYCENTERS.register("unbalanced")
class Unbalanced(FixedSupport):
    """Fixed support, entropic, mass may change."""

    title, order, reference, relaxed = "Unbalanced", 5, "chizat2018scaling", True
    summary = "Mass far from where most of it lies is let go at the price ρ instead of being carried. Measures may differ in mass."
    equation = r"\min_q \sum_k \lambda_k\,\mathrm{UOT}_{\varepsilon,\rho_1,\rho_2}(p_k,q)"

    eps: float = Field(
        0.01, gt=0, allow_inf_nan=False, title="Blur ε", json_schema_extra={"basic": True},
        description="Entropic temperature in mean-cost units: the blur",
    )  # fmt: skip
    rho1: float = Field(
        0.3, gt=0, json_schema_extra={"basic": True}, description="Price of changing a measure, in mean-cost units; infinity holds it"
    )  # fmt: skip
    rho2: float = Field(math.inf, gt=0, description="Price of missing the barycenter, in mean-cost units; infinity holds it")
    iterations: int = Field(2000, ge=1, le=1_000_000, title="Most rounds", description="Rounds after which it ends, converged or not")
    tol: float = Field(1e-5, gt=0, title="Tolerance", description="Change of q in one round, as a share of its mass, that ends the rounds")

    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        if math.isinf(self.rho1) and math.isinf(self.rho2):
            given.check_masses()
        work = Scaling(given, self.rho1, self.rho2)
        found = rounds(work, self.eps, self.iterations, self.tol, progress, cancel)
        found.transport, found.carried = work.carried(self.eps)
        return found
