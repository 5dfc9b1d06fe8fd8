"""Branches of a page's study: which type may become which, edited as a table and kept while the page is open."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from uotlab.cells.fates import Branches, branches_of
from uotlab.ui.cells_scene import Scene
from uotlab.ui.plain import plain

HELD, BASE = "cells_branches", "cells_branches_base"


def branches(scene: Scene) -> Branches | None:
    """Those that a person left, else the ones to begin with; None where the cells have no types."""
    if not scene.study.type:
        return None
    held: Branches | None = st.session_state.get(HELD, {}).get(scene.data)
    return held or branches_of(scene.study)


def edit_branches(scene: Scene) -> Branches:
    """The table behind a button."""
    key = f"branches {scene.data[:60]}"
    if key not in st.session_state or BASE not in st.session_state:  # while it is edited the table keeps the rows it began with
        st.session_state[BASE] = rows_of(branches(scene) or {})
    with st.popover("Branches", icon=":material/account_tree:", help="Which types may become which"):
        st.caption("Which target types a source type may become, with commas between them. Rows without a type are left out.")
        names = sorted(set(scene.study.types("source")))
        config = {
            "branch": st.column_config.TextColumn("branch", default="branch"),
            "type": st.column_config.SelectboxColumn("source type", options=names),
            "allowed": st.column_config.TextColumn("may become", width="large"),
        }
        edited = st.data_editor(
            st.session_state[BASE], num_rows="dynamic", hide_index=True, key=key, column_config=config, width=600, height=320
        )
        found = read_branches(edited, set(scene.study.types("target")))
        st.caption(f"Target types: {plain(', '.join(sorted(set(scene.study.types('target')))))}")
        st.button("Back to the first ones", icon=":material/undo:", key="branches_first", on_click=_first, args=(key,))
    st.session_state[HELD] = {scene.data: found}
    return found or branches_of(scene.study)


def _first(key: str) -> None:
    for name in (key, BASE, HELD):
        st.session_state.pop(name, None)


def rows_of(found: Branches) -> list[dict[str, str]]:
    """Branches as rows of the table."""
    return [{"branch": b, "type": kind, "allowed": ", ".join(to)} for b, kinds in found.items() for kind, to in kinds.items()]


def read_branches(rows: Sequence[Mapping[str, Any]], types: set[str]) -> Branches:
    """Branches of an edited table, {} where nothing usable is left. Unknown target types are told and left out."""
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
    return found
