"""All that an outcome says, as files in one folder: cells, tables, figures and a report."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uotlab.cells.branches import Branches
from uotlab.cells.drawing import Format, draw
from uotlab.cells.enriched import GeneAnalysis
from uotlab.cells.fates import Accuracy, accuracy, pull, push, transition
from uotlab.cells.figures import pictures
from uotlab.cells.genes import scanpy_ranks
from uotlab.cells.growth import groups, growth_by_type, mass_note, recovery
from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.preparation import Progress, quiet
from uotlab.cells.report import report, versions
from uotlab.cells.study import Side
from uotlab.cells.writing import cells_table, write_h5ad
from uotlab.engine.files import plain, to_json, write_text
from uotlab.errors import InputError, did_you_mean, short


def export(
    outcome: Outcome,
    folder: str | Path,
    *,
    genes: GeneAnalysis | None = None,
    branches: Branches | None = None,
    figures: Format | None = None,
    page: bool = True,
    kind: str = "pca",
    percentile: float = HIGH,
    key_added: str = "uot",
    progress: Progress | None = None,
) -> list[str]:
    """Write everything into a folder, and say which files.

    cells.h5ad (the keys of `write_h5ad`, transitions and scanpy's ranks of genes in uns), cells.csv (a row a source cell), growth.csv (a
    row a type), fates.csv and branches.csv where there are cell types, genes.csv and terms.csv of an analysis, run.json (settings,
    numbers, versions), report.html, and figures.

    Args:
        genes: what `analyse` found; None leaves genes out, of the report too.
        branches: as in `accuracy`; None is the study's own.
        figures: "svg", "png" or "html" in the folder figures; None is none.
        page: whether report.html is written.
        kind: of the map in the figures: pca, umap, tsne, or given.
        percentile: above which a cell counts as growing.
        key_added: beginning of the keys in cells.h5ad.
        progress: called as progress(step, share).

    Raises:
        InputError: the folder cannot be written, no browser can draw the figures, or branches that the cells do not have.
    """
    folder, tell, study = Path(folder), progress or quiet, outcome.study
    tables: dict[str, Any] = {"cells.csv": cells_table(outcome, key_added, percentile=percentile).reset_index()}
    tables["growth.csv"] = growth_by_type(outcome)
    fates = transition(outcome) if study.type else None
    if fates is not None:
        tables["fates.csv"] = fates.reset_index()
        found = accuracy_or_none(outcome, branches)
        tables |= {} if found is None else {"branches.csv": found.table}
    if genes is not None:
        tables["genes.csv"] = genes.genes
        tables |= {"terms.csv": genes.terms} if len(genes.terms) else {}
    tell("Writing cells", 0.1)
    ranks = {} if genes is None else {"rank_genes_groups": scanpy_ranks(genes.genes, str(genes.settings["method"]))}
    write_h5ad(outcome, folder / "cells.h5ad", key_added, percentile=percentile, transition=fates, uns=ranks)
    try:
        for name, table in tables.items():
            write_text(folder / name, table.to_csv(index=False, float_format="%.7g"))
        write_text(folder / "run.json", to_json(record_of(outcome, genes), indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{short(folder)} cannot be written ({error.strerror}); choose another folder.") from None
    written = ["cells.h5ad", *tables, "run.json"]
    if page:
        tell("Writing the report", 0.4)
        report(outcome, folder / "report.html", percentile=percentile, genes=genes, branches=branches, with_genes=genes is not None)
        written.append("report.html")
    if figures is not None:
        tell("Drawing figures", 0.7)
        drawn = draw(list(pictures(outcome, genes, kind, percentile)), folder / "figures", figures)
        written += [f"figures/{path.name}" for path in drawn]
    tell("Done", 1.0)
    return written


def numbers_of(outcome: Outcome) -> dict[str, float]:
    """Numbers of cells, the transported mass, mean growth by cell type, and how well it is recovered where it is known."""
    study = outcome.study
    numbers: dict[str, float] = {"source cells": len(study.source), "target cells": len(study.target), "mass": outcome.mass}
    if study.type:
        types = study.types("source")
        numbers |= {f"growth {k}": float(outcome.growth[types == k].mean()) for k in sorted(set(types))}
    if "growth" in study.truth:
        numbers["spearman with true growth"] = recovery(outcome).spearman
    return numbers


def notes_of(outcome: Outcome, genes: GeneAnalysis | None = None) -> tuple[str, ...]:
    """Sentences to read beside the numbers."""
    return tuple(filter(None, (mass_note(outcome), *outcome.study.notes, *(genes.notes if genes else ()))))


def record_of(outcome: Outcome, genes: GeneAnalysis | None = None) -> dict[str, Any]:
    """Settings, numbers, what is known of the cells, warnings and versions: plain values, for JSON."""
    found = {
        "settings": plain(dict(outcome.settings)),
        "numbers": numbers_of(outcome),
        "about": plain(asdict(outcome.study.about)),
        "data": plain(dict(outcome.study.origin or {})),
        "notes": list(notes_of(outcome, genes)),
        "versions": dict(versions()),
    }
    return found if genes is None else found | {"genes": plain(dict(genes.settings)) | {"share of symbols mapped": genes.share}}


def accuracy_or_none(outcome: Outcome, branches: Branches | None = None) -> Accuracy | None:
    """`accuracy`; None where nobody named branches and the cells' types have none in common."""
    try:
        return accuracy(outcome, branches)
    except InputError:
        if branches is not None:
            raise
        return None


def moved(outcome: Outcome, kind: str, way: Literal["push", "pull"], key: str | None = None) -> tuple[Any, Any]:
    """Where a type of source cells goes ("push"), or a type of target cells comes from ("pull").

    Returns:
        Two DataFrames: a row a cell of the other side, with its name, type and mass (total 1); and the mass of each type.

    Raises:
        InputError: no cell has that type.
    """
    import pandas as pd

    study = outcome.study
    sides: tuple[Side, Side] = ("source", "target") if way == "push" else ("target", "source")
    here, there = sides
    types = groups(study, key, here)
    chosen = types == kind
    if not chosen.any():
        raise InputError(f"No {here} cell has the type '{short(kind)}'. {did_you_mean(kind, sorted(set(types)))}")
    mass = push(outcome, chosen) if way == "push" else pull(outcome, chosen)
    names = np.array(study.adata.obs_names, dtype=str)[study.rows(there)]
    cells = pd.DataFrame({"cell": names, "type": groups(study, key, there), "mass": mass})
    each = cells.groupby("type")["mass"].sum().sort_values(ascending=False, kind="stable").reset_index()
    return cells, each
