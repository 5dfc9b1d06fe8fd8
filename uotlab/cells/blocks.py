"""Rows of a matrix in blocks, wherever it lies: in memory or on disk, sparse or dense, always as csr float32."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from uotlab.errors import InputError, short

VALUES = 8_000_000  #: dense numbers of a block
SPREAD = 4  #: rows on disk are read in one run where they take up at least a quarter of it


def block_rows(columns: int) -> int:
    """Rows of a block of so many columns."""
    return int(np.clip(VALUES // max(columns, 1), 64, 16_384))


def blocks(X: Any, rows: np.ndarray, size: int | None = None) -> Iterator[tuple[int, sp.csr_matrix]]:
    """Pairs of a position in `rows` (increasing row numbers) and the rows from there on, csr (k, g)."""
    size = size or block_rows(X.shape[1])
    for start in range(0, len(rows), size):
        wanted = rows[start : start + size]
        if not len(wanted):
            continue
        first, last = int(wanted[0]), int(wanted[-1]) + 1
        if isinstance(X, np.ndarray) or hasattr(X, "tocsr"):
            found = X[wanted]
        elif last - first <= SPREAD * len(wanted):
            found = checked_structure(X[first:last], "the expression")[wanted - first]
        else:
            found = X[wanted]
        yield start, sp.csr_matrix(checked_structure(found, "the expression"), dtype=np.float32)


def checked_structure(X: Any, name: str) -> Any:
    """A sparse matrix whose places lie inside it; scipy's own code trusts them, and would write beside its memory.

    Raises:
        InputError: they do not.
    """
    if sp.issparse(X) and hasattr(X, "check_format"):
        try:
            X.check_format(full_check=True)
        except ValueError as error:
            raise InputError(f"The sparse matrix of {name} is damaged ({short(error)}). Save it again with adata.write_h5ad.") from None
    return X
