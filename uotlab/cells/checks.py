"""What is wrong with expression values: one sentence each, or a note where it can be mended."""

import re
from typing import Any

import numpy as np
import scipy.sparse as sp

from uotlab.cells.gmt import SPECIES, symbols
from uotlab.errors import InputError

LARGEST = 2**24  #: whole numbers above this are not exact in float32, and no count of molecules
BARCODE = re.compile(r"[ACGT]{10,}")


def checked(work: Any) -> None:
    """Make X csr float32 and names unique, with notes.

    Raises:
        InputError: text, NaN or infinite values, negative counts, numbers that are no counts, or genes as rows.
    """
    adata = work.adata
    refuse_genes_as_rows(adata.obs_names, adata.var_names)
    adata.X = numeric(adata.X, work.how.layer or "X")
    values = adata.X.data
    bad = int((~np.isfinite(values)).sum())
    if bad and work.how.missing == "refuse":
        raise InputError(
            f"The expression has {bad} NaN or infinite value{'s' if bad > 1 else ''}; leave those cells or genes out, "
            "or let each gene's mean stand in for them, missing=mean."
        )
    if bad:
        _fill(work)
        values = work.adata.X.data
    refuse_no_counts(values, work.how.values)
    unique_names(work)
    _counts_or_logs(work)


def refuse_no_counts(values: np.ndarray, said: str) -> None:
    """Raises InputError for whole numbers that cannot be counts, and for negative values that are said to be counts."""
    if not values.size:
        return
    whole = np.array_equal(values, np.rint(values))
    if whole and float(values.max()) > LARGEST:
        raise InputError(
            f"The largest count is {values.max():g}, more than any cell holds: a column of numbers such as an identifier may have "
            "been read as a gene. Leave it out."
        )
    if float(values.min()) < 0 and (said in ("counts", "normalised") or (whole and said == "auto")):
        raise InputError(
            f"{int((values < 0).sum())} values are negative, the smallest {values.min():g}: these are no counts. "
            "Choose the layer that holds counts, or say values=scaled."
        )


def unique_names(work: Any) -> None:
    """Names as texts, each once; a note where genes had to be told apart."""
    adata = work.adata
    names = [str(v) for v in adata.var_names]
    twice = len(names) - len(set(names))
    adata.var_names = names
    if twice:
        adata.var_names_make_unique()
        work.notes.append(
            f"{twice} gene name{'s stand' if twice > 1 else ' stands'} more than once; -1, -2, ... were added to tell them apart."
        )
    cells = [str(v) for v in adata.obs_names]
    adata.obs_names = cells
    if len(cells) > len(set(cells)):
        adata.obs_names_make_unique()


def numeric(X: Any, name: str) -> sp.csr_matrix:
    """Values as csr float32.

    Raises:
        InputError: objects, text or complex numbers.
    """
    kind = X.dtype.kind
    if kind not in "fiub":
        raise InputError(
            f"{name} must hold numbers; its type is {X.dtype}{', that is Python objects' if kind == 'O' else ''}. "
            "Convert it before saving, such as with X.astype('float32')."
        )
    with np.errstate(over="ignore"):
        return sp.csr_matrix(X, dtype=np.float32) if kind != "b" else sp.csr_matrix(X).astype(np.float32)


def _fill(work: Any) -> None:
    """Each gene's mean in place of its missing values."""
    X = work.adata.X.toarray()
    X[~np.isfinite(X)] = np.nan
    missing = np.isnan(X)
    empty = missing.all(0)
    means = np.nanmean(np.where(empty, 0, X), axis=0)
    work.adata.X = sp.csr_matrix(np.where(missing, means, X).astype(np.float32))
    work.notes.append(
        f"{int(missing.sum())} of {X.size} values are missing; the mean of their gene over all cells stands in their place, which "
        "makes those cells look more alike than they are."
    )


def refuse_genes_as_rows(rows: Any, columns: Any) -> None:
    """Raises InputError where the names of rows are genes and those of columns are cells."""
    if looks_turned(rows, columns):
        raise InputError(
            f"The rows look like genes ({', '.join(map(str, rows[:3]))}) and the columns like cells ({', '.join(map(str, columns[:2]))}): "
            "cells must be rows. Transpose the table, or say transpose=True."
        )


def looks_turned(rows: Any, columns: Any) -> bool:
    """Whether rows have the names of genes, and columns have not; or columns have barcodes, and rows have not."""
    few_rows, few_columns = ([str(v) for v in names[:2000]] for names in (rows, columns))
    if len(few_rows) < 10 or not few_columns:
        return False
    barcodes = [sum(bool(BARCODE.search(v)) for v in names) / len(names) for names in (few_rows, few_columns)]
    if barcodes[1] > 0.8 and barcodes[0] < 0.2:
        return True
    return _share_of_symbols(few_rows) > 0.5 and _share_of_symbols(few_columns) < 0.1


def _share_of_symbols(names: list[str]) -> float:
    """The largest share of names that are gene symbols of one species, or Ensembl's genes."""
    ensembl = sum(bool(re.match(r"^ENS[A-Z]*G\d{6,}", v)) for v in names) / len(names)
    folded = {v.casefold() for v in names}
    return max(ensembl, *(len(folded & _folded(species)) / len(folded) for species in SPECIES))


def _folded(species: str) -> set[str]:
    held = _FOLDED.get(species)
    if held is None:
        held = _FOLDED[species] = {g.casefold() for g in symbols(species)}
    return held


_FOLDED: dict[str, set[str]] = {}


def _counts_or_logs(work: Any) -> None:
    """A note where the values are not what the settings say they are."""
    from uotlab.cells.values import kind_of_values

    said = work.how.values
    if said == "auto" or not work.adata.n_vars:
        return
    looks = kind_of_values(work.adata.X)
    if looks == "counts" and said in ("log", "scaled"):
        work.notes.append("The values look like counts, but log values are needed: taken as they are, a few large genes decide everything.")
    elif looks in ("log", "scaled") and said in ("counts", "normalised"):
        work.notes.append("The values look like logarithms already, but were normalised and logged once more, which flattens them.")
