"""What the live component can watch: running jobs, and still pictures held under an unguessable id."""

import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import Snapshot
from uotlab.ui.sweep_gathered import Gathered

HELD = 48  #: still pictures kept in memory, the oldest go first


@dataclass(frozen=True)
class Still:
    """A picture of something that does not train: data, or a finished run; a `moving` one is replaced while it is looked at."""

    id: str
    snapshot: Snapshot
    moving: bool = False
    job: ClassVar[None] = None


Source = Job | Still | Gathered

_held: "OrderedDict[str, Still | Gathered]" = OrderedDict()
_by_key: dict[str, str] = {}
_lock = threading.Lock()


def hold(snapshot: Snapshot, key: str, *, moving: bool = False) -> str:
    """Keep a snapshot for the live component and return its id; the same `key` keeps the same id and replaces the picture."""
    with _lock:
        name = _by_key.get(key) or secrets.token_urlsafe(16)
        _put(Still(name, snapshot, moving), key)
        return name


def gather(key: str, make: Callable[[], Gathered]) -> str:
    """The id of the gathered picture held under `key`, made where there is none."""
    with _lock:
        name = _by_key.get(key, "")
        picture = _held.get(name)
        if not isinstance(picture, Gathered):
            picture = make()
            picture.id = name or secrets.token_urlsafe(16)
        _put(picture, key)
        return picture.id


def _put(picture: Still | Gathered, key: str) -> None:
    _by_key[key] = picture.id
    _held[picture.id] = picture
    _held.move_to_end(picture.id)
    while len(_held) > HELD:
        gone, _ = _held.popitem(last=False)
        for other in [k for k, v in _by_key.items() if v == gone]:
            del _by_key[other]


def let_go(key: str) -> None:
    """Forget the picture held under `key`."""
    with _lock:
        _held.pop(_by_key.pop(key, ""), None)


def held(key: str) -> str | None:
    """The id of a picture held under `key`, or None."""
    with _lock:
        return _by_key.get(key)


def find(name: str) -> Source | None:
    """What has this id, or None."""
    return _held.get(name) or engine().job(name)


def version_of(source: Source) -> int:
    """Version of the newest snapshot, -1 before the first."""
    snapshot = source.snapshot
    return -1 if snapshot is None else snapshot.version


def pulse(source: Source) -> str:
    """Changes whenever the page has something new to show."""
    job = source if isinstance(source, Job) else source.job
    if job is None:
        return f"{version_of(source)}.still"
    place = job.position if job.state == "queued" else ""
    return f"{version_of(source)}.{job.state}.{place}.{job.steps_total}"


def status(source: Source) -> dict[str, Any]:
    """State, step, speed and newest numbers, JSON-ready (NaN and infinity are null)."""
    if not isinstance(source, Job) and source.job is not None:
        return status(source.job)
    snapshot = source.snapshot
    known: dict[str, Any] = {
        "version": version_of(source),
        "step": 0 if snapshot is None else snapshot.step,
        "metrics": {} if snapshot is None else {k: finite(v) for k, v in snapshot.metrics.items()},
    }
    if not isinstance(source, Job):
        return known | {"state": "still", "moving": source.moving}
    return known | {
        "state": source.state,
        "steps_total": source.steps_total,
        "steps_per_second": finite(source.steps_per_second),
        "eta_seconds": finite(source.eta_seconds),
        "position": source.position if source.state == "queued" else None,
    }


def finite(value: float | None) -> float | None:
    """The number for JSON, where NaN and infinity are null."""
    return float(value) if value is not None and math.isfinite(value) else None
