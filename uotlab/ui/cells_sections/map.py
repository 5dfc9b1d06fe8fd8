"""Cells on an embedding, live: source, target and mapped cells, coloured by scaling, a column or a gene; a lasso selects cells."""

import hashlib
import json

import numpy as np
import streamlit as st

from uotlab.cells.embedding import Embedding, embedding, kinds_of, pending
from uotlab.cells.study import Side
from uotlab.errors import InputError
from uotlab.ui import state
from uotlab.ui.cells_groups import OPENING, choose_map, wait_for_map
from uotlab.ui.cells_moving import FIELDS
from uotlab.ui.cells_scene import Scene
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_source import CellsPicture, Colouring
from uotlab.ui.live import live
from uotlab.ui.panel import status_metrics, view_options
from uotlab.ui.plain import plain
from uotlab.ui.sources import find, gather
from uotlab.views.base import VIEWS

KEY, HEIGHT = "cells_live", 560
CHOSEN = "cells_colour_chosen"
SIDES = ("source cells", "target cells")
SCALING, MASS, ROLE, GENE = "scaling", "transported mass", "source, target", "a gene ..."


@SECTIONS.register("cells")
class MapSection(Section):
    """Cells on a map, live."""

    title = "Cells"
    order = 10
    keeps = ("cells_kind", "cells_colour", "cells_gene", "cells_lasso")
    live = True

    def show(self, scene: Scene) -> None:
        """The choices, and the picture."""
        with st.container(horizontal=True, key="cells-look", vertical_alignment="bottom", gap="medium"):
            kinds = kinds_of(scene.study)
            choose_map(kinds)
            kind = st.selectbox("Map", list(kinds), key="cells_kind", format_func=kinds.__getitem__, width=210)
            colouring = _colouring(scene)
            lasso = st.selectbox("Lasso takes", SIDES, key="cells_lasso", width=150)
        side: Side = "target" if lasso == SIDES[1] else "source"
        placement = _placement(scene, kind)
        options = view_options("cells", {}, skip=() if colouring.kind == "scaling" else ("range",), key="cells-options")
        job, chosen, others = scene.job, scene.selected, scene.selected_target
        lines = options["velocity"] if options["velocity"] in FIELDS else ""
        told = [scene.data, job.id if job else "", placement.kind, colouring.kind, colouring.name, lines, chosen.tolist(), others.tolist()]
        name = hashlib.blake2b(json.dumps(told).encode(), digest_size=12).hexdigest()
        picture = gather(f"cells {name}", lambda: CellsPicture(scene.study, placement, colouring, job, chosen, lines, others))

        def selected() -> None:
            said = getattr(st.session_state.get(KEY), "selected", None)
            if said is not None:
                _select(scene, picture, json.loads(said), side)

        live(
            picture, "cells", options, key=KEY, height=HEIGHT, state=job.state if job else "still", views=("cells",),
            metrics=status_metrics(job), select=side, on_selected=selected,
        )  # fmt: skip
        st.caption(VIEWS["cells"].summary)
        _chosen(scene)


def _placement(scene: Scene, kind: str) -> Embedding:
    """The embedding, or components while it is made."""
    made = pending(scene.study, kind)
    made.wait(OPENING)
    if made.result is not None:
        return made.result
    wait_for_map(scene.study)
    return embedding(scene.study, "pca")


def _colour_chosen() -> None:
    st.session_state[CHOSEN] = True


def _colouring(scene: Scene) -> Colouring:
    """What colours the cells."""
    columns = list(scene.study.columns)
    first = [SCALING, MASS, *([scene.study.type] if scene.study.type else []), ROLE]
    names = [*dict.fromkeys([*first, *columns, *([GENE] if scene.study.has_genes else [])])]
    if st.session_state.get("cells_colour") not in names or not st.session_state.get(CHOSEN):
        # types before there is a run, then its scaling, till somebody chooses
        st.session_state["cells_colour"] = scene.study.type if scene.study.type and scene.job is None else SCALING
    name = st.selectbox("Colour", names, key="cells_colour", width=210, on_change=_colour_chosen)
    if name == SCALING:
        return Colouring("scaling")
    if name == MASS:
        return Colouring("mass")
    if name == ROLE:
        return Colouring("role")
    if name != GENE:
        return Colouring("column", name)
    state.start_with("cells_gene", str(scene.study.genes[0]))
    gene = st.selectbox("Gene", list(scene.study.genes), key="cells_gene", width=200)
    return Colouring("gene", str(gene))


def _select(scene: Scene, name: str, points: list[int], side: Side) -> None:
    """Take the lasso's cells; the picture knows which cells its points are."""
    picture = find(name)
    if not isinstance(picture, CellsPicture):
        return
    try:
        scene.select(picture.positions(np.asarray(points, dtype=np.int64), side), side)
    except (IndexError, InputError):
        scene.select(np.zeros(0, np.int64), side)  # the picture changed under the lasso


def _chosen(scene: Scene) -> None:
    """What is selected, and the way out of it."""
    chosen, others = scene.selected, scene.selected_target
    if not len(chosen) and not len(others):
        st.caption("Drag a lasso or a box (buttons at the picture's upper right) around cells to select them.")
        return
    words = [_counted(scene, chosen, "source", "cells"), _counted(scene, others, "target", "target cells")]
    with st.container(horizontal=True, vertical_alignment="center", key="cells-selection"):
        st.markdown(plain("; ".join(w for w in words if w)), width="content")
        st.button("Let go", key="cells_let_go", icon=":material/deselect:", type="tertiary", on_click=_let_go, args=(scene,))


def _counted(scene: Scene, chosen: np.ndarray, side: Side, what: str) -> str:
    """How many cells are selected on a side, and of which types; empty where none is."""
    if not len(chosen):
        return ""
    words = f"{len(chosen):,} {what} selected"
    if scene.study.type:
        names, counts = np.unique(scene.study.types(side)[chosen], return_counts=True)
        most = np.argsort(-counts)[:3]
        words += ": " + ", ".join(f"{counts[i]} {names[i]}" for i in most) + (", ..." if len(names) > 3 else "")
    return words


def _let_go(scene: Scene) -> None:
    scene.select(np.zeros(0))
    scene.select(np.zeros(0), "target")
