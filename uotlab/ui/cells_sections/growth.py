"""Growth: the scaling of every cell, by type with its interval, against the cell cycle, and against the truth where it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome
from uotlab.cells.growth import against_arrays, growth_by_type, mass_note, proliferation, recovery, type_arrays
from uotlab.errors import InputError
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_source import type_codes
from uotlab.ui.cells_tables import table
from uotlab.ui.plain import plain

HEIGHT = 380
SELECTED, RESAMPLES = "selected cells", 1000


@dataclass(frozen=True)
class Growth:
    """What the section shows: a table by type, arrays of the scatter plots, and why one of them is not there."""

    types: Any
    cycle: Mapping[str, np.ndarray] | None
    no_cycle: str
    truth: Mapping[str, np.ndarray] | None
    spearman: float


def growth_of(outcome: Outcome) -> Growth:
    """All of it, of one outcome."""
    cycle, words, truth, rank = None, "", None, float("nan")
    try:
        cycle = coloured(outcome, against_arrays(outcome, proliferation(outcome.study).score, "proliferation score (cell-cycle genes)"))
    except InputError as error:
        words = str(error)
    if "growth" in outcome.study.truth:
        truth = coloured(outcome, against_arrays(outcome, outcome.study.truth["growth"], "true growth"))
        rank = recovery(outcome).spearman
    return Growth(growth_by_type(outcome), cycle, words, truth, rank)


def coloured(outcome: Outcome, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The arrays with the types' colours of the map."""
    study = outcome.study
    if not study.type or study.columns[study.type].names is None:
        return arrays
    codes, names = type_codes(study)
    return {**arrays, "against/class": codes[study.source].astype(np.float32), "names/against": names}


@SECTIONS.register("growth")
class GrowthSection(Section):
    """Who grows."""

    title = "Growth"
    order = 20

    def show(self, scene: Scene) -> None:
        """The whole section."""
        analysed(scene, "growth", lambda outcome, progress: growth_of(outcome), "Growth of the cell types", _show)


def _show(scene: Scene, outcome: Outcome, found: Growth) -> None:
    note = mass_note(outcome)
    if note:
        st.warning(plain(note), icon=":material/info:")
    if outcome.scaling is None:
        return
    if np.ptp(outcome.growth) == 0:
        st.info(
            "Every cell keeps its mass here, so none grows. Take an unbalanced method, and a finite ρ for the source.",
            icon=":material/info:",
        )
        return
    chosen = scene.selected
    numbers = {"Transported mass": f"{outcome.mass:.2f}", "Cells above 1": f"{(outcome.growth > 1).mean():.0%}"}
    if len(chosen):
        numbers["Mean growth of the selected"] = f"×{outcome.growth[chosen].mean():.2f}"
    if found.truth is not None:
        numbers["Rank correlation with the truth"] = f"{found.spearman:.2f}"
    for column, (label, value) in zip(st.columns(len(numbers)), numbers.items(), strict=True):
        column.metric(label, value, help="Of the source's mass" if label == "Transported mass" else None)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### By cell type, with 95% intervals of the mean")
        types = with_selected(found.types, outcome, chosen)
        still("growth-types", type_arrays(types), "growth types", HEIGHT)
        table(types, "type", "growth", "growth-by-type.csv")
    with right:
        st.markdown("##### All cells")
        still("scaling", {"xi": outcome.growth.astype(np.float32)}, "growth all", HEIGHT, ("classes",))
        if found.truth is not None:
            st.markdown("##### Against the truth of the simulation")
            still("growth-against", {**found.truth, "against/chosen": chosen}, "growth truth", HEIGHT)
        st.markdown("##### Against the cell cycle")
        if found.cycle is None:
            st.caption(plain(found.no_cycle))
        else:
            still("growth-against", {**found.cycle, "against/chosen": chosen}, "growth cycle", HEIGHT)


def with_selected(types: Any, outcome: Outcome, chosen: np.ndarray) -> Any:
    """A table of `growth_by_type` with a first row for the selected cells, where there are any."""
    import pandas as pd

    if not len(chosen):
        return types
    values, rng = outcome.growth[chosen], np.random.default_rng(np.random.SeedSequence([0, 9_1979]))
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    row: dict[str, Any] = {"type": SELECTED, "cells": len(chosen), "mean": values.mean(), "low": low, "high": high}
    if "truth" in types:
        row["truth"] = outcome.study.truth["growth"][chosen].mean()
    return pd.concat([pd.DataFrame([row]), types], ignore_index=True)
