"""The scores of a run that has ended, stored with it: all metrics on fresh points, in the background, from the run's checkpoint.

A run that goes on in the meantime keeps the numbers it has then.
"""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from uotlab.engine.background import background

if TYPE_CHECKING:
    from uotlab.engine.job import Job
    from uotlab.engine.runner import Engine

POINTS, SEED = 4000, 1
ENDED = ("done", "stopped")
SCORING = "The final scores, on fresh points, are being computed."


def final_scores(engine: "Engine", job: "Job") -> None:
    """Score an ended run soon."""
    show(job, {}, {"final": SCORING})
    background().submit(lambda: _score(engine, job))


def _score(engine: "Engine", job: "Job") -> None:
    if engine.closing or job.state not in ENDED:
        return
    notes: dict[str, str] = {}
    values: dict[str, float] = {}
    try:
        fitted = engine.fitted(job.id)
        values = fitted.evaluate(POINTS, SEED)
        notes = fitted.notes | {"final": fitted.evaluated_on}
    except Exception as error:  # a score that fails must not take the run's other numbers with it
        notes = {"final": f"The final scores could not be computed ({type(error).__name__}: {error})."}
    with engine.lock:
        if engine.closing or job._deleted or job.state not in ENDED:
            return
        show(job, values, notes)
        with suppress(SQLAlchemyError):
            engine.store.update(job.id, metrics=job.metrics, notes=job.notes)


def show(job: "Job", values: dict[str, float], notes: dict[str, str]) -> None:
    """Put numbers and notes beside the run's own, and into its newest snapshot."""
    job.metrics, job.notes = {**job.metrics, **values}, {**({} if values else job.notes), **notes}
    snapshot = job.snapshot
    if snapshot is not None:
        job.snapshot = replace(snapshot, version=snapshot.version + 1, metrics=dict(job.metrics), notes=dict(job.notes))
