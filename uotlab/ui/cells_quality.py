"""Quality control of a person's own file: histograms with the limits in them, and how many cells stay."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Preparation
from uotlab.cells.looking import Look, Quality, quality
from uotlab.errors import InputError
from uotlab.ui.cells_pictures import still
from uotlab.ui.form import field, form
from uotlab.ui.plain import plain

LIMITS = ("min_genes", "max_genes", "min_counts", "max_mito")
BINS = 40
HEIGHT = 230


def control(path: Path, found: Look, skip: tuple[str, ...]) -> dict[str, Any]:
    """The settings of the preparation that differ from their defaults; `skip` are those that the page shows elsewhere."""
    fields = Preparation.model_fields
    with st.expander("Quality control and preparation (sensible as it stands)"):
        limits: dict[str, Any] = {}
        if found.genes and found.values != "scaled":
            pictures = st.container()
            for column, name in zip(st.columns(len(LIMITS)), LIMITS, strict=True):
                with column:
                    limits[name] = field(name, fields[name], fields[name].default, "cells_prep")
            with pictures:
                try:
                    _pictures(_quality(str(path), path.stat().st_mtime_ns), limits)
                except InputError as error:
                    st.caption(plain(error))
        rest = form(Preparation, {}, "cells_prep", skip=(*skip, *limits), advanced="All settings")
        return rest | {name: value for name, value in limits.items() if value != fields[name].default}


@st.cache_data(max_entries=4, show_spinner="Counting")
def _quality(path: str, changed: int) -> Quality:
    return quality(path)


def _pictures(found: Quality, limits: dict[str, Any]) -> None:
    still("cell-quality", quality_arrays(found, limits), "cell quality", HEIGHT)
    stay = staying(found, limits)
    st.caption(f"{int(stay.sum()):,} of {len(stay):,} cells stay.")


def staying(found: Quality, limits: dict[str, Any]) -> np.ndarray:
    """(N,) bool: cells within the limits."""
    most = limits["max_genes"] or np.inf
    genes = (found.genes >= limits["min_genes"]) & (found.genes <= most)
    return np.asarray(genes & (found.total >= limits["min_counts"]) & (found.mito <= limits["max_mito"]))


def quality_arrays(found: Quality, limits: dict[str, Any]) -> dict[str, np.ndarray]:
    """What the view "cell-quality" draws; mitochondrial shares only where there are any."""
    panels = [
        ("genes found in a cell", found.genes, (limits["min_genes"] if limits["min_genes"] > 1 else np.nan, limits["max_genes"] or np.nan)),
        ("total of a cell", found.total, (limits["min_counts"] or np.nan, np.nan)),
    ]
    if found.mito.any():
        panels.append(("mitochondrial share (%)", found.mito, (np.nan, limits["max_mito"] if limits["max_mito"] < 100 else np.nan)))
    drawn = [np.histogram(values, BINS) for _, values, _ in panels]
    return {
        "quality/heights": np.array([heights for heights, _ in drawn], np.float32),
        "quality/edges": np.array([edges for _, edges in drawn], np.float32),
        "quality/limits": np.array([pair for *_, pair in panels], np.float32),
        "names/quality": np.array([title for title, *_ in panels]),
    }
