"""The lab's main part: controls, what there is to say, and the live picture. A fragment: its buttons rerun only it."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.job import Job
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.titles import title_of
from uotlab.ui import state
from uotlab.ui.config import notes, preview
from uotlab.ui.controls import controls, current_job, offer, undo_reset
from uotlab.ui.form import title
from uotlab.ui.live import live
from uotlab.ui.low_mass import low_mass
from uotlab.ui.numbers import numbers
from uotlab.ui.plain import plain
from uotlab.ui.share import share
from uotlab.ui.sources import Source, find
from uotlab.ui.wire import arrays_of, views_of
from uotlab.views.base import VIEWS

STATUS_METRICS = 4


@st.fragment
def panel() -> None:
    """Everything that follows a running job."""
    job, spec = current_job(), state.current()
    shown = job.spec if job is not None and job.spec.dataset is not None else spec
    with st.container(horizontal=True, key="lab-head", vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"#### {DATASETS[shown.dataset or ''].title} with {METHODS[shown.method].title}", width="content")
        share(spec)
    controls(job, spec)
    undo_reset()
    say(job, spec)
    try:
        source = find(job.id if job is not None else preview(spec))
    except InputError as error:
        st.error(plain(error))
        return
    if source is not None:
        picture(source, job)
    for note in notes(shown):
        st.caption(note)


def say(job: Job | None, spec: RunSpec) -> None:
    """Sentences: what went wrong, what the state means, what low mass means."""
    sentence = state.told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    offer(job, spec)
    if job is None:
        return
    if job.state == "failed":
        st.error(plain(job.error or "The run failed."), icon=":material/error:")
        if job.traceback:
            with st.expander("Technical details"):
                st.code(job.traceback, language=None)
    elif job.state == "interrupted":
        st.info("The app was closed while this run was training. Resume goes on from its last checkpoint.", icon=":material/info:")
    if getattr(job, "note", None):
        st.info(plain(job.note), icon=":material/info:")
    if job.state not in ("queued", "running") and (said := low_mass(job.metrics.get("mass"))):  # while it runs the picture says it
        st.info(said, icon=":material/info:")


def picture(source: Source, job: Job | None) -> None:
    """The choice of pictures, the options of the chosen one, and the picture."""
    snapshot = source.snapshot
    still = preview(job.spec) if snapshot is None and job is not None and job.spec.dataset is not None else None
    drawn = snapshot if snapshot is not None or still is None else find(still).snapshot  # type: ignore[union-attr]
    views = views_of(arrays_of(drawn)) if drawn is not None else ["data"]
    view = _choose(views)
    options = view_options(view, drawn.arrays if drawn is not None else {})
    live(
        source.id, view, options, key="live", state=source.state if isinstance(source, Job) else "still",
        views=views_of(arrays_of(snapshot)) if snapshot is not None else (), metrics=status_metrics(job),
    )  # fmt: skip
    st.caption(VIEWS[view].summary)
    if view == "metrics" and job is not None:
        numbers(job)


def _choose(views: list[str]) -> str:
    """Which picture: kept in the address, the first one where the wanted one is not to be had."""
    wanted = st.query_params.get("view") or st.session_state.get("view")
    now = wanted if wanted in views else views[0]
    if st.session_state.get("w.view") not in views:
        st.session_state["w.view"] = now

    def chosen() -> None:
        st.session_state["view"] = st.query_params["view"] = st.session_state["w.view"]

    if len(views) == 1:
        return views[0]
    picked = st.segmented_control(
        "Picture", views, format_func=lambda name: VIEWS[name].title, key="w.view", label_visibility="collapsed",
        required=True, on_change=chosen, wrap=False,
    )  # fmt: skip
    return picked or now


def view_options(
    view: str, arrays: Mapping[str, np.ndarray], skip: Collection[str] = (), key: str = "view-options", prefix: str = "v"
) -> dict[str, Any]:
    """The view's options as widgets: toggles in one row of pills, choices and sliders beside them. `prefix`: of the widgets' keys."""
    options = {name: default for name, default in VIEWS[view].options.items() if name not in skip}
    toggles = [name for name, default in options.items() if isinstance(default, bool)]
    answers: dict[str, Any] = {}
    with st.container(horizontal=True, key=key, vertical_alignment="center", gap="medium"):
        if toggles:
            key = f"{prefix}.{view}.toggles"
            state.start_with(key, [name for name in toggles if options[name]])
            on = st.pills("Show", toggles, selection_mode="multi", key=key, format_func=title, label_visibility="collapsed")
            answers |= {name: name in on for name in toggles}
        for name, default in options.items():
            key = f"{prefix}.{view}.{name}"
            if isinstance(default, tuple):
                if "class" in default and (not _has_classes(arrays) or (view == "data" and not _is_plane(arrays))):
                    default = tuple(choice for choice in default if choice != "class")
                if len(default) < 2:
                    continue
                if st.session_state.get(key) not in default:
                    st.session_state[key] = default[0]
                state.start_with(key, default[0])
                words = f"{title(name)}: "
                show = partial(_labelled, words)
                answers[name] = st.selectbox(words, default, key=key, format_func=show, label_visibility="collapsed", width=190)
            elif isinstance(default, float):
                state.start_with(key, default)
                answers[name] = st.slider(title(name), 0.0, 1.0, step=0.01, key=key, width=220)
    return answers


def _has_classes(arrays: Mapping[str, np.ndarray]) -> bool:
    return "x_label" in arrays and len(np.unique(arrays["x_label"])) > 1


def _is_plane(arrays: Mapping[str, np.ndarray]) -> bool:
    return "x_image" not in arrays and ("x2" in arrays or arrays["x"].shape[1] > 1)


def _labelled(words: str, value: str) -> str:
    return f"{words}{value}"


def status_metrics(job: Job | None) -> dict[str, str]:
    """Names and titles of the numbers in the status line: mass and map error first, then the losses, then other live metrics.

    A number that is not there yet, such as an error while its reference is being computed, is shown once it is.
    """
    if job is None:
        return {}
    first = ["mass", "map error share"]
    names = list(dict.fromkeys([*first, *job.metrics]))
    titles = {name: title_of(name) for name in names}
    order = sorted(names, key=lambda name: (name not in first, "loss" not in name))
    return {name: titles[name] for name in order[:STATUS_METRICS]}
