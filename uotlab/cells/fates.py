"""What becomes of whom: tables from cell type to cell type, what is allowed, and groups of cells pushed forward or pulled back.

Reference: eyring2024unbalancedness, Appendix F.5.4 and Table 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from uotlab.cells.branches import SAME, Branches, branches_of, check_branches
from uotlab.cells.growth import LOW_MASS, groups
from uotlab.cells.kernel import NEIGHBOURS, kernel
from uotlab.cells.outcome import Outcome
from uotlab.errors import InputError, did_you_mean, short
from uotlab.views.base import Arrays

By = Literal["plan", "kernel", "neighbours"]
__all__ = ["Accuracy", "Branches", "accuracy", "branches_of", "coupling", "fate_arrays", "pull", "push", "transition", "transition_arrays"]
NEAREST = 10  #: target cells that a mapped cell stands for, where a method has no plan
FEW = 10  #: source cells of a type below which its row is noise
MOST_CELLS = 20_000  #: of a side that the kernel looks at


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How much goes where it may.

    Args:
        table: branch, type, allowed, cells, seen (cells with a terminal neighbour), kernel (share of the kernel's terminal mass that is
            allowed, mean over cells), mass (allowed share of the kernel's whole row), plan (share of the plan's terminal mass).
        branches: branch, accuracy (the column that was asked for), kernel, mass, plan: the mean over each branch's types.
        terminal: the types that count as ends.
        how: what stood for the plan.
        notes: sentences a person should read.
    """

    table: Any
    branches: Any
    terminal: tuple[str, ...]
    how: str
    notes: tuple[str, ...] = ()


def coupling(outcome: Outcome) -> Any:
    """(n, m) the plan where there is one, dense; else csr: each cell's scaling in equal parts on the target cells nearest to its image."""
    return nearest(outcome) if outcome.plan is None else np.asarray(outcome.plan)


def nearest(outcome: Outcome) -> Any:
    """(n, m) csr, each cell's scaling in equal parts on the target cells nearest to its image, whatever plan there is."""
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
        by: "plan", the plan's mass (see `coupling`); "neighbours", the target cells nearest to each image; or "kernel", the correlation
            kernel's mass on target cells.
        key: an obs column; None is the cell type.

    The share of the carried mass that leaves each source type is kept in `.attrs["mass"]`, for `transition_arrays`.

    Raises:
        InputError: another `by`, or no such column.
    """
    import pandas as pd

    _check_by(by)
    source, target = (groups(outcome.study, key, side) for side in ("source", "target"))
    mass = {"plan": coupling, "neighbours": nearest, "kernel": across}[by](outcome)
    rows, columns = np.unique(source), np.unique(target)
    sums = _onehot(source, rows).T @ (mass @ _onehot(target, columns))
    totals = sums.sum(1, keepdims=True)
    shares = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
    table = pd.DataFrame(shares, index=pd.Index(rows, name="source"), columns=pd.Index(columns, name="target"))
    table.attrs["mass"] = mass_of_types(outcome, table, key).tolist()
    return table


def accuracy(
    outcome: Outcome, branches: Branches | None = None, terminal: Sequence[str] = (), key: str | None = None, by: By = "kernel"
) -> Accuracy:
    """The share of terminal mass that lands in an allowed type, by the correlation kernel and by the plan.

    Only transitions into terminal types are looked at, as in the paper; a cell none of whose neighbours is terminal is left out.

    Args:
        branches: branch -> {source type: allowed target types}; None is `branches_of`.
        terminal: types that count as ends; empty is all that some branch allows.
        key: an obs column; None is the cell type.
        by: which of them is called the accuracy; "neighbours" puts the nearest target cells in the plan's place.

    Raises:
        InputError: no branch, a type that no cell has, or too many cells for the kernel that is asked for.
    """
    import pandas as pd

    _check_by(by)
    branches = branches_of(outcome.study, key) if branches is None else branches
    source, target = (groups(outcome.study, key, side) for side in ("source", "target"))
    ends = tuple(dict.fromkeys(terminal or [t for table in branches.values() for to in table.values() for t in to]))
    check_branches(branches, ends, set(source), set(target))
    names, words = np.unique(target), "the target cells nearest to each image" if by == "neighbours" else how(outcome)
    seen_by_kernel = by == "kernel" or max(len(source), len(target)) <= MOST_CELLS
    held = _onehot(target, names)
    kernel_mass = np.asarray(across(outcome) @ held) if seen_by_kernel else np.full((len(source), len(names)), np.nan)
    plan_mass = np.asarray((nearest if by == "neighbours" else coupling)(outcome) @ held)
    rows = [
        {"branch": branch, "type": kind, "allowed": ", ".join(allowed), "cells": int((source == kind).sum())}
        | _shares(kernel_mass[source == kind], plan_mass[source == kind], np.isin(names, list(allowed)), np.isin(names, ends))
        for branch, types in branches.items()
        for kind, allowed in types.items()
    ]
    table = pd.DataFrame(rows)
    means = table.groupby("branch", sort=False)[["kernel", "mass", "plan"]].mean().reset_index()
    means.insert(1, "accuracy", means["kernel" if by == "kernel" else "plan"])
    notes = _notes(outcome, table, words)
    if not seen_by_kernel:
        notes = (*notes, f"The correlation kernel looks at {MOST_CELLS} cells a side at most, so it is left out here.")
    return Accuracy(table, means, ends, words, notes)


def _shares(by_kernel: np.ndarray, by_plan: np.ndarray, may: np.ndarray, end: np.ndarray) -> dict[str, float]:
    """What one type's cells send where they may: their masses (k, types) by kernel and plan, which types are allowed, which terminal."""
    held = by_kernel[:, end].sum(1)
    seen, planned = held > 0, by_plan[:, end].sum()
    share = by_kernel[:, may & end].sum(1)[seen] / held[seen]
    return {
        "seen": int(seen.sum()),
        "kernel": float(share.mean()) if seen.any() else float("nan"),
        "mass": float(by_kernel[:, may].sum(1).mean()),
        "plan": float(by_plan[:, may & end].sum() / planned) if planned > 0 else float("nan"),
    }


def _notes(outcome: Outcome, table: Any, words: str) -> tuple[str, ...]:
    """What to know before one reads a table of `accuracy`."""
    found = [f"The column plan is {words}; a branch's number is the mean over its types, as in the paper."]
    few = table[table["cells"] < FEW]
    if len(few):
        found.append(f"Fewer than {FEW} source cells are of type {', '.join(few['type'])}: read those rows with care.")
    unseen = table[table["seen"] < 0.5 * table["cells"]]
    if len(unseen) and table["seen"].any():
        found.append(f"Less than half of the cells of type {', '.join(unseen['type'])} have a terminal cell among their neighbours.")
    if SAME in set(table["branch"]):
        found.append("Nobody has said here what may become what: by default each type should stay itself. Edit the branches.")
    if outcome.mass < LOW_MASS:
        found.append(f"Only {outcome.mass:.0%} of the mass is carried: the plan's shares speak of that part.")
    return tuple(found)


def push(outcome: Outcome, chosen: np.ndarray) -> np.ndarray:
    """(m,) mass that a group of source cells (n,) bool sends to each target cell, of total 1; zeros where it sends nothing."""
    mass = np.asarray(coupling(outcome)[_checked(chosen, len(outcome.study.source), "source")].sum(0)).ravel()
    return _normal(mass)


def pull(outcome: Outcome, chosen: np.ndarray) -> np.ndarray:
    """(n,) mass that a group of target cells (m,) bool receives from each source cell, of total 1; zeros where it receives nothing."""
    mass = np.asarray(coupling(outcome)[:, _checked(chosen, len(outcome.study.target), "target")].sum(1)).ravel()
    return _normal(mass)


def transition_arrays(table: Any) -> Arrays:
    """`fate_arrays` with the mass that `transition` noted beside its table."""
    return fate_arrays(table, table.attrs.get("mass"))


def fate_arrays(table: Any, mass: np.ndarray | None = None) -> Arrays:
    """What the views "transitions" and "fate-flow" draw of a table of `transition`; mass (r,) is each source type's, 1 each by default."""
    weights = np.ones(len(table)) if mass is None else np.asarray(mass)
    names = {"names/fates/source": table.index.to_numpy(str), "names/fates/target": table.columns.to_numpy(str)}
    return {"fates/P": table.to_numpy(np.float32), "fates/mass": weights.astype(np.float32), **names}


def mass_of_types(outcome: Outcome, table: Any, key: str | None = None) -> np.ndarray:
    """(r,) share of the carried mass that leaves each row of a table of `transition`."""
    types = groups(outcome.study, key)
    return np.array([outcome.growth[types == kind].sum() for kind in table.index]) / len(types)


def _check_by(by: str) -> None:
    if by not in get_args(By):
        raise InputError(f"by must be one of {', '.join(get_args(By))}; it is '{short(str(by))}'. {did_you_mean(str(by), get_args(By))}")


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
