"""The figures of an outcome, by name: growth, where cells go, genes and gene sets. Each is a view and its arrays."""

from collections.abc import Iterator

import numpy as np

from uotlab.cells.drawing import Picture
from uotlab.cells.embedding import embedding
from uotlab.cells.enriched import GeneAnalysis, term_arrays
from uotlab.cells.fates import transition, transition_arrays
from uotlab.cells.genes import dot_arrays, volcano_arrays
from uotlab.cells.growth import against_arrays, growth_by_type, proliferation, type_arrays
from uotlab.cells.hierarchy import graph_arrays
from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.preparation import Progress
from uotlab.cells.velocity import velocity_arrays
from uotlab.errors import InputError

MOST_CELLS = 20_000  #: a side, in a figure of velocity


def pictures(
    outcome: Outcome, genes: GeneAnalysis | None = None, kind: str = "pca", percentile: float = HIGH, progress: Progress | None = None
) -> Iterator[Picture]:
    """Every figure that an outcome has.

    Args:
        genes: an analysis, for volcano, dot plot and gene sets.
        kind: of the map of cells: pca, umap, tsne, or given.
        percentile: above which a cell counts as growing, in the dot plot.
        progress: called as progress(step, share) while a map is made.
    """
    yield from _maps(outcome, kind, progress)
    yield Picture("scaling", "scaling", {"xi": outcome.growth.astype(np.float32)}, {"classes": False})
    yield Picture("growth-by-type", "growth-types", type_arrays(growth_by_type(outcome)))
    if "growth" in outcome.study.truth:
        yield Picture("growth-against-truth", "growth-against", against_arrays(outcome, outcome.study.truth["growth"], "true growth"))
    if outcome.study.has_genes:
        try:
            score = proliferation(outcome.study).score
        except InputError:  # none of the genes of the cell cycle is measured
            pass
        else:
            yield Picture("growth-against-proliferation", "growth-against", against_arrays(outcome, score, "proliferation score"))
    fates = transition_arrays(transition(outcome))
    yield Picture("transitions", "transitions", fates)
    yield Picture("fate-flow", "fate-flow", fates)
    if genes is not None:
        yield from _of_genes(outcome, genes, percentile)
    if len(outcome.history.get("step", ())):
        yield Picture("losses", "losses", {f"history/{k}": np.asarray(v, np.float32) for k, v in outcome.history.items()})


def _maps(outcome: Outcome, kind: str, progress: Progress | None) -> Iterator[Picture]:
    """Cells and their images by scaling, and the velocity, on a map."""
    study, placement = outcome.study, embedding(outcome.study, kind, progress)
    mapped = placement.transform(outcome.mapped)
    about = np.array([f"{placement.title} 1", f"{placement.title} 2", "", "scaling"])
    sides = {"cells/x": placement.points[study.source], "cells/y": placement.points[study.target], "cells/Tx": mapped}
    yield Picture("cells", "cells", {**sides, "cells/xi": outcome.growth.astype(np.float32), "names/cells/about": about}, height=640)
    if max(len(study.source), len(study.target)) <= MOST_CELLS:
        arrays = velocity_arrays(outcome, placement.points, mapped)
        yield Picture("velocity", "velocity", arrays, {"lines": "streams"}, height=640)


def _of_genes(outcome: Outcome, genes: GeneAnalysis, percentile: float) -> Iterator[Picture]:
    yield Picture("volcano", "volcano", volcano_arrays(genes.genes))
    groups = np.where(outcome.high(percentile), "high", "rest")
    yield Picture("dot-plot", "dot-plot", dot_arrays(outcome.study, genes.genes["gene"].head(16), groups), height=300)
    if len(genes.terms):
        yield Picture("gene-sets", "terms", term_arrays(genes), height=560)
        yield Picture("gene-set-graph", "term-graph", graph_arrays(genes.terms, genes.sets), height=640)
