"""The store: one SQLite file of run records (WAL, through SQLAlchemy) and one checkpoint file a run.

A record's `owner` is a session's unguessable token: a session sees its own runs, with `UOTLAB_SHARED=1` all.
A record's `process` says which process works on it, so that the runs of a dead process are found and marked interrupted.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError

from uotlab.engine.files import floats, load_tensors, to_json
from uotlab.engine.history import History
from uotlab.engine.spec import JobState, RunSpec
from uotlab.errors import InputError
from uotlab.paths import store_dir

SILENT_SECONDS = 120.0  #: a run of another machine that wrote nothing for so long counts as dead
NAME_LENGTH = 200
ACTIVE: tuple[JobState, ...] = ("queued", "running", "paused")

_schema = MetaData()
_runs = Table(
    "runs",
    _schema,
    Column("id", String(64), primary_key=True),
    Column("owner", String(128), nullable=False, index=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("step", Integer, nullable=False, default=0),
    Column("steps_total", Integer, nullable=False),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("metrics", Text, nullable=False, default="{}"),
    Column("notes", Text),
    Column("error", Text),
    Column("traceback", Text),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("host", String(255)),
    Column("process", String(255)),
)


@dataclass(frozen=True)
class Record:
    """One run as the store holds it. `created` and `updated` are seconds since 1970, `seconds` is training time."""

    id: str
    owner: str
    name: str
    spec: RunSpec
    state: JobState
    step: int
    steps_total: int
    seconds: float
    metrics: Mapping[str, float]
    error: str | None
    traceback: str | None
    created: float
    updated: float
    notes: Mapping[str, str] = field(default_factory=dict)


def shared() -> bool:
    """Whether every session sees all runs: `UOTLAB_SHARED=1`."""
    return os.environ.get("UOTLAB_SHARED", "") == "1"


class Store:
    """Records and checkpoints under one folder, `UOTLAB_STORE` by default. Safe to use from several threads and processes."""

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = store_dir() if folder is None else Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self._db = create_engine(f"sqlite:///{self.folder / 'uotlab.sqlite'}", connect_args={"timeout": 30})
        event.listen(self._db, "connect", _configure)
        _schema.create_all(self._db)
        self._add_columns()

    def close(self) -> None:
        self._db.dispose()

    def _add_columns(self) -> None:
        """Columns that a store of an earlier version lacks; two processes may open it at once."""
        for column in _runs.columns:
            if column.name not in {c["name"] for c in inspect(self._db).get_columns("runs")}:
                kind = column.type.compile(self._db.dialect)
                with suppress(OperationalError), self._db.begin() as db:
                    db.execute(text(f"ALTER TABLE runs ADD COLUMN {column.name} {kind}"))

    # ---- records ---------------------------------------------------------------------------------
    def add(self, id: str, owner: str, name: str, spec: RunSpec, steps_total: int) -> Record:
        now = time.time()
        row = {"id": id, "owner": owner, "name": _named(name), "spec": spec.model_dump_json(), "state": "queued", "step": 0}
        row |= {"steps_total": steps_total, "created": now, "updated": now, "host": socket.gethostname(), "process": this_process()}
        with self._db.begin() as db:
            db.execute(insert(_runs).values(**row))
        record = self.get(id)
        assert record is not None
        return record

    def update(self, id: str, **values: Any) -> None:
        """Write columns of a run and claim it for this process; a deleted run stays deleted."""
        for name in ("metrics", "notes"):
            if name in values:
                values[name] = to_json(values[name])
        values |= {"updated": time.time(), "host": socket.gethostname(), "process": this_process()}
        with self._db.begin() as db:
            db.execute(update(_runs).where(_runs.c.id == id).values(**values))

    def get(self, id: str, owner: str | None = None) -> Record | None:
        """The run of an id; with an owner, only if that session may see it."""
        with self._db.connect() as db:
            row = db.execute(select(_runs).where(_runs.c.id == id)).one_or_none()
        if row is None or (owner is not None and row.owner != owner and not shared()):
            return None
        return _record(row)

    def list(self, owner: str | None = None) -> list[Record]:
        """A session's runs (None: all), newest first."""
        query = select(_runs).order_by(_runs.c.created.desc())
        if owner is not None and not shared():
            query = query.where(_runs.c.owner == owner)
        with self._db.connect() as db:
            return [_record(row) for row in db.execute(query)]

    def some(self, ids: Collection[str]) -> dict[str, Record]:
        """The runs of these ids, by id; what there is of them."""
        with self._db.connect() as db:
            return {row.id: _record(row) for row in db.execute(select(_runs).where(_runs.c.id.in_(list(ids))))}

    def rename(self, id: str, name: str, owner: str | None = None) -> None:
        self._mine(id, owner)
        with self._db.begin() as db:
            db.execute(update(_runs).where(_runs.c.id == id).values(name=_named(name)))

    def delete(self, id: str, owner: str | None = None) -> None:
        """Remove a run with its files."""
        self._mine(id, owner)
        with self._db.begin() as db:
            db.execute(delete(_runs).where(_runs.c.id == id))
        self.checkpoint_path(id).unlink(missing_ok=True)

    def _mine(self, id: str, owner: str | None) -> Record:
        record = self.get(id, owner)
        if record is None:
            raise InputError("This session has no such run; it may have been deleted, or belong to another session.")
        return record

    def recover(self) -> tuple[str, ...]:
        """Mark the active runs of dead processes interrupted; returns their ids."""
        with self._db.begin() as db:
            rows = db.execute(select(_runs.c.id, _runs.c.host, _runs.c.process, _runs.c.updated).where(_runs.c.state.in_(ACTIVE))).all()
            dead = [row.id for row in rows if not _alive(row.host, row.process, row.updated)]
            if dead:
                db.execute(update(_runs).where(_runs.c.id.in_(dead)).values(state="interrupted"))
        return tuple(dead)

    # ---- files -----------------------------------------------------------------------------------
    def checkpoint_path(self, id: str) -> Path:
        """Where a run's newest checkpoint lies, or will lie."""
        if not id or not all(c.isalnum() or c in "-_" for c in id):
            raise InputError("A run's id holds letters, digits, - and _ only.")
        return self.checkpoints / f"{id}.pt"

    def checkpoint(self, id: str) -> dict[str, Any] | None:
        """The newest checkpoint's tensors, or None before the first."""
        path = self.checkpoint_path(id)
        return load_tensors(path) if path.exists() else None

    def history_csv(self, id: str) -> str:
        """The run's losses and live metrics over steps, up to its newest checkpoint."""
        parts = self.checkpoint(id)
        return (History() if parts is None else History.from_state_dict(parts["history"])).csv()


def _configure(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _named(name: str) -> str:
    name = " ".join(str(name).split())[:NAME_LENGTH]
    if not name:
        raise InputError("A run's name must not be empty; give it a few words.")
    return name


def _record(row: Row) -> Record:
    values = {name: getattr(row, name) for name in Record.__dataclass_fields__ if name not in ("spec", "metrics", "notes")}
    metrics, notes = floats(json.loads(row.metrics)), json.loads(row.notes or "{}")
    return Record(spec=RunSpec.model_validate_json(row.spec), metrics=metrics, notes=notes, **values)


# ---- which process is alive ----------------------------------------------------------------------
@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in the system's own words; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]  # a zombie does nothing any more
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        return subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def this_process() -> str:
    """Process number, its start and the boot it belongs to: no later process has the same."""
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    return f"{pid}|{_started(pid)}|{_boot()}"


def _alive(host: str | None, process: str | None, updated: float) -> bool:
    if host != socket.gethostname():
        return time.time() - updated < SILENT_SECONDS
    pid, _, rest = (process or "").partition("|")
    started, _, boot = rest.partition("|")
    return pid.isdigit() and boot == _boot() and bool(started) and _started(int(pid)) == started
