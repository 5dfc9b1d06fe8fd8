"""The preparation of cells that stay on disk: the steps of `preparation`, in passes over blocks of rows.

Principal components are exact: the covariance of at most 2000 or so genes is summed up and its eigenvectors taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from uotlab.cells.blocks import block_rows, blocks
from uotlab.cells.checks import refuse_genes_as_rows, refuse_no_counts, unique_names
from uotlab.cells.preparation import ALIKE, Preparation, Progress, Work, scanpy_quietly, study_of
from uotlab.cells.sides import chosen_sides
from uotlab.cells.study import About, Study
from uotlab.cells.values import kind_of_values
from uotlab.errors import InputError

ROUNDING = 1e-9  #: of a variance, as a share of the squared mean: the difference of two large sums

MOST_GENES = 8000  #: of a covariance


@dataclass
class Passed:
    """What the first pass found: rows (N,) that stay, genes (g,) that stay."""

    rows: np.ndarray
    genes: np.ndarray
    empty: int = 0
    left: int = 0


@dataclass
class Sums:
    """Sums over cells of one gene's values and squares, (g,) float64."""

    total: np.ndarray
    squares: np.ndarray
    cells: int = 0

    def add(self, block: sp.csr_matrix) -> None:
        self.total += np.asarray(block.sum(0), dtype=np.float64).ravel()
        self.squares += np.asarray(block.multiply(block).sum(0), dtype=np.float64).ravel()
        self.cells += block.shape[0]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (unbiased)."""
        mean = self.total / self.cells
        return mean, np.maximum(self.squares / self.cells - mean**2, 0) * self.cells / max(self.cells - 1, 1)


def prepared_on_disk(adata: Any, how: Preparation, progress: Progress, about: About, path: Path) -> Study:
    """The Study of an AnnData whose X is on disk; the prepared cells are written to `path`, a new .h5ad."""
    with scanpy_quietly():
        progress("Choosing cells", 0.02)
        sides = chosen_sides(adata, how)
        refuse_genes_as_rows(adata.obs_names, adata.var_names)
        wanted = np.ones(adata.n_obs, bool) if how.others else np.isin(sides.times, [sides.source, sides.target])
        kind = kind_of_values(adata.X) if how.values == "auto" else how.values
        notes = [*about.notes, *sides.notes]
        passed = _first_pass(adata, np.flatnonzero(wanted), how, kind, progress)
        work = Work(_frame(adata, passed), how, progress, notes)
        unique_names(work)
        _tell(work, passed, adata.n_vars, kind)
        plain = _write_values(adata.X, passed, how, kind, path, progress)
        work.adata.var["highly_variable"] = _variable(work, plain)
        points = np.asarray(work.adata.obsm[how.space], np.float32)[:, : how.pcs] if how.space else _components(work, path)
        rep = how.space or "X_pca"
        work.adata.obsm[rep] = points
        study = study_of(work, points, rep, sides, about)
        _write_rest(work.adata, path)
    progress("Done", 1.0)
    return Study(study.points, study.columns, study.source, study.target, study.about, path)


def _first_pass(adata: Any, rows: np.ndarray, how: Preparation, kind: str, progress: Progress) -> Passed:
    """Quality control, and what must not be in the values."""
    mito = np.array([str(g).lower().startswith(("mt-", "mt.")) for g in adata.var_names])
    keep, in_cells, empty = np.zeros(len(rows), bool), np.zeros(adata.n_vars, np.int64), 0
    for start, block in blocks(adata.X, rows):
        progress("Quality control", 0.05 + 0.2 * start / max(len(rows), 1))
        _refuse(block, how)
        found, total = np.asarray((block > 0).sum(1)).ravel(), np.asarray(block.sum(1)).ravel()
        here = np.ones(len(found), bool)
        if kind != "scaled":
            here = (found >= how.min_genes) & (total >= how.min_counts)
            here &= (found <= how.max_genes) if how.max_genes else True
            if how.max_mito < 100:
                here &= 100 * np.asarray(block[:, mito].sum(1)).ravel() <= how.max_mito * np.maximum(total, 1e-12)
            empty += int((total == 0).sum())
        keep[start : start + len(here)] = here
        in_cells += np.asarray((block[here] != 0).sum(0)).ravel()
    if not keep.any():
        raise InputError("No cell passes the quality control. Ask for fewer genes and counts a cell, or a larger mitochondrial share.")
    genes = in_cells >= how.min_cells if kind != "scaled" else np.ones(adata.n_vars, bool)
    if not genes.any():
        raise InputError(f"No gene is found in {how.min_cells} cells or more. Ask for fewer cells a gene.")
    return Passed(rows[keep], np.flatnonzero(genes), empty, int((~keep).sum()))


def _refuse(block: sp.csr_matrix, how: Preparation) -> None:
    values = block.data
    if not np.isfinite(values).all():
        raise InputError(
            "The expression has NaN or infinite values; leave those cells or genes out (putting means in their place is for data that fit "
            "into memory)."
        )
    refuse_no_counts(values, how.values)


def _frame(adata: Any, passed: Passed) -> Any:
    """The AnnData of the cells and genes that stay, without X."""
    import anndata

    obsm = {k: np.asarray(v)[passed.rows] for k, v in adata.obsm.items() if hasattr(v, "shape") and len(v.shape) == 2}
    uns = {k: v for k, v in adata.uns.items() if str(k).endswith("_colors")}
    obs, var = adata.obs.iloc[passed.rows].copy(), adata.var.iloc[passed.genes].copy()
    return anndata.AnnData(None, obs, var, uns, obsm=obsm)


def _tell(work: Work, passed: Passed, genes: int, kind: str) -> None:
    how = work.how
    if passed.empty and how.min_genes:
        work.notes.append(f"{passed.empty} cells have no counts at all and were left out.")
    if passed.left:
        work.steps.append(f"{passed.left} of {passed.left + len(passed.rows)} cells left out by quality control")
    if len(passed.genes) < genes:
        work.steps.append(f"{genes - len(passed.genes)} of {genes} genes left out: found in fewer than {how.min_cells} cells")
    if kind == "counts":
        work.steps.append(f"Counts normalised to {how.total:g} a cell")
    work.steps.append(
        "log(1 + value)"
        if kind in ("counts", "normalised")
        else f"Values taken as they are: they are {'logarithms' if kind == 'log' else 'scaled'} already"
    )


def _write_values(X: Any, passed: Passed, how: Preparation, kind: str, path: Path, progress: Progress) -> Sums:
    """Write the values as logarithms; returns the sums of the plain ones, for dispersions."""
    import anndata
    import h5py

    sums = Sums(np.zeros(len(passed.genes)), np.zeros(len(passed.genes)))
    with h5py.File(path, "w") as file:
        for start, block in blocks(X, passed.rows):
            progress("Normalising", 0.25 + 0.25 * start / len(passed.rows))
            block = block[:, passed.genes] if len(passed.genes) < X.shape[1] else block
            if kind == "counts":
                total = np.asarray(block.sum(1)).ravel()
                block = sp.diags_array((how.total / np.where(total > 0, total, how.total)).astype(np.float32)) @ block
                block = sp.csr_matrix(block)
            logs = block if kind in ("log", "scaled") else block.log1p()
            sums.add(block.expm1() if kind == "log" else block)
            logs = sp.csr_matrix(logs, dtype=np.float32)
            if start == 0:
                anndata.io.write_elem(file, "X", logs, dataset_kwargs={"compression": "lzf"})
            else:
                anndata.io.sparse_dataset(file["X"]).append(logs)
    return sums


def seurat_dispersions(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Seurat's normalised dispersions (g,) of normalised values that are no logarithms, as scanpy computes them."""
    import pandas as pd

    mean = np.where(mean == 0, 1e-12, mean)
    ratio = variance / mean
    dispersion = np.log(np.where(ratio == 0, np.nan, ratio))
    frame = pd.DataFrame({"bin": pd.cut(np.log1p(mean), bins=20), "dispersion": dispersion})
    grouped = frame.groupby("bin", observed=True)["dispersion"]
    centre, spread = grouped.transform("mean").to_numpy(), grouped.transform("std").to_numpy()
    alone = np.isnan(spread)  # one gene in a bin: it counts as one standard deviation
    return (dispersion - np.where(alone, 0, centre)) / np.where(alone, centre, spread)


def _variable(work: Work, sums: Sums) -> np.ndarray:
    how, g = work.how, work.adata.n_vars
    if not how.genes or g <= how.genes:
        if g > MOST_GENES and not how.space:
            raise InputError(f"Components of {g} genes need data in memory; choose at most {MOST_GENES} highly variable genes, genes=2000.")
        return np.ones(g, bool)
    work.steps.append(f"{how.genes} highly variable genes of {g}, Seurat's dispersions")
    score = np.nan_to_num(seurat_dispersions(*sums.moments()), nan=-np.inf)
    return score >= np.sort(score)[-how.genes]  # ties are all in, as with scanpy


def _components(work: Work, path: Path) -> np.ndarray:
    """Scores (N, pcs) float32; loadings go to varm["PCs"]."""
    import anndata
    import h5py

    adata, how = work.adata, work.how
    places = np.flatnonzero(adata.var["highly_variable"].to_numpy())
    n, k = adata.n_obs, len(places)
    pcs = min(how.pcs, n - 1, k - 1)
    if pcs < 2:
        raise InputError(f"{n} cells with {k} genes are too few for principal components; at least 3 of each are needed.")
    with h5py.File(path, "r") as file:
        X = anndata.io.sparse_dataset(file["X"])
        gram, total = np.zeros((k, k)), np.zeros(k)
        for start, block in blocks(X, np.arange(n), block_rows(k)):
            work.progress("Principal components", 0.5 + 0.35 * start / n)
            dense = block[:, places].toarray()
            gram += dense.T @ dense
            total += dense.sum(0, dtype=np.float64)
        mean = total / n
        covariance = (gram - n * np.outer(mean, mean)) / (n - 1)
        sd = np.sqrt(np.maximum(np.diag(covariance), 1e-24)) if how.scale else np.ones(k)
        if np.diag(covariance).max() <= ROUNDING * float(np.square(mean).max()):
            raise InputError(ALIKE)
        covariance /= np.outer(sd, sd)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = values[::-1][:pcs], vectors[:, ::-1][:, :pcs]
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(pcs)])
        loadings = (vectors / sd[:, None]).astype(np.float32)
        points, shift = np.empty((n, pcs), np.float32), (mean @ loadings).astype(np.float32)
        for start, block in blocks(X, np.arange(n), block_rows(k)):
            work.progress("Principal components", 0.85 + 0.1 * start / n)
            points[start : start + block.shape[0]] = block[:, places] @ loadings - shift
    adata.varm["PCs"] = np.zeros((adata.n_vars, pcs), np.float32)
    adata.varm["PCs"][places] = vectors
    share = values.sum() / np.trace(covariance)
    work.steps.append(f"{pcs} principal components{', of genes scaled to unit variance' if how.scale else ''}, {share:.0%} of the variance")
    return points


def _write_rest(adata: Any, path: Path) -> None:
    """Everything but X, beside the X that is there."""
    import anndata
    import h5py

    with h5py.File(path, "a") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        for key in ("obs", "var", "obsm", "varm", "uns"):
            value = getattr(adata, key)
            anndata.io.write_elem(file, key, value if key in ("obs", "var") else dict(value))
        for key in ("layers", "obsp", "varp"):
            anndata.io.write_elem(file, key, {})
