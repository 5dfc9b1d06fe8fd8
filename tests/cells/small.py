"""A study of arrays, without genes."""

import anndata
import numpy as np

from uotlab.cells.study import About, Column, Study


def study_of_arrays(x, y, source_types, target_types, **about) -> Study:
    """Points (n, d) and (m, d) with their types, in one space."""
    points = np.concatenate([x, y]).astype(np.float32)
    n, N = len(x), len(points)
    names, codes = np.unique([*source_types, *target_types], return_inverse=True)
    columns = {"type": Column(codes.astype(np.int32), tuple(names)), "time": Column((np.arange(N) >= n).astype(np.int32), ("0", "1"))}
    held = anndata.AnnData(np.zeros((N, 0), np.float32))
    known = About(time="time", type="type", source="0", target="1", **about)
    return Study(points, columns, np.arange(n), np.arange(n, N), known, held)
