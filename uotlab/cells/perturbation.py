"""How well a map predicts treated cells from control cells that it has not seen.

The cells of control and treatment are split as training splits them, and everything here is measured on the fifth that was held out.

Reference: eyring2024unbalancedness, Figure 4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uotlab.cells.outcome import Outcome
from uotlab.cells.running import run
from uotlab.cells.study import Study
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.plans.debiased import sinkhorn_divergence
from uotlab.views.base import Arrays

GAMMAS = (2.0, 1.0, 0.5, 0.1, 0.01, 0.005)
EPS, TOL = 0.01, 1e-3
MOST_POINTS = 2000  #: a side, in distances between all pairs
MEASURES = {"l2": "L2 drug signature", "sinkhorn": "Sinkhorn divergence", "mmd": "MMD", "mmd_median": "MMD, median bandwidth"}
BALANCE = frozenset({"rho", "rho1", "rho2", "tau", "tau1", "tau2", "divergence", "divergence1", "divergence2"})


@dataclass(frozen=True)
class Effect:
    """Distances of predicted cells to treated ones; all are zero where the two clouds are the same.

    Args:
        l2: |mean T(x) - mean y|, the drug signature.
        sinkhorn: debiased, eps = .01 of the mean cost.
        mmd: squared, the mean over the RBF kernels exp(-gamma |x - y|^2) of GAMMAS.
        mmd_median: the same for gamma = 1 / median |x - y|^2.
    """

    l2: float
    sinkhorn: float
    mmd: float
    mmd_median: float


def effect(mapped: np.ndarray, y: np.ndarray) -> Effect:
    """Distances of mapped cells (n, d) to treated cells (m, d).

    Raises:
        InputError: other shapes.
    """
    if mapped.ndim != 2 or y.ndim != 2 or mapped.shape[1] != y.shape[1] or not len(mapped) or not len(y):
        raise InputError(f"mapped and y must be clouds of one dimension, (n, d) and (m, d); their shapes are {mapped.shape} and {y.shape}.")
    signature = float(np.linalg.norm(mapped.mean(0, dtype=np.float64) - y.mean(0, dtype=np.float64)))
    x, y = (np.asarray(v[_spread(len(v))], dtype=np.float64) for v in (mapped, y))
    xx, yy, xy = (_squares(a, b) for a, b in ((x, x), (y, y), (x, y)))
    median = float(np.median(xy))
    found = sinkhorn_divergence(x, y, eps=EPS, tol=TOL) if median > 0 else 0.0
    own = 1 / median if median > 0 else 1.0
    return Effect(signature, max(found, 0.0), float(np.mean([mmd(xx, yy, xy, g) for g in GAMMAS])), mmd(xx, yy, xy, own))


def mmd(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray, gamma: float) -> float:
    """Squared maximum mean discrepancy from squared distances: mean k(x, x') + mean k(y, y') - 2 mean k(x, y)."""
    means = [float(np.exp(-gamma * squares).mean()) for squares in (xx, yy, xy)]
    return means[0] + means[1] - 2 * means[2]


def features(study: Study, mapped: np.ndarray) -> Any:
    """Means of every feature: of control, of treated and as predicted, with the error; the features that change most come first.

    Where the space is one of principal components of unscaled genes, a gene's prediction is its control mean plus the loadings times the
    mean shift; else the features are the coordinates.

    Args:
        study: control to treated, such as the held-out part.
        mapped: (n, d) images of its source cells.
    """
    import pandas as pd

    shift = mapped.mean(0, dtype=np.float64) - study.x.mean(0, dtype=np.float64)
    loadings = _loadings(study)
    if loadings is None:
        names = [*study.about.axes, *(f"coordinate {i + 1}" for i in range(len(study.about.axes), study.d))][: study.d]
        control, treated = study.x.mean(0, dtype=np.float64), study.y.mean(0, dtype=np.float64)
    else:
        names, shift = list(study.genes), loadings @ shift
        control, treated = (np.asarray(study.cells(side).X.mean(0), dtype=np.float64).ravel() for side in ("source", "target"))
    table = pd.DataFrame({"feature": names, "control": control, "treated": treated, "predicted": control + shift})
    table["error"] = table["predicted"] - table["treated"]
    order = (table["treated"] - table["control"]).abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def held_out(outcome: Outcome) -> tuple[dict[str, float], Any]:
    """What a run predicts for cells that it has not seen: distances to the target's, those of no map beside them, and `features`.

    A plan saw all cells, so that all are measured then.
    """
    study, mapped = outcome.study, outcome.mapped
    if outcome.settings.get("method") in METHODS:
        held = study.split(int(outcome.settings.get("seed") or 0))[1]
        study, mapped = held, mapped[np.searchsorted(study.source, held.source)]
    found = asdict(effect(mapped, study.y)) | {f"{k} without a map": v for k, v in asdict(effect(study.x, study.y)).items()}
    return found, features(study, mapped)


def perturb(
    study: Study,
    methods: Sequence[str] = ("oticnn", "uoticnn"),
    conditions: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    steps: int | None = None,
    **params: Any,
) -> Iterator[dict[str, Any]]:
    """One row for every condition, method and seed, as soon as it is there: distances on held-out cells, and those of no map at all.

    Args:
        study: its source is the control.
        methods: keys of METHODS (or of SOLVERS for a plan between the held-out cells themselves).
        conditions: values of the study's time column; None is all but the control.
        params: hyper-parameters shared by the methods that relax something; `run` chooses what is not said.

    Raises:
        InputError: no condition, or one that too few cells have.
    """
    wanted = [v for v in study.values() if v != study.source_value] if conditions is None else list(conditions)
    if not wanted:
        raise InputError(f"There is no other condition in {study.time} than the control. Name a column that tells the treatments.")
    for condition in wanted:
        pair = study.between(study.source_value, condition)
        for seed in seeds:
            held = pair.split(seed)[1]
            untouched = {f"{k}_no_map": v for k, v in asdict(effect(held.x, held.y)).items()}
            for method in methods:
                own = {k: v for k, v in params.items() if k not in BALANCE or method not in METHODS or any(METHODS[method].relaxed)}
                outcome = _held_out(pair, held, method, seed, steps, own)
                row = {"condition": condition, "method": method, "seed": seed, "cells": len(held.source), "mass": outcome.mass}
                yield {**row, **asdict(effect(outcome.mapped, held.y)), **untouched}


def condition_arrays(table: Any, balanced: str, unbalanced: str, measure: str = "l2") -> Arrays:
    """What the view "conditions" draws of the rows of `perturb` as a DataFrame: the mean over seeds of both methods, by condition.

    Raises:
        InputError: a method or a measure that the table does not have.
    """
    if measure not in MEASURES:
        raise InputError(f"measure must be one of {', '.join(MEASURES)}; it is '{measure}'.")
    means = table.pivot_table(index="condition", columns="method", values=measure, aggfunc="mean", sort=False)
    for method in (balanced, unbalanced):
        if method not in means:
            raise InputError(f"No row of the table is of the method '{method}'. It has {', '.join(map(str, means.columns))}.")
    means = means.dropna(subset=[balanced, unbalanced])
    points = {"conditions/x": means[balanced].to_numpy(np.float32), "conditions/y": means[unbalanced].to_numpy(np.float32)}
    return {
        **points,
        "names/conditions": means.index.to_numpy(str),
        "names/conditions/title": np.array([MEASURES[measure], balanced, unbalanced]),
    }


def _held_out(pair: Study, held: Study, method: str, seed: int, steps: int | None, params: dict[str, Any]) -> Outcome:
    """What a method that was trained on the pair (of which it leaves the same cells out by itself) says about held-out ones."""
    if method not in METHODS:
        return run(held, method, seed=seed, **params)
    whole = run(pair, method, steps, seed, **params)
    place = np.searchsorted(pair.source, held.source)
    scaling = None if whole.scaling is None else whole.scaling[place]
    return Outcome(held, whole.mapped[place], scaling, None, whole.mass, None, whole.settings)


def _loadings(study: Study) -> np.ndarray | None:
    """(g, d) loadings of genes, where they turn a shift of the points into one of log values."""
    if not study.has_genes or study.rep != "X_pca" or study.about.settings.get("scale") or "PCs" not in study.adata.varm:
        return None
    found = np.asarray(study.adata.varm["PCs"], dtype=np.float64)
    return found if found.shape[1] == study.d else None


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b, "sqeuclidean"))


def _spread(n: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(np.int64)
