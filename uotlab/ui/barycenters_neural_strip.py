"""The strip of the paper's Figures 2 and 3: the same barycenter at three τ, from very unbalanced to nearly balanced, and balanced."""

from collections.abc import Callable, Sequence

import streamlit as st

from uotlab.engine.job import Job
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.penalty import rho_from_tau
from uotlab.ui import barycenters_neural_state as kept
from uotlab.ui.compare_page import side_by_side
from uotlab.ui.compare_runs import compared
from uotlab.ui.compare_source import views_for, waits
from uotlab.ui.config import mean_cost
from uotlab.ui.controls import ACTIVE, same_run
from uotlab.ui.plain import plain
from uotlab.ui.sweep_page import duration

TAUS = (1.0, 20.0, 200.0)
REFRESH = 2.0  #: s between two looks
HEIGHT = 360  #: px


def specs(spec: RunSpec) -> list[RunSpec]:
    """The run of each τ, in the convention of the paper: τ D beside ½|x - y|², ρ = 2τ/s."""
    scale = mean_cost(spec)
    params = {k: v for k, v in spec.params.items() if not k.startswith(("rho", "tau"))}
    return [
        spec.model_copy(update={"params": params | {"rho": float(f"{rho_from_tau('divergence-weight', tau, scale):.6g}")}}) for tau in TAUS
    ]


def strip(spec: RunSpec, start: Callable[[RunSpec, str], Job]) -> None:
    """A heading, the button that trains it, and the pictures as they come."""
    jobs = kept.runs_of("strip")
    if not any(METHODS[spec.method].relaxed) and not jobs:
        return
    st.subheader("From unbalanced to balanced")
    words = ", ".join(f"{tau:g}" for tau in TAUS)
    with st.container(horizontal=True, vertical_alignment="center", key="bn-strip-head"):
        going = [job for job in jobs if job.state in (*ACTIVE, "paused")]
        if going:
            st.button("Stop the strip", key="bn_strip_stop", icon=":material/stop:", on_click=_stop, args=(going,))
        else:
            label = "Train the strip" if not jobs else "Train it again"
            st.button(label, key="bn_strip", icon=":material/view_week:", on_click=_start, args=(spec, start))
        st.caption(
            f"The same barycenter at τ = {words}, as in the paper's Figures 2 and 3, one after the other in the queue. "
            "Small τ lets go of what does not fit; large τ comes close to the balanced one.",
        )
    if jobs:
        ids = [job.id for job in jobs]
        busy = any(run.job.state in ACTIVE or waits(run) for run in compared(ids))
        st.session_state["bn_strip_seen"], st.session_state["bn_strip_drawing"] = _seen(ids), True
        st.fragment(_strip, run_every=REFRESH if busy else None)(ids)


def _start(spec: RunSpec, start: Callable[[RunSpec, str], Job]) -> None:
    """Queue those that are not trained yet; a run of this page with the same settings stands in for one."""
    known = kept.runs_of("job") + kept.runs_of("strip")
    found: list[Job] = []
    try:
        for tau, wanted in zip(TAUS, specs(spec), strict=True):
            same = next((job for job in known if same_run(job.spec, wanted) and job.state in (*ACTIVE, "done")), None)
            found.append(same or start(wanted, f"{METHODS[wanted.method].title}, τ = {tau:g}"))
    except InputError as error:
        kept.tell(str(error))
    kept.watch("strip", found)


def _stop(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.stop()


def _seen(ids: Sequence[str]) -> str:
    """What the button and the refresh depend on."""
    runs = compared(ids)
    return f"{[run.job.state for run in runs]} {[waits(run) for run in runs]}"


def _strip(ids: list[str]) -> None:
    drawing = st.session_state.pop("bn_strip_drawing", False)  # not while the page itself is drawn: its new widgets would be lost
    if not drawing and _seen(ids) != st.session_state.get("bn_strip_seen"):
        st.rerun()
    runs = compared(ids)
    beside = kept.runs_of("beside")
    shown = compared([*ids, *(job.id for job in beside)])  # the balanced one ends the strip
    left = sum(run.job.eta_seconds or 0.0 for run in runs)
    done = sum(run.job.state == "done" for run in runs)
    if done < len(runs):
        words = [
            f"{done} of {len(runs)} done",
            *(f"{plain(run.name)}: step {run.job.step:,}" for run in runs if run.job.state == "running"),
        ]
        share = sum(run.job.step / max(run.job.steps_total, 1) for run in runs) / max(len(runs), 1)
        st.progress(min(share, 1.0), " · ".join(words + ([f"about {duration(left)} left of this one"] if left else [])))
    views = views_for(shown)
    if views:
        wanted = st.session_state.get("bn.view")
        view = wanted if wanted in views else views[0]
        side_by_side(shown, view, "bn-strip-live", HEIGHT, columns=len(shown), menus=False)
