"""The way in for a person's own cells: a file or a path, what its columns mean, quality control, and the preparation with its progress."""

import time
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.cells.files import store_upload, title_of
from uotlab.cells.looking import Look, look
from uotlab.cells.preparation import prepare
from uotlab.data.files import UPLOAD_LIMIT
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.ui import state
from uotlab.ui.cells_quality import control
from uotlab.ui.later import forget, known, later, shown
from uotlab.ui.plain import plain
from uotlab.ui.state import start_with

OPENING, WORK, PATH = "cells_opening", "cells_preparing", "cells_path"
NONE = "none"
ENDINGS = ["h5ad", "h5", "loom", "csv", "tsv", "txt", "gz", "mtx"]
CHOSEN = ("time", "source", "target", "type", "layer", "space", "others")  #: fields that the page shows in its own way


def own_cells() -> None:
    """The button in the side panel."""
    opening = st.session_state.get(OPENING, False)
    words = "Back to the picture" if opening else "Open your own cells"
    if st.button(words, key="open_cells", icon=":material/close:" if opening else ":material/folder_open:", width="stretch"):
        st.session_state[OPENING] = not opening
        st.rerun()


def opening(spec: RunSpec) -> bool:
    """Whether the way in stands in the picture's place."""
    return bool(st.session_state.get(OPENING)) or (spec.dataset == "cells-study" and not spec.data.get("digest"))


def loader(spec: RunSpec) -> None:
    """The way in: all steps, one below the other."""
    st.markdown("#### Your own cells")
    path = _file()
    if path is None:
        st.caption(
            "One file with all cells: an obs column says the time or the condition, such as day 12 and day 14. Raw counts, normalised or "
            "log values are told apart by themselves; everything stays on this machine."
        )
        return
    try:
        found = _look(str(path), path.stat().st_mtime_ns)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    st.success(f"{plain(title_of(path))}: {found.cells:,} cells, {found.genes:,} genes, {_values(found)}.", icon=":material/check_circle:")
    for sentence in found.warnings:
        st.warning(plain(sentence), icon=":material/warning:")
    if not found.times:
        return
    settings = _columns(found) | control(path, found, CHOSEN)
    _prepare(path, settings, spec)


def _file() -> Path | None:
    """An upload kept in the store, or a path on this machine."""
    left, right = st.columns(2, gap="large")
    with left:
        files = st.file_uploader(
            f"Upload (.h5ad, 10x .h5 or its three files, .loom, .csv, .mtx; at most {UPLOAD_LIMIT // 2**20} MB)",
            type=ENDINGS, accept_multiple_files=True, max_upload_size=UPLOAD_LIMIT // 2**20, key="cells_upload",
        )  # fmt: skip
    with right:
        typed = st.text_input(
            "Or a path on this machine", key=PATH, placeholder="/data/cells.h5ad", help="Any size: large .h5ad files are read bit by bit."
        )
    try:
        if files:
            return store_upload({file.name: file.getvalue() for file in files})
        if typed.strip():
            path = Path(typed.strip()).expanduser()
            if not path.exists():
                raise InputError("There is no file or folder at this path on the machine that runs uotlab. Check the path.")
            return path
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
    return None


@st.cache_data(max_entries=4, show_spinner="Looking at the file")
def _look(path: str, changed: int) -> Look:
    return look(path)


def _values(found: Look) -> str:
    words = {"counts": "raw counts", "normalised": "normalised values", "log": "log values", "scaled": "scaled values"}
    return words.get(found.values, str(found.values)) + (f", {found.species} symbols" if found.species else "")


def _columns(found: Look) -> dict[str, Any]:
    """Time or condition, its two values, cell type, layer and space."""
    first, second, third, fourth = st.columns(4)
    usable = [k for k, v in found.columns.items() if len(v) > 1]
    times = [*found.times, *(k for k in usable if k not in found.times)]
    time_column = first.selectbox(
        "Time or condition", times, key="cells_time", help="The obs column that tells source cells from target cells"
    )
    values = found.columns[time_column]
    named = list(values)
    source = second.selectbox("Source", named, key=f"cells_source_{time_column}", format_func=lambda v: f"{v} · {values[v]:,} cells")
    others = [v for v in named if v != source]
    target = third.selectbox(
        "Target", others, index=len(others) - 1, key=f"cells_target_{time_column}", format_func=lambda v: f"{v} · {values[v]:,} cells"
    )
    types = [*found.types, *(k for k in usable if k not in found.types and k != time_column), NONE]
    kind = fourth.selectbox("Cell type", types, key="cells_type", help="An obs column of types or clusters; none: there is none")
    answers: dict[str, Any] = {"time": time_column, "source": source, "target": target, "type": kind}
    if len(others) > 1:
        start_with(f"cells_others_{time_column}", not all(_is_number(v) for v in named))
        answers["others"] = third.toggle(
            f"Keep the other {len(others) - 1} too", key=f"cells_others_{time_column}",
            help="Their cells share the space, so that conditions can be compared; else they are left out",
        )  # fmt: skip
    if found.layers:
        layer = first.selectbox("Layer", ["X", *found.layers], key="cells_layer", help="Which matrix holds the values")
        answers["layer"] = "" if layer == "X" else layer
    if found.spaces:
        names = ["new principal components", *found.spaces]
        space = second.selectbox("Space", names, key="cells_space", help="Where cells are matched: components taken anew, or one of obsm")
        answers["space"] = "" if space == names[0] else space
    return answers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _prepare(path: Path, settings: dict[str, Any], spec: RunSpec) -> None:
    """The button, the progress, and the study in the configuration."""
    key = ("prepare", str(path), path.stat().st_mtime_ns, tuple(sorted(settings.items())))
    st.session_state.pop(WORK, None)

    def begin() -> None:
        forget(key)
        later(key, lambda progress: prepare(path, progress, **settings), "Preparing")

    if known(key) is None or (known(key).done and known(key).error):  # type: ignore[union-attr]
        if known(key) is not None:
            shown(known(key))  # type: ignore[arg-type]
        st.button("Prepare these cells", type="primary", icon=":material/play_arrow:", key="cells_prepare", on_click=begin)
        return
    _wait(key, spec)


@st.fragment(run_every=0.7)
def _wait(key: Any, spec: RunSpec) -> None:
    found = known(key)
    study = None if found is None else shown(found)
    if study is None:
        if found is None or found.done:
            st.rerun()
        return
    time.sleep(0.1)
    st.session_state[OPENING] = False
    forget(key)
    most = max(len(study.source), len(study.target))
    state.replace(spec.model_copy(update={"dataset": "cells-study", "n": most, "data": {"digest": study.origin["params"]["digest"]}}))
    st.rerun()
