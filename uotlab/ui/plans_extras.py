"""What some pictures of the plans page need beyond the plan at hand: more plans of the same clouds, solved in the background."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.plans.base import Plan
from uotlab.plans.solver import SOLVERS
from uotlab.ui.plans_scene import Scene
from uotlab.ui.plans_spec import PlanSpec
from uotlab.views.plan import by_position, pooled
from uotlab.views.plan_parts import ratio, sketched
from uotlab.views.style import pick

Publish = Callable[..., None]  #: (arrays, names): show what is known so far
Stale = Callable[[], bool]  #: whether nobody wants it any more

RHOS = (math.inf, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
LINES = 150  #: source points whose strongest pair each panel of the strip shows
EPSILONS, BETA = (0.1, 0.01, 0.001), 0.1
STEPS = (10, 50, 200, 1000)  #: iterations whose plans are shown; the last is the longest curve
FEW = 300  #: points a side of the curves: seconds, not minutes
CELLS = 64  #: a side of a small heat map
DOTS = 1e-9  #: share of the largest entry from which an entry of the exact plan counts


@dataclass(frozen=True)
class Extra:
    """One picture's needs: `key` says of what they depend, `run` computes and publishes them."""

    name: str
    key: Callable[[PlanSpec], str]
    run: Callable[[PlanSpec, Scene, Plan, Publish, Stale], None]


def _without(spec: PlanSpec, *names: str) -> str:
    return spec.model_copy(update={"params": {k: v for k, v in spec.params.items() if k not in names}}).model_dump_json()


def _cost_only(spec: PlanSpec) -> str:
    return spec.model_copy(
        update={"solver": "", "params": {k: v for k, v in spec.params.items() if k.startswith("cost")}}
    ).model_dump_json()


def _done(share: float) -> np.ndarray:
    return np.full(1, share, np.float32)


# ---- balanced beside -------------------------------------------------------------------------------
def balanced(spec: PlanSpec, scene: Scene, plan: Plan, publish: Publish, stale: Stale) -> None:
    """The same problem with both marginals held."""
    publish({"balanced/progress": _done(0)})
    held = {name: math.inf for name in ("rho1", "rho2") if name in SOLVERS[spec.solver].model_fields}
    found = scene.solver(spec, **held).plan(scene.x, scene.y, scene.a, scene.b, cancel=stale) if held else plan
    if not stale():
        publish({"balanced/progress": _done(1), "balanced/P": found.P.float().numpy()})


# ---- the strip -------------------------------------------------------------------------------------
def strip(spec: PlanSpec, scene: Scene, plan: Plan, publish: Publish, stale: Stale) -> None:
    """Eight plans along rho, each from the potentials of the one before; a panel is drawn as soon as it is solved."""
    k = len(RHOS)
    rhos = list(RHOS)
    if abs(float(scene.a.sum() - scene.b.sum())) > 1e-6 * float(scene.a.sum()):
        rhos[0] = 100.0  # no balanced plan exists
    a, b = (w.float().numpy() for w in (scene.a, scene.b))
    lines = min(LINES, len(a))
    arrays = {
        "strip/rho": np.asarray(rhos, np.float32), "strip/mass": np.full(k, np.nan, np.float32),
        "strip/pairs": np.zeros((k, lines, 3), np.float32), "strip/source": np.ones((k, len(a)), np.float32),
        "strip/target": np.ones((k, len(b)), np.float32),
    }  # fmt: skip
    publish(arrays)
    start = None
    for i, rho in enumerate(rhos):
        found = scene.solver(spec, rho1=rho, rho2=rho).plan(scene.x, scene.y, scene.a, scene.b, init=start, cancel=stale)
        if stale():
            return
        start = (found.f, found.g) if bool(torch.isfinite(found.f).all() and torch.isfinite(found.g).all()) else None
        P = found.P.float().numpy()
        arrays = {name: values.copy() for name, values in arrays.items()}  # what is published stays as it is
        arrays["strip/mass"][i] = P.sum() / max(a.sum(), 1e-30)
        arrays["strip/pairs"][i] = sketched(P, lines)
        arrays["strip/source"][i], arrays["strip/target"][i] = ratio(P.sum(1), a), ratio(P.sum(0), b)
        publish(arrays)


# ---- iterations against the exact plan -------------------------------------------------------------
def convergence_curves(spec: PlanSpec, scene: Scene, plan: Plan, publish: Publish, stale: Stale) -> None:
    """Error and plans by iteration, of Sinkhorn at three eps and of IPOT, on at most 300 points a side."""
    from uotlab.plans.convergence import convergence
    from uotlab.plans.emd import optimal

    (x, a), (y, b) = fewer(scene.x, scene.a), fewer(scene.y, scene.b)
    count, due = 0, 0.0

    def step() -> bool:
        nonlocal count, due
        count += 1
        if time.monotonic() > due:
            due = time.monotonic() + 0.4
            done = _done(count / (STEPS[-1] * (len(EPSILONS) + 1)))
            publish({"convergence/progress": done, "sparsity/progress": done})
        return stale()

    step()
    C = scene.solver(spec).ground.unscaled().calibrated(x, y, a, b).matrix(x, y)
    curves = convergence(C, a, b, eps=EPSILONS, beta=BETA, iterations=STEPS[-1], keep=STEPS, cancel=step)
    if stale():
        return
    arrays = {"convergence/progress": _done(1), "sparsity/progress": _done(1), "convergence/points": np.full(1, len(x), np.float32)}
    longest = max(len(curve.iterations) for curve in curves.values())
    for part, name in (("at", "iterations"), ("error", "error")):
        table = np.zeros((len(curves), longest), np.float32)
        for k, curve in enumerate(curves.values()):
            values = np.asarray(getattr(curve, name), np.float32)
            table[k, : len(values)] = values
        arrays[f"convergence/{part}"] = table
    rows, columns = by_position(x.numpy()), by_position(y.numpy())

    def small(P: np.ndarray) -> np.ndarray:
        return pooled(P[rows][:, columns], CELLS)

    exact = small(optimal(C, a, b)[0].numpy())
    kept = [(name, t, P, curve) for name, curve in curves.items() for t, P in curve.plans.items()]
    arrays["sparsity/plans"] = np.stack([small(P) for _, _, P, _ in kept]).astype(np.float32)
    arrays["sparsity/exact"] = np.argwhere(exact > DOTS * exact.max()).astype(np.float32)
    titles = tuple(f"{name}, after {t}: {_pairs(curve, t):,} pairs" for name, t, _, curve in kept)
    publish(arrays, {"convergence": tuple(curves), "sparsity": titles})


def fewer(points: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """At most 300 points, evenly chosen, float64, with the mass of all."""
    held = torch.from_numpy(pick(len(points), FEW))
    return points[held].double(), mass[held] * (mass.sum() / mass[held].sum())


def _pairs(curve: Any, t: int) -> int:
    """Entries of the plan after t iterations that hold mass."""
    return int(curve.nonzeros[int(np.searchsorted(curve.iterations, t))])


_CURVES = Extra("convergence", _cost_only, convergence_curves)
EXTRAS: Mapping[str, Extra] = {
    "plan-compare": Extra("balanced", lambda spec: _without(spec, "rho1", "rho2"), balanced),
    "plan-strip": Extra("strip", lambda spec: _without(spec, "rho1", "rho2"), strip),
    "plan-convergence": _CURVES,
    "plan-sparsity": _CURVES,
}
