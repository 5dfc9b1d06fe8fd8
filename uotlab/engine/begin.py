"""From a RunSpec to what can be trained: device, method, problem and State. Jobs, `fit` and resuming all begin here."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from uotlab.data.base import DATASETS, load
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS, Method, State
from uotlab.parameters import check_count, make_model
from uotlab.problem import Problem


@dataclass(eq=False)
class Run:
    """A method with its problem and its State, ready to train or to be asked.

    Args:
        spec: what it was made from.
        method: frozen hyper-parameters.
        problem: all the data.
        train, test: what training sees and what evaluation draws from; both are `problem` where it draws fresh points.
        state: all that changes.
    """

    spec: RunSpec
    method: Method
    problem: Problem
    train: Problem
    test: Problem
    state: State


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name: "auto" is cuda, then mps, then cpu.

    Raises:
        InputError: no such device on this machine.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"device must be auto, cpu, cuda, cuda:N or mps; it is {name!r}.") from None
    if device.type == "cpu" and device.index in (None, 0):
        return torch.device("cpu")
    if (device.type == "cuda" and cuda and (device.index or 0) < torch.cuda.device_count()) or (device.type == "mps" and mps):
        return device
    raise InputError(f"This machine has no device '{name}'. Choose one of: {', '.join(['auto', *devices()])}.")


def devices() -> dict[str, dict[str, Any]]:
    """The machine's devices by name, best first: "title" and, for GPUs, "memory" and "free" in bytes."""
    found: dict[str, dict[str, Any]] = {}
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(i)
        found["cuda" if i == 0 else f"cuda:{i}"] = {"title": torch.cuda.get_device_name(i), "memory": total, "free": free}
    if torch.backends.mps.is_available():
        found["mps"] = {"title": "Apple GPU"}
    found["cpu"] = {"title": f"CPU, {cpu_threads()} of {os.cpu_count()} threads"}
    return found


def cpu_threads() -> int:
    """Torch threads of a run on the CPU: `UOTLAB_TORCH_THREADS`, else 1, the fastest for small nets on busy machines.

    Raises:
        InputError: the variable is no whole number of at least 1.
    """
    text = os.environ.get("UOTLAB_TORCH_THREADS", "1")
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"UOTLAB_TORCH_THREADS must be a whole number of at least 1; it is '{text}'.")
    return int(text)


def use_threads(device: torch.device) -> None:
    """Give the calling thread the CPU threads of a run, for good: a worker's setting is partly the process's."""
    if device.type == "cpu":
        torch.set_num_threads(cpu_threads())


@contextmanager
def threads_for(device: torch.device) -> Iterator[None]:
    """Run with the CPU threads of a run and put the former number back: equal numbers need equal threads."""
    before = torch.get_num_threads()
    use_threads(device)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def make_method(method: str | Method, params: Mapping[str, Any]) -> Method:
    """A Method from its name and hyper-parameters; a Method passes through.

    Raises:
        InputError: unknown name or hyper-parameter, or a value outside its rule.
    """
    if isinstance(method, Method):
        if params:
            raise InputError(f"Hyper-parameters ({', '.join(params)}) go with a method's name; a made method already holds its own.")
        return method
    if not isinstance(method, str):
        raise InputError(f"method must be a name or a Method; it is {type(method).__name__}. Choose one of: {', '.join(METHODS)}.")
    return make_model(METHODS[method], dict(params))


def make_problem(spec: RunSpec) -> Problem:
    """The spec's dataset. The key "seed" of `spec.data` is the seed of the data (default 0), apart from the run's own.

    Raises:
        InputError: unknown dataset, bad parameter, or none named.
    """
    if spec.dataset is None:
        raise InputError("This run was made from arrays, which a spec cannot hold: give the problem itself.")
    params = dict(spec.data)
    seed: Any = params.pop("seed", 0)
    return load(spec.dataset, spec.n, seed, **params)


def check_spec(spec: RunSpec) -> Method:
    """The spec's method, once every name and value in the spec has been looked at; no data are made."""
    method = make_method(spec.method, spec.params)
    if spec.dataset is None:
        raise InputError("A run here needs a dataset: choose one, or upload your arrays.")
    make_model(DATASETS[spec.dataset], {k: v for k, v in spec.data.items() if k != "seed"})
    if "seed" in spec.data:
        seed: Any = spec.data["seed"]
        check_count("seed", seed, least=0, most=2**31 - 1)
    pick_device(spec.device)
    return method


def begin(spec: RunSpec, method: Method | None = None, problem: Problem | None = None) -> Run:
    """Make the method, the problem and a fresh State; `method` and `problem` stand in for what the spec names."""
    method = method or make_method(spec.method, spec.params)
    problem = problem or make_problem(spec)
    device = pick_device(spec.device)
    train, test = problem.split(spec.seed)
    rng = torch.Generator().manual_seed(spec.seed)
    return Run(spec, method, problem, train, test, method.init(train, rng, device))
