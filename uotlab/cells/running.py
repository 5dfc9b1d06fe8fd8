"""From a study to an outcome in one call, with what suits growth: the target held, the source relaxed."""

import math
from collections.abc import Mapping
from typing import Any

from uotlab.cells.outcome import Outcome
from uotlab.cells.study import Study
from uotlab.engine.fitted import Progress, fit
from uotlab.errors import InputError, did_you_mean
from uotlab.methods.base import METHODS
from uotlab.parameters import make_model
from uotlab.penalty import EPS, rho_from_tau
from uotlab.plans.solver import SOLVERS, plan

TAU = 0.95  #: of the source, Sinkhorn's exponent rho / (rho + eps) at eps = .05
MOST_PAIRS = 2**26  #: entries of a discrete plan that is held whole


def run(
    study: Study,
    method: str = "uotm",
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool | Progress | None = None,
    **params: Any,
) -> Outcome:
    """Train a method, or solve the discrete problem, and say what it means for every source cell.

    Scaling reads as growth only where the target is held: unless `params` say otherwise, rho2 is infinite and rho1 that of tau = .95.
    With a held target some methods settle only with settings of their own (`Method.held_target`), which are taken where `steps` and
    `params` do not say otherwise.

    Args:
        method: a key of `uotlab.METHODS`, or of `uotlab.SOLVERS` for a discrete plan between all cells.
        steps: of training; None is the method's own number.
        params: hyper-parameters, or settings of the solver.

    Raises:
        InputError: an unknown method, a bad parameter, or more cells than a discrete plan holds.
    """
    if method not in METHODS and method not in SOLVERS:
        raise InputError(f"There is no method named '{method}'. {did_you_mean(method, [*METHODS, *SOLVERS])}")
    solver = method not in METHODS
    params = growth_settings(SOLVERS[method] if solver else METHODS[method], params)
    if not solver:
        own = params.pop("steps", None)
        steps = own if steps is None else steps
        return Outcome.of(fit(method, study.problem(), steps, seed, device, progress, **params), study)
    pairs = len(study.source) * len(study.target)
    if pairs > MOST_PAIRS:
        raise InputError(
            f"A plan between {len(study.source)} and {len(study.target)} cells is too large to hold; take study.subsample(n), "
            "or a method that learns a map."
        )
    found = plan(method, study.problem(), **params)
    return Outcome.of_plan(found, study, {"method": method, "params": params, "seed": seed} | params)


def growth_settings(cls: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with the target held and the source relaxed where nothing is said of either, and what a held target asks for.

    "steps" is among them where the method names its own for a held target.
    """
    said = any(k in params for k in ("rho", "rho1", "rho2", "tau", "tau1", "tau2", "mass"))
    found = dict(params)
    if not said and relaxes_both(cls) and {"rho1", "rho2"} <= set(cls.model_fields):
        found = {"rho1": rho_from_tau("sinkhorn", TAU, eps=float(params.get("eps", EPS))), "rho2": math.inf} | found
    return held_settings(cls, found) | found


def held_settings(cls: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a method's `held_target` adds to the parameters; nothing unless they hold the target and relax the source.

    Raises:
        InputError: a bad parameter.
    """
    own = getattr(cls, "held_target", {})
    if not own:
        return {}
    penalty = make_model(cls, {k: v for k, v in params.items() if k != "steps"}).penalty_at(1.0)
    if not (math.isinf(penalty.rho2) and math.isfinite(penalty.rho1)):
        return {}
    fields = cls.model_fields
    return {k: v for k, v in own.items() if k not in params and not (k in fields and fields[k].default == v)}


def relaxes_both(cls: Any) -> bool:
    """Whether a method or a solver can relax the source and the target."""
    return all(cls.relaxed) if isinstance(cls.relaxed, tuple) else bool(cls.relaxed)
