"""References of runs: asked for without waiting, found in memory, on disk, or by the background thread.

Files are `references/<key>.npz` in the store's folder, without pickle; the key is a hash of all that the answer depends on.
"""

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.costs import SquaredEuclidean
from uotlab.engine.background import background
from uotlab.engine.files import write_whole
from uotlab.errors import InputError
from uotlab.methods.base import HasBarycenter, Method, State
from uotlab.metrics.barycenter_optimum import EPS as EPS_JOINT
from uotlab.metrics.barycenter_optimum import MOST_POINTS, UNABLE, BarycenterQuestion, barycenter_optimum
from uotlab.metrics.reference import EPS, EPS_ANY, MOST, MOST_ANY, TOL, TOL_ANY, Question, Reference, closed_form, discrete
from uotlab.paths import store_dir
from uotlab.problem import Measure, Problem

FORMAT = 1  #: of what a reference is and how it is computed: another number makes them anew
KEPT, FILES = 6, 200  #: references in memory, and files in the folder
LEAST_DRAWN = 1000  #: points a side where the law is known, however few the problem has
SEED = 20_000  #: of the points: no run and no evaluation draws the same
ARRAYS = ("Tx", "xi", "zeta", "f", "g")
COMPUTING = "The reference is being computed; errors against it follow."

_held: "OrderedDict[str, Reference]" = OrderedDict()
_computing = threading.Lock()  #: one reference at a time: runs of one problem wait for the first one's


class Request:
    """A reference that was asked for: `reference` once there is one, till then, or for good, `waiting` says why not."""

    def __init__(self) -> None:
        self.reference: Reference | None = None
        self.waiting = COMPUTING

    def fill(self, make: Callable[[], Reference]) -> "Request":
        try:
            self.reference = make()
            self.waiting = ""
        except InputError as error:
            self.waiting = f"No reference: {error}"
        except Exception as error:
            self.waiting = f"No reference: it could not be computed ({type(error).__name__}: {error})."
        return self


def ask(method: Method, state: State, problem: Problem) -> Request:
    """The reference of a run, soon: `Request.reference` is set by the background thread."""
    request = Request()

    def work() -> None:
        request.fill(lambda: reference(question(method, state, problem)))

    background().submit(work, urgent=True)
    return request


def find(method: Method, state: State, problem: Problem) -> Request:
    """The reference of a run, here and now."""
    return Request().fill(lambda: reference(question(method, state, problem)))


def question(method: Method, state: State, problem: Problem) -> Question | BarycenterQuestion:
    """The problem that a run's map should solve, at up to 4000 points a side: fresh ones where the law is known.

    Raises:
        InputError: there is no such discrete problem.
    """
    if problem.space is not None:
        raise InputError("it is not available for these costs, of which each marginal has its own, to a space without a list of points.")
    penalty = method.settled(state)
    if penalty is None and isinstance(method, HasBarycenter):
        return barycenter_question(method, state, problem)
    if penalty is None or len(problem.marginals) != 2:
        raise InputError(f"{method.name} with these settings solves a problem that no discrete solver here knows.")
    divergences = (method.psi(1).name, method.psi(2).name)
    asked = Question(*(torch.zeros(1, 1),) * 2, *(torch.ones(1),) * 2, state.cost, divergences, penalty, problem.truth)
    most = MOST if asked.plain else MOST_ANY
    (x, a), (y, b) = (_points(m, side, most) for side, m in enumerate(problem.marginals))
    n, m = (marginal.n for marginal in problem.marginals)
    return Question(x, y, a, b, state.cost, divergences, penalty, problem.truth, (n, m))


def barycenter_question(method: HasBarycenter, state: State, problem: Problem) -> BarycenterQuestion:
    """The problem of a barycenter that needs a plan of all marginals at once.

    Raises:
        InputError: it is out of reach.
    """
    K, sides = len(problem.marginals), method.barycenter_sides(state)
    if not isinstance(state.cost, SquaredEuclidean):
        raise InputError("where matched points meet is known for the squared Euclidean cost only; choose it for an error against a plan.")
    if K not in MOST_POINTS:
        raise InputError(f"a plan of all {K} marginals at once has n^{K} entries, too many at any n that tells errors from sampling.")
    if unable := [name for name, rho, _ in sides if name in UNABLE and math.isfinite(rho)]:
        raise InputError(
            f"the divergence {unable[0]} does not say who takes part at a mass of 1; choose another for an error against a plan."
        )
    drawn = [_points(m, side, MOST_POINTS[K]) for side, m in enumerate(problem.marginals)]
    masses = tuple(a * (share / float(a.sum())) for (_, a), (_, _, share) in zip(drawn, sides, strict=True))
    names, rho = tuple(name for name, _, _ in sides), tuple(rho for _, rho, _ in sides)
    return BarycenterQuestion(
        tuple(x for x, _ in drawn), masses, state.cost, names, rho, tuple(method.barycenter_weights(state).double().tolist())
    )


def _points(measure: Measure, side: int, most: int) -> tuple[Tensor, Tensor]:
    """(points (n, d), masses (n,)) of one marginal, float64, in random order."""
    rng = torch.Generator().manual_seed(SEED + side)
    if measure.sampler is not None:
        x = measure.fresh(min(most, max(measure.n, LEAST_DRAWN)), rng).points.double()
        return x, x.new_full((len(x),), measure.mass / len(x))
    few = measure.subsample(most)
    order = torch.randperm(few.n, generator=rng)
    x = few.take(order).double()
    if few.weights is None:
        return x, x.new_full((len(x),), measure.mass / len(x))
    a = torch.from_numpy(np.asarray(few.weights, dtype=np.float64))[order]
    return x[a > 0], a[a > 0]


def reference(q: Question | BarycenterQuestion) -> Reference:
    """The closed form, or the discrete optimum: from memory, from disk, or computed and kept in both."""
    exact = closed_form(q) if isinstance(q, Question) else None
    if exact is not None:
        return exact
    key = key_of(q)
    path = folder() / f"{key}.npz"
    with _computing:
        found = _held.get(key) or load(path, q)
        if found is None:
            solve: Any = discrete if isinstance(q, Question) else barycenter_optimum
            found = solve(q, background().ending)
            if not background().ending():
                save(path, found)
        _held[key] = found
        _held.move_to_end(key)
        while len(_held) > KEPT:
            _held.popitem(last=False)
    return found


# ---- files ---------------------------------------------------------------------------------------
def folder() -> Path:
    """Where references lie."""
    return store_dir() / "references"


def key_of(q: Question | BarycenterQuestion) -> str:
    """A hash of all that the answer depends on; of the cost its name, its numbers and its values at a few pairs."""
    numbers = {f.name: v for f in fields(q.cost) if isinstance(v := getattr(q.cost, f.name), float | int | str | bool | None)}
    words = [FORMAT, q.cost.name, sorted(numbers.items()), q.divergences, q.rho, EPS, EPS_ANY, TOL, TOL_ANY]
    parts = [q.x, q.y, q.a, q.b, q.cost.matrix(q.x[:16], q.y[:16])]
    if isinstance(q, BarycenterQuestion):
        words += [q.lam, EPS_JOINT, MOST_POINTS]
        parts += [*q.points[2:], *q.masses[2:]]
    found = hashlib.sha256(repr(words).encode())
    for part in parts:
        found.update(repr(tuple(part.shape)).encode())
        found.update(np.ascontiguousarray(part.detach().cpu().numpy()).tobytes())
    return found.hexdigest()[:40]


def save(path: Path, found: Reference) -> None:
    """Write a discrete reference; a folder that cannot be written costs only the time to compute it again."""
    arrays: dict[str, Any] = {name: getattr(found, name).numpy() for name in ARRAYS}
    arrays |= {"numbers": np.array([found.mass, found.value, *found.divergences, found.certificate])}
    arrays |= {"noise": np.array(list(found.noise.values())), "noise_names": np.array(list(found.noise), dtype="U16")}
    try:
        write_whole(path, lambda file: np.savez(file, **arrays))
        old = sorted(path.parent.glob("*.npz"), key=lambda p: p.stat().st_mtime)
        for gone in old[: max(0, len(old) - FILES)]:
            gone.unlink(missing_ok=True)
    except OSError:
        pass


def load(path: Path, q: Question | BarycenterQuestion) -> Reference | None:
    """What `save` wrote, or None where there is no such file or it is damaged."""
    try:
        with open(path, "rb") as whole, np.load(whole, allow_pickle=False) as file:
            parts = {name: file[name] for name in (*ARRAYS, "numbers", "noise", "noise_names")}
        n, m, d = len(q.x), len(q.y), q.x.shape[1]
        shapes = {"Tx": (n, d), "xi": (n,), "zeta": (m,), "f": (n,), "g": (m,), "numbers": (5,)}
        if any(parts[name].shape != shape for name, shape in shapes.items()):
            return None
        mass, value, one, two, certificate = map(float, parts["numbers"])
        noise = {str(k): float(v) for k, v in zip(parts["noise_names"], parts["noise"], strict=True)}
        arrays = {name: torch.from_numpy(parts[name]) for name in ARRAYS}
        return Reference(
            q.x.float(), q.y.float(), q.a, q.b, **arrays, mass=mass, value=value, divergences=(one, two), exact=False,
            certificate=certificate, noise=noise,
        )  # fmt: skip
    except Exception:  # whatever a damaged file makes the reader stumble over: it is computed again
        return None
