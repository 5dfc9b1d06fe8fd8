"""The side panel of the page of cells: which cells, then the lab's own choices of method, balance and training."""

import math

import streamlit as st

from uotlab.cells import Study, study_of
from uotlab.data.base import DATASETS
from uotlab.engine.spec import RunSpec
from uotlab.methods.base import METHODS
from uotlab.ui import state
from uotlab.ui.cells_file import own_cells
from uotlab.ui.config import configure, problem_of

#: growth: the target is held, and R1 lets UOTM settle there (`benchmarks/README.md`)
FIRST = RunSpec(method="uotm", dataset="dentate-gyrus", steps=2000, params={"rho1": 0.95, "rho2": math.inf, "r1": 10.0})


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
                state.replace(spec.model_copy(update={"params": kept | {"rho2": math.inf}}))
                st.rerun()


def _held(spec: RunSpec) -> bool:
    params = spec.params
    return params.get("rho2") == math.inf or params.get("divergence2") == "balanced" or params.get("tau2") == 1.0
