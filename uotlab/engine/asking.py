"""Ask a trained method without disturbing its training: no gradients, the random source put back, large inputs in chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from uotlab.errors import InputError
from uotlab.methods.base import (
    METHODS,
    HasBarycenter,
    HasJoint,
    HasJointDensity,
    HasPath,
    HasPlan,
    HasPotential,
    HasScaling,
    HasStochasticMap,
    HasTargetScaling,
    Method,
    State,
)

ABILITIES: dict[str, Any] = {
    "scaling": HasScaling,
    "target_scaling": HasTargetScaling,
    "potential": HasPotential,
    "path": HasPath,
    "plan": HasPlan,
    "sample_pairs": HasJoint,
    "log_density": HasJointDensity,
    "sample_barycenter": HasBarycenter,
}
CHUNK = {"cpu": 2048}  #: rows at once: activations of as many fit into a core's second-level cache
CHUNK_ELSEWHERE = 65_536


@contextmanager
def undisturbed(state: State, seed: int = 0) -> Iterator[None]:
    """No gradients, and `state.rng` seeded inside and put back after: looking at a run never changes its numbers."""
    held = state.rng.get_state()
    state.rng.manual_seed(seed)
    try:
        with torch.no_grad():
            yield
    finally:
        state.rng.set_state(held)


def abilities(method: Method) -> list[str]:
    """What the method gives beside `transport`, by name."""
    return [name for name, protocol in ABILITIES.items() if isinstance(method, protocol)]


def is_stochastic(method: Method) -> bool:
    """Whether T(x, z) depends on noise."""
    return isinstance(method, HasStochasticMap) and bool(method.stochastic)


def require(method: Method, ability: str) -> None:
    """Raises InputError, naming what the method has and which methods have the ability."""
    if not isinstance(method, ABILITIES[ability]):
        able = [name for name, cls in METHODS.items() if hasattr(cls, ability)]
        has = ", ".join(["transport", *abilities(method)])
        way_out = f"methods with {ability}: {', '.join(able)}" if able else f"no method here has {ability}"
        raise InputError(f"{method.name} has no {ability}, only {has}; {way_out}.")


def chunked(call: Callable[[Tensor], Tensor], x: Tensor, device: torch.device, chunk: int | None = None) -> Tensor:
    """`call` on rows of x in chunks on the run's device; the result on the CPU."""
    chunk = chunk or CHUNK.get(device.type, CHUNK_ELSEWHERE)
    return torch.cat([call(part.to(device)).detach().cpu() for part in x.split(chunk)])
