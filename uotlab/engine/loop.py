"""The one training loop: it steps a method, obeys a Control, guards against NaN, and says when to look and to save.

It never waits while paused: it returns "paused" with the State as it is, and is called again to go on.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch

from uotlab.engine.history import History
from uotlab.methods.base import Method, State

Outcome = Literal["done", "paused", "stopped"]
Publish = Callable[[int, Mapping[str, float], bool], None]

FRAME_SECONDS = 0.07  #: wall time between two looks at a run
FRAME_SHARE = 0.2  #: at most this share of the time goes into looks: about 8% on a free core, more where a browser draws on the same ones
LARGE_SHARE = 0.5  #: and this much when more than SHOWN points are asked for: the picture is what is wanted then
SHOWN = 1000  #: points a side in a moving picture
CHECKPOINT_SECONDS = 20.0
CHECKPOINT_SHARE = 0.02
GUARD_STEPS = 100  #: steps between two looks at all parameters
ASYNC_STEPS = 20  #: on accelerators losses are read every so many steps, since each reading waits for the device


class NotFinite(ArithmeticError):
    """A loss or a parameter became NaN or infinite."""


class Control:
    """What others tell a running loop. Its methods may be called from any thread; the loop reads plain attributes."""

    def __init__(self) -> None:
        self.paused = False
        self.stopping = False
        self.single = False  # one more step, then pause
        self.saving = False  # a checkpoint after the step under way
        self.extra = 0  # steps beyond the number the loop was called with
        self.max_rate: float | None = None  # steps/s
        self.frame_seconds = FRAME_SECONDS
        self.shown = SHOWN  # points a side in a moving picture
        self._wake = threading.Event()

    def pause(self) -> None:
        self.paused = True
        self._wake.set()

    def resume(self) -> None:
        self.paused = self.single = self.stopping = False

    def step_once(self) -> None:
        self.single = True
        self.paused = self.stopping = False
        self._wake.set()

    def stop(self) -> None:
        self.stopping = True
        self._wake.set()

    def set_speed(self, max_rate: float | None) -> None:
        self.max_rate = max_rate
        self._wake.set()

    def extend(self, n: int) -> None:
        self.extra += n

    def rest(self, seconds: float) -> None:
        """Slow motion: sleep, but wake at once on any event."""
        self._wake.clear()
        if seconds > 0 and not (self.paused or self.stopping):
            self._wake.wait(seconds)


class Every:
    """True once every `seconds`, and less often when what is done then takes more than `share` of the time."""

    def __init__(self, seconds: float, share: float) -> None:
        self.seconds, self.share = seconds, share
        self.due = 0.0
        self.cost = 0.0

    def run(self, do: Callable[[], None], seconds: float | None = None) -> None:
        start = time.perf_counter()
        do()
        end = time.perf_counter()
        cost = end - start
        # the running mean forgets a first slow call, such as one that compiles or pages something in
        self.cost = cost if not self.cost else 0.5 * (self.cost + cost)
        self.due = end + max(self.seconds if seconds is None else seconds, min(self.cost, cost) / self.share)


def train(
    method: Method,
    state: State,
    steps: int,
    control: Control | None = None,
    publish: Publish | None = None,
    checkpoint: Callable[[], None] | None = None,
    history: History | None = None,
) -> Outcome:
    """Step until `state.step` reaches `steps` + `control.extra`, or until told to pause or stop.

    Args:
        publish: called as publish(step, losses, still) about every 0.1 s, and at once, with still = True, on return.
        checkpoint: called about every 20 s and on return, after all parameters were found finite.
        history: gets the losses of every `history.stride`-th step.

    Raises:
        NotFinite: naming the step and the loss or parameter.
    """
    control = control or Control()
    history = history if history is not None else History()
    look, save = Every(FRAME_SECONDS, FRAME_SHARE), Every(CHECKPOINT_SECONDS, CHECKPOINT_SHARE)
    save.due = time.perf_counter() + CHECKPOINT_SECONDS
    reading = 1 if state.device.type == "cpu" else ASYNC_STEPS
    losses: dict[str, float] = {}
    while True:
        outcome = _decide(control, state.step, steps)
        now = time.perf_counter()
        if outcome is not None:
            check_parameters(state)
            if publish is not None:
                publish(state.step, losses, True)
            if checkpoint is not None:
                checkpoint()
            return outcome
        if publish is not None and now >= look.due:
            look.share = FRAME_SHARE if control.shown <= SHOWN else LARGE_SHARE
            look.run(partial(publish, state.step, losses, False), control.frame_seconds)
        if checkpoint is not None and (control.saving or now >= save.due):
            control.saving = False
            check_parameters(state)
            save.run(checkpoint)
        started = time.perf_counter()
        step = state.step + 1
        try:
            raw = method.step(state)
        finally:
            state.step = step  # the loop counts, also a step that fails
        if state.step % reading == 0 or control.single or state.step >= steps + control.extra:
            losses = {name: float(value) for name, value in raw.items()}
            check_losses(losses, state.step)
            if history.wants(state.step):
                history.record(state.step, losses)
        if state.step % GUARD_STEPS == 0:
            check_parameters(state)
        if control.single:
            control.single, control.paused = False, True
        elif control.max_rate:
            control.rest(1 / control.max_rate - (time.perf_counter() - started))


def _decide(control: Control, step: int, steps: int) -> Outcome | None:
    if control.stopping:
        return "stopped"
    if step >= steps + control.extra:
        return "done"
    return "paused" if control.paused else None


def check_losses(losses: Mapping[str, float], step: int) -> None:
    """Raises NotFinite, naming the loss and the step."""
    for name, value in losses.items():
        if not math.isfinite(value):
            raise NotFinite(_sentence(f"The loss '{name}'", value, step))


def check_parameters(state: State) -> None:
    """Raises NotFinite, naming the parameter and the step."""
    for name, value in state.parameters():
        if not bool(torch.isfinite(value).all()):
            bad = value[~torch.isfinite(value)].flatten()[0].item()
            raise NotFinite(_sentence(f"The parameter '{name}'", bad, state.step))


def _sentence(what: str, value: float, step: int) -> str:
    kind = "NaN" if math.isnan(value) else "infinite"
    return f"{what} became {kind} at step {step}; lower the learning rate, or choose a larger rho or a softer divergence."
