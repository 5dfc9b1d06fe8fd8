"""Runs that are watched together, as the row of buttons sees one: every word goes to all of them."""

from collections.abc import Sequence

from uotlab.engine.job import RESTING, Job
from uotlab.engine.loop import Control
from uotlab.engine.spec import JobState

ORDER: tuple[JobState, ...] = ("running", "queued", "paused", "interrupted", "failed", "stopped", "done")


class Together:
    """Its state is the liveliest of its runs'."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)

    @property
    def state(self) -> JobState:
        states = {job.state for job in self.jobs}
        return next(state for state in ORDER if state in states)

    @property
    def control(self) -> Control:
        """Of the first: speed and points shown are the same for all."""
        return self.jobs[0].control

    def pause(self) -> None:
        for job in self.jobs:
            job.pause()

    def resume(self) -> None:
        for job in self._resting():
            job.resume()

    def step_once(self) -> None:
        """Exactly one step of each that is not done."""
        for job in self._resting():
            job.step_once()

    def stop(self) -> None:
        for job in self.jobs:
            job.stop()

    def extend(self, n: int) -> None:
        for job in self.jobs:
            job.extend(n)

    def show(self, points: int) -> None:
        for job in self.jobs:
            job.show(points)

    def set_speed(self, max_steps_per_second: float | None) -> None:
        for job in self.jobs:
            job.set_speed(max_steps_per_second)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until none is queued or running, or until one takes longer than the time."""
        return all(job.wait(timeout) for job in self.jobs)

    def _resting(self) -> list[Job]:
        return [job for job in self.jobs if job.state in RESTING]
