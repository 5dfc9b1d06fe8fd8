"""Cells from a person's file: .h5ad, 10x folder or .h5, loom, csv, tsv, Matrix Market with names. Large .h5ad stay on disk.

Only what is used is read: one matrix, obs, var, obsm and the colours of types. Nothing is unpickled.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from uotlab.cells.blocks import checked_structure
from uotlab.cells.h5 import opened
from uotlab.cells.preparation import scanpy_quietly
from uotlab.cells.tables import plain_suffix, read_mtx, read_table
from uotlab.cells.values import as_text
from uotlab.errors import InputError, did_you_mean, short

IN_MEMORY = 256 * 2**20  #: bytes of expression values; more stay on disk
MOST_IN_MEMORY = 4 * 2**30  #: bytes that formats other than csr .h5ad may take
TEXT = (".csv", ".tsv", ".txt")
H5 = (".h5ad", ".h5", ".hdf5", ".loom")
FORMATS = (".h5ad", ".h5", ".loom", ".csv", ".tsv", ".txt", ".mtx")  #: endings that are read, packed with gzip where they are text


def read(path: str | Path, *, layer: str = "", transpose: bool = False, labels: Sequence[str] = (), obs: str | Path | Any = None) -> Any:
    """An AnnData of cells x genes from a file or a folder; X stays on disk where it is large.

    Args:
        path: .h5ad, 10x .h5, .loom, .csv, .tsv, .txt (also .gz), or a folder or .mtx with the names beside it.
        layer: the layer of an .h5ad that becomes X; "raw" is its raw.X; empty is X.
        transpose: the rows of a table are genes.
        labels: columns of a table that describe cells.
        obs: a table (DataFrame, or path of a csv or tsv) of what is known of the cells, by their names; joins the file's own.

    Raises:
        InputError: one sentence on what is wrong with the file.
    """
    path = existing(path)
    name = short(path.name)
    with scanpy_quietly():
        adata = _read(path, name, layer, transpose, labels)
        if obs is not None:
            _join(adata, obs)
    if not adata.n_obs:
        raise InputError(f"{name} holds no cells.")
    return adata


def existing(path: str | Path) -> Path:
    """The path of a file or folder that is there.

    Raises:
        InputError: there is none, or the name is none that a file can have.
    """
    path = Path(path).expanduser()
    try:
        there = path.exists()
    except (OSError, ValueError):  # too long, or with a character that no name may have
        there = False
    if not there:
        raise InputError(f"There is no file or folder {short(path.name)} at the place given. Check the path.")
    return path


def _read(path: Path, name: str, layer: str, transpose: bool, labels: Sequence[str]) -> Any:
    if path.is_dir():
        return read_mtx(sorted(f for f in path.iterdir() if f.is_file()), name, transpose=transpose or None)
    ending = plain_suffix(path)
    with open(path, "rb") as file:
        start = file.read(8)
    if start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise InputError(f"{name} is a Python pickle, which can run code when opened and is refused. Save it with adata.write_h5ad.")
    if start == b"\x89HDF\r\n\x1a\n" or path.suffix.lower() in H5:
        return read_h5(path, name, layer, transpose)
    if ending == ".mtx":
        return read_mtx(beside(path), name, transpose=transpose or None)
    if ending in TEXT:
        return read_table(path, name, transpose=transpose, labels=labels)
    raise InputError(f"{name} does not end in {', '.join(FORMATS)} (text also with .gz). Save the cells in one of these formats.")


def beside(path: Path) -> list[Path]:
    """A matrix and the names in its folder: those that share its name's beginning where there are several."""
    prefix = path.name.split("matrix")[0]
    others = sorted(f for f in path.parent.iterdir() if f.is_file() and f != path and plain_suffix(f) in TEXT)
    near = [f for f in others if prefix and f.name.startswith(prefix)]
    return [path, *(near or others)]


# ---- HDF5 -------------------------------------------------------------------------------------------
def read_h5(path: Path, name: str, layer: str, transpose: bool) -> Any:
    """An .h5ad, a 10x .h5 or a loom, by what is in it."""
    file = opened(path, name)
    try:
        parts = set(file)
        if {"obs", "var"} <= parts:
            adata = _read_h5ad(file, path, name, layer)
            return _turned(adata) if transpose else adata
        file.close()
        if {"matrix", "row_attrs", "col_attrs"} <= parts:
            return _read_loom(path, name)
        if "matrix" in parts or parts & {"mm10", "GRCh38", "hg19"}:
            return _read_10x(path, name)
    except InputError:
        file.close()
        raise
    except Exception as error:  # whatever a foreign file makes anndata stumble over
        file.close()
        raise InputError(
            f"{name} is damaged or was not written by anndata ({short(error)}). Save it again with adata.write_h5ad."
        ) from None
    raise InputError(f"{name} is neither an .h5ad, a 10x .h5 nor a loom: its parts are {', '.join(sorted(parts)[:6])}.")


def _read_h5ad(file: Any, path: Path, name: str, layer: str) -> Any:
    import anndata
    import h5py

    if isinstance(file["obs"], h5py.Dataset) or not _has_encoding(file):  # written before anndata 0.7
        file.close()
        if path.stat().st_size > IN_MEMORY:
            return anndata.read_h5ad(path, backed="r")
        adata = anndata.read_h5ad(path)
        checked_structure(adata.X, name)
        return adata
    place, var = _place(file, name, layer)
    obsm = {}
    for key in file.get("obsm", {}):
        with suppress(Exception):  # a space that cannot be read is a space less
            value = anndata.io.read_elem(file[f"obsm/{key}"])
            value = value.to_numpy() if hasattr(value, "to_numpy") else value
            if isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind == "f":
                obsm[key] = value.astype(np.float32)
    uns = {k: anndata.io.read_elem(file[f"uns/{k}"]) for k in file.get("uns", {}) if k.endswith("_colors")}
    X, stays = _matrix(file, place, name)
    adata = anndata.AnnData(X, anndata.io.read_elem(file["obs"]), anndata.io.read_elem(file[var]), uns, obsm=obsm)
    if not stays:
        file.close()
    return adata


def _has_encoding(file: Any) -> bool:
    return "encoding-type" in file["obs"].attrs


def _place(file: Any, name: str, layer: str) -> tuple[str, str]:
    """Where the matrix and its genes are."""
    if layer == "raw":
        if "raw" not in file:
            raise InputError(f"{name} has no raw values. Choose a layer, or X.")
        return "raw/X", "raw/var"
    if layer:
        layers = list(file.get("layers", {}))
        if layer not in layers:
            raise InputError(
                f"{name} has no layer '{short(layer)}'. {did_you_mean(layer, [*layers, 'raw'] if 'raw' in file else layers or ['X'])}"
            )
        return f"layers/{layer}", "var"
    return "X", "var"


def _matrix(file: Any, place: str, name: str) -> tuple[Any, bool]:
    """The matrix, and whether it stays on disk; None where there is none."""
    import anndata
    import h5py

    if place not in file:
        return None, False
    part = file[place]
    if isinstance(part, h5py.Dataset):
        if part.dtype.kind not in "fiub":
            raise InputError(
                f"{place} of {name} must hold numbers; its type is {part.dtype}. Convert it before saving, such as to float32."
            )
        large = part.size * 4 > IN_MEMORY
        return (part, True) if large else (part[()], False)
    data, indices = part["data"], part["indices"]
    if data.dtype.kind not in "fiub":
        raise InputError(f"{place} of {name} must hold numbers; its type is {data.dtype}. Convert it before saving, such as to float32.")
    _check_rows(part, name)
    size = data.size * (data.dtype.itemsize + indices.dtype.itemsize)
    by_gene = "csc" in str(part.attrs.get("encoding-type", ""))
    if by_gene and size > MOST_IN_MEMORY:
        raise InputError(
            f"{name} holds {size / 2**30:.0f} GB of values gene by gene (csc); to be read from disk it must be cell by cell: save it with "
            "adata.X = adata.X.tocsr()."
        )
    if size > IN_MEMORY and not by_gene:
        return anndata.io.sparse_dataset(part), True
    return sp.csr_matrix(checked_structure(anndata.io.read_elem(part), name)), False


def _check_rows(part: Any, name: str) -> None:
    """Raises InputError where the rows of a sparse matrix on disk do not lie one behind the other."""
    ends = part["indptr"][...]
    stored = part["indices"].size
    if ends.dtype.kind not in "iu" or not len(ends) or ends[0] != 0 or (np.diff(ends.astype(np.int64)) < 0).any() or ends[-1] > stored:
        raise InputError(f"The sparse matrix of {name} is damaged: its rows do not fit its {stored} values. Save it with adata.write_h5ad.")
    if part["data"].size != stored:
        raise InputError(f"The sparse matrix of {name} is damaged: it has {part['data'].size} values in {stored} places. Save it again.")


def _read_10x(path: Path, name: str) -> Any:
    import scanpy as sc

    adata = sc.read_10x_h5(path)
    adata.X = sp.csr_matrix(checked_structure(adata.X, name), dtype=np.float32)
    return adata


def _read_loom(path: Path, name: str) -> Any:
    import anndata
    import h5py

    with h5py.File(path, "r") as file:
        size = int(np.prod(file["matrix"].shape)) * 4
        names = {side: next((k for k in keys if k in file[side]), "") for side, keys in LOOM_NAMES.items()}
    if size > 8 * MOST_IN_MEMORY:
        raise InputError(f"{name} has {size / 2**30:.0f} GB of values, more than is read of a loom; save it as .h5ad.")
    adata = anndata.io.read_loom(path, sparse=True, obs_names=names["col_attrs"], var_names=names["row_attrs"], validate=False)
    adata.X = sp.csr_matrix(adata.X, dtype=np.float32)
    return adata


LOOM_NAMES = {"col_attrs": ("CellID", "obs_names", "cell_names"), "row_attrs": ("Gene", "var_names", "gene_names", "Accession")}


def _turned(adata: Any) -> Any:
    import anndata

    X = sp.csr_matrix(adata.X[:] if not isinstance(adata.X, np.ndarray) else adata.X)
    return anndata.AnnData(X.T.tocsr(), adata.var.copy(), adata.obs.copy())


# ---- what is known of the cells ---------------------------------------------------------------------
def _join(adata: Any, obs: Any) -> None:
    """Add the columns of a table by the cells' names.

    Raises:
        InputError: none of the names is a cell's.
    """
    import pandas as pd

    if not isinstance(obs, pd.DataFrame):
        path = Path(obs).expanduser()
        try:
            obs = pd.read_csv(path, sep=None, engine="python", index_col=0)
        except (OSError, ValueError):
            raise InputError(f"The table of cells {short(path.name)} cannot be read. Give a csv with the cells' names first.") from None
    obs.index = obs.index.astype(str)
    obs = obs[~obs.index.duplicated()]
    cells = pd.Index([str(v) for v in adata.obs_names])
    found = cells.isin(obs.index)
    if not found.any():
        raise InputError(
            f"None of the {len(obs)} names in the table of cells is a cell's: it has '{short(obs.index[0])}', the cells are named "
            f"'{short(cells[0])}'."
        )
    for key in obs.columns:
        column = obs[key].reindex(cells).set_axis(adata.obs_names)
        adata.obs[str(key)] = pd.Categorical(column) if column.dtype.kind == "O" else column


def join(samples: Mapping[str, Any], column: str = "time") -> Any:
    """One AnnData of several files or AnnData, one a time or condition: `join({"12": a, "35": "p35.h5"}, column="day")`.

    Genes that all of them have are kept.

    Raises:
        InputError: fewer than two, or no gene in common.
    """
    import anndata

    if len(samples) < 2:
        raise InputError(f"join takes two samples or more, by the value of '{column}'; it got {len(samples)}.")
    read_ones = {str(k): v if type(v).__name__ == "AnnData" else read(v) for k, v in samples.items()}
    for one in read_ones.values():
        if len(set(map(str, one.var_names))) < one.n_vars:
            one.var_names_make_unique()
    with scanpy_quietly():
        made = anndata.concat(read_ones, label=column, index_unique="-", join="inner")
    if not made.n_vars:
        raise InputError("The samples have no gene name in common; give all of them symbols, or all of them Ensembl's names.")
    made.obs[column] = as_text(made.obs[column])
    made.obs[column] = made.obs[column].astype("category")
    return made
