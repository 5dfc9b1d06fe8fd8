"""What the sections of the page of cells share: the study, the run, the selected cells, and what the run says about every cell."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome, Study
from uotlab.cells.study import Side
from uotlab.engine.fitted import Fitted
from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.ui.cells_part import part
from uotlab.ui.cells_setup import study
from uotlab.ui.config import data_key
from uotlab.ui.later import LOOK_SECONDS, Later, Progress, known, later, shown

PATIENCE = 30.0  #: s for one training step and its checkpoint
RESTING = ("done", "stopped", "paused", "interrupted")
SELECTED, SELECTED_TARGET, ASKED, FOLLOWED = "cells_selected", "cells_selected_target", "cells_asked", "cells_followed"


@dataclass(frozen=True)
class Scene:
    """One look at the page."""

    study: Study
    job: Job | None
    spec: RunSpec
    data: str

    @property
    def selected(self) -> np.ndarray:
        """Positions in `study.source` of the selected cells."""
        held = st.session_state.get(SELECTED, {})
        return np.asarray(held.get(self.data, []), dtype=np.int64)

    @property
    def selected_target(self) -> np.ndarray:
        """Positions in `study.target` of the selected target cells."""
        held = st.session_state.get(SELECTED_TARGET, {})
        return np.asarray(held.get(self.data, []), dtype=np.int64)

    def select(self, positions: np.ndarray, side: Side = "source") -> None:
        """Make these the selected cells of a side; none ends the selection."""
        st.session_state[SELECTED if side == "source" else SELECTED_TARGET] = {self.data: [int(i) for i in positions]}

    @property
    def resting(self) -> bool:
        return self.job is not None and self.job.state in RESTING and self.job.step > 0

    def outcome_key(self) -> tuple[str, str, int] | None:
        """Of the newest step that was asked for: at rest the last one, while training the one of the button."""
        if self.job is None:
            return None
        asked = st.session_state.get(ASKED, {})
        step = self.job.step if self.resting else asked.get(self.job.id)
        return None if step is None else ("outcome", self.job.id, step)

    def outcome(self) -> Later | None:
        """What the run says about every source cell, soon; None where nothing was trained or asked yet."""
        key = self.outcome_key()
        if key is None:
            return None
        job, cells = self.job, self.study
        assert job is not None
        step = key[2]
        return later(key, lambda progress: Outcome.of(_fitted(job, step), cells), "Asking the map about every cell")


def _fitted(job: Job, step: int) -> Fitted:
    """The run at this step or a little later: one that trains was asked for a checkpoint, and writes it after the step under way."""
    end = time.monotonic() + PATIENCE
    while job.state == "running" and job.saved < step and time.monotonic() < end:
        time.sleep(0.05)
    return engine().fitted(job.id)


@lru_cache(maxsize=4)
def _study(data: str) -> Study:
    return study(RunSpec.model_validate_json(data))


def scene_of(job: Job | None, spec: RunSpec) -> Scene:
    """The scene of a run, or of a configuration before any run.

    Raises:
        InputError: the cells cannot be had.
    """
    key = data_key(spec)
    return Scene(_study(key), job, spec, key)


def asking(scene: Scene) -> Outcome | None:
    """The outcome, or what a person has to do or wait for, on the page.

    Call it inside a fragment that runs again by itself while `waits` says so.
    """
    if scene.job is None:
        st.info("Press Play first: this is read off the trained map.", icon=":material/play_arrow:")
        return None
    job = scene.job
    if not scene.resting:
        st.button(
            "Update from the run so far", key="cells_update", icon=":material/refresh:", on_click=_ask, args=(job,),
            help="Reads the run as it is now; training goes on",
        )  # fmt: skip
    found = scene.outcome()
    if found is None:
        st.caption("The run is under way. Update to read it as it stands, or pause it; at the end it is read by itself.")
        return None
    outcome: Outcome | None = shown(found)
    if outcome is not None and not scene.resting:
        st.caption(f"As the run stood at step {outcome.settings.get('steps', 0):,}.")
    return outcome


def _ask(job: Job) -> None:
    job.save()
    st.session_state[ASKED] = {job.id: job.step}


def follows(section: str, chosen: np.ndarray) -> bool:
    """Whether other cells were selected since this section last looked: it then turns to them."""
    held = st.session_state.setdefault(FOLLOWED, {})
    now, before = hash(chosen.tobytes()), held.get(section)
    held[section] = now
    return bool(len(chosen)) and now != before


def waits(*keys: Hashable | None) -> bool:
    """Whether one of these results is under way."""
    return any(found is not None and not found.done for key in keys if key is not None for found in [known(key)])


def analysed(
    scene: Scene, name: Hashable, make: Callable[[Outcome, Progress], Any], words: str, draw: Callable[[Scene, Outcome, Any], None]
) -> None:
    """A section that shows what is computed of the outcome: asked for, waited for, drawn. It looks again by itself until all is there."""
    scene.outcome()
    key = None if scene.outcome_key() is None else (name, scene.outcome_key())
    busy = key is not None and (waits(scene.outcome_key(), key) or known(key) is None)

    def section() -> None:
        outcome = asking(scene)
        if outcome is None or key is None:
            return
        found = shown(later(key, lambda progress: make(outcome, progress), words))
        if found is None:
            return
        if busy:
            st.rerun()  # all is there: the page need not look again
        draw(scene, outcome, found)

    part(section, LOOK_SECONDS if busy else None)
