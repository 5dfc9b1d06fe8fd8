"""Outcome: what a trained method, or a discrete plan, says about every source cell of a study."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from uotlab.cells.study import Study
from uotlab.engine.fitted import Fitted
from uotlab.errors import InputError
from uotlab.plans.base import Plan

HIGH = 90.0  #: percentile of growth above which a cell counts as growing
ALIKE = 1e-5  #: spread of growth that is rounding


@dataclass(frozen=True, eq=False)
class Outcome:
    """Images, scaling and mass, in the order of `study.source`.

    Args:
        study: the cells.
        mapped: (n, d) float32, T(x).
        scaling: (n,) xi = d pi_1/d mu as the method gives it; None where the method keeps every cell.
        target_scaling: (m,) d pi_2/d nu, or None.
        mass: transported mass, as a share of the source's.
        plan: (n, m) coupling where there is one.
        settings: method, hyper-parameters, seed and steps: plain values.
        history: named losses over steps.
    """

    study: Study
    mapped: np.ndarray
    scaling: np.ndarray | None = None
    target_scaling: np.ndarray | None = None
    mass: float = 1.0
    plan: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, d = self.study.x.shape
        if self.mapped.shape != (n, d):
            raise InputError(f"mapped must have shape ({n}, {d}), one image a source cell; it has shape {self.mapped.shape}.")
        if self.scaling is not None and self.scaling.shape != (n,):
            raise InputError(f"scaling must have one value a source cell, ({n},); it has shape {self.scaling.shape}.")

    @classmethod
    def of(cls, fitted: Fitted, study: Study) -> "Outcome":
        """What a fit says about all source cells of a study (the fit's own, or one in the same space)."""
        scaling, target_scaling = None, None
        if hasattr(fitted.method, "scaling"):
            scaling = np.asarray(fitted.scaling(study.x), dtype=np.float64)
        if hasattr(fitted.method, "target_scaling"):
            target_scaling = np.asarray(fitted.target_scaling(study.y), dtype=np.float64)
        penalty = getattr(fitted.state, "penalty", None)
        settings = {
            "method": fitted.method.name,
            "params": fitted.method.model_dump(),
            "seed": fitted.spec.seed,
            "steps": fitted.state.step,
        }
        settings |= {k: float(getattr(penalty, k)) for k in ("rho1", "rho2") if penalty is not None}
        if hasattr(fitted.method, "eps"):
            settings["eps"] = float(fitted.method.eps)
        mass = 1.0 if scaling is None else float(scaling.mean())
        return cls(study, fitted.transport(study.x), scaling, target_scaling, mass, None, settings, fitted.history)

    @classmethod
    def of_plan(cls, plan: Plan, study: Study, settings: Mapping[str, Any] | None = None) -> "Outcome":
        """What a discrete plan between all source and target cells of a study says."""
        mapped = np.asarray(plan.barycentric_map(), dtype=np.float32)
        mapped = np.where(np.isfinite(mapped), mapped, study.x)  # a cell without mass goes nowhere
        coupling = np.asarray(plan.P)
        mass = float(plan.mass) / float(np.asarray(plan.a).sum())
        scaling = np.asarray(plan.scaling(), dtype=np.float64)
        known = {"method": "plan"} | dict(settings or {})
        return cls(study, mapped, scaling, np.asarray(plan.target_scaling(), dtype=np.float64), mass, coupling, known)

    @cached_property
    def growth(self) -> np.ndarray:
        """(n,) scaling with mean 1 over the source cells; ones for a method that keeps every cell."""
        if self.scaling is None:
            return np.ones(len(self.study.source))
        return self.scaling / max(float(self.scaling.mean()), 1e-300)

    @property
    def alike(self) -> bool:
        """Whether all cells grow alike but for rounding, as they do where the source is held."""
        return bool(np.ptp(self.growth) <= ALIKE)

    @property
    def velocity(self) -> np.ndarray:
        """(n, d) T(x) - x."""
        return self.mapped - self.study.x

    def high(self, percentile: float = HIGH) -> np.ndarray:
        """(n,) bool: cells whose growth lies above the percentile of the source.

        Raises:
            InputError: the percentile is not between 0 and 100, or all cells grow alike.
        """
        if not 0 < percentile < 100:
            raise InputError(f"percentile must lie between 0 and 100; it is {percentile:g}.")
        chosen = self.growth > np.percentile(self.growth, percentile)
        if self.alike or not chosen.any():
            raise InputError(
                "All cells grow alike here, so that none grows more than the rest. Take a method with a scaling, and a finite rho."
            )
        return chosen
