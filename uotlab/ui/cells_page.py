"""The page of cells below its side panel: buttons, what there is to say, and one section of pictures and tables at a time."""

from collections.abc import Callable, Mapping

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.job import Job
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui import cells_fates, cells_file, cells_genes, cells_growth, cells_map, cells_out, cells_setup, cells_training
from uotlab.ui.cells_scene import Scene, scene_of
from uotlab.ui.controls import controls, current_job, forget, undo_reset
from uotlab.ui.panel import say
from uotlab.ui.plain import plain
from uotlab.ui.share import share

SECTIONS: Mapping[str, tuple[str, Callable[[Scene], None]]] = {
    "cells": ("Cells", cells_map.show),
    "growth": ("Growth", cells_growth.show),
    "fates": ("Fates", cells_fates.show),
    "genes": ("Genes", cells_genes.show),
    "training": ("Training", cells_training.show),
    "out": ("Take away", cells_out.show),
}


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
        cells_file.loader(spec)
        return
    shown = job.spec if job is not None else spec
    with st.container(horizontal=True, key="cells-head", vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"#### {DATASETS[shown.dataset or ''].title} with {METHODS[shown.method].title}", width="content")
        share(spec)
    controls(job, spec)
    undo_reset()
    say(job, spec)
    try:
        scene = scene_of(job, shown)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    _who(scene)
    section = _section(job)
    SECTIONS[section][1](scene)
    for note in scene.study.notes:
        st.caption(plain(note))


def _who(scene: Scene) -> None:
    """Which cells are matched, in one line."""
    study = scene.study
    simulated = " · **simulated**" if study.simulated else ""
    between = f", {study.dt:g} {study.unit} apart" if study.dt else ""
    st.caption(
        f"{len(study.source):,} cells of {plain(study.time)} {plain(study.source_value)} to {len(study.target):,} of "
        f"{plain(study.target_value)}{between} · {study.d} dimensions · "
        f"{len(study.genes):,} genes{simulated}" if study.has_genes else
        f"{len(study.source):,} to {len(study.target):,} cells · {study.d} dimensions · no genes{simulated}"
    )  # fmt: skip


def _section(job: Job | None) -> str:
    """Which section: kept in the address."""
    names = list(SECTIONS)
    if st.session_state.get("w.section") not in names:
        wanted = st.query_params.get("section")
        st.session_state["w.section"] = wanted if wanted in names else names[0]

    def chosen() -> None:
        st.query_params["section"] = st.session_state["w.section"]

    picked = st.segmented_control(
        "Section", names, format_func=lambda name: SECTIONS[name][0], key="w.section", label_visibility="collapsed",
        required=True, on_change=chosen,
    )  # fmt: skip
    return picked or names[0]
