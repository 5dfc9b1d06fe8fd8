"""From a study to an outcome in one call, with what suits growth: the target held, the source relaxed."""

import math
from typing import Any

from uotlab.cells.outcome import Outcome
from uotlab.cells.study import Study
from uotlab.engine.fitted import Progress, fit
from uotlab.errors import InputError, did_you_mean
from uotlab.methods.base import METHODS
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

    Args:
        method: a key of `uotlab.METHODS`, or of `uotlab.SOLVERS` for a discrete plan between all cells.
        params: hyper-parameters, or settings of the solver.

    Raises:
        InputError: an unknown method, a bad parameter, or more cells than a discrete plan holds.
    """
    if method not in METHODS and method not in SOLVERS:
        raise InputError(f"There is no method named '{method}'. {did_you_mean(method, [*METHODS, *SOLVERS])}")
    solver = method not in METHODS
    params = growth_settings(SOLVERS[method] if solver else METHODS[method], params)
    if not solver:
        return Outcome.of(fit(method, study.problem(), steps, seed, device, progress, **params), study)
    pairs = len(study.source) * len(study.target)
    if pairs > MOST_PAIRS:
        raise InputError(
            f"A plan between {len(study.source)} and {len(study.target)} cells is too large to hold; take study.subsample(n), "
            "or a method that learns a map."
        )
    found = plan(method, study.problem(), **params)
    return Outcome.of_plan(found, study, {"method": method, "params": params, "seed": seed} | params)


def growth_settings(cls: Any, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with the target held and the source relaxed where nothing is said of either."""
    said = any(k in params for k in ("rho", "rho1", "rho2", "tau", "tau1", "tau2", "mass"))
    relaxed = cls.relaxed if isinstance(cls.relaxed, tuple) else (cls.relaxed, cls.relaxed)
    if said or not all(relaxed) or not {"rho1", "rho2"} <= set(cls.model_fields):
        return params
    eps = float(params.get("eps", EPS))
    return {"rho1": rho_from_tau("sinkhorn", TAU, eps=eps), "rho2": math.inf} | params
