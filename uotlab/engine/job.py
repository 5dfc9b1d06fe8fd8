"""Job: one run while this process knows it. Its methods may be called from any thread; its snapshot is replaced whole.

States: queued -> running -> done, stopped or failed; running <-> paused; interrupted is a run whose process died.
From paused, stopped, failed and interrupted a run goes on from its State or its last checkpoint.
"""

import json
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from sqlalchemy.exc import SQLAlchemyError

from uotlab.data.progress import listening
from uotlab.engine.begin import Run, begin, make_method, pick_device
from uotlab.engine.files import save_tensors
from uotlab.engine.final import final_scores
from uotlab.engine.frames import Camera
from uotlab.engine.history import History
from uotlab.engine.loop import FRAME_SECONDS, Control, NotFinite, train
from uotlab.engine.references import ask
from uotlab.engine.spec import JobState, Snapshot
from uotlab.errors import InputError
from uotlab.parameters import check_count

if TYPE_CHECKING:
    from uotlab.engine.runner import Engine
    from uotlab.engine.store import Record

UNWATCHED_SECONDS = 1800.0  #: a job that nobody has looked at for so long pauses
GLANCE_SECONDS = 5.0  #: somebody is watching who looked within this time
IDLE_FRAME_SECONDS = 2.0  #: wall time between frames that nobody watches
NOTE_SECONDS = 5.0  #: between two writes of progress into the store
WINDOW_SECONDS = 5.0  #: over which the speed is measured
MOST_STEPS = 100_000_000
RESTING: tuple[JobState, ...] = ("paused", "stopped", "failed", "interrupted")


class Job:
    """Made by `Engine`. `position` counts from 1 in the device's queue; `note` is a sentence beside the state."""

    def __init__(self, engine: "Engine", record: "Record") -> None:
        self.id, self.owner, self.spec = record.id, record.owner, record.spec
        self.created = record.created
        self.state: JobState = record.state
        self.snapshot: Snapshot | None = None
        self.error, self.traceback = record.error, record.traceback
        self.note: str | None = None
        self.device = str(pick_device(record.spec.device)) if record.state == "queued" else record.spec.device
        self.control = Control()
        self.seconds = record.seconds
        self.metrics: Mapping[str, float] = record.metrics
        self.notes: Mapping[str, str] = record.notes  #: by metric, what its number cannot tell, or why there is none
        self.beside = False  #: watched beside another run, and trained at the same time
        self.saved = -1  #: step of the newest checkpoint that this process wrote
        self.unattended = False  #: a cell of a sweep: nobody need watch it, and it takes no place in a session's queue
        self._name = record.name
        self._engine = engine
        self._step, self._base = record.step, record.steps_total
        self._run: Run | None = None
        self._camera: Camera | None = None
        self._history = History()
        self._pace: deque[tuple[float, int]] = deque()
        self._touched = time.monotonic()
        self._noted = 0.0
        self._started: float | None = None
        self._deleted = self._opened = False
        self.finished = threading.Event()  #: set while the job is neither queued nor running

    # ---- what a page reads -----------------------------------------------------------------------
    @property
    def name(self) -> str:
        return self._name

    @property
    def step(self) -> int:
        run = self._run
        return self._step if run is None else run.state.step

    @property
    def steps_total(self) -> int:
        return self._base + self.control.extra

    @property
    def steps_per_second(self) -> float | None:
        """Speed over the last five seconds; None unless running."""
        pace = list(self._pace)
        if self.state != "running" or not pace:
            return None
        seconds, steps = time.perf_counter() - pace[0][0], self.step - pace[0][1]
        return steps / seconds if seconds > 0.2 else None

    @property
    def eta_seconds(self) -> float | None:
        speed = self.steps_per_second
        return (self.steps_total - self.step) / speed if speed else None

    @property
    def lane(self) -> tuple[str, bool]:
        """Where it waits for its turn."""
        return self.device, self.beside

    @property
    def position(self) -> int | None:
        """1 is next on its device; None when not queued."""
        return self._engine.position(self)

    @property
    def history(self) -> History:
        return self._history

    def touch(self) -> None:
        """Somebody is watching: frames come at full rate, and the job will not be paused as unwatched."""
        self._touched = time.monotonic()
        self.control.frame_seconds = FRAME_SECONDS

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job is neither queued nor running."""
        return self.finished.wait(timeout)

    # ---- what a page asks for --------------------------------------------------------------------
    def pause(self) -> None:
        """No step is taken after the one under way. Nothing happens to a job that is not queued or running."""
        with self._engine.lock:
            if self.state == "running":
                self.control.pause()
            elif self.state == "queued":
                self.control.pause()
                self._engine.withdraw(self)
                self.become("paused")

    def resume(self) -> None:
        """Go on from where it was; before new jobs in the queue."""
        with self._engine.lock:
            if self.state in RESTING:
                self._engine.enqueue(self, first=True)
            self.control.resume()
            self.note = None

    def step_once(self) -> None:
        """Take exactly one step, then pause.

        Raises:
            InputError: the run has done all its steps.
        """
        with self._engine.lock:
            if self.state == "done":
                raise InputError(f"This run has done its {self.steps_total} steps; extend it to take more.")
            if self.state in RESTING:
                self._engine.enqueue(self, first=True)
            self.control.step_once()
            self.note = None

    def stop(self) -> None:
        """End the run after the step under way; its checkpoint stays."""
        with self._engine.lock:
            if self.state == "running":
                self.control.stop()
            elif self.state in ("queued", "paused"):
                self._engine.withdraw(self)
                self.become("stopped")

    def save(self) -> None:
        """Write a checkpoint after the step under way, not only every 20 seconds; `saved` is then its step."""
        self.control.saving = True

    def show(self, points: int) -> None:
        """Points a side in moving pictures, 2 to 20000; beyond 1000 pictures may take half of the time.

        Raises:
            InputError: not a whole number in that range.
        """
        self.control.shown = check_count("points", points, least=2, most=20_000)

    def set_speed(self, max_steps_per_second: float | None) -> None:
        """Slow motion; None is full speed.

        Raises:
            InputError: not a positive number.
        """
        if max_steps_per_second is not None and not max_steps_per_second > 0:
            raise InputError(f"max_steps_per_second must be positive, or None for full speed; it is {max_steps_per_second!r}.")
        self.control.set_speed(max_steps_per_second)

    def extend(self, n: int) -> None:
        """Add n steps; a finished or stopped run goes on at once.

        Raises:
            InputError: n is no whole number in range, or the queue is full.
        """
        with self._engine.lock:
            check_count("n", n, least=1, most=MOST_STEPS - self.steps_total)
            if self.state in ("done", "stopped"):
                self._engine.enqueue(self, first=True)
                self.control.resume()
            self.control.extend(n)
            self._engine.store.update(self.id, steps_total=self.steps_total)

    # ---- what the worker does --------------------------------------------------------------------
    def become(self, state: JobState, **values: object) -> None:
        """Change the state, here and in the store. Called under the engine's lock."""
        self.state = state
        if state in ("queued", "running"):
            self.finished.clear()
        try:
            if not self._deleted:
                values |= {"state": state, "step": self.step, "seconds": self.seconds, "metrics": self.metrics, "notes": self.notes}
                self._engine.store.update(self.id, steps_total=self.steps_total, **values)
        finally:
            if state not in ("queued", "running"):
                self.finished.set()

    def work(self) -> None:
        """Train until done, paused, stopped or failed. Called by a worker, with the state already "running"."""
        try:
            self._train()
        except Exception as error:
            sentence = _sentence(error, self.step)
            with self._engine.lock:
                self.error, self.traceback = sentence, traceback.format_exc()
                self._run = self._camera = None  # its numbers are no good: going on starts at the last good checkpoint
                self._step = self._checkpoint_step()
                self.control.resume()
                self.become("failed", error=self.error, traceback=self.traceback)
        finally:
            self._started = None
            self._pace.clear()

    def _train(self) -> None:
        if not self.unattended:
            self.touch()  # it may have waited in the queue for longer than anybody watches
        run = self._prepare()
        while True:
            self._started = time.perf_counter()
            self._pace.clear()
            outcome = train(run.method, run.state, self._base, self.control, self._publish, self._checkpoint, self._history)
            with self._engine.lock:
                self._count_time()
                # a word that came after the loop had made up its mind counts all the same
                reached, control = run.state.step >= self.steps_total, self.control
                if {"done": not reached, "paused": not control.paused, "stopped": not control.stopping}[outcome]:
                    continue
                self.error = self.traceback = None
                self.become(outcome, error=None, traceback=None)
                if outcome != "paused" and not self.unattended:  # a sweep scores its own
                    final_scores(self._engine, self)
                return

    def _prepare(self) -> Run:
        if self._run is None:
            with listening(self._prepares):
                run, history, seconds = restore(self._engine, self)
            self._camera = Camera(run.method, run.state, run.problem, ask(run.method, run.state, run.problem))
            self._history, self.seconds, self._run = history, seconds, run
        return self._run

    def _prepares(self, what: str, done: float) -> None:
        """Data that take their time to make, such as a generator that is trained first."""
        self.note = f"{what}, once: {done:.0%}" if done < 1 else None

    def _count_time(self) -> None:
        now = time.perf_counter()
        if self._started is not None:
            self.seconds += now - self._started
            self._started = now

    def _publish(self, step: int, losses: Mapping[str, float], still: bool) -> None:
        self._count_time()
        assert self._camera is not None
        self._history.live = scores = self._camera.metrics(still=still)
        self.notes = scores.notes
        self.metrics = {**self.metrics, **self._history.live, **losses}
        if step == self.steps_total and losses:
            self._history.record(step, losses)
        if still:
            self._history.amend(step, scores)
        self.snapshot = photograph(self, self._camera, step, still=still)
        now, unwatched = time.perf_counter(), time.monotonic() - self._touched
        self._pace.append((now, step))
        while now - self._pace[0][0] > WINDOW_SECONDS and len(self._pace) > 2:
            self._pace.popleft()
        if unwatched > GLANCE_SECONDS:
            self.control.frame_seconds = IDLE_FRAME_SECONDS
        if unwatched > UNWATCHED_SECONDS and not still and not self.unattended:
            self.note = f"Paused because nobody watched it for {UNWATCHED_SECONDS / 60:.0f} minutes; press Play to go on."
            self.control.pause()
        if now - self._noted > NOTE_SECONDS and not self._deleted:
            self._noted = now
            with suppress(SQLAlchemyError):  # a busy database must not end a training run; the next checkpoint tells
                self._engine.store.update(self.id, step=step, seconds=self.seconds, metrics=self.metrics, notes=self.notes)

    def _checkpoint(self) -> None:
        if self._run is not None and not self._deleted:
            parts = {"state": self._run.state.state_dict(), "history": self._history.state_dict(), "seconds": self.seconds}
            parts["settings"] = json.dumps(self._run.method.settings())
            step = self._run.state.step
            save_tensors(self._engine.store.checkpoint_path(self.id), parts)
            self.saved = step

    def _checkpoint_step(self) -> int:
        parts = self._engine.store.checkpoint(self.id)
        return 0 if parts is None else int(parts["state"]["step"])

    def rest(self) -> None:
        """Let go of the network and the data; the checkpoint has them."""
        self._step = self.step
        self._run = self._camera = None


def restore(engine: "Engine", job: Job) -> tuple[Run, History, float]:
    """A Run as its last checkpoint left it (a fresh one before the first), its history and its training time."""
    parts = engine.store.checkpoint(job.id)
    if parts is None:
        return begin(job.spec), History(), 0.0
    # what the spec leaves open is as it was when the run began, whatever the defaults are now
    kept = parts.get("settings")
    run = begin(job.spec, None if kept is None else make_method(job.spec.method, json.loads(kept)))
    run.state.load_state_dict(parts["state"])
    return run, History.from_state_dict(parts["history"]), float(parts["seconds"])


def photograph(job: Job, camera: Camera, step: int, *, still: bool) -> Snapshot:
    """The job as it is now, numbered one after its former snapshot."""
    version = 1 if job.snapshot is None else job.snapshot.version + 1
    arrays = camera.arrays(still=still, shown=job.control.shown)
    return Snapshot(version, step, job.seconds, dict(job.metrics), job.history.arrays(), arrays, camera.labels, dict(job.notes))


def _sentence(error: Exception, step: int) -> str:
    """A failure in words that a person can act on."""
    if isinstance(error, InputError | NotFinite):
        return str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return f"The device ran out of memory at step {step}: lower batch_size or the number of points, or choose another device."
    if isinstance(error, OSError):
        reason = error.strerror or error
        return f"The run could not read or write a file at step {step} ({reason}); free some space, then go on from the checkpoint."
    return f"Training failed at step {step} ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'})."
