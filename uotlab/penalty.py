"""The one τ: rho, the weight of a marginal's divergence in units of the mean cost s; infinity is balanced.

Three papers call three things τ. Each converts exactly to and from rho (DESIGN section 4):

* cost weight, UOTM's `c = τ |x-y|²`:                      rho = 1 / (τ s)       larger τ, more unbalanced
* divergence weight, U-NOTB's `½|x-y|²` with `τ D_psi`:    rho = 2 τ / s         larger τ, less unbalanced
* Sinkhorn exponent, `τ = λ/(λ+eps)` with λ = rho:         rho = eps τ / (1-τ)   larger τ, less unbalanced

Notation: s is the mean of the run's own unscaled cost; eps is in mean-cost units.
Reference: choi2023generative, eq. (10); gazdieva2025robust, Section 4; eyring2024unbalancedness, Section 2.
"""

import math
from dataclasses import dataclass
from typing import Literal

from uotlab.errors import InputError
from uotlab.parameters import check_number

Convention = Literal["cost-weight", "divergence-weight", "sinkhorn"]
CONVENTIONS: tuple[Convention, ...] = ("cost-weight", "divergence-weight", "sinkhorn")
EPS = 0.05  #: the eps at which a method without one converts the Sinkhorn exponent


def _positive(name: str, value: float) -> float:
    number = check_number(name, value)
    if not number > 0:
        raise InputError(f"{name} must be positive (infinity is balanced); it is {number:g}.")
    return number


def rho_from_tau(convention: Convention, tau: float, scale: float = 1.0, eps: float = EPS) -> float:
    """rho of a τ in one paper's convention.

    Args:
        tau: the paper's τ; for "sinkhorn" in (0, 1], 1 being balanced.
        scale: s, the mean of the unscaled cost; "sinkhorn" does not use it.
        eps: entropic temperature in mean-cost units; only "sinkhorn" uses it.
    """
    tau = check_number("tau", tau)
    if convention == "sinkhorn":
        if not 0 < tau <= 1:
            raise InputError(f"tau of the Sinkhorn convention is λ/(λ+eps) and must lie in (0, 1]; it is {tau:g}. 1 is balanced.")
        return math.inf if tau == 1 else _positive("eps", eps) * tau / (1 - tau)
    if convention == "divergence-weight":
        return 2 * _positive("tau", tau) / _positive("scale", scale)
    if convention == "cost-weight":
        if tau == 0:
            return math.inf
        return 1 / (_positive("tau", tau) * _positive("scale", scale))
    raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}; it is '{convention}'.")


def tau_from_rho(convention: Convention, rho: float, scale: float = 1.0, eps: float = EPS) -> float:
    """τ in one paper's convention of a rho: the inverse of `rho_from_tau`."""
    _positive("rho", rho)
    if convention == "sinkhorn":
        return 1.0 if math.isinf(rho) else rho / (rho + eps)
    if convention == "divergence-weight":
        return rho * scale / 2
    if convention == "cost-weight":
        return 0.0 if math.isinf(rho) else 1 / (rho * scale)
    raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}; it is '{convention}'.")


@dataclass(frozen=True)
class Penalty:
    """rho1 on the source marginal, rho2 on the target's, in mean-cost units; infinity holds the marginal."""

    rho1: float = math.inf
    rho2: float = math.inf

    def __post_init__(self) -> None:
        for name in ("rho1", "rho2"):
            _positive(name, getattr(self, name))

    @property
    def balanced(self) -> bool:
        return math.isinf(self.rho1) and math.isinf(self.rho2)

    @classmethod
    def from_tau(cls, convention: Convention, tau1: float, tau2: float, scale: float = 1.0, eps: float = EPS) -> "Penalty":
        return cls(rho_from_tau(convention, tau1, scale, eps), rho_from_tau(convention, tau2, scale, eps))

    def tau(self, convention: Convention, scale: float = 1.0, eps: float = EPS) -> tuple[float, float]:
        """(τ1, τ2) in one paper's convention."""
        return tau_from_rho(convention, self.rho1, scale, eps), tau_from_rho(convention, self.rho2, scale, eps)
