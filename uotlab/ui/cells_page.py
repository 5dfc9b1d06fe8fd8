"""The page of cells below its side panel: buttons, what there is to say, and one section of pictures and tables at a time."""

from functools import partial

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.job import Job
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui import cells_file, cells_setup
from uotlab.ui.cells_part import part, place
from uotlab.ui.cells_scene import Scene, scene_of
from uotlab.ui.cells_section import SECTIONS
from uotlab.ui.controls import controls, current_job, forget, undo_reset
from uotlab.ui.later import duration
from uotlab.ui.panel import say
from uotlab.ui.plain import plain
from uotlab.ui.share import share

UNDER_WAY = ("queued", "running")
LOOK_SECONDS = 1.0  #: between two looks at a run under way
KEPT = "v."  #: of the keys of the views' options, which outlive a section as what sections keep does


def opened() -> RunSpec:
    """The configuration that the page starts from; a run of other data is left to the lab."""
    job = current_job()
    if job is not None and job.spec.dataset not in cells_setup.cell_datasets():
        forget()
    return cells_setup.current()


@st.fragment
def show() -> None:
    """Everything that follows a running job."""
    job, spec = current_job(), cells_setup.current()
    if cells_file.opening(spec):
        with st.container(key="cells-top"):
            cells_file.loader(spec)
        place("", SECTIONS)
        return
    shown = job.spec if job is not None else spec
    scene, wrong = _scene(job, shown)
    with st.container(key="cells-top"):  # one element, however much it says: the places of the sections stay where they are
        title = DATASETS[shown.dataset or ""].title if scene is None else plain(scene.study.title)
        with st.container(horizontal=True, key="cells-head", vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"#### {title} with {METHODS[shown.method].title}", width="content")
            share(spec)
        controls(job, spec)
        undo_reset()
        say(job, spec)
        if scene is None:
            st.error(plain(wrong), icon=":material/error:")
            return
        _who(scene)
        _keep()
        name = _section()
    section = SECTIONS[name]()
    with place(name, SECTIONS):
        if not section.live and job is not None and job.state in UNDER_WAY:
            part(partial(_under_way, job, job.state), LOOK_SECONDS)
        section.show(scene)
    for note in scene.study.notes:
        st.caption(plain(note))


def _scene(job: Job | None, spec: RunSpec) -> tuple[Scene | None, str]:
    """The scene, or why there is none."""
    try:
        return scene_of(job, spec), ""
    except InputError as error:
        return None, str(error)


def _who(scene: Scene) -> None:
    """Which cells are matched, in one line."""
    study = scene.study
    simulated = " · **simulated**" if study.simulated else ""
    between = f", {study.dt:g} {study.unit} apart" if study.dt and study.unit else ""
    st.caption(
        f"{len(study.source):,} cells of {plain(study.time)} {plain(study.source_value)} to {len(study.target):,} of "
        f"{plain(study.target_value)}{between} · {study.d} dimensions · "
        f"{len(study.genes):,} genes{simulated}" if study.has_genes else
        f"{len(study.source):,} to {len(study.target):,} cells · {study.d} dimensions · no genes{simulated}"
    )  # fmt: skip


def _keep() -> None:
    """Hold what was chosen in sections that are not drawn now: Streamlit forgets widgets that are not there."""
    names = {key for name in SECTIONS for key in SECTIONS[name].keeps}
    for key in [k for k in st.session_state if k in names or str(k).startswith(KEPT)]:
        st.session_state[key] = st.session_state[key]


def _under_way(job: Job, state: str) -> None:
    """How far the run is, where no live picture says it; looks again at the whole page when its state changes."""
    if job.state != state:
        st.rerun()
    job.touch()  # somebody is watching
    if state == "queued":
        st.progress(0.0, text="The run waits for another one.")
        return
    left = "" if job.eta_seconds is None else f", about {duration(job.eta_seconds)} left"
    st.progress(min(job.step / max(job.steps_total, 1), 1.0), text=plain(f"Training: step {job.step:,} of {job.steps_total:,}{left}"))


def _section() -> str:
    """Which section: kept in the address."""
    names = list(SECTIONS)
    if st.session_state.get("w.section") not in names:
        wanted = st.query_params.get("section")
        st.session_state["w.section"] = wanted if wanted in names else names[0]

    def chosen() -> None:
        st.query_params["section"] = st.session_state["w.section"]

    picked = st.segmented_control(
        "Section", names, format_func=lambda name: SECTIONS[name].title, key="w.section", label_visibility="collapsed",
        required=True, on_change=chosen,
    )  # fmt: skip
    return picked or names[0]
