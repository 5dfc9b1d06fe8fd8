"""Setting: what a dense solver works on, made from a person's points and masses, and what turns its result into a Plan."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.arrays import as_tensor, like, masses, two_clouds
from uotlab.costs import Cost, make_cost
from uotlab.errors import InputError
from uotlab.parameters import check_number
from uotlab.plans.base import Plan

LEAST_EPS = 1e-5  #: in mean costs, of beta too: below, sweeps find no way to a certificate
MOST_PAIRS = 2**30  #: entries of a plan: 8 GB in float64, and several of that size are held


@dataclass(frozen=True, eq=False)
class Setting:
    """A transport problem between points, float64 throughout.

    Args:
        C: cost over its mean, (n, m); the mean is under the masses.
        a, b: masses, (n,) and (m,).
        s: what one unit of C is in the cost's own units.
        unit: what one unit of eps and rho stands for in the cost's own units: s, or 1 with `scale_cost=False`.
        double: whether the points came in float64.
        x, y: the points as they came.
    """

    C: Tensor
    a: Tensor
    b: Tensor
    s: float
    unit: float
    double: bool
    x: Any
    y: Any

    def own(self, weight: float) -> float:
        """A rho of the caller as a multiple of the unit of C."""
        return weight * self.unit / self.s

    def own_eps(self, eps: float) -> float:
        """An eps of the caller as a multiple of the unit of C; InputError where it is too small to be solved."""
        return sharp(eps, self.unit / self.s)

    def plan(
        self, P: Tensor, f: Tensor, g: Tensor, parts: Mapping[str, float], *,
        certificate: float, n_iter: int, converged: bool, marginal_error: float = 0.0,
    ) -> Plan:  # fmt: skip
        """The Plan in the cost's own units and the caller's kind of arrays, of things in units of C."""
        out = self.x
        return Plan(
            P=like(out, P), f=like(out, self.s * f), g=like(out, self.s * g), a=like(out, self.a), b=like(out, self.b),
            value=self.s * sum(parts.values()), parts={k: self.s * v for k, v in parts.items()}, certificate=certificate,
            cost_scale=self.unit, n_iter=n_iter, converged=converged, x=self.x, y=self.y, marginal_error=marginal_error,
        )  # fmt: skip

    def potentials(self, init: Any) -> tuple[Tensor, Tensor] | None:
        """Given potentials (f, g) in the cost's own units as multiples of s; None stays None."""
        n, m = self.C.shape
        return None if init is None else potentials_of(init, n, m, self.C.device, self.s)


def potentials_of(init: Any, n: int, m: int, device: torch.device, s: float) -> tuple[Tensor, Tensor]:
    """Given potentials (f, g) in the cost's own units, float64, as multiples of s."""
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise InputError(f"init must be a pair (f, g) of potentials, shapes ({n},) and ({m},); it is {type(init).__name__}.")
    f, g = (as_tensor(p, "init", ndim=1).double().to(device) / s for p in init)
    if len(f) != n or len(g) != m:
        raise InputError(f"init must be potentials (f, g) of shapes ({n},) and ({m},); they have ({len(f)},) and ({len(g)},).")
    return f, g


def setting(
    x: Any, y: Any, a: Any = None, b: Any = None, cost: str | Cost = "sqeuclidean", *, scale_cost: bool = True, most: int = MOST_PAIRS
) -> Setting:
    """The checked Setting of points x (n, d), y (m, d) with masses a (n,), b (m,); None is equal weights of total 1.

    Raises:
        InputError: bad points or weights, or more than `most` pairs.
    """
    X, Y = two_clouds(x, y)
    if len(X) * len(Y) > most:
        raise InputError(
            f"x and y make {len(X) * len(Y):.2g} pairs; at most {most:.2g} can be solved here. Give a subsample of the points."
        )
    A, B = masses(a, len(X), "a").to(X.device), masses(b, len(Y), "b").to(X.device)
    X64, Y64 = X.double(), Y.double().to(X.device)
    ground, s = make_cost(cost).unscaled()._fit(X64, Y64), 1.0
    if scale_cost and bool((X64[:1] != X64).any() | (Y64 != X64[:1]).any()):
        ground = ground.calibrated(X64, Y64, A, B)
        s = ground.scale
    C, unit = ground.matrix(X64, Y64), s
    if not scale_cost:  # solved in mean-cost units all the same: annealing, tolerance and certificate count on them
        mean = float(A / A.sum() @ C @ (B / B.sum()))
        s, unit = (mean, 1.0) if 1e-300 < mean < math.inf else (1.0, 1.0)
        C = C / s
    double = X.dtype == torch.float64 or Y.dtype == torch.float64
    return Setting(C, A, B, s, unit, double, x, y)


def positive(name: str, value: Any, remedy: str) -> float:
    """A positive finite number."""
    number = check_number(name, value)
    if not (number > 0 and math.isfinite(number)):
        raise InputError(f"{name} must be a positive number; it is {number:g}. {remedy}")
    return number


def sharp(eps: float, share: float = 1.0, *, name: str = "eps", remedy: str = "For a plan without entropy use exact or ipot.") -> float:
    """`eps` times `share`, the share of the mean cost that one unit of it is; InputError below `LEAST_EPS`."""
    if eps * share < LEAST_EPS:
        raise InputError(f"{name} must be at least {LEAST_EPS:g} of the mean cost; {eps:g} is {eps * share:.1g} of it. {remedy}")
    return eps * share


def check_calls(progress: Any, cancel: Any, scale_cost: Any = True) -> None:
    """Raises InputError where progress or cancel cannot be called, or scale_cost is no yes or no."""
    for name, given, how in (("progress", progress, "a share in [0, 1]"), ("cancel", cancel, "nothing")):
        if given is not None and not callable(given):
            raise InputError(f"{name} must be a function that takes {how}, or None; it is {type(given).__name__}.")
    if not isinstance(scale_cost, bool | np.bool_):
        raise InputError(
            f"scale_cost must be True or False; it is {type(scale_cost).__name__}. False takes eps and rho in the cost's units."
        )


def check_equal(a: Tensor, b: Tensor, who: str, remedy: str) -> None:
    """Raises InputError where the masses differ although both marginals are held."""
    A, B = float(a.sum()), float(b.sum())
    if abs(A - B) > 1e-6 * max(A, B):
        raise InputError(f"{who} holds both marginals but their masses differ ({A:g} and {B:g}): no plan exists. {remedy}")
