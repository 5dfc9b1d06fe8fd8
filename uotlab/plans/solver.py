"""Solver: a frozen model whose fields are its settings, called on weighted points for a Plan. One file = one solver.

A form, the command line and the docs are made of the fields; pages and tests iterate `SOLVERS` and never list names.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from uotlab.arrays import masses
from uotlab.costs import COSTS, Cost, make_cost
from uotlab.errors import InputError
from uotlab.parameters import Settings, check_count, make_model
from uotlab.plans.base import Plan
from uotlab.problem import Problem
from uotlab.registry import Registry

SOLVERS: Registry = Registry("solver", "uotlab.plans")
Progress = Callable[[float], None]  #: called now and then with the share done, in [0, 1]
Cancel = Callable[[], bool]  #: asked now and then; True ends the work with what there is (`converged` is False)


class Solver(Settings, ABC):
    """What every discrete solver has: a cost, and `plan`, which takes points and masses."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]  #: two sentences: what it solves, when to use it
    equation: ClassVar[str]  #: its objective in LaTeX
    reference: ClassVar[str]  #: key in assets/references.bib
    relaxed: ClassVar[bool]  #: whether it can let go of the marginals
    entropic: ClassVar[bool] = False  #: whether it has an eps
    most_pairs: ClassVar[int] = 2**24  #: n * m up to which it answers in reasonable time; the page offers it up to there
    order: ClassVar[int] = 100

    cost: str | None = Field(None, description="Ground cost; empty means the problem's own, squared Euclidean")
    cost_parameter: float | None = Field(None, gt=0, allow_inf_nan=False, description="Exponent p of `power`, length of `wfr`")

    @model_validator(mode="before")
    @classmethod
    def _names(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("cost") is not None:
            return {**values, "cost": COSTS[values["cost"]].name}
        return values

    @model_validator(mode="after")
    def _check_cost(self) -> "Solver":
        make_cost(self.cost, self.cost_parameter)
        return self

    @property
    def ground(self) -> Cost:
        """The unscaled ground cost."""
        return make_cost(self.cost, self.cost_parameter)

    @abstractmethod
    def plan(
        self, x: Any, y: Any, a: Any = None, b: Any = None, *,
        init: tuple[Any, Any] | None = None, progress: Progress | None = None, cancel: Cancel | None = None,
    ) -> Plan:  # fmt: skip
        """The Plan between points x (n, d) and y (m, d) with masses a (n,), b (m,); None is equal weights of total 1.

        Args:
            init: potentials (f, g) of an earlier plan, in the cost's own units; solvers without a warm start ignore them.
            progress, cancel: see `Progress` and `Cancel`; quick solvers ignore them.
        """


def plan(solver: str, problem: Problem, n: int | None = None, seed: int = 0, **settings: Any) -> Plan:
    """The plan of a problem's first two marginals: `uotlab.plan("sinkhorn", uotlab.load("moons-to-spiral"), n=500, rho1=1)`.

    Args:
        solver: a key of `uotlab.SOLVERS`; settings: its fields.
        n: points a side to take, drawn with `seed` where there are more; None takes all.

    Raises:
        InputError: unknown solver or setting, a value outside its rule, more points than fit.
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem must be a Problem, from uotlab.load or uotlab.Problem.from_arrays; it is {type(problem).__name__}.")
    if n is not None:
        check_count("n", n, least=1, most=10_000_000)
    check_count("seed", seed, least=0, most=2**31 - 1)
    if problem.cost is not None and settings.get("cost") is None and problem.cost.name in COSTS:
        settings["cost"] = problem.cost.name
    chosen = make_model(SOLVERS[solver], settings)
    (x, a), (y, b) = (points_of(problem, side, n, seed) for side in (0, 1))
    return chosen.plan(x, y, a, b)


def points_of(problem: Problem, side: int, n: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(points (n, d), masses (n,)) of one marginal, float64; of a seeded subsample of at most n points."""
    measure = problem.marginals[side] if n is None else problem.marginals[side].subsample(n, seed)
    weights = None if measure.weights is None else torch.from_numpy(np.asarray(measure.weights, dtype=np.float64))
    return measure.take(torch.arange(measure.n)).double(), masses(weights, measure.n, "weights")
