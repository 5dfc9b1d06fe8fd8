"""Genes of the growing cells, or of the selected ones: a table, a volcano and a dot plot; gene sets beside shuffled scalings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome
from uotlab.cells.enriched import GeneAnalysis, analyse_group, term_arrays
from uotlab.cells.genes import dot_arrays, volcano_arrays
from uotlab.cells.gmt import SPECIES, read_gmt, shipped
from uotlab.cells.hierarchy import NOTE, graph_arrays
from uotlab.errors import InputError
from uotlab.ui import state
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, analysed, follows
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_tables import table
from uotlab.ui.later import Progress
from uotlab.ui.plain import plain

GROWING, SELECTED = "Growing cells", "Selected cells"
TESTS = {"mhg": "Minimum hypergeometric", "prerank": "Pre-ranked (GSEA)", "over-representation": "Over-representation"}
METHODS = {"t-test_overestim_var": "t-test (cautious variance)", "wilcoxon": "Wilcoxon"}
UNKNOWN = "none: the species is not known"
OF = "genes_species_of"  #: the data that the species was chosen for
DOTS = 12  #: genes of the dot plot
GMT_LIMIT = 20  #: MB


@SECTIONS.register("genes")
class GenesSection(Section):
    """What growing cells express."""

    title = "Genes"
    order = 40
    keeps = ("genes_group", "genes_percentile", "genes_test", "genes_method", "genes_species")

    def show(self, scene: Scene) -> None:
        """The choices, then tables and pictures of the analysis."""
        if not scene.study.has_genes:
            st.info("These data hold points only, no genes: maps and scaling run on them, gene tables cannot.", icon=":material/info:")
            return
        choices = _choices(scene)
        name = ("genes", *choices[:5], None if choices[5] is None else hash(tuple(choices[5])))
        analysed(scene, name, partial(_analysis, choices), "Testing genes and gene sets", _show)


def _choices(scene: Scene) -> tuple[Any, ...]:
    """(group, selected cells, percentile, test of sets, test of genes, own sets)."""
    with st.container(horizontal=True, key="genes-choices", vertical_alignment="bottom", gap="medium"):
        chosen = scene.selected
        groups = [GROWING, *([SELECTED] if len(chosen) else [])]
        if st.session_state.get("genes_group") not in groups or follows("genes", chosen):
            st.session_state["genes_group"] = groups[-1]
        group = st.selectbox("Cells", groups, key="genes_group", width=160, help="Against the rest of the source cells")
        state.start_with("genes_percentile", 90)
        percentile = 90
        if group == GROWING:
            percentile = st.number_input("Above percentile", 50, 99, step=1, key="genes_percentile", width=140, help="Of the scaling, %")
        test = st.selectbox("Gene sets by", list(TESTS), key="genes_test", format_func=TESTS.__getitem__, width=220)
        method = st.selectbox("Genes by", list(METHODS), key="genes_method", format_func=METHODS.__getitem__, width=220)
        sets = _sets(scene)
    return group, tuple(chosen.tolist()) if group == SELECTED else (), int(percentile), test, method, sets


def _sets(scene: Scene) -> Mapping[str, Sequence[str]] | None:
    """A person's own GMT, or the shipped ones of a species; None leaves it to the study's species."""
    with st.popover("Gene sets", icon=":material/category:"):
        names = [*([] if scene.study.species in SPECIES else [UNKNOWN]), *SPECIES]
        if st.session_state.get("genes_species") not in names or st.session_state.get(OF) != scene.data:
            st.session_state["genes_species"], st.session_state[OF] = scene.study.species or UNKNOWN, scene.data
        species = st.selectbox(
            "Gene Ontology, biological processes", names, key="genes_species", help="As shipped: January 2019, 10 to 500 genes"
        )
        file = st.file_uploader("Or your own .gmt", type=["gmt", "gz"], max_upload_size=GMT_LIMIT, key="genes_gmt")
        if file is not None:
            try:
                own = read_gmt(file.getvalue(), file.name)
                st.success(f"{len(own):,} gene sets of {plain(file.name)}")
                return own
            except InputError as error:
                st.error(plain(error))
    return None if species in (scene.study.species, UNKNOWN) else shipped(species)


@dataclass(frozen=True)
class Analysed:
    """The analysis, and the cells it is of."""

    found: GeneAnalysis
    high: np.ndarray
    name: str


def _analysis(choices: tuple[Any, ...], outcome: Outcome, progress: Progress) -> Analysed:
    """The analysis that was chosen; InputError where no cell grows, or too few are selected."""
    group, selected, percentile, test, method, sets = choices
    if group == GROWING:
        if outcome.scaling is None:
            raise InputError("This method keeps every cell, so none grows: take an unbalanced method, or select cells with the lasso.")
        high, name, words = outcome.high(percentile), "growing", {"percentile": percentile}
    else:
        high, name, words = np.zeros(len(outcome.study.source), bool), "selected", {"group": "selected"}
        high[list(selected)] = True
    return Analysed(analyse_group(outcome.study, high, sets, test, method, progress=progress, settings=words), high, name)


def _show(scene: Scene, outcome: Outcome, analysis: Analysed) -> None:
    found, high, name = analysis.found, analysis.high, analysis.name
    for sentence in found.notes:
        st.caption(plain(sentence))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"##### Genes of {int(high.sum()):,} {name} cells against {int((~high).sum()):,}")
        table(found.genes, "gene", "genes", f"{name}-genes.csv")
        still("volcano", volcano_arrays(found.genes), f"volcano {name}", 380)
        best = found.genes["gene"].head(DOTS)
        groups = scene.study.types("source") if scene.study.type else np.where(high, name, "rest")
        still("dot-plot", dot_arrays(scene.study, best, groups), f"dots {name}", 380)
    with right:
        st.markdown(f"##### Gene sets ({found.share:.0%} of symbols map)")
        if not len(found.terms):
            st.caption("No gene set could be tested.")
            return
        table(found.terms, "term", "terms", f"{name}-gene-sets.csv")
        still("terms", term_arrays(found), f"terms {name}", 420)
    graph = graph_arrays(found.terms, found.sets)
    if not len(graph["graph/x"]):
        st.caption("No gene set is significant after adjustment, so there is no graph of terms.")
        return
    st.markdown("##### Gene sets from general to specific")
    still("term-graph", graph, f"graph {name}", 560)
    st.caption(NOTE)
