"""The entropic barycenter by iterative Bregman projections, quick, and blurred by its eps.

    q = argmin_q sum_k lam_k OT_eps(p_k, q),   OT_eps with entropy against the counting measure

POT's in the exp domain for equal weights; else, and in the log domain our own, which anneals eps and is many times quicker there.
Reference: benamou2015iterative, Section 3.2; cuturi2014fast.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS, FixedSupport, Found
from uotlab.plans.barycenters.given import MOST_POINTS, Given
from uotlab.plans.barycenters.scaling import Scaling, rounds
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel, Progress

VARIANTS = "exp is quick and fails at small ε, log never fails; auto takes exp where its numbers hold"
UNDERFLOW = 500.0  #: largest C / eps whose exponential float64 holds


class EntropicSupport(FixedSupport):
    """The settings of all entropic barycenters."""

    eps: float = Field(
        0.05, gt=0, allow_inf_nan=False, title="Blur ε", json_schema_extra={"basic": True},
        description="Entropic temperature in mean-cost units: the blur",
    )  # fmt: skip
    iterations: int = Field(1000, ge=10, le=1_000_000, title="Most rounds", description="Rounds after which it ends, converged or not")
    tol: float = Field(
        1e-4, gt=0, title="Tolerance", description="Difference of the marginals, as a share of the mass, that ends the rounds"
    )
    variant: Literal["auto", "exp", "stabilized", "log"] = Field("auto", description=VARIANTS)


@BARYCENTERS.register("sinkhorn")
class SinkhornBarycenter(EntropicSupport):
    """Fixed support, entropic."""

    title, order, reference = "Sinkhorn", 2, "benamou2015iterative"
    summary = "The entropic barycenter, blurred by ε: smooth and quick where ε is large. A small ε is sharper and takes more rounds."
    equation = r"\min_q \sum_k \lambda_k\,\mathrm{OT}_\varepsilon(p_k,q)"

    iterations: int = Field(2000, ge=10, le=1_000_000, title="Most rounds", description="Rounds after which it ends, converged or not")

    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        if given.p.shape[1] > MOST_POINTS:
            raise InputError(
                f"{self.name} holds a matrix between all points of the support and takes at most {MOST_POINTS}; "
                f"it got {given.p.shape[1]}. Use 'convolutional' or 'ipot' for larger images."
            )
        # POT starts from the unweighted geometric mean, and its rounds keep what that start gets wrong
        alike = bool(torch.allclose(given.weights, given.weights[:1].expand_as(given.weights)))
        if steep(given, self) or (not alike and self.variant != "stabilized"):
            return rounds(Scaling(given), self.eps, self.iterations, self.tol / 10, progress, cancel)
        method = "sinkhorn_stabilized" if self.variant == "stabilized" else "sinkhorn"
        p, C = shares(given), (given.C / given.scale).numpy()
        run = pot().bregman.barycenter
        return by_pot(given, self, lambda: run(p.T.copy(), C, self.eps, given.weights.numpy(), method=method, **options(self)))


def shares(given: Given) -> np.ndarray:
    """The measures at total mass 1, (K, n)."""
    return (given.p / given.p.sum(1, keepdim=True)).numpy()


def options(how: Any) -> dict[str, Any]:
    """What all of POT's barycenters take."""
    return {"numItermax": how.iterations, "stopThr": how.tol, "log": True, "warn": False}


def by_pot(given: Given, how: Any, run: Callable[[], tuple[np.ndarray, Mapping[str, Any]]]) -> Found:
    """What one of POT's barycenters answers; it looks at its error every ten rounds."""
    with np.errstate(all="ignore"):  # what is not finite is told in a sentence
        q, log = run()
    errors = [float(e) for e in log["err"]]
    n_iter = int(log["niter"]) + 1
    mass = torch.from_numpy(np.asarray(q, dtype=np.float64).reshape(-1))
    finite = bool(torch.isfinite(mass).all()) and float(mass.sum()) > 0.5  # an underflow may leave zeros as well as NaN
    looks = [min(10 * (i + 1), n_iter) for i in range(len(errors))]
    converged = finite and bool(errors) and errors[-1] <= how.tol
    return Found(mass * (given.mass / mass.sum()) if finite else mass * torch.nan, n_iter, converged, errors, looks)


def steep(given: Given, how: Any) -> bool:
    """Whether the log domain is asked for, or a plain kernel would lose its far entries."""
    return how.variant == "log" or (how.variant == "auto" and given.largest_cost / how.eps > UNDERFLOW)
