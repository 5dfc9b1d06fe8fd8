"""Cells in threads of this process: by default as many as there are cores, with one torch thread each."""

import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uotlab.engine.begin import cpu_threads, pick_device
from uotlab.engine.sweep.cell import train_cell
from uotlab.parameters import check_count

if TYPE_CHECKING:
    from uotlab.engine.sweep.run import Sweep
    from uotlab.engine.sweep.spec import Cell

MOST_WORKERS = 64
LOOK_SECONDS = 0.1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_turns = threading.Semaphore(max(1, cores()))  # all sweeps of a process together train no more cells at a time than it has cores


def default_workers(device: str = "auto") -> int:
    """Cells at a time: one on an accelerator, else the cores that are left when each has the torch threads of a run."""
    if pick_device(device).type != "cpu":
        return 1
    return max(1, cores() // cpu_threads())


def run_locally(sweep: "Sweep", todo: Sequence["Cell"], stop: threading.Event, workers: int | None = None) -> None:
    """Train the cells in order, several at a time; returns when all are done, or soon after `stop`."""
    count = default_workers(sweep.spec.device) if workers is None else check_count("workers", workers, least=1, most=MOST_WORKERS)
    waiting = deque(todo)
    own = count > cores()  # asked for by name: no need to wait for a turn

    def work() -> None:
        while waiting and not (stop.is_set() or sweep.engine.closing):
            if not own and not _turns.acquire(timeout=LOOK_SECONDS):
                continue
            try:
                cell = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            else:
                if not stop.is_set():
                    train_cell(sweep.engine, sweep.run_id(cell), sweep.owner, sweep.run_name(cell), cell.spec)
            finally:
                if not own:
                    _turns.release()

    threads = [threading.Thread(target=work, name=f"uotlab-sweep-{k}", daemon=True) for k in range(min(count, len(waiting)))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if stop.is_set():  # again and again: a cell may have begun just after the word
            for cell in todo:
                job = sweep.engine.known(sweep.run_id(cell))
                if job is not None and job.state == "running":
                    job.stop()
        for thread in threads:
            thread.join(LOOK_SECONDS / len(threads))
