"""One cell of a sweep: its run is trained in this thread, then scored on fresh points, and the store has the numbers."""

import traceback
from collections.abc import Mapping
from contextlib import suppress

from uotlab.engine.final import POINTS, SEED, show
from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError

COUNTS = ("n", "m", "fresh")  #: what `evaluate` says beside its metrics
SCORED = "fresh"  #: the number that only a scored run has


def train_cell(engine: Engine, run_id: str, owner: str, name: str, spec: RunSpec, points: int | None = None) -> None:
    """Train and score one run; what goes wrong becomes the run's sentence, and is never raised."""
    try:
        record = engine.store.get(run_id)
        state = record.state if record is not None and record.state == "done" else engine.work_on(run_id, owner, name, spec).state
    except Exception as error:
        if not engine.closing:
            _fail(engine, run_id, owner, name, spec, error)
        return
    if state == "done" and not engine.closing:
        score(engine, run_id, POINTS if points is None else points)


def score(engine: Engine, run_id: str, points: int) -> None:
    """Evaluate a finished run on so many fresh (or held-out) points, beside what it measured while it trained."""
    try:
        fitted = engine.fitted(run_id)
        values = fitted.evaluate(points, SEED)
    except Exception as error:
        engine.store.update(run_id, error=f"The run is trained, but scoring it failed: {error}", traceback=traceback.format_exc())
        return
    record = engine.store.get(run_id)
    if record is None:  # deleted in the meantime
        return
    notes = {**fitted.notes, "final": fitted.evaluated_on}
    engine.store.update(run_id, metrics={**record.metrics, **values}, notes=notes, error=None, traceback=None)
    job = engine.known(run_id)
    if job is not None:
        show(job, values, notes)


def is_scored(metrics: Mapping[str, float]) -> bool:
    """Whether these are the numbers of a run that was scored after its training."""
    return SCORED in metrics


def _fail(engine: Engine, run_id: str, owner: str, name: str, spec: RunSpec, error: Exception) -> None:
    sentence = str(error) if isinstance(error, InputError) else f"The run could not begin ({type(error).__name__}: {error})."
    with suppress(Exception):  # a store that cannot be written has nothing to hold the sentence
        if engine.store.get(run_id) is None:
            engine.store.add(run_id, owner, name, spec, spec.steps or 1)
        engine.store.update(run_id, state="failed", error=sentence, traceback=traceback.format_exc())
