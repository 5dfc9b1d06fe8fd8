"""Play, pause, step, stop, reset, speed and extend for one job. Buttons act in callbacks, so the page that follows is right."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.begin import make_method
from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.ui import state
from uotlab.ui.state import owner, tell
from uotlab.ui.together import Together

SPEEDS: dict[str, float | None] = {"Full speed": None, "50 steps/s": 50, "10 steps/s": 10, "3 steps/s": 3, "1 step/s": 1}
SHOWN = {"1,000 points": 1000, "3,000 points": 3000, "10,000 points": 10_000}
SETTLE_SECONDS = 0.5
ACTIVE = ("queued", "running")
Watched = Job | Together  #: what the buttons speak to


def current_job() -> Job | None:
    """The job in the address, or None; a wrong id is told once and forgotten."""
    name = st.query_params.get("job") or st.session_state.get("job")
    if not name:
        return None
    job = engine().job(name)
    if job is None:
        tell(
            "There is no run with the id in the address; it may have been deleted, or the link is incomplete. "
            "Look under Runs, or train a new one."
        )
        forget()
        return None
    if st.session_state.get("job") != job.id:
        # opened by a link: its settings come with it
        if job.spec.dataset is not None:
            state.replace(job.spec)
        remember(job)
    elif st.query_params.get("job") != job.id:
        remember(job)
    return job


def remember(job: Job) -> None:
    """This session watches `job`, and the address says so."""
    st.session_state["job"] = job.id
    st.query_params["job"] = job.id


def forget() -> None:
    """This session watches no run."""
    st.session_state.pop("job", None)
    if "job" in st.query_params:
        del st.query_params["job"]


def same_run(a: RunSpec, b: RunSpec) -> bool:
    """Whether two specs train the same run."""
    return _resolved(a) == _resolved(b)


def _resolved(spec: RunSpec) -> Any:
    try:
        method = make_method(spec.method, spec.params)
    except InputError:
        return spec
    return method, spec.dataset, spec.n, spec.data, spec.steps or method.default_steps, spec.seed, spec.device


def controls(
    job: Watched | None, spec: RunSpec, start: Callable[[RunSpec], None] | None = None, clear: Callable[[], None] | None = None
) -> None:  # fmt: skip
    """The row of buttons for the job's present state; `start` and `clear` stand in for the lab's own `train` and `reset`."""
    begin = start or train
    with st.container(horizontal=True, key="controls", vertical_alignment="center", gap="small"):
        now = job.state if job is not None else None
        if job is None:
            _button("Play", "play", "play_arrow", lambda: begin(spec), shortcut="P", type="primary")
        elif now in ACTIVE:
            _button("Pause", "play", "pause", lambda: settled(job, job.pause), shortcut="P", type="primary")
        elif now == "done":
            _button("Play again", "play", "replay", lambda: begin(spec), shortcut="P", type="primary")
        else:
            _button("Resume", "play", "play_arrow", job.resume, shortcut="P", type="primary")
        if job is not None:
            _button(
                "Step",
                "step",
                "skip_next",
                job.step_once,
                shortcut="S",
                disabled=now not in ("paused", "stopped"),
                help="Exactly one training step",
            )
            _button(
                "Stop",
                "stop",
                "stop",
                job.stop,
                shortcut="X",
                disabled=now not in (*ACTIVE, "paused"),
                help="End the run here; it stays under Runs",
            )
            _button(
                "Reset",
                "reset",
                "restart_alt",
                clear or (lambda: reset(job)),  # type: ignore[arg-type]  # the lab's is a Job
                shortcut="0",
                help="Clear the picture; the run stays under Runs",
            )
            _extend(job)
        _speed(job)
        _shown(job, spec)


def train(spec: RunSpec) -> None:
    """Start a run with these settings; a run of this page that is still going is stopped first, and stays under Runs."""
    before = engine().job(st.session_state.get("job", "")) if st.session_state.get("job") else None
    if before is not None and before.state in (*ACTIVE, "paused"):
        before.stop()
    job = engine().submit(spec, owner())
    job.set_speed(SPEEDS[st.session_state.get("speed", "Full speed")])
    job.show(SHOWN.get(st.session_state.get("shown", ""), min(SHOWN.values())))
    remember(job)
    st.session_state.pop("undo_job", None)


def settled(job: Watched, act: Callable[[], None]) -> None:
    """Act, and wait a moment for the job to come to rest, so that the buttons drawn next are the right ones."""
    act()
    job.wait(SETTLE_SECONDS)


def reset(job: Job) -> None:
    """Back to the data; a run that was going stops and can be brought back."""
    going = job.state in (*ACTIVE, "paused")
    if going:
        job.stop()
    forget()
    st.session_state["undo_job"] = job.id
    st.session_state["undo_going"] = going


def undo_reset() -> None:
    """The offer to bring the last run back."""
    name = st.session_state.get("undo_job")
    job = engine().job(name) if name else None
    if job is None:
        return

    def back() -> None:
        st.session_state.pop("undo_job", None)
        remember(job)
        if st.session_state.pop("undo_going", False):
            job.resume()

    words = "The run was stopped and is kept under Runs." if st.session_state.get("undo_going") else "The run is kept under Runs."
    with st.container(horizontal=True, vertical_alignment="center", key="undo-row"):
        st.caption(words, width="content")
        _button("Bring it back", "undo", "undo", back, type="tertiary")


def offer(
    job: Job | None, spec: RunSpec, start: Callable[[RunSpec], None] | None = None, back: Callable[[RunSpec], None] = state.replace
) -> None:  # fmt: skip
    """When the settings have changed since the run began: train with them, by `start`, or take the run's own, by `back`."""
    if job is None or job.spec.dataset is None or same_run(job.spec, spec):
        return
    begin = start or train
    going = job.state in (*ACTIVE, "paused")
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="offer-row"):
        st.markdown(
            "The settings have changed since this run began. It goes on with its own."
            if going
            else "The settings have changed since this run.",
            width="content",
        )
        _button(
            "Stop it and train with these" if going else "Train with these settings",
            "retrain",
            "play_arrow",
            lambda: begin(spec),
            type="primary" if not going else "secondary",
        )
        if st.button("Back to its settings", key="unchange", icon=":material/undo:", type="tertiary"):
            back(job.spec)
            st.rerun()  # the whole page: a callback would redraw this part only and leave the side panel as it was


def _extend(job: Watched) -> None:
    with st.popover("More steps", icon=":material/add:", disabled=job.state in ("failed", "interrupted")):
        state.start_with("extend_by", 1000)
        n = st.number_input("Steps to add", 1, 10_000_000, step=500, key="extend_by")
        _button("Add them", "extend", "add", lambda: job.extend(int(n)), help="A finished run goes on at once")


def _speed(job: Watched | None) -> None:
    state.start_with("speed", next((k for k, v in SPEEDS.items() if job is not None and v == job.control.max_rate), "Full speed"))

    def changed() -> None:
        if job is not None:
            job.set_speed(SPEEDS[st.session_state["speed"]])

    st.selectbox(
        "Speed",
        list(SPEEDS),
        key="speed",
        label_visibility="collapsed",
        width=140,
        on_change=changed,
        help="Slow motion, to watch single steps",
    )


def _shown(job: Watched | None, spec: RunSpec) -> None:
    """How many points move in the picture; not offered where there are no more than the fewest."""
    n = spec.n or (DATASETS[spec.dataset].default_n if spec.dataset is not None and spec.dataset in DATASETS else 0)
    choices = [name for name, most in SHOWN.items() if most == min(SHOWN.values()) or n >= most]
    if len(choices) < 2:
        return
    if st.session_state.get("shown") not in choices:
        st.session_state.pop("shown", None)  # chosen for larger data
    state.start_with(
        "shown", next((k for k, v in SHOWN.items() if job is not None and v == job.control.shown and k in choices), choices[0])
    )

    def changed() -> None:
        if job is not None:
            job.show(SHOWN[st.session_state["shown"]])

    st.selectbox(
        "Points shown",
        choices,
        key="shown",
        label_visibility="collapsed",
        width=140,
        on_change=changed,
        help="Points a side that move in the picture while training; more of them slow training down",
    )


def _button(label: str, key: str, icon: str, act: Callable[[], Any], **more: Any) -> None:
    def safely() -> None:
        try:
            act()
        except InputError as error:
            tell(str(error))

    st.button(label, key=key, icon=f":material/{icon}:", on_click=safely, **more)
