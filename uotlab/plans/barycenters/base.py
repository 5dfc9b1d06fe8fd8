"""Barycenter: a frozen model whose fields are a method's settings; one file of this package = one method.

    q = argmin_q  sum_k lam_k OT(p_k, q)

All measures share one cost scale s, the unit of eps, beta and rho: a scale each would change what the weights lam mean.
Reference: agueh2011barycenters; METHODS, Section 0.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from uotlab.costs import COSTS, make_cost
from uotlab.errors import InputError
from uotlab.parameters import Settings, make_model
from uotlab.plans.barycenters.given import Given, histograms
from uotlab.plans.barycenters.objective import objective
from uotlab.plans.barycenters.result import BarycenterResult, entropy, sharpness
from uotlab.plans.solver import Cancel, Progress
from uotlab.registry import Registry

BARYCENTERS: Registry = Registry("barycenter method", "uotlab.plans.barycenters")


@dataclass
class Found:
    """What a method hands back: q (n,), how it went, and where it has them its plans."""

    q: Tensor
    n_iter: int
    converged: bool
    errors: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    plans: list[np.ndarray] | None = None
    transport: float | None = None  #: <P, C> of its own plans in the cost's units, for methods that do not carry all mass
    carried: Tensor | None = None  #: first marginals (K, n) of the plans, for the same methods


class Barycenter(Settings, ABC):
    """What every method has: a ground cost, and `of`, which takes measures and weights."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]  #: two sentences: what it computes, when to use it
    equation: ClassVar[str]  #: its objective in LaTeX
    reference: ClassVar[str]  #: key in assets/references.bib
    takes: ClassVar[frozenset[str]] = frozenset({"densities", "images"})  #: of "densities", "images", "clouds"
    relaxed: ClassVar[bool] = False  #: whether it can let go of mass
    order: ClassVar[int] = 100

    @abstractmethod
    def of(
        self, measures: Any, weights: Any = None, support: Any = None, *,
        value: bool = True, progress: Progress | None = None, cancel: Cancel | None = None,
    ) -> BarycenterResult:  # fmt: skip
        """The barycenter of measures; see `barycenter`. With `value` False the exact objective is not computed."""


class FixedSupport(Barycenter):
    """A method for densities or images: checks and scores around `solve`."""

    cost: str = Field("sqeuclidean", description="Ground cost between points of the support")

    @model_validator(mode="before")
    @classmethod
    def _names(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("cost") is not None:
            return {**values, "cost": COSTS[values["cost"]].name}
        return values

    def of(
        self, measures: Any, weights: Any = None, support: Any = None, *,
        value: bool = True, progress: Progress | None = None, cancel: Cancel | None = None,
    ) -> BarycenterResult:  # fmt: skip
        started = time.perf_counter()
        given = histograms(measures, weights, support, make_cost(self.cost))
        if ("images" if given.shape is not None else "densities") not in self.takes:
            raise InputError(f"{self.name} takes {' or '.join(sorted(self.takes))}; it got an array of shape {tuple(given.p.shape)}.")
        if not self.relaxed:
            given.check_masses()
        found = self.solve(given, progress, cancel)
        if not bool(torch.isfinite(found.q).all()) or not float(found.q.sum()) > 0:
            raise InputError(f"{self.name} lost its numbers at these settings: raise eps or beta, or take its log-domain variant.")
        cost = found.transport if self.relaxed else objective(given, found.q, cancel) if value else float("nan")
        q, p, lam = found.q.numpy(), given.p.numpy(), given.weights.numpy()
        return BarycenterResult(
            self.name, given.support.numpy(), q, lam, float("nan") if cost is None else cost,
            "transport" if self.relaxed else "exact", entropy(q), sharpness(q, p, lam), np.asarray(found.errors),
            np.asarray(found.iterations), found.n_iter, found.converged, time.perf_counter() - started, given.scale,
            given.shape, found.plans, None if found.carried is None else found.carried.numpy(), self.model_dump(exclude_defaults=True),
        )  # fmt: skip

    @abstractmethod
    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        """The barycenter of checked measures."""


def barycenter(
    method: str, measures: Any, weights: Any = None, support: Any = None, *,
    value: bool = True, progress: Progress | None = None, cancel: Cancel | None = None, **settings: Any,
) -> BarycenterResult:  # fmt: skip
    """The barycenter of measures: `uotlab.barycenter("ipot", [p, q, r], weights=[0.5, 0.25, 0.25])`.

    Args:
        method: a key of `uotlab.BARYCENTERS`; settings: its fields. eps, beta and rho count in one common mean cost.
        measures: densities (K, n) on one support, images (K, h, w), or for "free-support" a list of clouds (n_k, d), each alone
            or with its masses as a pair. Masses are never normalised; methods that carry all of it need equal totals.
        weights: lam (K,), at least 0 with sum 1; None is equal ones.
        support: points of a density's entries, (n,) or (n, d); None is n even points of [0, 1]. Images lie on their pixels.
        value: whether to compute the exact objective, which takes longer than some methods.
        progress, cancel: see `uotlab.plans.solver`.

    Raises:
        InputError: unknown method or setting, bad measures or weights, masses that differ where all is carried.
    """
    chosen = make_model(BARYCENTERS[method], settings)
    return chosen.of(measures, weights, support, value=value, progress=progress, cancel=cancel)
