"""Study: prepared cells, which of them are source and target, and the space they are matched in.

Training needs the points and labels only; the expression of genes stays on disk until it is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from uotlab.cells.blocks import blocks
from uotlab.errors import InputError, did_you_mean, short
from uotlab.problem import Measure, Problem

Side = Literal["source", "target"]
MOST_CLASSES, MOST_LABELS = 64, 8  #: a label column of a Problem has at most so many values, and a Problem so many columns


class Column(NamedTuple):
    """An obs column: numbers (N,) float32, or codes (N,) int32 into names; code -1 is a missing value, shown as "unknown"."""

    values: np.ndarray
    names: tuple[str, ...] | None = None

    def at(self, rows: Any) -> np.ndarray:
        """The rows' numbers, or texts."""
        if self.names is None:
            return self.values[rows]
        return np.array([*self.names, "unknown"])[self.values[rows]]


@dataclass(frozen=True)
class About:
    """What is known of a study, JSON-ready.

    Args:
        title: what the page calls it.
        time, type: names of obs columns; `type` is empty where there is none.
        source, target: what stands in the time column.
        dt, unit: time between the two and its unit "h" or "d", where the values read as times.
        species: "mouse", "zebrafish", "human" or "", not known.
        rep: name of the space in obsm.
        axes: names of its columns, where they have other names than PC1, PC2, ...
        simulated: whether the cells are drawn by a program.
        truth: tables that are known exactly (see `simulate`); each cell's growth is the obs column "true_growth".
        notes: sentences a person should read.
        steps: what the preparation did, in sentences.
        settings: of the preparation.
    """

    title: str = "your cells"
    time: str = ""
    type: str = ""
    source: str = ""
    target: str = ""
    dt: float | None = None
    unit: str = ""
    species: str = ""
    rep: str = "X_pca"
    axes: tuple[str, ...] = ()
    simulated: bool = False
    truth: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Study:
    """Source cells and target cells in one space. Whatever is said of source cells is in the order of `source`.

    Args:
        points: (N, d) float32, all prepared cells.
        columns: obs columns of all cells.
        source, target: row numbers (n,) and (m,), int64, increasing.
        about: names, times, notes, truth.
        held: the prepared AnnData, or the path of its .h5ad.
        origin: dataset name and parameters that make this study again; None for arrays.
    """

    points: np.ndarray
    columns: Mapping[str, Column]
    source: np.ndarray
    target: np.ndarray
    about: About
    held: Any
    origin: Mapping[str, Any] | None = None

    # ---- names -----------------------------------------------------------------------------------
    title = property(lambda self: self.about.title)
    time = property(lambda self: self.about.time)
    type = property(lambda self: self.about.type)
    source_value = property(lambda self: self.about.source)
    target_value = property(lambda self: self.about.target)
    dt = property(lambda self: self.about.dt)
    unit = property(lambda self: self.about.unit)
    species = property(lambda self: self.about.species)
    rep = property(lambda self: self.about.rep)
    simulated = property(lambda self: self.about.simulated)
    notes = property(lambda self: self.about.notes)

    # ---- the space -------------------------------------------------------------------------------
    @property
    def d(self) -> int:
        return self.points.shape[1]

    @cached_property
    def x(self) -> np.ndarray:
        """Source points (n, d) float32."""
        return self.points[self.source]

    @cached_property
    def y(self) -> np.ndarray:
        """Target points (m, d) float32."""
        return self.points[self.target]

    def rows(self, side: Side) -> np.ndarray:
        """Row numbers of the cells of a side."""
        if side not in ("source", "target"):
            raise InputError(f"side must be source or target; it is {short(repr(side))}.")
        return self.source if side == "source" else self.target

    # ---- what is known of the cells --------------------------------------------------------------
    def labels(self, key: str, side: Side | None = None) -> np.ndarray:
        """An obs column of one side, or of all cells (None): texts, or float32 numbers.

        Raises:
            InputError: no such column.
        """
        if key not in self.columns:
            raise InputError(f"There is no obs column '{short(key)}'. {did_you_mean(key, self.columns)}")
        return self.columns[key].at(slice(None) if side is None else self.rows(side))

    def types(self, side: Side | None = None) -> np.ndarray:
        """The cell type of each cell of a side.

        Raises:
            InputError: the study has no cell types.
        """
        if not self.type:
            raise InputError("These cells have no cell types: name an obs column that holds them, type=...")
        return self.labels(self.type, side)

    def values(self) -> dict[str, int]:
        """How many cells there are of each value of the time column."""
        column = self.columns[self.time]
        if column.names is None:
            return {self.source_value: len(self.source), self.target_value: len(self.target)}
        counts = np.bincount(column.values[column.values >= 0], minlength=len(column.names))
        return {name: int(count) for name, count in zip(column.names, counts) if count}

    @property
    def truth(self) -> dict[str, Any]:
        """What is known exactly; empty for real cells. "growth" is (n,), mean 1 over the source; "fate" (n,) texts."""
        known = dict(self.about.truth)
        if "true_growth" in self.columns:
            growth = self.labels("true_growth", "source").astype(np.float64)
            known["growth"] = growth / growth.mean()
        if "true_fate" in self.columns:
            known["fate"] = self.labels("true_fate", "source")
        return known

    # ---- genes -----------------------------------------------------------------------------------
    @cached_property
    def adata(self) -> Any:
        """The prepared AnnData of all cells; large ones stay on disk, backed."""
        from uotlab.cells.kept import open_cells

        return open_cells(self.held) if isinstance(self.held, Path) else self.held

    @cached_property
    def genes(self) -> np.ndarray:
        """(g,) gene names."""
        return np.array(self.adata.var_names, dtype=str)

    @property
    def has_genes(self) -> bool:
        return bool(self.adata.n_vars)

    def expression(self, genes: str | Sequence[str], side: Side | None = "source") -> np.ndarray:
        """log1p expression, float32: (n,) for one gene, (n, k) for several. None is all cells.

        Raises:
            InputError: an unknown gene.
        """
        several = [genes] if isinstance(genes, str) else list(genes)
        places = []
        for gene in several:
            if gene not in self._places:
                raise InputError(f"There is no gene '{short(gene)}' among the {len(self.genes)} of these cells. Check its spelling.")
            places.append(self._places[gene])
        rows = np.arange(len(self.points)) if side is None else self.rows(side)
        out = np.empty((len(rows), len(places)), np.float32)
        for start, block in blocks(self.adata.X, rows):
            out[start : start + block.shape[0]] = block[:, places].toarray()
        return out[:, 0] if isinstance(genes, str) else out

    @cached_property
    def _places(self) -> dict[str, int]:
        return {gene: i for i, gene in enumerate(self.genes)}

    def cells(self, side: Side) -> Any:
        """An AnnData in memory of one side's cells, a copy of one's own."""
        rows = self.rows(side)
        if not self.adata.isbacked:
            return self.adata[rows].copy()
        import anndata
        import scipy.sparse as sp

        X = sp.vstack([block for _, block in blocks(self.adata.X, rows)]).tocsr()
        obsm = {key: np.asarray(value)[rows] for key, value in self.adata.obsm.items()}
        return anndata.AnnData(X, self.adata.obs.iloc[rows].copy(), self.adata.var.copy(), obsm=obsm)

    # ---- other studies of the same cells ---------------------------------------------------------
    def between(self, source: str, target: str) -> "Study":
        """The study of two other values of the time column, in the same space.

        Raises:
            InputError: a value that no two cells have.
        """
        column = self.labels(self.time).astype(str)
        sides = []
        for value in (source, target):
            rows = np.flatnonzero(column == value)
            if len(rows) < 2:
                raise InputError(f"At least 2 cells must have '{short(value)}' in {self.time}. {did_you_mean(value, self.values())}")
            sides.append(rows)
        about = replace(self.about, source=source, target=target, dt=None)
        return replace(self, source=sides[0], target=sides[1], about=about, origin=None)

    def subsample(self, n: int, seed: int = 0) -> "Study":
        """At most n cells a side, a seeded choice, as `Measure.subsample` takes them."""
        sides = [rows[_taken(rows, n, seed)] for rows in (self.source, self.target)]
        return replace(self, source=sides[0], target=sides[1])

    def split(self, seed: int) -> tuple["Study", "Study"]:
        """(train, held out): the very cells that `Problem.split` keeps and holds out."""
        if min(len(self.source), len(self.target)) < 5:
            return self, self
        parts = [[p.points[:, 0].astype(np.int64) for p in _of_rows(rows).split(seed)] for rows in (self.source, self.target)]
        train, held = (replace(self, source=parts[0][k], target=parts[1][k], origin=None) for k in (0, 1))
        return train, held

    # ---- to train on -----------------------------------------------------------------------------
    def problem(self) -> Problem:
        """Source to target in the space; labels are the cell type, further obs columns of few values, and "row"."""
        truth = {"true_ratio": dict(self.about.truth["growth_by_type"])} if "growth_by_type" in self.about.truth else {}
        names = tuple(f"PC{i + 1}" for i in range(self.d)) if self.rep == "X_pca" else self.about.axes[: self.d]
        marginals = tuple(Measure(self.points[rows], None, self._problem_labels(rows), names) for rows in (self.source, self.target))
        return Problem(marginals, "cells", self.title, truth=truth, notes=self.notes, origin=self.origin)

    def _problem_labels(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        few = [k for k, c in self.columns.items() if c.names is not None and 1 < len(c.names) <= MOST_CLASSES and k != self.type]
        keys = [*([self.type] if self.type else []), *sorted(few, key=lambda k: k == self.time)][:MOST_LABELS]
        return {key: self.columns[key].at(rows) for key in keys} | {"row": rows}


def _of_rows(rows: np.ndarray) -> Measure:
    return Measure(rows[:, None].astype(np.float64))


def _taken(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Positions in rows of the cells that stay."""
    if len(rows) <= n:
        return np.arange(len(rows))
    return np.unique(Measure(np.arange(len(rows))[:, None]).subsample(n, seed).points[:, 0].astype(np.int64))
