"""Cells on a cluster: `UOTLAB_SCHEDULER=tcp://host:8786` names a dask scheduler, and its workers do what the local threads do.

A worker needs uotlab and what `requirements-cluster.txt` pins; it needs no share of the store. It trains in a folder of its own,
tells its progress through the scheduler, and sends the finished run back: numbers, history and checkpoint, as tensors only.
"""

import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from uotlab.engine.files import floats, plain, write_whole
from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec
from uotlab.engine.sweep import cell
from uotlab.errors import InputError, short

if TYPE_CHECKING:
    from uotlab.engine.sweep.run import Sweep
    from uotlab.engine.sweep.spec import Cell

ANSWER_SECONDS = 10.0  #: a scheduler that says nothing for so long is not there
TELL_SECONDS = 1.0  #: between two words of a worker on its progress
LOOK_SECONDS = 0.25
WAITING = "The cluster has no workers; start one with `dask worker`, and the runs begin."


def scheduler() -> str:
    """The scheduler's address in `UOTLAB_SCHEDULER`; empty means threads of this process."""
    return os.environ.get("UOTLAB_SCHEDULER", "").strip()


def connected(address: str) -> Any:
    """A client of the scheduler.

    Raises:
        InputError: dask.distributed is not installed, the address is none, or nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "UOTLAB_SCHEDULER is set, but dask.distributed is not installed: pip install -r requirements-cluster.txt, or unset it."
        ) from None
    try:
        return Client(address, timeout=ANSWER_SECONDS, set_as_default=False, name="uotlab")
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"UOTLAB_SCHEDULER names {short(address)}, where no dask scheduler answers ({type(error).__name__}); "
            "start one with `dask scheduler`, or unset it to sweep in threads of this machine."
        ) from None


def run_on_cluster(sweep: "Sweep", todo: Sequence["Cell"], stop: threading.Event, client: Any) -> None:
    """Train the cells on the workers, and put what comes back into the store; returns when all are done, or soon after `stop`."""
    try:
        _Errand(sweep, todo, stop, client).run()
    finally:
        with suppress(Exception):
            client.close(timeout=5)


class _Errand:
    """What is sent out and what has come back."""

    def __init__(self, sweep: "Sweep", todo: Sequence["Cell"], stop: threading.Event, client: Any) -> None:
        self.sweep, self.stop, self.client = sweep, stop, client
        self.store = sweep.engine.store
        self.topic = f"uotlab-{sweep.id}-{time.time_ns()}"
        self.news: queue.Queue[Any] = queue.Queue()
        self.began: set[str] = set()
        self.out: dict[str, Any] = {}
        self.todo = todo
        self.ended = False

    def run(self) -> None:
        self.client.subscribe_topic(self.topic, lambda event: self.news.put(event[1]))
        for asked in self.todo:
            self._send(asked)
        looked = 0.0
        while self.out:
            with suppress(queue.Empty):
                self._took(self.news.get(timeout=LOOK_SECONDS))
            if (self.stop.is_set() or self.sweep.engine.closing) and not self.ended:
                self._end()
            if time.monotonic() - looked > TELL_SECONDS:
                looked = time.monotonic()
                self._look()

    def _send(self, asked: "Cell") -> None:
        run_id, spec = self.sweep.run_id(asked), asked.spec
        record = self.store.get(run_id)
        if record is None:
            from uotlab.methods.base import METHODS

            steps = spec.steps or METHODS[spec.method].default_steps
            record = self.store.add(run_id, self.sweep.owner, self.sweep.run_name(asked), spec, steps)
        state = "done" if record.state == "done" else "queued"
        self.store.update(run_id, state=state, error=None, traceback=None)
        path = self.store.checkpoint_path(run_id)
        sent = {
            "run": run_id, "name": record.name, "spec": spec.model_dump_json(), "topic": self.topic, "steps": record.steps_total,
            "done": state == "done", "points": cell.POINTS, "checkpoint": path.read_bytes() if path.exists() else None,
        }  # fmt: skip
        future = self.client.submit(work_there, sent, key=f"{self.topic}-{asked.index:03d}", pure=False, priority=-asked.index)
        self.out[run_id] = future
        future.add_done_callback(lambda future, run_id=run_id: self.news.put((run_id, future)))

    def _took(self, news: Any) -> None:
        if isinstance(news, Mapping):  # a worker's word on its progress
            run_id = str(news.get("run"))
            if run_id in self.out:
                self.began.add(run_id)
                record = self.store.get(run_id)
                state = "done" if record is not None and record.state == "done" else "running"
                metrics = floats(news["metrics"]) or (dict(record.metrics) if record is not None else {})
                self.store.update(run_id, state=state, step=int(news["step"]), seconds=float(news["seconds"]), metrics=metrics)
            return
        run_id, future = news
        if self.out.pop(run_id, None) is None:
            return
        if future.status == "finished":
            self._land(run_id, future.result())
        elif future.status == "error":
            error = future.exception()
            self.store.update(
                run_id, state="failed", error=f"The cluster could not do this run ({type(error).__name__}: {short(error, 200)})."
            )
        else:  # cancelled, or the scheduler is gone
            self.store.update(run_id, state="interrupted")
        future.release()

    def _land(self, run_id: str, back: Mapping[str, Any]) -> None:
        if back["checkpoint"] is not None:
            _write(self.store.checkpoint_path(run_id), back["checkpoint"])
        held = {name: back[name] for name in ("state", "step", "steps_total", "seconds", "error", "traceback")}
        self.store.update(run_id, metrics=floats(back["metrics"]), notes=back["notes"], **held)

    def _end(self) -> None:
        """Runs that have not begun are withdrawn, the others stop at a checkpoint and come back."""
        from distributed import Event

        self.ended = True
        Event(self.topic, client=self.client).set()
        late = [future for run_id, future in self.out.items() if run_id not in self.began]
        self.client.cancel(late)

    def _look(self) -> None:
        """How many hands there are; a scheduler that is gone ends the errand."""
        if self.client.status not in ("running", "connecting"):
            self._give_up()
            return
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
        except Exception:
            self._give_up()
            return
        self.sweep.workers = max(1, sum(int(w["nthreads"]) for w in workers.values()))
        self.sweep.note = "" if workers else WAITING

    def _give_up(self) -> None:
        for run_id in self.out:
            self.store.update(run_id, state="interrupted")
        self.out.clear()
        raise InputError("The scheduler no longer answers. What is done is kept; resume when it is back.")


def _write(path: Path, held: bytes) -> None:
    def write(file: BinaryIO) -> None:
        file.write(held)

    write_whole(path, write)


# ---- on the worker ---------------------------------------------------------------------------------
def work_there(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Train and score one run in a folder of its own; called by a dask worker."""
    from distributed import Event, get_client, get_worker

    spec, run_id, topic = RunSpec.model_validate_json(sent["spec"]), str(sent["run"]), sent["topic"]
    say, stop = partial(get_worker().log_event, topic), Event(topic, client=get_client())
    with tempfile.TemporaryDirectory(prefix="uotlab-cell-") as folder:
        engine = Engine(folder)
        over = threading.Event()
        teller = threading.Thread(target=_tell, args=(engine, run_id, say, stop, over), daemon=True)
        try:
            path = engine.store.checkpoint_path(run_id)
            engine.store.add(run_id, "cluster", sent["name"], spec, sent["steps"])
            engine.store.update(run_id, state="done" if sent["done"] else "stopped")
            if sent["checkpoint"] is not None:
                _write(path, sent["checkpoint"])
            teller.start()
            cell.train_cell(engine, run_id, "cluster", sent["name"], spec, sent["points"])
            record = engine.store.get(run_id)
            assert record is not None
            names = ("state", "step", "steps_total", "seconds", "error", "traceback")
            back: dict[str, Any] = {name: getattr(record, name) for name in names}
            back |= {"metrics": plain(dict(record.metrics)), "notes": dict(record.notes)}
            return back | {"checkpoint": path.read_bytes() if path.exists() else None}
        finally:
            over.set()
            teller.join(5)
            engine.close()


def _tell(engine: Engine, run_id: str, say: Callable[[Any], None], stop: Any, over: threading.Event) -> None:
    """Progress to whoever asked, and their word to stop to the run."""
    with suppress(Exception):  # the run is worth more than the news of it
        while True:
            job = engine.known(run_id)
            if job is not None:
                say({"run": run_id, "step": job.step, "seconds": job.seconds, "metrics": plain(dict(job.metrics))})
                if job.state == "running" and stop.is_set():
                    job.stop()
            if over.wait(TELL_SECONDS):
                return
