"""Two clouds and the plan between them, as the plans page sees them: solving, float32 arrays for pictures, numbers for people."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.errors import InputError
from uotlab.parameters import make_model
from uotlab.plans.base import Plan
from uotlab.plans.solver import SOLVERS, Solver, points_of
from uotlab.problem import Problem
from uotlab.ui.plans_spec import PlanSpec
from uotlab.ui.sources import finite

Arrays = dict[str, np.ndarray]
Names = dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Scene:
    """Two clouds: float32 points x (n, d), y (m, d), masses a (n,), b (m,), the problem's own cost, and arrays for the pictures."""

    key: str
    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    cost: str | None
    arrays: Arrays
    names: Names

    def solver(self, spec: PlanSpec, **changed: Any) -> Solver:
        """The solver of a spec, with the data's own cost where none is chosen.

        Raises:
            InputError: settings that make no sense, or more points than this solver takes.
        """
        params: dict[str, Any] = {**spec.params, **changed}
        if self.cost is not None and params.get("cost") is None:
            params["cost"] = self.cost
        made = make_model(SOLVERS[spec.solver], params)
        if len(self.x) * len(self.y) > made.most_pairs:
            most = math.isqrt(made.most_pairs)
            raise InputError(
                f"{made.title} takes at most {most} points a side here; these are {len(self.x)}. Take fewer, or another solver."
            )
        return made


def make_scene(key: str, problem: Problem) -> Scene:
    """The clouds of a problem as tensors and as arrays for the pictures.

    Raises:
        InputError: more than two columns.
    """
    if problem.d > 2:
        raise InputError(f"This page shows points of one or two columns; these have {problem.d}. Set d to 1 or 2.")
    (x, a), (y, b) = (points_of(problem, side) for side in (0, 1))
    x, y = x.float(), y.float()  # float32 points, so that plans need the accuracy of a picture only
    arrays = {"x": x.numpy(), "y": y.numpy(), "a": a.float().numpy(), "b": b.float().numpy()}
    cost = problem.cost.name if problem.cost is not None else None
    return Scene(key, x, y, a, b, cost, arrays, {})


def solve(spec: PlanSpec, scene: Scene, before: Plan | None, cancel: Callable[[], bool] = lambda: False) -> tuple[Plan, float]:
    """The plan and its seconds, from the potentials of the plan before where there is one.

    Raises:
        InputError: settings that make no sense, or too many points for this solver.
    """
    solver, start, begin = scene.solver(spec), None, time.perf_counter()
    if before is not None and all(p is not None and bool(torch.isfinite(p).all()) for p in (before.f, before.g)):
        start = (before.f, before.g)
    plan = _plan(solver, scene, start, cancel)
    if start is not None and not (plan.converged or cancel()):  # a start that was too far away
        plan = _plan(solver, scene, None, cancel)
    if not math.isfinite(plan.value):
        raise InputError("No finite plan was found for these values. Choose a larger ε.")
    return plan, time.perf_counter() - begin


def _plan(solver: Solver, scene: Scene, start: Any, cancel: Any) -> Plan:
    found = solver.plan(scene.x, scene.y, scene.a, scene.b, init=start, cancel=cancel)
    return Plan(**{f.name: getattr(found, f.name) for f in fields(Plan)})  # with its matrix, also where the solver keeps none


def warm(before: PlanSpec, now: PlanSpec) -> bool:
    """Whether the potentials of one help the other: the same clouds, solver and cost."""
    alike = [(s.solver, s.cloud, s.params.get("cost"), s.params.get("cost_parameter")) for s in (before, now)]
    return alike[0] == alike[1]


def arrays_of_plan(plan: Plan) -> Arrays:
    """float32 arrays of the pictures: P, and f, g where the solver has them."""
    found = {"P": plan.P.float().numpy()}
    for name, potential in (("f", plan.f), ("g", plan.g)):
        if potential is not None and bool(torch.isfinite(potential).all()):
            found[name] = potential.float().numpy()
    return found


def numbers_of(plan: Plan, scene: Scene) -> dict[str, float | None]:
    """Mass moved, destroyed and made on each side, cost, value with its parts, certificate and iterations."""
    a, b = scene.a, scene.b
    r, c = plan.P.sum(1).double(), plan.P.sum(0).double()
    total1, total2 = max(float(a.sum()), 1e-300), max(float(b.sum()), 1e-300)
    numbers: dict[str, Any] = {
        "mass": plan.mass, "source": float(a.sum()), "target": float(b.sum()), "share": plan.mass / total1, "share2": plan.mass / total2,
        "destroyed1": float((a - r).clamp(min=0).sum()) / total1, "created1": float((r - a).clamp(min=0).sum()) / total1,
        "destroyed2": float((c - b).clamp(min=0).sum()) / total2, "created2": float((b - c).clamp(min=0).sum()) / total2,
        "value": plan.value, "certificate": plan.certificate, "n_iter": plan.n_iter, "scale": plan.cost_scale,
    }  # fmt: skip
    numbers |= {f"part.{name}": value for name, value in plan.parts.items()}
    return {name: finite(value) for name, value in numbers.items()}


def unfinished(plan: Plan) -> str:
    """What it means that the solver stopped early."""
    return (
        f"The solver stopped after {plan.n_iter:,} iterations; its value is proven to {plan.certificate:.1%} only. "
        "A larger ε, a smaller ρ or more iterations bring it nearer."
    )
