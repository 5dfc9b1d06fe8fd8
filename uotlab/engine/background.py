"""One background thread a process for what may take its time: references and scores. It never holds up a training thread.

It runs at a lower priority where the system has one for threads, and is told to stop when the process ends.
"""

import atexit
import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import cache

import torch

from uotlab.engine.begin import use_threads

NICE = 5  #: of the thread, Linux
END_SECONDS = 5.0  #: that the end of the process waits for the task under way


class Background:
    """Tasks one after the other, urgent ones first."""

    def __init__(self) -> None:
        self._tasks: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._working = False
        self._ending = False

    @property
    def busy(self) -> bool:
        return self._working or bool(self._tasks)

    def ending(self) -> bool:
        """Asked by long tasks now and then: True ends them with what there is."""
        return self._ending

    def submit(self, task: Callable[[], None], *, urgent: bool = False) -> None:
        """Queue a task; what it raises is logged. `urgent` ones go before the others."""
        with self._wake:
            if self._ending:
                return
            if urgent:
                self._tasks.appendleft(task)
            else:
                self._tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="uotlab-background", daemon=True)
                self._thread.start()
            self._wake.notify()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False if that took longer."""
        with self._wake:
            return self._wake.wait_for(lambda: not self.busy, seconds)

    def end(self) -> None:
        """Drop what waits, and wait a moment for the task under way."""
        with self._wake:
            self._ending = True
            self._tasks.clear()
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _work(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        use_threads(torch.device("cpu"))
        while True:
            with self._wake:
                self._working = False
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._tasks or self._ending)
                if self._ending:
                    return
                task, self._working = self._tasks.popleft(), True
            try:
                task()
            except Exception:
                if not self._ending:
                    logging.getLogger(__name__).exception("a background task failed")


@cache
def background() -> Background:
    """The process's one background thread."""
    made = Background()
    atexit.register(made.end)
    return made
