"""Long computations of the page in a background thread: one after the other, with progress, time left and an end on request.

A Task belongs to a page that looks at it: nobody looking for a while ends it. One task computes at a time, so that pages stay quick.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from uotlab.errors import InputError
from uotlab.plans.barycenters.result import BarycenterResult
from uotlab.plans.solver import Cancel, Progress

PATIENCE = 90.0  #: s without anyone looking after which a task ends; hidden pages look about once a minute
KEPT = 24  #: tasks whose results are kept
Compute = Callable[[Progress, Cancel], BarycenterResult]


@dataclass(frozen=True)
class Cell:
    """One computation: where its result belongs, what it is called, and how it is made."""

    row: int
    column: int
    label: str
    compute: Compute


@dataclass(eq=False)
class Task:
    """Computations of one page under way, or done."""

    key: str
    cells: Sequence[Cell]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    results: dict[tuple[int, int], BarycenterResult] = field(default_factory=dict)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    state: str = "waiting"  #: then running, and at the end done or cancelled
    label: str = ""
    share: float = 0.0  #: of the present cell
    started: float = 0.0
    seconds: float = 0.0
    seen: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        return self.state in ("waiting", "running")

    @property
    def finished(self) -> int:
        return len(self.results) + len(self.errors)

    @property
    def progress(self) -> float:
        """Share of all cells that is done, in [0, 1]."""
        return min((self.finished + (self.share if self.state == "running" else 0.0)) / max(len(self.cells), 1), 1.0)

    @property
    def eta(self) -> float | None:
        """Seconds that are left, or None while that cannot be told."""
        if self.state != "running" or self.progress < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.progress) / self.progress

    def look(self) -> "Task":
        """Someone is there."""
        self.seen = time.monotonic()
        return self

    def cancel(self) -> None:
        """End it; what is done stays."""
        self.stop.set()

    def cancelled(self) -> bool:
        """Whether to end now."""
        return self.stop.is_set() or time.monotonic() - self.seen > PATIENCE


_tasks: "OrderedDict[str, Task]" = OrderedDict()
_lock, _turn = threading.Lock(), threading.Lock()


def start(key: str, cells: Sequence[Cell], before: str | None = None) -> Task:
    """Begin to compute the cells in order; the task `before` of the same page ends."""
    old = find(before)
    if old is not None:
        old.cancel()
    task = Task(key, cells)
    with _lock:
        _tasks[task.id] = task
        for name in [n for n, t in _tasks.items() if not t.active][: max(0, len(_tasks) - KEPT)]:
            del _tasks[name]
    threading.Thread(target=_run, args=(task,), name="barycenters", daemon=True).start()
    return task


def find(name: str | None) -> Task | None:
    """The task with this id, or None."""
    with _lock:
        return _tasks.get(name or "")


def _run(task: Task) -> None:
    while not _turn.acquire(timeout=0.1):
        if task.cancelled():
            task.state = "cancelled"
            return
    try:
        task.state, task.started = "running", time.monotonic()
        for cell in task.cells:
            if task.cancelled():
                break
            task.label, task.share = cell.label, 0.0
            _one(task, cell)
        task.seconds = time.monotonic() - task.started
        task.state = "cancelled" if task.finished < len(task.cells) else "done"
    finally:
        _turn.release()


def _one(task: Task, cell: Cell) -> None:
    def progress(share: float) -> None:
        task.share = share

    at = (cell.row, cell.column)
    try:
        found = cell.compute(progress, task.cancelled)
    except InputError as error:
        task.errors[at] = str(error)
    except Exception as error:
        task.errors[at] = f"{cell.label} failed: {error}"
    else:
        if not task.cancelled():  # half a computation is no result
            task.results[at] = found
