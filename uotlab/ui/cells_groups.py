"""A group of cells pushed forward or pulled back: what becomes of it, where it comes from, as a table and on the map."""

from collections.abc import Collection

import numpy as np
import streamlit as st

from uotlab.cells import Outcome, Study
from uotlab.cells.embedding import Embedding, embedding, kinds_of, pending
from uotlab.cells.fates import pull, push
from uotlab.cells.growth import groups
from uotlab.errors import InputError
from uotlab.ui.cells_part import part
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, follows
from uotlab.ui.cells_source import TITLES
from uotlab.ui.cells_tables import table
from uotlab.ui.plain import plain

SELECTED = "the selected cells"
HEIGHT = 380
LOOK_SECONDS = 1.5  #: between two looks at a map under way
OPENING = 0.5  #: s that the page waits for a map that may be kept on disk


def choose_map(kinds: Collection[str]) -> None:
    """Begin with the data's own map, else UMAP, which components stand in for till it is there."""
    if st.session_state.get("cells_kind") not in kinds:
        st.session_state["cells_kind"] = "given" if "given" in kinds else "umap"


def map_of(study: Study) -> Embedding:
    """The map that was chosen, or components while it is made."""
    choose_map(kinds_of(study))
    made = pending(study, str(st.session_state["cells_kind"]))
    made.wait(OPENING)
    return made.result if made.result is not None else embedding(study, "pca")


def wait_for_map(study: Study) -> None:
    """How far the chosen map is, where it is still being made; the page is drawn anew when it is there."""
    made = pending(study, str(st.session_state["cells_kind"]))
    if made.error:
        st.error(plain(made.error), icon=":material/error:")
    elif not made.ready:
        part(lambda: _waiting(study, made.kind), LOOK_SECONDS)


def _waiting(study: Study, kind: str) -> None:
    made = pending(study, kind)
    if made.ready:
        st.rerun()
    st.progress(made.share, text=plain(f"{made.step}; principal components are shown till then"))


def pushed_and_pulled(scene: Scene, outcome: Outcome) -> None:
    """Both, one beside the other."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### What becomes of")
        chosen = scene.selected
        names = [*([SELECTED] if len(chosen) else []), *_largest_first(scene.study.types("source"))]
        if st.session_state.get("fates_push") not in names or follows("fates", chosen):
            st.session_state["fates_push"] = names[0]
        name = st.selectbox("What becomes of", names, key="fates_push", label_visibility="collapsed")
        _pushed(scene, outcome, str(name))
        if not len(chosen):
            st.caption("Or select cells with the lasso under Cells.")
    with right:
        st.markdown("##### Where do they come from")
        others = scene.selected_target
        kinds = [*([SELECTED] if len(others) else []), *_largest_first(scene.study.types("target"))]
        if st.session_state.get("fates_pull") not in kinds or follows("fates, target", others):
            st.session_state["fates_pull"] = kinds[0]
        kind = st.selectbox("Where do they come from", kinds, key="fates_pull", label_visibility="collapsed")
        _pulled(scene, outcome, str(kind))


def _largest_first(types: np.ndarray) -> list[str]:
    names, counts = np.unique(types, return_counts=True)
    return [str(names[i]) for i in np.argsort(-counts, kind="stable")]


def _pushed(scene: Scene, outcome: Outcome, name: str) -> None:
    high = np.zeros(len(scene.study.source), bool)
    high[scene.selected if name == SELECTED else np.flatnonzero(scene.study.types("source") == name)] = True
    try:
        mass = push(outcome, high)
    except InputError as error:
        st.caption(plain(error))
        return
    _shares(mass, groups(scene.study, None, "target"), "becomes", "pushed", "fates-of-group.csv")
    study = scene.study
    arrays = group_arrays(map_of(study), study.target, mass, study.source[high], ("target cells", "the group, source cells"))
    still("fate-map", arrays, "fates pushed", HEIGHT)


def _pulled(scene: Scene, outcome: Outcome, kind: str) -> None:
    high = np.zeros(len(scene.study.target), bool)
    high[scene.selected_target if kind == SELECTED else np.flatnonzero(scene.study.types("target") == kind)] = True
    mass = pull(outcome, high)
    if not mass.any():
        st.caption("No source cell sends mass there.")
        return
    _shares(mass, groups(scene.study), "comes from", "pulled", "origins-of-group.csv")
    study = scene.study
    arrays = group_arrays(map_of(study), study.source, mass, study.target[high], ("source cells", "the group, target cells"))
    still("fate-map", arrays, "fates pulled", HEIGHT)


def _shares(mass: np.ndarray, types: np.ndarray, title: str, key: str, file: str) -> None:
    import pandas as pd

    names = np.unique(types)
    shares = np.array([mass[types == name].sum() for name in names])
    order = np.argsort(-shares)
    table(pd.DataFrame({title: names[order], "share": shares[order]}), title, key, file)


def group_arrays(
    places: Embedding, cells: np.ndarray, mass: np.ndarray, group: np.ndarray, names: tuple[str, str]
) -> dict[str, np.ndarray]:
    """What the view "fate-map" draws.

    Args:
        cells: row numbers (k,) of the cells that get or send mass; mass: (k,) of total 1.
        group: row numbers of the others.
        names: of the two.
    """
    return {
        "fate-map/cells": places.points[cells].astype(np.float32),
        "fate-map/mass": (mass * len(mass)).astype(np.float32),
        "fate-map/chosen": places.points[group].astype(np.float32),
        "names/fate-map": np.array(names),
        "names/fate-map/axes": np.array([f"{TITLES.get(places.kind, places.title)} {k}" for k in (1, 2)]),
    }
