"""What becomes of whom: tables from cell type to cell type, what is allowed, and groups of cells pushed forward or pulled back.

Reference: eyring2024unbalancedness, Appendix F.5.4 and Table 10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from uotlab.cells.growth import groups
from uotlab.cells.kernel import NEIGHBOURS, kernel
from uotlab.cells.outcome import Outcome
from uotlab.cells.study import Study
from uotlab.errors import InputError, did_you_mean, short
from uotlab.views.base import Arrays

By = Literal["plan", "kernel"]
Branches = Mapping[str, Mapping[str, Sequence[str]]]
NEAREST = 10  #: target cells that a mapped cell stands for, where a method has no plan
MOST_CELLS = 20_000  #: of a side that the kernel looks at
_ENDOCRINE = ("Alpha", "Beta", "Delta", "Epsilon")
PANCREAS: Branches = {
    "EB": {
        "Fev+": _ENDOCRINE,
        **{f"Fev+ {kind}": (kind,) for kind in _ENDOCRINE},
        **{kind: (kind,) for kind in _ENDOCRINE},
    },
    "Ngn3 EP": dict.fromkeys(("Ngn3 EP", "Ngn3 high early", "Ngn3 high late"), _ENDOCRINE),
    "NEB": {"Ductal": ("Ductal",), "Tip": ("Acinar",), "Acinar": ("Acinar",)},
}  #: of the paper, under its own names and under those of the simulator


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How much goes where it may.

    Args:
        table: branch, type, allowed, cells, seen (cells with a terminal neighbour), kernel (share of the kernel's terminal mass that is
            allowed, mean over cells), mass (allowed share of the kernel's whole row), plan (share of the plan's terminal mass).
        branches: branch, kernel, plan: the mean over each branch's types.
        terminal: the types that count as ends.
        how: what stood for the plan.
    """

    table: Any
    branches: Any
    terminal: tuple[str, ...]
    how: str


def coupling(outcome: Outcome) -> Any:
    """(n, m) the plan where there is one, dense; else csr: each cell's scaling in equal parts on the target cells nearest to its image."""
    if outcome.plan is not None:
        return np.asarray(outcome.plan)
    import scipy.sparse as sp
    from sklearn.neighbors import NearestNeighbors

    n, m = len(outcome.study.source), len(outcome.study.target)
    k = min(NEAREST, m)
    near = NearestNeighbors(n_neighbors=k).fit(outcome.study.y).kneighbors(outcome.mapped, return_distance=False)
    mass = np.repeat(outcome.growth * outcome.mass / n / k, k)
    return sp.csr_matrix((mass, near.ravel(), np.arange(n + 1) * k), shape=(n, m))


def how(outcome: Outcome) -> str:
    """What `coupling` is, in words."""
    return "the plan" if outcome.plan is not None else f"the {min(NEAREST, len(outcome.study.target))} target cells nearest to each image"


def across(outcome: Outcome, neighbours: int = NEIGHBOURS) -> Any:
    """(n, m) csr, the kernel's mass from source to target cells; the target stands still. Rows sum to at most 1.

    Raises:
        InputError: too many cells.
    """
    study = outcome.study
    n = len(study.source)
    if max(n, len(study.target)) > MOST_CELLS:
        raise InputError(f"The kernel looks at {MOST_CELLS} cells a side at most; here are {max(n, len(study.target))}. Take a subsample.")
    points = np.concatenate([study.x, study.y])
    velocity = np.concatenate([outcome.velocity, np.zeros_like(study.y)])
    return kernel(points, velocity, neighbours)[:n, n:]


def transition(outcome: Outcome, by: By = "plan", key: str | None = None) -> Any:
    """Source types by target types, a DataFrame whose rows sum to 1 (a type that sends nothing has zeros).

    Args:
        by: "plan", the plan's mass (see `coupling`), or "kernel", the correlation kernel's mass on target cells.
        key: an obs column; None is the cell type.

    Raises:
        InputError: another `by`, or no such column.
    """
    import pandas as pd

    if by not in get_args(By):
        raise InputError(f"by must be one of {', '.join(get_args(By))}; it is '{short(str(by))}'. {did_you_mean(str(by), get_args(By))}")
    source, target = (groups(outcome.study, key, side) for side in ("source", "target"))
    mass = coupling(outcome) if by == "plan" else across(outcome)
    rows, columns = np.unique(source), np.unique(target)
    sums = _onehot(source, rows).T @ (mass @ _onehot(target, columns))
    totals = sums.sum(1, keepdims=True)
    shares = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
    return pd.DataFrame(shares, index=pd.Index(rows, name="source"), columns=pd.Index(columns, name="target"))


def branches_of(study: Study, key: str | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    """Branches to begin with: the paper's where these types occur, else the known truth, else each type to itself."""
    source, target = (set(groups(study, key, side)) for side in ("source", "target"))
    found = _present(PANCREAS, source, target)
    if {"EB", "NEB"} <= found.keys():
        return found
    truth = study.truth.get("transition")
    if truth:
        return _present({kind: {kind: tuple(to)} for kind, to in truth.items()}, source, target)
    return {"same type": {kind: (kind,) for kind in sorted(source & target)}}


def accuracy(outcome: Outcome, branches: Branches | None = None, terminal: Sequence[str] = (), key: str | None = None) -> Accuracy:
    """The share of terminal mass that lands in an allowed type, by the correlation kernel and by the plan.

    Only transitions into terminal types are looked at, as in the paper; a cell none of whose neighbours is terminal is left out.

    Args:
        branches: branch -> {source type: allowed target types}; None is `branches_of`.
        terminal: types that count as ends; empty is all that some branch allows.
        key: an obs column; None is the cell type.

    Raises:
        InputError: no branch, or a type that no cell has.
    """
    import pandas as pd

    branches = branches_of(outcome.study, key) if branches is None else branches
    source, target = (groups(outcome.study, key, side) for side in ("source", "target"))
    ends = tuple(dict.fromkeys(terminal or [t for table in branches.values() for to in table.values() for t in to]))
    _check(branches, ends, set(source), set(target))
    names = np.unique(target)
    by_kernel, by_plan = (np.asarray(mass @ _onehot(target, names)) for mass in (across(outcome), coupling(outcome)))
    end = np.isin(names, ends)
    rows = []
    for branch, table in branches.items():
        for kind, allowed in table.items():
            here, may = source == kind, np.isin(names, list(allowed))
            held = by_kernel[here][:, end].sum(1)
            seen = held > 0
            share = by_kernel[here][:, may & end].sum(1)[seen] / held[seen]
            planned = by_plan[here][:, end].sum()
            rows.append(
                {
                    "branch": branch,
                    "type": kind,
                    "allowed": ", ".join(allowed),
                    "cells": int(here.sum()),
                    "seen": int(seen.sum()),
                    "kernel": float(share.mean()) if seen.any() else float("nan"),
                    "mass": float(by_kernel[here][:, may].sum(1).mean()),
                    "plan": float(by_plan[here][:, may & end].sum() / planned) if planned > 0 else float("nan"),
                }
            )
    table = pd.DataFrame(rows)
    means = table.groupby("branch", sort=False)[["kernel", "mass", "plan"]].mean().reset_index()
    return Accuracy(table, means, ends, how(outcome))


def push(outcome: Outcome, chosen: np.ndarray) -> np.ndarray:
    """(m,) mass that a group of source cells (n,) bool sends to each target cell, of total 1; zeros where it sends nothing."""
    mass = np.asarray(coupling(outcome)[_checked(chosen, len(outcome.study.source), "source")].sum(0)).ravel()
    return _normal(mass)


def pull(outcome: Outcome, chosen: np.ndarray) -> np.ndarray:
    """(n,) mass that a group of target cells (m,) bool receives from each source cell, of total 1; zeros where it receives nothing."""
    mass = np.asarray(coupling(outcome)[:, _checked(chosen, len(outcome.study.target), "target")].sum(1)).ravel()
    return _normal(mass)


def fate_arrays(table: Any, mass: np.ndarray | None = None) -> Arrays:
    """What the views "transitions" and "fate-flow" draw of a table of `transition`; mass (r,) is each source type's, 1 each by default."""
    weights = np.ones(len(table)) if mass is None else np.asarray(mass)
    names = {"names/fates/source": table.index.to_numpy(str), "names/fates/target": table.columns.to_numpy(str)}
    return {"fates/P": table.to_numpy(np.float32), "fates/mass": weights.astype(np.float32), **names}


def mass_of_types(outcome: Outcome, table: Any, key: str | None = None) -> np.ndarray:
    """(r,) share of the carried mass that leaves each row of a table of `transition`."""
    types = groups(outcome.study, key)
    return np.array([outcome.growth[types == kind].sum() for kind in table.index]) / len(types)


def _present(branches: Branches, source: set[str], target: set[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    found = {}
    for branch, table in branches.items():
        kept = {kind: tuple(t for t in to if t in target) for kind, to in table.items() if kind in source}
        kept = {kind: to for kind, to in kept.items() if to}
        if kept:
            found[branch] = kept
    return found


def _check(branches: Branches, ends: Sequence[str], source: set[str], target: set[str]) -> None:
    if not any(branches.values()):
        raise InputError("No branch is given. Name at least one source type with the target types that it may become.")
    for table in branches.values():
        for kind, allowed in table.items():
            if kind not in source:
                raise InputError(f"No source cell has the type '{short(kind)}'. {did_you_mean(kind, sorted(source))}")
            if not allowed:
                raise InputError(f"The type '{short(kind)}' may become nothing. Name at least one target type for it.")
            for to in allowed:
                if to not in ends:
                    raise InputError(f"'{short(kind)}' may become '{short(to)}', which is no terminal type. Add it to the terminal ones.")
    for to in ends:
        if to not in target:
            raise InputError(f"No target cell has the type '{short(to)}'. {did_you_mean(to, sorted(target))}")


def _checked(chosen: np.ndarray, n: int, side: str) -> np.ndarray:
    chosen = np.asarray(chosen)
    if chosen.shape != (n,) or chosen.dtype != bool:
        raise InputError(f"Choose {side} cells by one True or False a cell, ({n},); the shape is {chosen.shape}, the type {chosen.dtype}.")
    if not chosen.any():
        raise InputError(f"No {side} cell is chosen. Choose at least one.")
    return chosen


def _normal(mass: np.ndarray) -> np.ndarray:
    total = float(mass.sum())
    return mass / total if total > 0 else np.zeros_like(mass)


def _onehot(labels: np.ndarray, names: np.ndarray) -> np.ndarray:
    return np.asarray(labels[:, None] == names[None], dtype=np.float64)
