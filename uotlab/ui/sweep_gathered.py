"""A picture that is gathered from several runs while it is looked at: of a sweep's results, or of runs side by side."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable

import numpy as np

from uotlab.engine.job import Job
from uotlab.engine.spec import Snapshot

BUILD_SECONDS = 0.3  #: between two pictures


class Gathered(ABC):
    """It makes itself anew when what it shows has changed; asked by our route, in any thread. `id` is given by `sources.gather`.

    One whose `job` is set stands under that job's status: its step, speed and numbers.
    """

    job: Job | None = None

    def __init__(self) -> None:
        self.id = ""
        self._lock = threading.Lock()
        self._seen: Hashable = None
        self._built = 0.0
        self._picture: Snapshot | None = None

    @property
    @abstractmethod
    def moving(self) -> bool:
        """Whether more is to come."""

    @abstractmethod
    def now(self) -> Hashable:
        """Changes when there is something new to draw; quick."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that the views need."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest picture, at most every 0.3 s another one."""
        with self._lock:
            if self._picture is None or time.monotonic() - self._built > BUILD_SECONDS:
                seen = self.now()
                if self._picture is None or seen != self._seen:
                    version = 1 if self._picture is None else self._picture.version + 1
                    self._picture, self._seen = Snapshot(version, 0, 0.0, {}, {}, self.arrays()), seen
                self._built = time.monotonic()
            return self._picture
