"""From an outcome to genes and terms, with the same analysis of a shuffled scaling beside every p-value.

A shuffle gives the scaling to the cells anew, at random, and everything after it is done again: as many cells, the same tests. What
it finds is what this analysis finds where there is nothing to find.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uotlab.cells.enrich import EnrichmentTest, Mapped, enrich, map_asked, sets_of
from uotlab.cells.genes import DESCRIPTIVE, Test, differential_of, expression_of, minus_log10
from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.study import Study
from uotlab.parameters import check_count
from uotlab.views.base import Arrays

SHUFFLES = 10
NULL_PERMUTATIONS = 100  #: of the pre-ranked test within a shuffle: it is by far the slowest
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class GeneAnalysis:
    """Genes and terms of a group of cells.

    Args:
        genes: table of `differential`, with null_p.
        terms: table of `enrich`, with null_p; empty where there are no gene sets.
        null_gene, null_term: (K,) the best gene's p and the best term's p (its stat for the pre-ranked test) of each shuffle.
        share: of the symbols that map.
        notes: sentences to show.
        settings: plain values.
        sets: the gene sets.
    """

    genes: Any
    terms: Any
    null_gene: np.ndarray
    null_term: np.ndarray
    share: float
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Sequence[str]] = field(default_factory=dict)


def analyse(
    outcome: Outcome,
    percentile: float = HIGH,
    sets: Mapping[str, Sequence[str]] | None = None,
    test: EnrichmentTest = "mhg",
    method: Test = "t-test_overestim_var",
    shuffles: int = SHUFFLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> GeneAnalysis:
    """Genes and gene sets of the source cells whose growth lies above a percentile.

    Raises:
        InputError: no genes, no scaling, groups that are too small, or sets of which none maps.
    """
    settings = {"percentile": percentile, "group": f"growth above the {percentile:g}th percentile"}
    return analyse_group(outcome.study, outcome.high(percentile), sets, test, method, shuffles, seed, progress, settings)


def analyse_group(
    study: Study,
    high: np.ndarray,
    sets: Mapping[str, Sequence[str]] | None = None,
    test: EnrichmentTest = "mhg",
    method: Test = "t-test_overestim_var",
    shuffles: int = SHUFFLES,
    seed: int = 0,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> GeneAnalysis:
    """As `analyse`, of any group of source cells (n,) bool against the rest, such as a selection."""
    shuffles = check_count("shuffles", shuffles, least=0, most=10_000)
    tell = progress or (lambda step, share: None)
    tell("reading expression", 0.0)
    X, genes = expression_of(study), study.genes
    mapped, notes = _mapped(study, sets)
    tell("testing genes", 0.1)
    table = differential_of(X, genes, high, method)
    terms = None
    if mapped is not None:
        tell("testing gene sets", 0.2)
        found = enrich(table, mapped, test=test, seed=seed)
        terms, notes = found.table, (*notes, *found.notes)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7_2011]))
    null_gene, null_term = np.ones(shuffles), np.ones(shuffles)
    for k in range(shuffles):
        tell(f"shuffled scaling {k + 1} of {shuffles}", 0.3 + 0.7 * k / shuffles)
        null = differential_of(X, genes, rng.permutation(high), method)
        null_gene[k] = null["p"][null["score"] > 0].min() if (null["score"] > 0).any() else 1.0
        if mapped is not None:
            null_term[k] = _best(enrich(null, mapped, test=test, seed=seed, permutations=NULL_PERMUTATIONS).table, test)
    tell("done", 1.0)
    table.insert(5, "null_p", null_p(table["p"].to_numpy(), null_gene))
    if terms is not None:
        larger = test == "prerank"
        terms.insert(3, "null_p", null_p(terms["stat" if larger else "p"].to_numpy(), null_term, larger=larger))
    done = {"test": test, "method": method, "shuffles": shuffles, "seed": seed, "cells": int(high.sum()), "rest": int((~high).sum())}
    return GeneAnalysis(
        table,
        _empty_terms() if terms is None else terms,
        null_gene,
        null_term,
        mapped.share if mapped else 0.0,
        (DESCRIPTIVE, *notes, *_null_note(null_term, test, mapped)),
        done | dict(settings or {}),
        sets_of(sets, study.species) if mapped else {},
    )


def null_p(observed: np.ndarray, null: np.ndarray, *, larger: bool = False) -> np.ndarray:
    """(1 + number of shuffles whose best is as good) / (1 + number of shuffles), for each observed value; NaN without shuffles.

    The best of all genes or terms of a shuffle is compared with every one of them: true for the whole list at once.
    """
    if not len(null):
        return np.full(len(observed), np.nan)
    order = np.sort(-null if larger else null)
    return np.asarray((1 + np.searchsorted(order, -observed if larger else observed, side="right")) / (1 + len(null)))


def _mapped(study: Study, sets: Mapping[str, Sequence[str]] | None) -> tuple[Mapped | None, tuple[str, ...]]:
    """The sets in terms of the study's genes; a sentence where none are known for it. A person's own sets must map."""
    if sets is None and not study.species:
        return None, ("The species of these cells is not known, so no gene sets were tested: say which it is, or give a GMT file.",)
    return map_asked(sets, study.species, study.genes), ()


def _best(terms: Any, test: str) -> float:
    return float(terms["stat"].max()) if test == "prerank" else float(terms["p"].min())


def _null_note(null: np.ndarray, test: str, mapped: Mapped | None) -> tuple[str, ...]:
    if mapped is None or not len(null):
        return ()
    best, most = ("score", null.max()) if test == "prerank" else ("p", null.min())
    return (
        f"{len(null)} shuffles of the scaling: the best set's {best} was {np.median(null):.2g} in the middle, {most:.2g} at the extreme. "
        f"null_p is the share of shuffles that found something as strong anywhere; it cannot be below {1 / (1 + len(null)):.2g}.",
    )


def _empty_terms() -> Any:
    import pandas as pd

    from uotlab.cells.enrich import COLUMNS

    return pd.DataFrame({c: [] for c in (*COLUMNS[:3], "null_p", *COLUMNS[3:])})


def term_arrays(analysis: GeneAnalysis, most: int = 20) -> Arrays:
    """What the view "terms" draws: the best sets, and the best of each shuffle where the two can be compared."""
    few = analysis.terms.head(most)
    found = {"terms/p": minus_log10(few["p"]), "names/terms": few["term"].to_numpy(str)}
    if len(analysis.null_term) and analysis.settings["test"] != "prerank":
        found["terms/null"] = minus_log10(analysis.null_term)
    return found
