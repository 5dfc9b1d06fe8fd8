"""Sweep: a grid of runs under way, or as the store holds it. Its cells can be stopped and gone on with at any time, in any process.

The store has one small file a sweep, `sweeps/<id>.json`; all numbers are those of its runs, whose ids are `<id>-<cell>`.
"""

import json
import math
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uotlab.engine.files import to_json, write_text
from uotlab.engine.job import Job
from uotlab.engine.runner import Engine
from uotlab.engine.spec import JobState
from uotlab.engine.store import Record, shared
from uotlab.engine.sweep.cell import is_scored
from uotlab.engine.sweep.local import default_workers, run_locally
from uotlab.engine.sweep.spec import Cell, SweepSpec
from uotlab.errors import InputError

SweepState = Literal["running", "stopping", "done", "stopped", "elsewhere"]
ACTIVE = ("queued", "running")
TRAINING = 0.8  #: share of a cell's work that is training; the rest is scoring
RECOVER_SECONDS = 5.0  #: between two looks for processes that died
LOOK_SECONDS = 0.4  #: between two looks at the store


@dataclass(frozen=True)
class Row:
    """One cell as it is now; `state` is "waiting" before its run has a record.

    Args:
        metrics: all numbers; those of a scored run are taken on the same fresh points in every cell.
    """

    cell: Cell
    run: str
    state: JobState | Literal["waiting"]
    step: int
    steps_total: int
    seconds: float
    metrics: Mapping[str, float]
    error: str | None

    @property
    def scored(self) -> bool:
        return self.state == "done" and is_scored(self.metrics)

    @property
    def settled(self) -> bool:
        """Nothing is left to do: scored, or failed with a sentence."""
        return self.scored or self.state == "failed" or (self.state == "done" and self.error is not None)

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]: training, then scoring."""
        return 1.0 if self.settled else TRAINING * self.step / max(self.steps_total, 1)


class Sweep:
    """Made by `start` and `find`. Its methods may be called from any thread."""

    def __init__(self, engine: Engine, id: str, owner: str, spec: SweepSpec, created: float) -> None:
        self.engine, self.id, self.owner, self.spec, self.created = engine, id, owner, spec, created
        self.cells = spec.cells()
        self.note = ""  #: a sentence about the whole sweep, such as a scheduler that does not answer
        self.workers = 1  #: cells at a time, as last seen
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._looked = self._began = 0.0
        self._recovered = -RECOVER_SECONDS
        self._before: dict[str, float] = {}  # shares when it was begun

    def run_id(self, cell: Cell) -> str:
        return f"{self.id}-{cell.index:03d}"

    def run_name(self, cell: Cell) -> str:
        return f"Sweep: {cell.label}"

    # ---- what is known ---------------------------------------------------------------------------
    def rows(self) -> list[Row]:
        """Every cell as it is now, in order."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked > LOOK_SECONDS or not self._rows:
                records = self.engine.store.some([self.run_id(c) for c in self.cells])
                self._rows = [self._row(c, records.get(self.run_id(c))) for c in self.cells]
                self._looked = time.monotonic()
            return self._rows

    def _row(self, cell: Cell, record: Record | None) -> Row:
        run = self.run_id(cell)
        if record is None:
            return Row(cell, run, "waiting", 0, 1, 0.0, {}, None)
        job = self.engine.known(run)
        live: Record | Job = job if job is not None and job.state == "running" else record
        return Row(cell, run, record.state, live.step, live.steps_total, live.seconds, record.metrics, record.error)

    @property
    def active(self) -> bool:
        """Whether threads of this process work on it."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def state(self) -> SweepState:
        if self.active:
            return "stopping" if self._stop.is_set() else "running"
        if not self._elsewhere():
            return "done" if all(row.settled for row in self.rows()) else "stopped"
        if time.monotonic() - self._recovered > RECOVER_SECONDS:  # the other process may have died meanwhile
            self._recovered = time.monotonic()
            if self.engine.store.recover():
                self._looked = -math.inf
        return "elsewhere" if self._elsewhere() else "stopped"

    def _elsewhere(self) -> bool:
        """Whether another process works on a run of it."""
        return any(row.state in ACTIVE and self.engine.known(row.run) is None for row in self.rows())

    @property
    def share(self) -> float:
        """How much of everything is done, in [0, 1]."""
        rows = self.rows()
        return sum(row.share for row in rows) / len(rows)

    @property
    def eta_seconds(self) -> float | None:
        """Time left at the pace so far, methods weighed by what their cells take; None before anything is known."""
        rows = self.rows()
        if self.state != "running":
            return None
        took: dict[str, list[float]] = {}
        for row in rows:
            if row.seconds > 0.5 and row.step > 0 and row.state != "failed":
                took.setdefault(row.cell.spec.method, []).append(row.seconds * row.steps_total / row.step)
        if not took:
            return None
        mean = {method: sum(v) / len(v) for method, v in took.items()}
        other = sum(mean.values()) / len(mean)
        weigh = [mean.get(row.cell.spec.method, other) for row in rows]
        gained = sum(w * max(0.0, row.share - self._before.get(row.run, 0.0)) for w, row in zip(weigh, rows))
        left = sum(w * (1 - row.share) for w, row in zip(weigh, rows))
        return (time.monotonic() - self._began) * left / gained if gained > 0 else None

    # ---- what is asked for -----------------------------------------------------------------------
    def begin(self, workers: int | None = None, *, failed: bool = False) -> None:
        """Train the cells that are not settled, in the background.

        Args:
            failed: also those that failed before, from their last good checkpoint.

        Raises:
            InputError: another process works on it, or the scheduler does not answer.
        """
        from uotlab.engine.sweep.cluster import connected, run_on_cluster, scheduler

        if self.active:
            return
        self.engine.store.recover()
        self._looked = -math.inf
        if self.state == "elsewhere":
            raise InputError("Another process works on this sweep; its results appear here as they come.")
        self._began, self._before = time.monotonic(), {row.run: row.share for row in self.rows()}
        todo = [row.cell for row in self.rows() if not row.settled or (failed and row.state == "failed")]
        self.note = ""
        self._stop = threading.Event()
        address = scheduler()
        client = connected(address) if address else None

        def work() -> None:
            try:
                if client is not None:
                    run_on_cluster(self, todo, self._stop, client)
                else:
                    run_locally(self, todo, self._stop, workers)
            except Exception as error:
                self.note = str(error) if isinstance(error, InputError) else f"The sweep ended early: {error}"
            finally:
                with self._lock:  # an older look would take the end for a stop: the last run's score is not in it
                    self._looked = -math.inf

        self.workers = workers or default_workers(self.spec.device)
        self._thread = threading.Thread(target=work, name="uotlab-sweep", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stop; runs under way keep their checkpoints, and `begin` goes on with them."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is under way here."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        self._looked = -math.inf
        return True

    def delete(self) -> None:
        """Stop it, and remove it with all its runs."""
        self.cancel()
        self.wait(30)
        for row in self.rows():
            if row.state != "waiting":
                self.engine.delete(row.run)
        _path(self.engine, self.id).unlink(missing_ok=True)
        with _guard:
            _sweeps.pop(self.id, None)


# ---- all sweeps ------------------------------------------------------------------------------------
_sweeps: "OrderedDict[str, Sweep]" = OrderedDict()
_guard = threading.Lock()


def start(engine: Engine, spec: SweepSpec, owner: str, workers: int | None = None) -> Sweep:
    """Keep a new sweep in the store and begin it.

    Raises:
        InputError: this session already has one under way, or the scheduler does not answer.
    """
    with _guard:
        mine = [s for s in _sweeps.values() if s.engine is engine and s.owner == owner]
    if any(s.active for s in mine):
        raise InputError("This session already has a sweep under way; cancel it, or wait until it is done.")
    sweep = Sweep(engine, secrets.token_urlsafe(16), owner, spec, time.time())
    with _guard:
        _sweeps[sweep.id] = sweep
    record = {"owner": owner, "created": sweep.created, "spec": json.loads(spec.model_dump_json())}
    write_text(_path(engine, sweep.id), to_json(record))
    try:
        sweep.begin(workers)
    except InputError:
        sweep.delete()
        raise
    return sweep


def find(engine: Engine, id: str) -> Sweep | None:
    """The sweep of an id, or None."""
    if not id or not all(c.isalnum() or c in "-_" for c in id):
        return None
    with _guard:
        held = _sweeps.get(id)
        if held is not None and held.engine is engine:
            return held
        try:
            record = json.loads(_path(engine, id).read_text(encoding="utf-8"))
            spec = SweepSpec.model_validate(record["spec"])
            held = _sweeps[id] = Sweep(engine, id, record["owner"], spec, float(record["created"]))
        except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
            return None
        return held


def listed(engine: Engine, owner: str | None = None) -> list[Sweep]:
    """A session's sweeps (None: all), newest first."""
    folder = _path(engine, "x").parent
    found = [find(engine, name.removesuffix(".json")) for name in (os.listdir(folder) if folder.is_dir() else ()) if name.endswith(".json")]
    kept = [s for s in found if s is not None and (owner is None or s.owner == owner or shared())]
    return sorted(kept, key=lambda s: -s.created)


def _path(engine: Engine, id: str) -> Path:
    return engine.store.folder / "sweeps" / f"{id}.json"
