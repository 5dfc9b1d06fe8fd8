"""Fates: which type becomes which, by plan mass and by the correlation kernel; accuracy on branches; where selected cells go; velocity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome
from uotlab.cells.embedding import embedding, pending
from uotlab.cells.fates import Accuracy, Branches, accuracy, branches_of, fate_arrays, how, mass_of_types, push, transition
from uotlab.cells.growth import groups
from uotlab.cells.velocity import velocity_arrays
from uotlab.errors import InputError
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_tables import table
from uotlab.ui.plain import plain

HEIGHT = 420
WAYS = {"plan": "Mass of the plan", "kernel": "Correlation kernel"}


@dataclass(frozen=True)
class Fates:
    """Tables by way, and the velocity on the map that is shown."""

    tables: Mapping[str, Any]
    mass: np.ndarray
    accuracy: Accuracy | None
    words: str
    velocity: dict[str, np.ndarray] | None
    why: str


def fates_of(outcome: Outcome, kind: str, branches: Branches) -> Fates:
    """All of it, of one outcome, with the velocity on one embedding."""
    tables, words, found, moved, why = {}, "", None, None, ""
    for way in WAYS:
        try:
            tables[way] = transition(outcome, way)  # type: ignore[arg-type]
        except InputError as error:
            words = str(error)
    try:
        found = accuracy(outcome, branches) if branches else None
        places = embedding(outcome.study, kind)
        moved = dict(velocity_arrays(outcome, places.points, places.place(outcome.mapped)))
    except InputError as error:
        why = str(error)
    return Fates(tables, mass_of_types(outcome, tables["plan"]), found, words, moved, why)


def show(scene: Scene) -> None:
    """The choices, then tables and pictures."""
    if not scene.study.type:
        st.info("These cells have no types: name an obs column that holds them when you open the file.", icon=":material/info:")
        return
    branches = _branches(scene)
    kind = str(st.session_state.get("cells_kind", "pca"))
    kind = kind if pending(scene.study, kind).result is not None else "pca"
    name = ("fates", kind, repr(branches))
    analysed(scene, name, lambda outcome, progress: fates_of(outcome, kind, branches), "Following fates", _show)


def _branches(scene: Scene) -> Branches:
    """The branches of the accuracy, which may be edited as a table: branch, source type, allowed target types."""
    first = branches_of(scene.study)
    with st.popover("Branches", icon=":material/account_tree:"):
        st.caption("Which target types a source type may become; a row without a type is left out.")
        rows = [{"branch": b, "type": kind, "allowed": ", ".join(to)} for b, kinds in first.items() for kind, to in kinds.items()]
        config = {"type": st.column_config.SelectboxColumn("source type", options=sorted(set(scene.study.types("source"))))}
        edited = st.data_editor(
            rows, num_rows="dynamic", hide_index=True, key=f"branches {scene.data[:60]}", column_config=config, width=560
        )
    return read_branches(edited, first, set(scene.study.types("target")))


def read_branches(rows: Sequence[Mapping[str, Any]], first: Branches, types: set[str]) -> Branches:
    """Branches of an edited table; `first` where nothing usable is left. Unknown target types are told and left out."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in rows:
        branch, kind = (str(row.get(k) or "").strip() for k in ("branch", "type"))
        asked = [word.strip() for word in str(row.get("allowed") or "").split(",") if word.strip()]
        unknown = [word for word in asked if word not in types]
        if unknown:
            st.warning(plain(f"No target cell is of type {', '.join(unknown)}, so {kind or 'a row'} may not become it."))
        allowed = tuple(word for word in asked if word in types)
        if branch and kind and allowed:
            found.setdefault(branch, {})[kind] = allowed
    return found or first


def _show(scene: Scene, outcome: Outcome, found: Fates) -> None:
    way = st.segmented_control(
        "By", list(found.tables), default="plan", format_func=WAYS.__getitem__, key="fates_way", label_visibility="collapsed", required=True
    )
    shares = found.tables[way or "plan"]
    st.caption(
        f"By {how(outcome)}; rows sum to 1." if way == "plan" else "By the kernel's mass on target cells (Eyring and others, F.5.4)."
    )
    if found.words:
        st.caption(plain(found.words))
    arrays = fate_arrays(shares, found.mass)
    left, right = st.columns(2, gap="large")
    with left:
        still("transitions", arrays, "fates heat", HEIGHT)
        table(shares.reset_index(), "source", "fates", "transitions.csv")
    with right:
        still("fate-flow", arrays, "fates flow", HEIGHT)
        _accuracy(found)
    st.markdown("##### Velocity")
    if found.velocity is None:
        st.caption(plain(found.why))
    else:
        still("velocity", found.velocity, "fates velocity", 520)
    _pushed(scene, outcome)


def _accuracy(found: Fates) -> None:
    if found.accuracy is None:
        return
    st.markdown("##### Accuracy: mass that lands where it may")
    for column, row in zip(st.columns(max(len(found.accuracy.branches), 1)), found.accuracy.branches.to_dict("records")):
        column.metric(plain(row["branch"]), f"{row['kernel']:.0%}", help=f"By the kernel; by the plan {row['plan']:.0%}")
    st.caption(plain(" ".join(found.accuracy.notes)))
    table(found.accuracy.table, "type", "accuracy", "accuracy.csv")


def _pushed(scene: Scene, outcome: Outcome) -> None:
    """Where the selected cells go."""
    chosen = scene.selected
    if not len(chosen):
        st.caption("Select cells with the lasso under Cells to see what becomes of them.")
        return
    high = np.zeros(len(scene.study.source), bool)
    high[chosen] = True
    mass, types = push(outcome, high), groups(scene.study, None, "target")
    names = np.unique(types)
    shares = np.array([mass[types == name].sum() for name in names])
    order = np.argsort(-shares)
    st.markdown(f"##### What becomes of the {len(chosen):,} selected cells")
    import pandas as pd

    table(pd.DataFrame({"type": names[order], "share": shares[order]}), "type", "pushed", "selected-fates.csv")
