"""Fates: which type becomes which, by mass and by the correlation kernel; accuracy on branches; groups pushed and pulled; velocity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome
from uotlab.cells.fates import Accuracy, Branches, accuracy, fate_arrays, how, mass_of_types, transition
from uotlab.cells.velocity import velocity_arrays
from uotlab.errors import InputError
from uotlab.ui.cells_branches import edit_branches
from uotlab.ui.cells_groups import map_of, pushed_and_pulled, wait_for_map
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_source import TITLES, type_codes
from uotlab.ui.cells_tables import table
from uotlab.ui.plain import plain

HEIGHT = 420
WAYS = {"plan": "Mass", "kernel": "Correlation kernel"}
KERNEL = (
    "The correlation kernel (Eyring and others, F.5.4) hardly tells maps apart on simulated cells: one that knows the fates and one that "
    "moves no cell read nearly the same. It is here to compare with papers; judge by mass."
)


@dataclass(frozen=True)
class Fates:
    """Tables by way, and the velocity on the map that is shown."""

    tables: Mapping[str, Any]
    mass: np.ndarray
    accuracy: Accuracy | None
    words: str
    velocity: dict[str, np.ndarray] | None
    why: str


def fates_of(outcome: Outcome, places: Any, branches: Branches) -> Fates:
    """All of it, of one outcome, with the velocity on one embedding."""
    tables, words, found, moved, why = {}, "", None, None, ""
    for way in WAYS:
        try:
            tables[way] = transition(outcome, way)  # type: ignore[arg-type]
        except InputError as error:
            words = str(error)
    try:
        found = accuracy(outcome, branches) if branches else None
        axes = np.array([f"{TITLES.get(places.kind, places.title)} {k}" for k in (1, 2)])
        moved = dict(velocity_arrays(outcome, places.points, places.place(outcome.mapped))) | {"names/velocity/axes": axes}
    except InputError as error:
        why = str(error)
    return Fates(tables, mass_of_types(outcome, tables["plan"]), found, words, moved, why)


@SECTIONS.register("fates")
class FatesSection(Section):
    """Who becomes whom."""

    title = "Fates"
    order = 30
    keeps = ("fates_way", "fates_push", "fates_pull")

    def show(self, scene: Scene) -> None:
        """The choices, then tables and pictures."""
        if not scene.study.type:
            st.info("These cells have no types: name an obs column that holds them when you open the file.", icon=":material/info:")
            return
        branches, places = edit_branches(scene), map_of(scene.study)
        wait_for_map(scene.study)
        name = ("fates", places.kind, repr(branches))
        analysed(scene, name, lambda outcome, progress: fates_of(outcome, places, branches), "Following fates", _show)


def _show(scene: Scene, outcome: Outcome, found: Fates) -> None:
    _accuracy(found, outcome)
    way = st.segmented_control(
        "By", list(found.tables), default="plan", format_func=WAYS.__getitem__, key="fates_way", label_visibility="collapsed", required=True
    )
    shares = found.tables[way or "plan"]
    st.caption(f"By {how(outcome)}; rows sum to 1." if way == "plan" else KERNEL)
    if found.words:
        st.caption(plain(found.words))
    arrays = dict(fate_arrays(shares, found.mass)) | {"names/fates/all": type_codes(scene.study)[1]}
    left, right = st.columns(2, gap="large")
    with left:
        still("transitions", arrays, "fates heat", HEIGHT)
    with right:
        still("fate-flow", arrays, "fates flow", HEIGHT)
    table(shares.reset_index(), "source", "fates", "transitions.csv")
    pushed_and_pulled(scene, outcome)
    st.markdown("##### Velocity")
    if found.velocity is None:
        st.caption(plain(found.why))
    else:
        still("velocity", found.velocity, "fates velocity", 520)


def _accuracy(found: Fates, outcome: Outcome) -> None:
    """The share of mass by branch, the kernel beside it in the table."""
    if found.accuracy is None:
        return
    st.markdown("##### Mass that lands where it may, by branch")
    rows = found.accuracy.branches.to_dict("records")
    with st.container(horizontal=True, gap="large", key="fates-branches"):
        for row in rows:
            value = "–" if np.isnan(row["plan"]) else f"{row['plan']:.0%}"
            st.metric(
                plain(row["branch"]), value, help=f"By {how(outcome)}. By the correlation kernel {row['kernel']:.0%}", width="content"
            )
    notes = found.accuracy.notes[1:]
    st.caption(plain(" ".join(note for note in notes if "neighbours" not in note)))
    with st.expander("By type, and by the correlation kernel"):
        st.caption(plain(" ".join([KERNEL, *(note for note in notes if "neighbours" in note)])))
        names = {"plan": "share by mass", "kernel": "share by kernel", "mass": "kernel, whole row", "seen": "cells near a terminal type"}
        shown = found.accuracy.table[["branch", "type", "allowed", "cells", "plan", "kernel", "mass", "seen"]].rename(columns=names)
        table(shown, "type", "accuracy", "accuracy.csv")
