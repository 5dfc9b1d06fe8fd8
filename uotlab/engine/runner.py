"""Engine: one worker thread a device, a queue before it, and the jobs this process knows.

A paused job keeps its device for `HOLD_SECONDS`, so that pause and step can be pressed in turn while others wait;
then the next in the queue may start, and the paused one goes on, before new jobs, when the device is free again.
A job that is watched beside another has a lane of its own on the device, so that both move at the same time.
"""

import atexit
import logging
import secrets
import threading
import time
from functools import cache
from pathlib import Path

import torch

from uotlab.data.base import DATASETS
from uotlab.engine.begin import check_spec, cpu_threads, devices, pick_device, use_threads
from uotlab.engine.fitted import Fitted
from uotlab.engine.follower import score_something
from uotlab.engine.frames import Camera
from uotlab.engine.job import Job, photograph, restore
from uotlab.engine.spec import RunSpec
from uotlab.engine.store import Record, Store
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS

HOLD_SECONDS = 60.0
QUEUED_MOST = 3  #: a session's queued jobs, beside its one running job
NETWORKS_KEPT = 4  #: resting jobs whose networks and data stay in memory
JOBS_KEPT = 64  #: resting jobs whose last picture stays in memory
Lane = tuple[str, bool]  #: a device, and whether its jobs run beside others; each lane has a queue and a worker


class Engine:
    """Use `engine()`; tests and scripts may make their own on a folder of their own."""

    def __init__(self, folder: Path | str | None = None) -> None:
        cpu_threads()  # a bad number is better heard of now than in a worker
        self.store = Store(folder)
        self.lock = threading.Condition(threading.RLock())
        self._jobs: dict[str, Job] = {}
        self._queue: list[Job] = []
        self._held: dict[Lane, tuple[Job, float]] = {}
        self._workers: dict[Lane, threading.Thread] = {}
        self._guests: set[threading.Thread] = set()  # threads of sweeps that train now
        self._networks: list[Job] = []
        self._opening = threading.Lock()
        self._closing = False
        self.store.recover()

    # ---- what a page calls -----------------------------------------------------------------------
    def submit(self, spec: RunSpec, owner: str, name: str | None = None, *, beside: bool = False) -> Job:
        """Queue a run; `beside` trains it at the same time as the session's other one.

        Raises:
            InputError: a name or value in the spec is wrong, or the session's queue is full.
        """
        method = check_spec(spec)
        with self.lock:
            self._check_room(owner, beside)
            record = self.store.add(
                secrets.token_urlsafe(16), owner, name or f"{method.name} on {spec.dataset}", spec, spec.steps or method.default_steps
            )
            job = self._jobs[record.id] = Job(self, record)
            job.beside = beside
            self._forget_old()
            self.enqueue(job)
        return job

    def work_on(self, run_id: str, owner: str, name: str, spec: RunSpec) -> Job:
        """Train a run in the calling thread, beside the queue: a cell of a sweep. It goes on from its checkpoint where it has one.

        Raises:
            InputError: the spec is wrong, another thread or process works on this run, or the engine is closing.
        """
        method = check_spec(spec)
        with self.lock:
            if self._closing:
                raise InputError("The engine is closing; start the app again.")
            job = self._jobs.get(run_id)
            if job is not None and job.state in ("queued", "running"):
                raise InputError("Another thread works on this run; wait until it is done.")
            if job is None and (record := self.store.get(run_id)) is not None:
                job = Job(self, record)
                self._check_elsewhere(job)
            if job is None:
                job = Job(self, self.store.add(run_id, owner, name, spec, spec.steps or method.default_steps))
            job.unattended, job.device = True, str(pick_device(spec.device))
            job.error = job.traceback = None
            job.control.resume()
            self._jobs[run_id] = job
            self._forget_old()
            self._guests.add(threading.current_thread())
            job.become("running", error=None, traceback=None)
        use_threads(torch.device(job.device))
        try:
            job.work()
        finally:
            with self.lock:
                self._guests.discard(threading.current_thread())
                job.rest()
                if job._deleted:
                    self.store.checkpoint_path(job.id).unlink(missing_ok=True)
                self.lock.notify_all()
        return job

    def known(self, id: str) -> Job | None:
        """The job of an id if this process works on it or has lately done so."""
        return self._jobs.get(id)

    @property
    def closing(self) -> bool:
        return self._closing

    def job(self, id: str) -> Job | None:
        """The job of an id, from the store where this process does not know it yet; its picture then follows in a moment."""
        with self.lock:
            job = self._jobs.get(id)
            if job is None:
                record = self.store.get(id)
                if record is None:
                    return None
                job = self._known(record)
            ask = id in self._jobs and job.snapshot is None and job.state not in ("queued", "running") and not job._opened
            job._opened = job._opened or ask
        if ask:
            threading.Thread(target=self._open, args=(job,), name="uotlab-open", daemon=True).start()
        return job

    def jobs(self, owner: str | None = None) -> list[Job]:
        """The session's jobs that this process knows, newest first; `runs` lists all of the store's."""
        with self.lock:
            known = {r.id for r in self.store.list(owner)}
            return sorted((j for j in self._jobs.values() if j.id in known), key=lambda j: -j.created)

    def runs(self, owner: str | None = None) -> list[Record]:
        """The session's records in the store, newest first."""
        return self.store.list(owner)

    def resume_run(self, run_id: str, owner: str | None = None) -> Job:
        """Go on with a stored run from its last checkpoint.

        Raises:
            InputError: no such run in this session, it is finished, or another live process works on it.
        """
        with self.lock:
            job = self._own(run_id, owner)
            if job.state == "done":
                raise InputError(f"This run has done its {job.steps_total} steps; extend it to take more.")
            job.resume()
        return job

    def rename(self, run_id: str, name: str, owner: str | None = None) -> None:
        with self.lock:
            self.store.rename(run_id, name, owner)
            if run_id in self._jobs:
                record = self.store.get(run_id)
                self._jobs[run_id]._name = record.name if record else name

    def delete(self, run_id: str, owner: str | None = None) -> None:
        """Stop a run and remove it with its files."""
        with self.lock:
            job = self._own(run_id, owner)
            job._deleted = True
            job.stop()
            self._jobs.pop(run_id, None)
            self.store.delete(run_id, owner)

    def fitted(self, run_id: str) -> Fitted:
        """The run as its last checkpoint left it, to be asked, evaluated or saved.

        Raises:
            InputError: no such run.
        """
        job = self._own(run_id, None)
        run, history, _ = restore(self, job)
        return Fitted(run, history, dict(job.metrics))

    @staticmethod
    def devices() -> dict[str, dict]:
        """The machine's devices by name, best first, with titles and memory in bytes."""
        return devices()

    def close(self, timeout: float = 10.0) -> None:
        """Interrupt all jobs at a checkpoint and end the workers."""
        with self.lock:
            self._closing = True
            for job in self._queue:
                job.become("interrupted")
            self._queue.clear()
            for job in self._jobs.values():
                if job.state == "running":
                    job.control.pause()
            self.lock.notify_all()
        for worker in (*self._workers.values(), *self._guests):
            worker.join(timeout)
        with self.lock:
            for job in self._jobs.values():
                if job.state == "paused":
                    job.become("interrupted")
            self.store.close()

    # ---- what jobs call, under the lock ----------------------------------------------------------
    def enqueue(self, job: Job, *, first: bool = False) -> None:
        """Put a job into its device's queue; `first` before the jobs that have not begun."""
        if self._closing:
            raise InputError("The engine is closing; start the app again.")
        self._check_elsewhere(job)
        if job.state != "queued":  # a new job was looked at before it had a record
            self._check_room(job.owner, job.beside)
        job.device = str(pick_device(job.spec.device))
        job.error = job.traceback = None
        self._jobs[job.id] = job
        started = [j for j in self._queue if j.step > 0]
        self._queue.insert(len(started) if first else len(self._queue), job)
        job.become("queued", error=None, traceback=None)
        if job.lane not in self._workers:
            worker = threading.Thread(target=self._work, args=(job.lane,), name=f"uotlab-{job.device}", daemon=True)
            self._workers[job.lane] = worker
            worker.start()
        self.lock.notify_all()

    def withdraw(self, job: Job) -> None:
        if job in self._queue:
            self._queue.remove(job)

    def position(self, job: Job) -> int | None:
        with self.lock:
            waiting = [j for j in self._queue if j.lane == job.lane]
            return waiting.index(job) + 1 if job in waiting else None

    def _check_room(self, owner: str, beside: bool) -> None:
        mine = [j for j in self._jobs.values() if j.owner == owner and j.state in ("queued", "running") and not j.unattended]
        if beside and any(j.beside for j in mine):
            raise InputError("This session already has a job that runs beside another; stop it, or wait until it is done.")
        if not beside and sum(not j.beside for j in mine) > QUEUED_MOST:
            raise InputError(
                f"This session already has one running and {QUEUED_MOST} queued jobs, the most it may have; "
                "stop one, or wait until one is done."
            )

    def _check_elsewhere(self, job: Job) -> None:
        if job.id not in self._jobs and job.state in ("queued", "running", "paused"):
            raise InputError("Another process of this machine works on this run; go on with it there.")

    def _own(self, run_id: str, owner: str | None) -> Job:
        record = self.store.get(run_id, owner)
        if record is None:
            raise InputError("This session has no such run; it may have been deleted, or belong to another session.")
        return self._jobs.get(run_id) or self._known(record)

    def _known(self, record: Record) -> Job:
        job = Job(self, record)
        if record.state in ("queued", "running", "paused"):
            return job  # of another live process: looked at, not kept
        job.finished.set()
        self._jobs[record.id] = job
        self._forget_old()
        return job

    def _forget_old(self) -> None:
        resting = [j for j in self._jobs.values() if j.finished.is_set() and j.state != "paused"]
        for job in resting[: max(0, len(resting) - JOBS_KEPT)]:
            del self._jobs[job.id]

    # ---- the workers -----------------------------------------------------------------------------
    def _work(self, lane: Lane) -> None:
        use_threads(torch.device(lane[0]))
        while (job := self._next(lane)) is not None:
            try:
                job.work()
            except Exception:  # such as a store on a full disk: the device goes on with the next job
                logging.getLogger(__name__).exception("run %s could not be recorded", job.id)
            with self.lock:
                if job.state == "paused":
                    self._held[lane] = (job, time.monotonic() + HOLD_SECONDS)
                self._networks = [j for j in self._networks if j is not job] + [job]
                resting = [j for j in self._networks if j.state != "running"]
                for old in resting[: max(0, len(resting) - NETWORKS_KEPT)]:
                    old.rest()
                    self._networks.remove(old)
                if job._deleted:
                    self.store.checkpoint_path(job.id).unlink(missing_ok=True)
                self.lock.notify_all()

    def _next(self, lane: Lane) -> Job | None:
        """Wait for the next job of a lane; None when closing."""
        with self.lock:
            while not self._closing:
                busy = {(j.owner, j.beside) for j in self._jobs.values() if j.state == "running" and not j.unattended}
                ready = [j for j in self._queue if j.lane == lane and (j.owner, j.beside) not in busy]
                held, until = self._held.get(lane, (None, 0.0))
                wait = until - time.monotonic() if held is not None and held.state == "paused" else 0.0
                if ready and wait <= 0:
                    job = held if held in ready else ready[0]
                    self._held.pop(lane, None)
                    self._queue.remove(job)
                    job.become("running")
                    return job
                self.lock.wait(wait if ready else None)
            return None

    def _open(self, job: Job) -> None:
        """Make the picture of a run from its checkpoint."""
        with self._opening:
            if job.snapshot is not None:
                return
            try:
                use_threads(pick_device(job.spec.device))
                run, history, seconds = restore(self, job)
                camera = Camera(run.method, run.state, run.problem)
                with self.lock:
                    if job.state in ("queued", "running") or job.snapshot is not None:
                        return
                    job._history, job.seconds = history, seconds
                job.snapshot = photograph(job, camera, run.state.step, still=True)
            except Exception as error:  # a run whose data are gone can still be listed, renamed and deleted
                job.note = f"This run's picture cannot be made again: {error}"


@cache
def _engine() -> Engine:
    made = Engine()
    atexit.register(made.close)
    return made


_making = threading.Lock()


def engine() -> Engine:
    """The process's one engine, on the folder that `UOTLAB_STORE` names."""
    with _making:
        return _engine()


def warm_up() -> None:
    """Import now what the first run would otherwise wait for (seconds): every plug-in, and what scores pull in."""
    for registry in (METHODS, DATASETS, METRICS):
        len(registry)
    score_something()


def warm_optimisers() -> None:
    """Import what the first optimiser pulls in (a second of torch's compiler). A run that starts meanwhile waits for the same import."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
