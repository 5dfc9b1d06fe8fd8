"""A thread that always does the newest of what it is asked: what has not begun when something newer comes is dropped."""

import threading
from collections.abc import Callable


class Latest:
    """One task at a time, the newest next. The thread exists only while there is something to do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._next: Callable[[], None] | None = None
        self._running = False
        self._lock = threading.Lock()

    def put(self, task: Callable[[], None]) -> None:
        """Do `task` after the one under way; it takes the place of one that waits. Tasks handle their own errors."""
        with self._lock:
            self._next = task
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._work, name=self.name, daemon=True).start()

    @property
    def waiting(self) -> bool:
        """Whether something newer than the task under way has been asked for."""
        return self._next is not None

    def drop(self) -> None:
        """Forget the task that waits."""
        with self._lock:
            self._next = None

    def _work(self) -> None:
        while True:
            with self._lock:
                task, self._next = self._next, None
                if task is None:
                    self._running = False
                    return
            task()
