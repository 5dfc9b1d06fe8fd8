"""From a trained method to an Evaluation: which points are scored, and what the method makes of them."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from uotlab.engine.asking import chunked, undisturbed
from uotlab.methods.base import HasPath, HasScaling, HasTargetScaling, Method, State
from uotlab.metrics.base import Evaluation
from uotlab.problem import Draw, Measure, Problem

PATHS = 500  #: trajectories that metrics see
PATH_TIMES = 11


def first_label(labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The label column that is shown by default, (n,)."""
    return next(iter(labels.values()), None)


def fresh_draws(problem: Problem, n: int, seed: int) -> tuple[Draw, Draw]:
    """n fresh points a side, of a problem that can draw them."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (m.fresh(n, rng) for m in problem.marginals[:2])
    return x, y


def held_draws(problem: Problem, n: int, seed: int) -> tuple[Draw, Draw]:
    """At most n points a side of the problem's own: all or a seeded subset without repeats, or drawn by their weights."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (_held(m, n, rng) for m in problem.marginals[:2])
    return x, y


def _held(measure: Measure, n: int, rng: torch.Generator) -> Draw:
    weighted = measure.weights is not None and bool((measure.weights != measure.weights[0]).any())
    if weighted or measure.n > 50 * n:
        return measure.sample_labelled(min(n, measure.n), rng)
    rows = torch.arange(measure.n) if measure.n <= n else torch.randperm(measure.n, generator=rng)[:n].sort().values
    return Draw(measure.take(rows), {k: np.asarray(v)[rows.numpy()] for k, v in measure.labels.items()})


def evaluation(method: Method, state: State, x: Draw, y: Draw, *, seed: int = 0, path: bool = True) -> Evaluation:
    """What the method makes of the points, on the CPU, for the metrics to look at."""
    device, problem = state.device, state.problem
    xi: Tensor | None = None
    zeta: Tensor | None = None
    trajectories: Tensor | None = None
    with undisturbed(state, seed):
        Tx = chunked(lambda p: method.transport(state, p), x.points, device)
        if isinstance(method, HasScaling):
            xi = chunked(lambda p: method.scaling(state, p), x.points, device)
        if isinstance(method, HasTargetScaling):
            zeta = chunked(lambda p: method.target_scaling(state, p), y.points, device)
        if path and isinstance(method, HasPath):
            ts = torch.linspace(0, 1, PATH_TIMES, device=device)
            trajectories = method.path(state, x.points[:PATHS].to(device), ts).detach().cpu()
    return Evaluation(
        x=x.points,
        y=y.points,
        Tx=Tx,
        xi=xi,
        zeta=zeta,
        masses=(problem.source.mass, problem.target.mass),
        cost=state.cost,
        penalty=state.penalty,
        x_labels=first_label(x.labels),
        y_labels=first_label(y.labels),
        truth=problem.truth,
        kind=problem.kind,
        rng=torch.Generator().manual_seed(seed),
        path=trajectories,
    )
