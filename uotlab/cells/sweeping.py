"""What τ does to growth, fates and genes: one row for every value of rho1, method and seed, as it is done.

rho1 relaxes the source, in units of the mean cost; the target is held, so that a scaling is growth. A small rho1 lets cells go where they
may and loses the growth; a large one counts noise as growth. How stable the growing cells and their gene sets are says where to stop
when no truth is known.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from uotlab.cells.enrich import map_asked
from uotlab.cells.enriched import analyse
from uotlab.cells.fates import Branches, accuracy, branches_of
from uotlab.cells.growth import spearman
from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.running import run
from uotlab.cells.study import Study
from uotlab.engine.loop import NotFinite
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.penalty import EPS, rho_from_tau, tau_from_rho
from uotlab.plans.solver import SOLVERS
from uotlab.views.base import Arrays

TAUS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  #: of Sinkhorn's convention at eps = .05
RHOS = tuple(round(rho_from_tau("sinkhorn", tau, eps=EPS), 6) for tau in TAUS)
TERMS = 10
SUBSAMPLE = 0.9  #: share of the cells that a discrete solver sees on each seed: it has no other randomness
MEASURES = {
    "mass": "transported mass",
    "recovery": "growth recovery (Spearman with the truth)",
    "agreement": "agreement of growth between seeds (Spearman)",
    "accuracy": "transition accuracy (kernel)",
    "accuracy_plan": "transition accuracy (plan)",
    "top": "growing cells shared by seeds (Jaccard)",
    "terms": "enriched terms shared by seeds (Jaccard)",
}


@dataclass(frozen=True, eq=False)
class Row:
    """One run of the sweep. Numbers that do not apply are NaN; `high` and `terms` are what the stabilities compare.

    Args:
        method, rho, seed: what was run.
        mass, recovery, accuracy, accuracy_plan: see MEASURES.
        cells: row numbers of the source cells that it saw.
        growth: theirs, mean 1.
        high: row numbers of the growing ones.
        terms: names of the best sets.
        error: why there is nothing, a sentence.
    """

    method: str
    rho: float
    seed: int
    mass: float = math.nan
    recovery: float = math.nan
    accuracy: float = math.nan
    accuracy_plan: float = math.nan
    cells: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    growth: np.ndarray = field(default_factory=lambda: np.zeros(0))
    high: frozenset[int] = frozenset()
    terms: frozenset[str] = frozenset()
    error: str = ""


def tau_sweep(
    study: Study,
    methods: Sequence[str] = ("sinkhorn",),
    rhos: Sequence[float] = RHOS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int | None = None,
    percentile: float = HIGH,
    branches: Branches | None = None,
    sets: Any = None,
    *,
    genes: bool = True,
    **params: Any,
) -> Iterator[Row]:
    """Rows as they are done, all seeds of a value before the next one.

    Args:
        methods: keys of METHODS, or of SOLVERS; a solver runs on a seeded nine tenths of the cells, for it has no other randomness.
        rhos: values of rho1; math.inf holds the source.
        percentile: above which a cell counts as growing.
        branches, sets: as in `accuracy` and `analyse`.
        genes: whether terms are tested; they need genes and a species, or sets.

    Raises:
        InputError: no method or value, or sets that do not map.
    """
    if not methods or not len(rhos) or not len(seeds):
        raise InputError("A sweep needs at least one method, one value of rho and one seed.")
    for rho in rhos:
        if not rho > 0:
            raise InputError(f"rho must be above 0, up to infinity; it is {rho}.")
    branches = branches_of(study) if branches is None and study.type else branches
    genes = genes and study.has_genes and (sets is not None or bool(study.species))
    if genes:
        map_asked(sets, study.species, study.genes)  # sets that do not map are told before anything is trained
    for method in methods:
        for rho in rhos:
            for seed in seeds:
                try:
                    seen = study if method in METHODS else subsample(study, seed)
                    outcome = run(seen, method, **_settings(method, rho, seed, steps), **params)
                except (InputError, NotFinite) as error:
                    yield Row(method, rho, seed, error=str(error))
                else:
                    yield row_of(outcome, method, rho, seed, percentile, branches, sets, genes=genes)


def row_of(
    outcome: Outcome, method: str, rho: float, seed: int, percentile: float, branches: Branches | None, sets: Any, *, genes: bool
) -> Row:
    """The numbers of one outcome."""
    study, growth = outcome.study, outcome.growth
    truth = study.truth.get("growth")
    accurate = math.nan, math.nan
    if branches:
        try:
            means = accuracy(outcome, branches).branches
            accurate = float(means["kernel"].mean()), float(means["plan"].mean())
        except InputError:  # a type of the branches may be missing from a subsample
            pass
    high, terms = frozenset[int](), frozenset[str]()
    if not outcome.alike:
        chosen = outcome.high(percentile)
        high = frozenset(int(r) for r in study.source[chosen])
        if genes and min(chosen.sum(), (~chosen).sum()) >= 3:
            terms = frozenset(analyse(outcome, percentile, sets, shuffles=0).terms["term"].head(TERMS))
    found = math.nan if truth is None else spearman(growth, truth)
    return Row(method, rho, seed, outcome.mass, found, *accurate, study.source, growth, high, terms)


def subsample(study: Study, seed: int) -> Study:
    """A seeded nine tenths of each side, in place."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 6_2018]))
    parts = [np.sort(rng.choice(rows, max(2, round(SUBSAMPLE * len(rows))), replace=False)) for rows in (study.source, study.target)]
    return replace(study, source=parts[0], target=parts[1], origin=None)


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    """|a and b| / |a or b|; NaN where both are empty."""
    return len(a & b) / len(a | b) if a | b else math.nan


def frame(rows: Sequence[Row]) -> Any:
    """One line for every method and rho: means over seeds, their standard deviations, and what pairs of seeds share.

    Columns: method, tau (Sinkhorn's at eps = .05, as in TAUS), rho, seeds, and for each of MEASURES its mean and `<name>_sd`. Pairs are
    compared on the cells that both saw.
    """
    import pandas as pd

    lines = []
    for method, rho in dict.fromkeys((r.method, r.rho) for r in rows):
        group = [r for r in rows if (r.method, r.rho) == (method, rho) and not r.error]
        values: dict[str, list[float]] = {k: [getattr(r, k) for r in group] for k in ("mass", "recovery", "accuracy", "accuracy_plan")}
        pairs = list(combinations(group, 2))
        values["agreement"] = [_agreement(a, b) for a, b in pairs]
        values["top"] = [_shared(a, b) for a, b in pairs]
        values["terms"] = [jaccard(a.terms, b.terms) for a, b in pairs]
        line: dict[str, Any] = {"method": method, "tau": tau_of(rho), "rho": rho, "seeds": len(group)}
        for name in MEASURES:
            known = np.array([v for v in values[name] if np.isfinite(v)])
            line |= {name: known.mean() if len(known) else math.nan, f"{name}_sd": known.std() if len(known) else math.nan}
        lines.append(line)
    return pd.DataFrame(lines)


def tau_of(rho: float) -> float:
    """Sinkhorn's exponent of rho at eps = .05, to the digits that are read: .95 of .95; 1 of infinity."""
    return float(f"{tau_from_rho('sinkhorn', rho, eps=EPS):.6g}")


def sweep_arrays(table: Any, own: float = math.nan) -> Arrays:
    """What the view "cells-sweep" draws of `frame`: one panel for every measure that some row has.

    Args:
        own: rho1 of the run that the sweep is looked at for, which is marked; NaN where there is none.
    """
    measures = [k for k in MEASURES if len(table) and table[k].notna().any()]
    methods = list(dict.fromkeys(table["method"])) if len(table) else []
    codes = np.array([methods.index(m) for m in table["method"]] if len(table) else [], dtype=np.int32)
    values, spread = ([table[f"{k}{end}"].to_numpy(np.float32) for k in measures] for end in ("", "_sd"))
    empty = np.zeros((0, len(table)), np.float32)
    return {
        "cells-sweep/rho": table["rho"].to_numpy(np.float32) if len(table) else np.zeros(0, np.float32),
        "cells-sweep/tau": table["tau"].to_numpy(np.float32) if len(table) else np.zeros(0, np.float32),
        "cells-sweep/own": np.array([own, math.nan if math.isnan(own) else tau_of(own)], np.float32),
        "cells-sweep/curve": codes,
        "cells-sweep/value": np.stack(values) if measures else empty,
        "cells-sweep/spread": np.stack(spread) if measures else empty,
        "names/cells-sweep/curve": np.array(methods, dtype=str),
        "names/cells-sweep/measure": np.array([MEASURES[k] for k in measures], dtype=str),
    }


def _settings(method: str, rho: float, seed: int, steps: int | None) -> dict[str, Any]:
    """rho for the source and infinity for the target, on the sides that the method can relax."""
    sides: tuple[bool, ...] = (False,)
    if method in METHODS:
        sides = METHODS[method].relaxed
    elif method in SOLVERS:
        sides = (SOLVERS[method].relaxed and "rho1" in SOLVERS[method].model_fields,) * 2
    values = {f"rho{k}": value for k, (value, relaxed) in enumerate(zip((rho, math.inf), sides, strict=False), 1) if relaxed}
    return {"seed": seed, "steps": steps, **values}


def _common(a: Row, b: Row) -> tuple[np.ndarray, np.ndarray]:
    _, first, second = np.intersect1d(a.cells, b.cells, return_indices=True)
    return first, second


def _agreement(a: Row, b: Row) -> float:
    first, second = _common(a, b)
    return spearman(a.growth[first], b.growth[second]) if len(first) > 2 else math.nan


def _shared(a: Row, b: Row) -> float:
    both = frozenset(int(v) for v in np.intersect1d(a.cells, b.cells))
    return jaccard(a.high & both, b.high & both)
