"""A first look at cells before anything is done to them: what they have, what is likely meant, what should worry a person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.cells.blocks import blocks
from uotlab.cells.checks import LARGEST, looks_turned
from uotlab.cells.h5 import opened
from uotlab.cells.preparation import scanpy_quietly
from uotlab.cells.reading import read
from uotlab.cells.values import Values, as_text, in_order, kind_of_values, species_of, time_columns, type_columns
from uotlab.errors import InputError, short

MOST_VALUES = 200  #: values of an obs column that are listed


@dataclass(frozen=True)
class Look:
    """What a file or an AnnData holds.

    Args:
        cells, genes: numbers.
        values: what the expression looks like.
        columns: obs columns, each with its values and how many cells have them, in order; empty for numbers and names of cells.
        times, types: columns that may hold the time or condition, and the cell type; the likeliest first.
        layers, spaces: names of layers ("raw" too) and of obsm, with the columns of each.
        species: whose symbols the genes' names are; empty where they are no species' that is known.
        warnings: sentences.
    """

    cells: int
    genes: int
    values: Values
    columns: dict[str, dict[str, int]]
    times: tuple[str, ...]
    types: tuple[str, ...]
    layers: tuple[str, ...]
    spaces: dict[str, int]
    species: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Quality:
    """What quality control decides on: (N,) genes found, total and mitochondrial percent of each cell; (g,) cells of each gene."""

    genes: np.ndarray
    total: np.ndarray
    mito: np.ndarray
    cells: np.ndarray


def look(data: Any, **reading: Any) -> Look:
    """A first look at an AnnData or a file.

    Args:
        reading: arguments of `read` for a file.

    Raises:
        InputError: the file cannot be read.
    """
    layers, path = None, None
    if isinstance(data, str | Path):
        path = Path(data).expanduser()
        data = read(path, **reading)
        layers = layers_of(path)
    adata = data
    if layers is None:
        layers = (*adata.layers, *(["raw"] if adata.raw is not None else []))
    with scanpy_quietly():
        kind = "log" if adata.X is None or not adata.n_vars else kind_of_values(adata.X)
        columns = {str(k): _counts(adata.obs[k]) for k in adata.obs.columns}
        spaces = {k: int(v.shape[1]) for k, v in adata.obsm.items() if hasattr(v, "shape") and len(v.shape) == 2}
        times, types = tuple(time_columns(adata.obs)), tuple(type_columns(adata.obs))
        return Look(
            adata.n_obs, adata.n_vars, kind, columns, times, types, layers, spaces, species_of(map(str, adata.var_names)),
            tuple(_warnings(adata, kind, times)),
        )  # fmt: skip


def layers_of(path: Path) -> tuple[str, ...]:
    """Layers of an .h5ad, without reading them."""
    if path.is_dir() or path.suffix.lower() not in (".h5ad", ".h5", ".hdf5"):
        return ()
    with opened(path, short(path.name)) as file:
        return (*file.get("layers", {}), *(["raw"] if "raw" in file else []))


def quality(data: Any, **reading: Any) -> Quality:
    """The numbers behind quality control, for histograms; one pass over the values."""
    adata = read(data, **reading) if isinstance(data, str | Path) else data
    if adata.X is None or not adata.n_vars:
        raise InputError("These data hold no expression values, so there is nothing to control.")
    mito = np.array([str(g).lower().startswith(("mt-", "mt.")) for g in adata.var_names])
    genes, total, part = (np.zeros(adata.n_obs) for _ in range(3))
    cells = np.zeros(adata.n_vars, np.int64)
    with scanpy_quietly():
        for start, block in blocks(adata.X, np.arange(adata.n_obs)):
            here = slice(start, start + block.shape[0])
            present = block > 0
            genes[here], total[here] = np.asarray(present.sum(1)).ravel(), np.asarray(block.sum(1)).ravel()
            part[here] = np.asarray(block[:, mito].sum(1)).ravel()
            cells += np.asarray(present.sum(0)).ravel()
    return Quality(genes, total, 100 * part / np.maximum(total, 1e-12), cells)


def _counts(column: Any) -> dict[str, int]:
    if column.dtype.kind == "f" and column.nunique() > MOST_VALUES:
        return {}
    values, counts = np.unique(as_text(column), return_counts=True)
    if len(values) > MOST_VALUES:
        return {}
    found = {str(v): int(n) for v, n in zip(values, counts) if v}
    return {v: found[v] for v in in_order(found)}


def _warnings(adata: Any, kind: Values, times: tuple[str, ...]) -> list[str]:
    """Sentences on what may go wrong, before anything is prepared."""
    found = []
    if not len(adata.obs.columns):
        found.append("The cells have no obs column, so that nothing says which are source and which are target: give a table of the cells.")
    elif not times:
        found.append("No obs column has two or more times or conditions: give a table of the cells, or another file.")
    genes = [str(v) for v in adata.var_names]
    if len(set(genes)) < len(genes):
        found.append(f"{len(genes) - len(set(genes))} gene names stand more than once; -1, -2, ... will tell them apart.")
    if looks_turned(adata.obs_names, adata.var_names):
        found.append("The rows look like genes and the columns like cells: read the table transposed.")
    if adata.X is None or not adata.n_vars:
        return found
    some = next(blocks(adata.X, np.unique(np.linspace(0, adata.n_obs - 1, min(adata.n_obs, 2000)).astype(int)), 2000))[1]
    if not np.isfinite(some.data).all():
        found.append("Some values are NaN or infinite: leave those cells or genes out, or let each gene's mean stand in for them.")
    elif some.data.size and kind == "counts" and some.data.max() > LARGEST:
        found.append(f"The largest count is {some.data.max():g}, more than any cell holds: an identifier may have been read as a gene.")
    if kind == "scaled":
        found.append("Some values are negative, so they are no counts: gene tables need log values; is there a layer or raw with them?")
    if kind != "scaled" and (np.asarray(some.sum(1)) == 0).any():
        found.append("Some cells have no counts at all; they will be left out.")
    return found
