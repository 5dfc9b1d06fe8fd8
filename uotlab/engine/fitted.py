"""fit: train a method on a problem, here and now. Fitted: the result, to be asked, scored, saved and loaded."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.arrays import as_tensor, like
from uotlab.costs import Cost, make_cost
from uotlab.engine.asking import chunked, is_stochastic, require, undisturbed
from uotlab.engine.begin import Run, begin, make_method, pick_device, threads_for
from uotlab.engine.files import load_tensors, save_tensors
from uotlab.engine.history import History
from uotlab.engine.loop import train
from uotlab.engine.portable import packed_problem, unpacked_problem
from uotlab.engine.references import find
from uotlab.engine.scoring import evaluation, held_draws, score
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError, short
from uotlab.methods.base import Method
from uotlab.metrics.base import evaluate
from uotlab.parameters import check_count, make_model
from uotlab.problem import Problem
from uotlab.resampling import rejection, systematic

Progress = Callable[[int, int, Mapping[str, float]], None]
FORMAT = 1
LIVE_POINTS = 1000
PATH_CHUNK = 2048


def fit(
    method: str | Method,
    problem: Problem,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool | Progress | None = None,
    *,
    cost: str | Cost | None = None,
    **params: Any,
) -> "Fitted":
    """Train a method on a problem: `fit("uotm", p, steps=2000, tau=0.1, divergence="kl")`.

    Equal arguments on the same device give equal numbers. Where the problem cannot draw fresh points, a seeded 20% is
    held out before training, for `evaluate`.

    Args:
        method: a key of `uotlab.METHODS`, or a made Method.
        problem: what to match with what.
        steps: training steps; None is the method's default.
        seed: of the networks, the batches and the hold-out.
        device: "auto" (cuda, then mps, then cpu), "cpu", "cuda", "cuda:1", "mps".
        progress: True prints a line with the time left; or called as progress(step, steps, losses) about ten times a second.
        cost: a name or a Cost object, instead of the problem's own.
        params: hyper-parameters of the method.

    Raises:
        InputError: one sentence on what is wrong with an argument.
        NotFinite: a loss or a parameter became NaN or infinite.
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"problem must be a Problem, from uotlab.load(name) or uotlab.Problem.from_arrays(x, y); it is {type(problem).__name__}."
        )
    if isinstance(cost, Cost):
        problem = replace(problem, cost=cost)
        params |= _named_cost(cost)
    elif cost is not None:
        params["cost"] = cost
    made = make_method(method, params)
    steps = made.default_steps if steps is None else check_count("steps", steps, least=1, most=100_000_000)
    seed = check_count("seed", seed, least=0, most=2**31 - 1)
    spec = _spec(made, problem, steps, seed, device)
    with threads_for(pick_device(device)):
        run = begin(spec, made, problem)
        history = History()
        report = _ProgressLine(made.name, steps) if progress is True else progress or None
        publish = None if report is None else lambda step, losses, still: report(step, steps, losses)
        train(made, run.state, steps, publish=publish, history=history)
        history_end = history.last()
        draws = held_draws(run.train, LIVE_POINTS, seed=0)
        live = evaluate(evaluation(made, run.state, draws, path=False), "live")
    return Fitted(run, history, {**history_end, **live})


class Fitted:
    """A trained method. Arrays in, the same kind of arrays out: numpy of either float type, or torch on any device.

    Args:
        run: method, problem and State.
        record: the losses over steps.
        metrics: the last losses, and the cheap metrics on training points.
    """

    def __init__(self, run: Run, record: History, metrics: Mapping[str, float]) -> None:
        self._run, self._record = run, record
        self.metrics = dict(metrics)
        self.evaluated_on = ""  #: which points `evaluate` last used, and how many
        self.notes: dict[str, str] = {}  #: by metric, what a number of `evaluate` cannot tell; "reference": what errors are against

    method = property(lambda self: self._run.method, doc="The method with its hyper-parameters.")
    problem = property(lambda self: self._run.problem, doc="All the data.")
    spec = property(lambda self: self._run.spec, doc="The run in strings and numbers.")
    state = property(lambda self: self._run.state, doc="Networks, optimisers, cost and penalty.")
    history = property(lambda self: self._record.arrays(), doc="Losses by name, and `step`: float32 arrays of at most 2000.")

    def history_csv(self) -> str:
        """The losses over steps as comma-separated text."""
        return self._record.csv()

    # ---- what it learned -------------------------------------------------------------------------
    def transport(self, x: Any, z: Any = None, *, seed: int = 0) -> Any:
        """T(x), (n, d) -> (n, d). A stochastic method takes noise z, or draws it with `seed`."""
        if z is None:
            return self._ask("x", x, self.method.transport, seed)
        if not is_stochastic(self.method):
            raise InputError(f"{self.method.name} here is not stochastic, so that z does not apply; leave it out.")
        points, noise = self._points("x", x), as_tensor(z, "z", ndim=2).to(self.state.device, torch.float32)
        if len(points) != len(noise):
            raise InputError(f"z must have one row a point, {len(points)}; it has {len(noise)}.")
        with undisturbed(self.state, seed):
            return self._back(x, self.method.transport(self.state, points.to(self.state.device), noise))

    def scaling(self, x: Any) -> Any:
        """xi(x) = d pi_1/d mu, (n, d) -> (n,): how much of each source point takes part; not normalised."""
        require(self.method, "scaling")
        return self._ask("x", x, self.method.scaling)

    def target_scaling(self, y: Any) -> Any:
        """d pi_2/d nu at y, (m, d) -> (m,)."""
        require(self.method, "target_scaling")
        return self._ask("y", y, self.method.target_scaling)

    def potential(self, y: Any) -> Any:
        """The potential g on the target in calibrated cost units, (m, d) -> (m,)."""
        require(self.method, "potential")
        return self._ask("y", y, self.method.potential)

    def path(self, x: Any, ts: Any = None, *, seed: int = 0) -> Any:
        """Positions at times ts in [0, 1] (None: 11 even ones), (n, d), (t,) -> (n, t, d)."""
        require(self.method, "path")
        times = torch.linspace(0, 1, 11) if ts is None else as_tensor(ts, "ts", ndim=1).float().cpu()
        if float(times.min()) < 0 or float(times.max()) > 1 or bool((times.diff() <= 0).any()):
            raise InputError(f"ts must be increasing times in [0, 1]; they go from {float(times[0]):g} to {float(times[-1]):g}.")
        points, device = self._points("x", x), self.state.device
        with undisturbed(self.state, seed):
            return self._back(x, chunked(lambda p: self.method.path(self.state, p, times.to(device)), points, device, PATH_CHUNK))

    def plan(self, x: Any, y: Any) -> Any:
        """A Plan between given points."""
        require(self.method, "plan")
        points, targets = (self._points(name, p).to(self.state.device) for name, p in (("x", x), ("y", y)))
        with undisturbed(self.state):
            found = self.method.plan(self.state, points, targets)
        return found.like(x)

    def sample_pairs(self, n: int = 1000, seed: int = 0) -> tuple[np.ndarray, ...]:
        """n matches drawn from the learned coupling: for each marginal a float32 array (n, d), matched row by row."""
        require(self.method, "sample_pairs")
        n, seed = check_count("n", n, least=1, most=10_000_000), check_count("seed", seed, least=0, most=2**31 - 1)
        with undisturbed(self.state, seed):
            return tuple(np.ascontiguousarray(p.cpu().numpy(), np.float32) for p in self.method.sample_pairs(self.state, n))

    def log_density(self, *points: Any) -> Any:
        """Log of the coupling's joint density at matched points, one (n, d) for each marginal -> (n,)."""
        require(self.method, "log_density")
        m = len(self.problem.marginals)
        if len(points) != m:
            raise InputError(f"log_density takes matched points of each of the {m} marginals; it got {len(points)} arrays.")
        given = [self._points(f"points[{k}]", p).to(self.state.device) for k, p in enumerate(points)]
        if len({len(p) for p in given}) > 1:
            raise InputError(f"points must be matched row by row; they have {', '.join(str(len(p)) for p in given)} rows.")
        with undisturbed(self.state):
            return self._back(points[0], self.method.log_density(self.state, given))

    # ---- a barycenter of all marginals -----------------------------------------------------------
    def sample_barycenter(self, n: int = 1000, seed: int = 0) -> np.ndarray:
        """n points of the learned barycenter, float32 (n, d): from every marginal its share of them, taken by systematic resampling."""
        require(self.method, "sample_barycenter")
        n, seed = check_count("n", n, least=1, most=10_000_000), check_count("seed", seed, least=0, most=2**31 - 1)
        with undisturbed(self.state, seed):
            return np.ascontiguousarray(self.method.sample_barycenter(self.state, n).cpu().numpy(), np.float32)

    def barycenter_map(self, k: int, x: Any) -> Any:
        """T_k(x), from marginal k = 0, 1, ... to the barycenter, (n, d) -> (n, d)."""
        k = self._marginal(k)
        return self._ask("x", x, lambda state, p: self.method.barycenter_map(state, k, p), of=k)

    def acceptance(self, k: int, x: Any) -> Any:
        """How much of each point of marginal k takes part in the barycenter, (n, d) -> (n,): 1 in the mean; not bounded by 1."""
        k = self._marginal(k)
        return self._ask("x", x, lambda state, p: self.method.acceptance(state, k, p), of=k)

    def accepted(self, k: int, x: Any, how: str = "rejection", seed: int = 0) -> np.ndarray:
        """Row numbers of x, points of marginal k, that take part in the barycenter; their images are points of it.

        Args:
            how: "rejection", the paper's, keeps a row with the chance w / max w; "systematic" draws as many rows as x has, each about
                as often as its weight says, so that nothing is wasted where one weight is large.
        """
        if how not in ("rejection", "systematic"):
            raise InputError(f"how must be rejection or systematic; it is {short(repr(how))}.")
        w = as_tensor(self.acceptance(k, x), "weights", ndim=1).cpu()
        rng = torch.Generator().manual_seed(check_count("seed", seed, least=0, most=2**31 - 1))
        if how == "systematic":
            return systematic(w, len(w), rng).numpy()
        return rejection(w, torch.rand(len(w), generator=rng)).nonzero()[:, 0].numpy()

    def _marginal(self, k: int) -> int:
        require(self.method, "sample_barycenter")
        return check_count("k", k, least=0, most=len(self.problem.marginals) - 1)

    def evaluate(self, n: int = 4000, seed: int = 1, *, reference: bool = True) -> dict[str, float]:
        """All metrics that apply, on fresh draws where the problem can draw them, else on the held-out points.

        Beside them: "n" and "m", the numbers of source and target points, and "fresh", 1 for fresh draws and 0 otherwise;
        `evaluated_on` says it in words, and `notes` what the numbers cannot tell.

        Args:
            n: points a side.
            reference: whether to measure errors against the optimum of the run's own problem: the closed form, or a discrete plan of
                up to 4000 points, which takes seconds the first time and is kept in the store's folder.
        """
        n, seed = check_count("n", n, least=2, most=1_000_000), check_count("seed", seed, least=0, most=2**31 - 1)
        run = self._run
        with threads_for(run.state.device):
            request = find(run.method, run.state, run.problem) if reference else None
            scores, self.evaluated_on = score(run, n, seed, request)
        self.notes = scores.notes
        return dict(scores)

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write weights, optimisers, history and what the problem needs; arrays as a subsample of at most 4000 a side."""
        state = self.state.state_dict()
        parts = {
            "uotlab": FORMAT,
            "spec": self.spec.model_dump_json(),
            "method": [self.method.name, json.dumps(self.method.settings())],
            "problem": packed_problem(self.problem),
            "state": state,
            "metrics": self.metrics,
            "history": self._record.state_dict(),
        }
        place = _place(path)
        try:
            save_tensors(place, parts)
        except OSError as error:
            raise InputError(f"The fit cannot be written to {place} ({error.strerror}); choose another path.") from None

    @classmethod
    def load(cls, path: str | Path, problem: Problem | None = None, device: str = "auto") -> "Fitted":
        """Read what `save` wrote. `problem` stands in for the saved one, for data or a cost that a file cannot hold.

        Raises:
            InputError: no such file, damaged, or not saved by uotlab.
        """
        place = _place(path)
        if problem is not None and not isinstance(problem, Problem):
            raise InputError(f"problem must be a Problem, or None for the saved one; it is {type(problem).__name__}.")
        chosen = str(pick_device(device))
        parts = load_tensors(place)
        if parts.get("uotlab") != FORMAT:
            raise InputError(f"{place.name} is no saved result of this version of uotlab; save it again with Fitted.save.")
        try:
            spec = RunSpec.model_validate_json(parts["spec"]).model_copy(update={"device": chosen})
            name, values = parts["method"]
            method = make_method(name, json.loads(values))
            run = begin(spec, method, problem or unpacked_problem(parts["problem"]))
            run.state.load_state_dict(parts["state"])
            return cls(run, History.from_state_dict(parts["history"]), parts["metrics"])
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError):  # a part missing, or of another kind or size
            way_out = "Save it again with Fitted.save." if problem is None else "Give the problem that it was trained on."
            raise InputError(f"{place.name} is damaged, or does not fit this problem or this version of uotlab. {way_out}") from None

    def __repr__(self) -> str:
        return f"<Fitted {self.method.name} on {self.problem.name}, step {self.state.step}>"

    # ---- arrays in and out -----------------------------------------------------------------------
    def _points(self, name: str, x: Any, of: int = 0) -> Tensor:
        """Points (n, d) of marginal `of` as float32; (n,) too where d is 1."""
        d = self.problem.marginals[of].d
        points = as_tensor(x, name, dtype=torch.float32)
        if points.ndim == 1 and d == 1:
            points = points[:, None]
        if points.ndim != 2 or points.shape[1] != d:
            raise InputError(f"{name} must have shape (n, {d}), as the data of this fit; it has shape {tuple(points.shape)}.")
        return points.detach()

    def _ask(self, name: str, x: Any, call: Callable[..., Tensor], seed: int = 0, of: int = 0) -> Any:
        points, state = self._points(name, x, of), self.state
        with undisturbed(state, seed):
            return self._back(x, chunked(lambda p: call(state, p), points, state.device))

    def _back(self, x: Any, out: Tensor) -> Any:
        flat = (x.ndim if isinstance(x, Tensor) else np.ndim(x)) == 1
        if flat and self.problem.d == 1 and out.ndim > 1:
            out = out[..., 0]
        return like(x if isinstance(x, Tensor | np.ndarray) else np.empty(0, np.float32), out)


def _place(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or "\0" in str(path) or not Path(path).name:
        raise InputError(f"path must name a file; it is {short(repr(path))}.")
    return Path(path)


class _ProgressLine:
    """One line on stderr: steps, speed and time left, rewritten in place."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.start = name, time.perf_counter()
        self.due = 0.0

    def __call__(self, step: int, steps: int, losses: Mapping[str, float]) -> None:
        now, line = time.perf_counter(), sys.stderr.isatty()
        if now < self.due and step < steps:
            return
        self.due = now + (0.5 if line else 5.0)  # a log gets whole lines, and fewer of them
        seconds = now - self.start
        speed = step / seconds if seconds else 0.0
        left = f"{(steps - step) / speed:.0f} s left" if speed else "starting"
        shown = ", ".join(f"{k} {v:.4g}" for k, v in list(losses.items())[:3])
        text = f"{self.name}: {step}/{steps} steps, {speed:.0f}/s, {left}  {shown}"
        sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if step >= steps else "") if line else f"{text}\n")
        sys.stderr.flush()


def _named_cost(cost: Cost) -> dict[str, Any]:
    """`cost` and `cost_parameter` where these two say it all, so that the spec does."""
    name = getattr(type(cost), "name", None)
    if name is None:
        return {}
    value = getattr(cost, cost.parameter) if cost.parameter else None
    try:
        same = make_cost(name, value) == cost
    except InputError:
        same = False
    return {"cost": name} | ({"cost_parameter": value} if value is not None else {}) if same else {}


def _spec(method: Method, problem: Problem, steps: int, seed: int, device: str) -> RunSpec:
    origin = problem.origin or {}
    data = dict(origin.get("params", {})) | ({"seed": origin["seed"]} if origin.get("seed") else {})
    values: dict[str, Any] = {"dataset": None}
    if origin and all(isinstance(v, float | int | str | bool | None) for v in data.values()):
        values = {"dataset": origin["dataset"], "n": origin["n"], "data": data}
    values |= {"method": method.name, "params": method.model_dump(exclude_unset=True), "steps": steps, "seed": seed}
    return make_model(RunSpec, values | {"device": str(pick_device(device))})
