"""τ sweep: what the price of changing mass does to mass, growth, fates and genes of cells."""

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from uotlab.cells import Study
from uotlab.cells.fates import Branches
from uotlab.cells.sweeping import RHOS, TAUS, Row, frame, sweep_arrays, tau_of, tau_sweep
from uotlab.methods.base import METHODS
from uotlab.ui import state
from uotlab.ui.cells_branches import branches
from uotlab.ui.cells_long import long_work
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_tables import table
from uotlab.ui.later import Later
from uotlab.ui.plain import plain

DISCRETE = "sinkhorn"
MOST_CELLS = 1500  #: a side, to begin with: a sweep is many runs


@SECTIONS.register("sweep")
class SweepSection(Section):
    """Mass, growth, fates and genes against τ."""

    title = "τ sweep"
    order = 60
    keeps = ("csweep_methods", "csweep_taus", "csweep_seeds", "csweep_steps", "csweep_cells", "csweep_genes")

    def show(self, scene: Scene) -> None:
        st.caption(
            "The source is relaxed by τ and the target held, so that scaling reads as growth. A small τ lets mass go where it may and "
            "loses the growth; a large one counts noise as growth. Where no truth is known, take a τ at which growing cells and "
            "their gene sets are the same from seed to seed."
        )
        names = {DISCRETE: "Discrete (Sinkhorn)"} | {k: METHODS[k].title for k in METHODS if METHODS[k].relaxed[:1] == (True,)}
        mine = scene.spec.method if scene.spec.method in names else None
        state.start_with("csweep_methods", [DISCRETE])
        state.start_with("csweep_taus", list(TAUS))
        state.start_with("csweep_seeds", 3)
        state.start_with("csweep_steps", 500)
        state.start_with("csweep_genes", True)
        most = max(len(scene.study.source), len(scene.study.target))
        state.start_with("csweep_cells", min(most, MOST_CELLS))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="csweep-choices"):
            order = sorted(names, key=lambda k: (k != DISCRETE, k != mine))
            methods = st.multiselect("Methods", order, key="csweep_methods", format_func=names.__getitem__, width=300)
            taus = st.pills(
                "τ of the source", TAUS, selection_mode="multi", key="csweep_taus",
                help="In Sinkhorn's convention at ε = .05, for every method: ρ = .05 τ / (1 - τ), from .05 to 10 mean costs",
            )  # fmt: skip
            seeds = st.number_input("Seeds", 1, 10, step=1, key="csweep_seeds", width=110)
            steps = st.number_input("Steps each", 10, 100_000, step=100, key="csweep_steps", width=150, help="Of methods that learn a map")
            cells = st.number_input("Cells a side", 20, max(most, 20), step=100, key="csweep_cells", width=150, help="A seeded choice")
            genes = st.toggle("Gene sets", key="csweep_genes", help="Tests the sets of growing cells in every run")
        if not methods or not taus:
            st.caption("Choose at least one method and one τ.")
            return
        rhos = [RHOS[TAUS.index(t)] for t in sorted(taus)]
        given = scene.spec.params.get("rho1")
        own = float(given) if isinstance(given, int | float) else math.nan
        study, allowed = scene.study.subsample(int(cells)), branches(scene)
        choice = (tuple(methods), tuple(rhos), int(seeds), int(steps), int(cells), bool(genes), repr(allowed))
        long_work(
            scene, "csweep", choice,
            lambda told: swept(study, methods, rhos, int(seeds), int(steps), allowed, bool(genes), told),
            lambda rows: _swept(rows, names, own), "Sweeping", "Sweep",
        )  # fmt: skip


def swept(
    study: Study, methods: Sequence[str], rhos: Sequence[float], seeds: int, steps: int, allowed: Branches | None, genes: bool, told: Later
) -> list[Row]:
    """Rows of `tau_sweep`, told as they come."""
    rows: list[Row] = []
    count = len(methods) * len(rhos) * seeds

    def words() -> str:
        return f"Run {min(len(rows) + 1, count)} of {count}"

    def step(k: int, of: int, losses: Any) -> None:
        told(words(), (len(rows) + k / of) / count)

    for method in methods:
        more: dict[str, Any] = {"progress": step} if method in METHODS else {}
        for row in tau_sweep(study, (method,), rhos, range(seeds), steps, branches=allowed, genes=genes, **more):
            rows.append(row)
            told.partial = list(rows)
            told(words(), len(rows) / count)
    return rows


def _swept(rows: list[Row], names: dict[str, str], own: float) -> None:
    """The panels, with rho1 of the run marked, the table, and what failed."""
    found = frame(rows)
    found["method"] = [names.get(m, m) for m in found["method"]]
    for sentence in dict.fromkeys(row.error for row in rows if row.error):
        st.warning(plain(sentence), icon=":material/warning:")
    arrays = sweep_arrays(found, own)
    if len(arrays["names/cells-sweep/measure"]):
        rows_of = -(-len(arrays["names/cells-sweep/measure"]) // 2)
        still("cells-sweep", arrays, "cells sweep", max(240 * rows_of, 300))
        st.caption(f"τ is Sinkhorn's at ε = .05; the table and its file have ρ, the price of changing mass, beside it.{_said(own)}")
    table(found, "method", "csweep", "tau-sweep.csv")


def _said(own: float) -> str:
    """What the dotted line is, where there is one to draw."""
    return "" if not own > 0 else f" The dotted line is τ of the side panel, {tau_of(own):.3g}."
