"""The neural half of the page of barycenters: a run and its balanced twin side by side, live, and a strip over τ below.

A fragment: its buttons rerun only it. The pictures are those of the lab and of the comparison.
"""

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.titles import title_of
from uotlab.ui import barycenters_neural_state as kept
from uotlab.ui.barycenters_neural_out import download, share
from uotlab.ui.barycenters_neural_strip import strip
from uotlab.ui.compare_link import compare_link
from uotlab.ui.compare_page import side_by_side
from uotlab.ui.compare_runs import Compared, compared, numbers
from uotlab.ui.compare_source import views_for, waits
from uotlab.ui.config import notes, preview
from uotlab.ui.controls import ACTIVE, SHOWN, SPEEDS, controls, offer
from uotlab.ui.live import live
from uotlab.ui.panel import view_options
from uotlab.ui.plain import plain
from uotlab.ui.runs import COLORS
from uotlab.ui.sources import find
from uotlab.ui.state import owner, start_with, told
from uotlab.ui.sweep_page import duration
from uotlab.ui.tau import rho_text
from uotlab.ui.together import Together
from uotlab.ui.wire import arrays_of, views_of
from uotlab.views.base import VIEWS

HEIGHT = 480  #: of the pictures, px
TALL = {"barycenter-digits": 720}  #: of those that stand in a column where two runs are side by side
REFRESH = 1.0  #: s between two looks at the progress
FIRST_VIEWS = ("barycenter-digits", "barycenter-plans", "barycenter-samples")  #: what is shown first, where there is one


@st.fragment
def show() -> None:
    """Everything right of the side panel."""
    spec = kept.current()
    jobs = kept.runs_of("job") + kept.runs_of("beside")
    runs = compared([job.id for job in jobs])
    together = Together(jobs) if jobs else None
    st.session_state["bn_seen"], st.session_state["bn_drawing"] = _seen(runs), True
    with st.container(horizontal=True, key="bn-head", vertical_alignment="center"):
        share(spec)
        download(jobs)
        if len(jobs) > 1:
            compare_link("Compare", [job.id for job in jobs])
    controls(together, spec, start, clear)
    _twin(spec, jobs)
    sentence = told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    offer(jobs[0] if jobs else None, spec, start, kept.replace)
    if jobs:
        busy = any(run.job.state in ACTIVE or waits(run) for run in runs)
        st.fragment(_progress, run_every=REFRESH if busy else None)([job.id for job in jobs])
        _pictures(runs)
    else:
        _data(spec)
    for note in notes(jobs[0].spec if jobs else spec):
        st.caption(note)
    strip(spec, start_one)


# ---- buttons ---------------------------------------------------------------------------------------
def start(spec: RunSpec) -> None:
    """Train with these settings, and the balanced twin beside; runs of this page that are still going are stopped first."""
    for job in kept.runs_of("job") + kept.runs_of("beside"):
        if job.state in (*ACTIVE, "paused"):
            job.stop()
    first = start_one(spec)
    kept.watch("job", [first])
    kept.watch("beside", [start_one(twin(spec), beside=True)] if _wants_twin(spec) else [])


def start_one(spec: RunSpec, name: str = "", *, beside: bool = False) -> Job:
    """One run with the speed and the number of points that the page says."""
    job = engine().submit(spec, owner(), name or name_of(spec), beside=beside)
    job.set_speed(SPEEDS[st.session_state.get("speed", "Full speed")])
    job.show(SHOWN.get(st.session_state.get("shown", ""), min(SHOWN.values())))
    return job


def clear() -> None:
    """Back to the data; runs that were going stop, and stay under Runs."""
    for job in kept.runs_of("job") + kept.runs_of("beside"):
        if job.state in (*ACTIVE, "paused"):
            job.stop()
    for key in ("job", "beside"):
        kept.watch(key, [])


def twin(spec: RunSpec) -> RunSpec:
    """The same without any change of mass."""
    fields = METHODS[kept.TWIN].model_fields
    params = {k: v for k, v in spec.params.items() if k in fields and not k.startswith(("rho", "tau", "divergence"))}
    return spec.model_copy(update={"method": kept.TWIN, "params": params})


def name_of(spec: RunSpec) -> str:
    """Such as "U-NOTB, ρ 0.5" or "NOTB, balanced": what tells runs of one page apart."""
    title = METHODS[spec.method].title
    if spec.method == kept.TWIN:
        return f"{title}, balanced"
    said = {k: v for k, v in spec.params.items() if k.startswith(("rho", "tau"))}
    words = [f"{k.replace('rho', 'ρ').replace('tau', 'τ')} {rho_text(float(v))}" for k, v in said.items() if v is not None]
    return ", ".join([title, *words])


def _wants_twin(spec: RunSpec) -> bool:
    return spec.method != kept.TWIN and bool(st.session_state.get("bn.twin", True))


def _twin(spec: RunSpec, jobs: Sequence[Job]) -> None:
    """Whether the balanced one is trained beside; for a run alone, a way to add it."""
    if spec.method == kept.TWIN:
        return
    start_with("bn.twin", True)
    words = "Train the balanced barycenter at the same time, with the same data, weights, networks and seed"
    with st.container(horizontal=True, vertical_alignment="center", key="bn-twin"):
        st.toggle("Balanced one beside it", key="bn.twin", help=words)
        if len(jobs) == 1 and st.session_state["bn.twin"]:

            def add() -> None:
                kept.watch("beside", [start_one(twin(jobs[0].spec), beside=True)])

            st.button("Train it now", key="bn_add", icon=":material/add:", on_click=_safely(add))


def _safely(act: Any) -> Any:
    def run() -> None:
        try:
            act()
        except InputError as error:
            kept.tell(str(error))

    return run


# ---- pictures --------------------------------------------------------------------------------------
def _data(spec: RunSpec) -> None:
    """The measures before any training, and what to do."""
    try:
        source = find(preview(spec))
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if source is None or source.snapshot is None:
        return
    arrays = arrays_of(source.snapshot)
    views = views_of(arrays)
    view = next((name for name in FIRST_VIEWS if name in views), views[0])
    live(source.id, view, key="bn-live", height=HEIGHT, state="still")
    st.caption("These are the measures. Choose their weights and how strict each is at the side, then press Play.")


def _pictures(runs: Sequence[Compared]) -> None:
    """The choice of pictures, and the chosen one of all runs."""
    views = views_for(runs)
    if not views:
        st.caption("The first picture comes with the first steps.")
        return
    view = _choose(views)
    if len(runs) == 1:
        job, arrays = runs[0].job, arrays_of(runs[0].job.snapshot) if runs[0].job.snapshot is not None else {}
        options = view_options(view, arrays, key="bn-options")
        live(job.id, view, options, key="bn-live", height=HEIGHT, state=job.state, views=views_of(arrays))
        st.caption(VIEWS[view].summary)
    else:
        side_by_side(runs, view, "bn-live", TALL.get(view, HEIGHT))


def _choose(views: list[str]) -> str:
    """Which picture: kept in the address."""
    wanted = st.query_params.get("view") or st.session_state.get("bn_view")
    now = wanted if wanted in views else next((name for name in FIRST_VIEWS if name in views), views[0])
    if st.session_state.get("bn.view") not in views:
        st.session_state["bn.view"] = now

    def chosen() -> None:
        st.session_state["bn_view"] = st.query_params["view"] = st.session_state["bn.view"]

    picked = st.segmented_control(
        "Picture", views, format_func=lambda name: VIEWS[name].title, key="bn.view", label_visibility="collapsed",
        required=True, on_change=chosen, wrap=False,
    )  # fmt: skip
    return picked or now


# ---- what moves beside the pictures ------------------------------------------------------------------
def _seen(runs: Sequence[Compared]) -> str:
    """What the buttons and the menu of pictures depend on."""
    return f"{[run.job.state for run in runs]} {views_for(runs)}"


def _progress(ids: list[str]) -> None:
    """How far each run is, and its newest numbers."""
    runs = compared(ids)
    for run in runs:
        job = run.job
        if job.state in (*ACTIVE, "paused"):
            share = min(job.step / max(job.steps_total, 1), 1.0)
            st.progress(share, f":{COLORS[job.state]}[●] **{plain(run.name)}** · {_words(job)}")
        else:
            st.caption(f":{COLORS[job.state]}[●] **{plain(run.name)}** · {_words(job)}")
        if job.state == "failed":
            st.error(plain(job.error or "The run failed."), icon=":material/error:")
        if job.note:
            st.info(plain(job.note), icon=":material/info:")
    names = [name for name in numbers(runs) if "loss" not in name]
    if names:
        rows = [{"run": run.name, **{name: _finite(run.job.metrics.get(name)) for name in names}} for run in runs]
        column = st.column_config
        config = {"run": column.TextColumn("Run", pinned=True), **{n: column.NumberColumn(title_of(n), format="%.3g") for n in names}}
        st.dataframe(rows, hide_index=True, key="bn_numbers", alt="The newest numbers of the runs", column_config=config)
    drawing = st.session_state.pop("bn_drawing", False)  # not while the page itself is drawn: its new widgets would be lost
    if not drawing and _seen(runs) != st.session_state.get("bn_seen"):
        st.rerun()  # a run began or ended, or there are new pictures


def _words(job: Job) -> str:
    words = [f"step {job.step:,} of {job.steps_total:,}"]
    if job.state == "running" and (rate := job.steps_per_second):
        words += [f"{rate:.3g} steps/s"]
    if job.state == "running" and (left := job.eta_seconds):
        words += [f"about {duration(left)} left"]
    if job.state == "queued" and job.position:
        words += [f"number {job.position} in the queue"]
    return " · ".join([job.state if job.state != "running" else "training", *words])


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
