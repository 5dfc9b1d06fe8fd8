"""The side panel of the page of cells: which cells, then the lab's own choices of method, balance and training."""

import math
from typing import Any

import streamlit as st

from uotlab.cells import Study, study_of
from uotlab.cells.running import growth_settings, held_settings
from uotlab.data.base import DATASETS
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui import state
from uotlab.ui.cells_file import own_cells
from uotlab.ui.config import configure, problem_of

GROWTH = growth_settings(METHODS["uotm"], {"rho1": 0.95, "rho2": math.inf})  #: the target is held, and what UOTM asks for then
FIRST = RunSpec(method="uotm", dataset="dentate-gyrus", steps=GROWTH.pop("steps", None), params=GROWTH)


def cell_datasets() -> list[str]:
    """Keys of the datasets that hold cells."""
    return [name for name, cls in DATASETS.items() if hasattr(cls, "study")]


def current() -> RunSpec:
    """The configuration now; the page's own first one where the lab's holds no cells."""
    spec = state.current()
    if spec.dataset in cell_datasets():
        return spec
    state.replace(FIRST)
    return FIRST


def setup(spec: RunSpec) -> RunSpec:
    """Draw the panel and return what it says now."""
    own_cells()
    found = configure(spec, cell_datasets())
    _advice(found)
    return found


def study(spec: RunSpec) -> Study:
    """The study of a configuration.

    Raises:
        InputError: the cells cannot be had.
    """
    return study_of(problem_of(spec))


def _advice(spec: RunSpec) -> None:
    """Scaling reads as growth only where the target is held."""
    cls = METHODS[spec.method]
    if all(cls.relaxed) and not _held(spec):
        with st.container(border=True):
            st.caption(
                "Both sides are relaxed: cells are then let go for being far as well as for dying, and the scaling is no growth rate. "
                "Hold the target to read it as growth."
            )
            if st.button("Hold the target", key="hold_target", icon=":material/lock:"):
                kept = {k: v for k, v in spec.params.items() if k not in ("rho", "tau", "rho2", "tau2")}
                state.replace(_settled(spec, kept | {"rho2": math.inf}))
                st.rerun()
    elif missing := _missing(spec):
        with st.container(border=True):
            words = ", ".join(f"{k} {v:g}" if type(v) in (int, float) else f"{k} {v}" for k, v in missing.items())
            st.caption(f"With the target held, {cls.title} is known to settle with {words}.")
            if st.button("Take these settings", key="held_settings", icon=":material/tune:"):
                state.replace(_settled(spec, spec.params))
                st.rerun()


def _held(spec: RunSpec) -> bool:
    params = spec.params
    return params.get("rho2") == math.inf or params.get("divergence2") == "balanced" or params.get("tau2") == 1.0


def _missing(spec: RunSpec) -> dict[str, Any]:
    """What the method asks for with a held target and the panel does not say yet; steps only beside other settings."""
    try:
        found = held_settings(METHODS[spec.method], spec.params)
    except InputError:  # the panel says so itself
        return {}
    return found if found.keys() - {"steps"} else {}


def _settled(spec: RunSpec, params: dict[str, Any]) -> RunSpec:
    """The configuration with these parameters and what a held target asks for."""
    more = held_settings(METHODS[spec.method], params)
    steps = more.pop("steps", spec.steps)
    return spec.model_copy(update={"params": params | more, "steps": steps})
