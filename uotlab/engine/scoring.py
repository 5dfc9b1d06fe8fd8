"""From a trained method to an Evaluation: which points are scored, and what the method makes of them."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from uotlab.engine.asking import chunked, undisturbed
from uotlab.engine.begin import Run
from uotlab.engine.references import Request
from uotlab.methods.base import HasBarycenter, HasJoint, HasPath, HasPotential, HasScaling, HasTargetScaling, Method, State
from uotlab.metrics.base import Answers, Barycenter, Evaluation, Scores, evaluate
from uotlab.metrics.reference import Reference
from uotlab.problem import Draw, Measure, Problem

PATHS = 500  #: trajectories that metrics see
PATH_TIMES = 11


def first_label(labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The label column that is shown by default, (n,)."""
    return next(iter(labels.values()), None)


def fresh_draws(problem: Problem, n: int, seed: int) -> list[Draw]:
    """n fresh points of each marginal, of a problem that can draw them."""
    rng = torch.Generator().manual_seed(seed)
    return [m.fresh(n, rng) for m in problem.marginals]


def held_draws(problem: Problem, n: int, seed: int) -> list[Draw]:
    """At most n points of each of the problem's marginals: all or a seeded subset without repeats, or drawn by their weights."""
    rng = torch.Generator().manual_seed(seed)
    return [_held(m, n, rng) for m in problem.marginals]


def _held(measure: Measure, n: int, rng: torch.Generator) -> Draw:
    weighted = measure.weights is not None and bool((measure.weights != measure.weights[0]).any())
    if weighted or measure.n > 50 * n:
        return measure.sample_labelled(min(n, measure.n), rng)
    rows = torch.arange(measure.n) if measure.n <= n else torch.randperm(measure.n, generator=rng)[:n].sort().values
    return Draw(measure.take(rows), {k: np.asarray(v)[rows.numpy()] for k, v in measure.labels.items()})


def evaluation(
    method: Method, state: State, draws: Sequence[Draw], *, seed: int = 0, path: bool = True, request: Request | None = None,
    most: int | None = None,
) -> Evaluation:  # fmt: skip
    """What the method makes of the points, on the CPU, for the metrics to look at.

    Args:
        draws: points of each marginal.
        path: whether to follow the trajectories of flows.
        request: of a reference, whose first `most` points (None: all) the method is asked for too.
    """
    device, problem = state.device, state.problem
    x, y = draws[:2]
    xi: Tensor | None = None
    zeta: Tensor | None = None
    trajectories: Tensor | None = None
    pairs: tuple[Tensor, ...] | None = None
    answers: Answers | None = None
    reference = None if request is None else request.reference
    with undisturbed(state, seed):
        Tx = chunked(lambda p: method.transport(state, p), x.points, device)
        if isinstance(method, HasScaling):
            xi = chunked(lambda p: method.scaling(state, p), x.points, device)
        if isinstance(method, HasTargetScaling):
            zeta = chunked(lambda p: method.target_scaling(state, p), y.points, device)
        if path and isinstance(method, HasPath):
            ts = torch.linspace(0, 1, PATH_TIMES, device=device)
            trajectories = method.path(state, x.points[:PATHS].to(device), ts).detach().cpu()
        if isinstance(method, HasJoint):
            pairs = tuple(p.cpu() for p in method.sample_pairs(state, 4 * len(x.points)))
        barycenter = _barycenter(method, state, draws) if isinstance(method, HasBarycenter) else None
        if reference is not None:
            reference = reference if most is None else reference.head(most)
            answers = _answers(method, state, reference)
    settled = method.settled(state)
    return Evaluation(
        x=x.points,
        y=y.points,
        Tx=Tx,
        xi=xi,
        zeta=zeta,
        masses=(problem.source.mass, problem.target.mass),
        cost=state.cost,
        penalty=state.penalty if settled is None else settled,
        x_labels=first_label(x.labels),
        y_labels=first_label(y.labels),
        truth=problem.truth,
        kind=problem.kind,
        rng=torch.Generator().manual_seed(seed),
        path=trajectories,
        pairs=pairs,
        divergences=(method.psi(1).name, method.psi(2).name),
        reference=reference,
        answers=answers,
        barycenter=barycenter,
        waiting="" if request is None else request.waiting,
    )


def _barycenter(method: HasBarycenter, state: State, draws: Sequence[Draw]) -> Barycenter:
    """What the method makes of points of all marginals."""
    device, points = state.device, [draw.points for draw in draws]
    images = [chunked(partial(method.barycenter_map, state, k), x, device) for k, x in enumerate(points)]
    taken = [chunked(partial(method.acceptance, state, k), x, device) for k, x in enumerate(points)]
    residual = chunked(partial(method.congruence, state), torch.cat(images), device)
    labels = tuple(first_label(draw.labels) for draw in draws)
    lam, balanced = method.barycenter_weights(state).cpu(), all(bool((w == w[0]).all()) for w in taken)
    return Barycenter(lam, tuple(points), tuple(images), tuple(taken), labels, residual, balanced)


def _answers(method: Method, state: State, reference: Reference) -> Answers:
    """What the method makes of the reference's points."""
    device, x, y = state.device, reference.x, reference.y
    found: dict[str, Tensor] = {"Tx": chunked(lambda p: method.transport(state, p), x, device)}
    if isinstance(method, HasScaling):
        found["xi"] = chunked(lambda p: method.scaling(state, p), x, device)
    if isinstance(method, HasTargetScaling):
        found["zeta"] = chunked(lambda p: method.target_scaling(state, p), y, device)
    if isinstance(method, HasPotential):
        found["g_Tx"], found["g_y"] = (chunked(lambda p: method.potential(state, p), z, device) for z in (found["Tx"], y))
    return Answers(**found)


def score(run: Run, n: int, seed: int, request: Request | None = None) -> tuple[Scores, str]:
    """All metrics on fresh draws where the problem can draw them, else on held-out points; and a sentence on which points those were.

    Beside the metrics: "n" and "m", the numbers of source and target points, and "fresh", 1 for fresh draws and 0 otherwise.
    """
    if run.problem.samplable:
        draws = fresh_draws(run.problem, n, seed)
        where = "fresh draws"
    else:
        draws = held_draws(run.test, n, seed)
        where = "held-out points" if run.test is not run.train else "points it was trained on, since none could be held out,"
    scores = evaluate(evaluation(run.method, run.state, draws, seed=seed, request=request))
    x, y = draws[:2]
    scores |= {"n": float(len(x.points)), "m": float(len(y.points)), "fresh": float(run.problem.samplable)}
    return scores, f"Evaluated on {len(x.points)} source and {len(y.points)} target {where} (seed {seed})."
