"""From expression values to a Study: quality control, normalisation, log1p, highly variable genes, principal components, as scanpy does it.

Reference: wolf2018scanpy.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from uotlab.cells.blocks import checked_structure
from uotlab.cells.checks import checked
from uotlab.cells.sides import chosen_sides
from uotlab.cells.study import About, Column, Study
from uotlab.cells.values import as_text, kind_of_values, species_of
from uotlab.errors import InputError, did_you_mean
from uotlab.parameters import Settings, make_model

Progress = Callable[[str, float], None]
FEW_NUMBERS = 30  #: a column of numbers with no more values than this is a label
SMALLEST = 1e-15  #: difference of values that components can be taken of
ALIKE = "All cells have the same values, so there is nothing to match them by. Check the layer and the values."
MOST_NAMES = 5000  #: a text column with more values than this is a name of cells, not a label


class Preparation(Settings):
    """How cells become points. Every field left as it is does what the data need."""

    name: ClassVar[str] = "the preparation"
    time: str = Field("", description="Obs column of the time or condition; empty: the likeliest one")
    source: str = Field("", description="Its value for the source cells; empty: the earliest, or the control")
    target: str = Field("", description="Its value for the target cells; empty: the latest")
    type: str = Field("", description="Obs column of the cell type; empty: the likeliest one; none: there is none")
    layer: str = Field("", description="Layer that holds the values; empty: X")
    values: Literal["auto", "counts", "normalised", "log", "scaled"] = Field("auto", description="What the values are")
    space: str = Field("", description="An obsm that is the space as it stands, such as X_pca; empty: new principal components")
    others: bool = Field(False, description="Keep the cells of other times or conditions too, and take the components of all")
    min_genes: int = Field(1, ge=0, le=1_000_000, description="Cells with fewer genes are left out")
    max_genes: int = Field(0, ge=0, le=1_000_000, description="Cells with more genes are left out; 0: no limit")
    min_counts: float = Field(0, ge=0, le=1e12, description="Cells with a smaller total are left out")
    max_mito: float = Field(100, ge=0, le=100, description="Cells with a larger share of mitochondrial counts are left out, percent")
    min_cells: int = Field(1, ge=0, le=1_000_000, description="Genes found in fewer cells are left out")
    total: float = Field(1e4, gt=0, le=1e9, description="Counts of each cell after normalisation")
    genes: int = Field(2000, ge=0, le=20_000, description="Highly variable genes that the components are taken of; 0: all")
    scale: bool = Field(False, description="Divide each gene by its standard deviation before the components")
    pcs: int = Field(30, ge=2, le=200, description="Number of principal components")
    missing: Literal["refuse", "mean"] = Field("refuse", description="NaN values: refuse the data, or put each gene's mean in their place")


@dataclass
class Work:
    """Cells on their way: the AnnData, and what was done to it, in sentences."""

    adata: Any
    how: Preparation
    progress: Progress
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)


def quiet(step: str, share: float) -> None:
    """A progress that tells nobody."""


def prepare(
    data: Any,
    progress: Progress | None = None,
    *,
    about: About | None = None,
    obs: Any = None,
    transpose: bool = False,
    labels: tuple[str, ...] = (),
    **settings: Any,
) -> Study:
    """A Study from an AnnData in memory, or from a file or folder, whose preparation is then kept in the store.

    Args:
        data: an AnnData (left as it is), or a path that `read` takes.
        progress: called as progress(step, share) with the step's name and the share of all that is done.
        about: title, species, truth and notes where they are known.
        obs, transpose, labels: how a file is read; see `read`.
        settings: fields of `Preparation`.

    Raises:
        InputError: one sentence on what is wrong with the data or a setting.
    """
    how = make_model(Preparation, settings)
    if isinstance(data, str | Path):
        from uotlab.cells.files import prepared_file

        return prepared_file(Path(data), how, progress or quiet, about, {"obs": obs, "transpose": transpose, "labels": labels})
    if type(data).__name__ != "AnnData":
        raise InputError(f"prepare takes an AnnData or the path of a file; it got {type(data).__name__}.")
    from uotlab.cells.files import prepared_backed, stays_on_disk

    if stays_on_disk(data.X):
        return prepared_backed(data, how, progress or quiet, about or About())
    return prepared(data, how, progress or quiet, about or About())


def prepared(adata: Any, how: Preparation, progress: Progress, about: About) -> Study:
    """The Study of an AnnData in memory; see `prepare`."""
    with scanpy_quietly():
        progress("Choosing cells", 0.05)
        sides = chosen_sides(adata, how)
        rows = np.arange(adata.n_obs) if how.others else np.flatnonzero(np.isin(sides.times, [sides.source, sides.target]))
        work = Work(_part(adata, rows, how), how, progress, list(about.notes))
        work.notes += sides.notes
        checked(work)
        kind = kind_of_values(work.adata.X) if how.values == "auto" else how.values
        if work.adata.n_vars:
            _filter(work, kind)
            _normalise(work, kind)
        points, rep = _space(work)
    progress("Done", 1.0)
    return study_of(work, points, rep, sides, about)


def study_of(work: Work, points: np.ndarray, rep: str, sides: Any, about: About) -> Study:
    """The Study of prepared cells."""
    obs = work.adata.obs
    times = as_text(obs[sides.time])
    ends = [np.flatnonzero(times == value) for value in (sides.source, sides.target)]
    for value, rows in zip((sides.source, sides.target), ends):
        if len(rows) < 2:
            raise InputError(f"{len(rows)} cells of {sides.time} = '{value}' are left after filtering; at least 2 are needed. Filter less.")
    known = replace(
        about, time=sides.time, type=sides.type, source=sides.source, target=sides.target, dt=about.dt or sides.dt,
        unit=about.unit or sides.unit, species=about.species or species_of(work.adata.var_names), rep=rep,
        notes=tuple(dict.fromkeys(work.notes)), steps=tuple(work.steps), settings=work.how.model_dump(exclude_defaults=True),
    )  # fmt: skip
    return Study(points, columns_of(obs, (sides.time, sides.type)), ends[0].astype(np.int64), ends[1].astype(np.int64), known, work.adata)


def columns_of(obs: Any, texts: tuple[str, ...] = ()) -> dict[str, Column]:
    """Obs columns as numbers, or as codes of at most MOST_NAMES texts; those named in `texts`, and numbers of few values, as texts."""
    columns = {}
    for key in obs.columns:
        column = obs[key]
        if column.dtype.kind in "fiu" and key not in texts and column.nunique() > FEW_NUMBERS:
            columns[str(key)] = Column(column.to_numpy(dtype=np.float32))
            continue
        names, codes = np.unique(as_text(column), return_inverse=True)
        if len(names) > min(MOST_NAMES, max(FEW_NUMBERS, len(column) // 2)):
            continue
        if names[0] == "":
            names, codes = names[1:], codes - 1
        columns[str(key)] = Column(codes.astype(np.int32), tuple(str(v) for v in names))
    return columns


# ---- steps ------------------------------------------------------------------------------------------
def _part(adata: Any, rows: np.ndarray, how: Preparation) -> Any:
    """A copy of the chosen cells with the chosen values as X, in csr float32; layers other than counts are left behind."""
    import anndata

    if how.layer and how.layer not in adata.layers:
        raise InputError(f"There is no layer '{how.layer}'. {did_you_mean(how.layer, list(adata.layers) or ['X'])}")
    X = adata.layers[how.layer] if how.layer else adata.X
    var = adata.var.iloc[:0] if X is None else adata.var  # names alone are no genes
    X = sp.csr_matrix((len(rows), 0), dtype=np.float32) if X is None else checked_structure(X, "these cells")[rows]
    obsm = {k: np.asarray(v)[rows] for k, v in adata.obsm.items() if hasattr(v, "shape") and len(v.shape) == 2}
    uns = {k: v for k, v in adata.uns.items() if str(k).endswith("_colors")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names are made unique later, with a note
        return anndata.AnnData(X, adata.obs.iloc[rows].copy(), var.copy(), uns, obsm=obsm)


def _filter(work: Work, kind: str) -> None:
    """Leave out cells and genes by how much was counted in them."""
    import scanpy as sc

    adata, how = work.adata, work.how
    work.progress("Quality control", 0.15)
    if kind == "scaled":
        return
    found, total = np.asarray((adata.X > 0).sum(1)).ravel(), np.asarray(adata.X.sum(1)).ravel()
    keep = (found >= how.min_genes) & (total >= how.min_counts)
    if how.max_genes:
        keep &= found <= how.max_genes
    if how.max_mito < 100:
        keep &= mito_percent(adata) <= how.max_mito
    empty = int((total == 0).sum())
    if empty and how.min_genes:
        work.notes.append(
            f"{empty} cell{'s have' if empty > 1 else ' has'} no counts at all and {'were' if empty > 1 else 'was'} left out."
        )
    if not keep.all():
        work.steps.append(f"{int((~keep).sum())} of {len(keep)} cells left out by quality control")
    if not keep.any():
        raise InputError("No cell passes the quality control. Ask for fewer genes and counts a cell, or a larger mitochondrial share.")
    work.adata = adata[keep].copy()
    before = work.adata.n_vars
    sc.pp.filter_genes(work.adata, min_cells=how.min_cells)
    if work.adata.n_vars < before:
        work.steps.append(f"{before - work.adata.n_vars} of {before} genes left out: found in fewer than {how.min_cells} cells")
    if not work.adata.n_vars:
        raise InputError(f"No gene is found in {how.min_cells} cells or more. Ask for fewer cells a gene.")


def mito_percent(adata: Any) -> np.ndarray:
    """Share of each cell's counts in mitochondrial genes (mt-, MT-), percent."""
    genes = np.array([str(g).lower().startswith(("mt-", "mt.")) for g in adata.var_names])
    total = np.asarray(adata.X.sum(1)).ravel()
    return 100 * np.asarray(adata.X[:, genes].sum(1)).ravel() / np.maximum(total, 1e-12)


def _normalise(work: Work, kind: str) -> None:
    """Counts to logarithms of equal totals; what was done already is left."""
    import scanpy as sc

    adata, how = work.adata, work.how
    work.progress("Normalising", 0.3)
    if kind == "counts":
        adata.layers["counts"] = adata.X.copy()
        sc.pp.normalize_total(adata, target_sum=how.total)
        work.steps.append(f"Counts normalised to {how.total:g} a cell")
    if kind in ("counts", "normalised"):
        sc.pp.log1p(adata)
        work.steps.append("log(1 + value)")
    else:
        work.steps.append(f"Values taken as they are: they are {'logarithms' if kind == 'log' else 'scaled'} already")
    if kind == "scaled":
        work.notes.append(
            "The values have negative numbers, so they were scaled before: gene tables need log values, and read these as if they were."
        )


def _space(work: Work) -> tuple[np.ndarray, str]:
    """The points (N, d) float32, and their name in obsm."""
    adata, how = work.adata, work.how
    if how.space:
        if how.space not in adata.obsm:
            raise InputError(f"There is no obsm '{how.space}'. {did_you_mean(how.space, list(adata.obsm) or ['X'])}")
        points = np.asarray(adata.obsm[how.space], dtype=np.float32)[:, : max(how.pcs, 2)]
        if not np.isfinite(points).all():
            raise InputError(f"The space '{how.space}' has NaN or infinite values; let new principal components be taken.")
        work.steps.append(f"The space is {how.space} as it stands, {points.shape[1]} columns")
        adata.obsm[how.space] = points
        return points, how.space
    if not adata.n_vars:
        raise InputError("These data hold no expression values and name no space: choose one of obsm, space=...")
    _variable_genes(work)
    work.progress("Principal components", 0.6)
    return _components(work), "X_pca"


def _variable_genes(work: Work) -> None:
    import scanpy as sc

    adata, how = work.adata, work.how
    work.progress("Highly variable genes", 0.45)
    if not how.genes or adata.n_vars <= how.genes:
        adata.var["highly_variable"] = True
    else:
        sc.pp.highly_variable_genes(adata, n_top_genes=how.genes, flavor="seurat")
        work.steps.append(f"{how.genes} highly variable genes of {adata.n_vars}, Seurat's dispersions")


def _components(work: Work) -> np.ndarray:
    import scanpy as sc

    adata, how = work.adata, work.how
    most = min(adata.n_obs, int(adata.var["highly_variable"].sum())) - 1
    if most < 2:
        raise InputError(
            f"{adata.n_obs} cells with {adata.n_vars} genes are too few for principal components; at least 3 of each are needed."
        )
    if not _varies(adata.X):
        raise InputError(ALIKE)
    pcs = min(how.pcs, most)
    if how.scale:
        scaled = adata[:, adata.var["highly_variable"].to_numpy()].copy()
        sc.pp.scale(scaled)
        sc.pp.pca(scaled, n_comps=pcs, random_state=0)
        adata.obsm["X_pca"] = scaled.obsm["X_pca"].astype(np.float32)
        share = scaled.uns["pca"]["variance_ratio"].sum()
    else:
        sc.pp.pca(adata, n_comps=pcs, mask_var="highly_variable", random_state=0)
        adata.obsm["X_pca"] = adata.obsm["X_pca"].astype(np.float32)
        share = adata.uns["pca"]["variance_ratio"].sum()
    work.steps.append(f"{pcs} principal components{', of genes scaled to unit variance' if how.scale else ''}, {share:.0%} of the variance")
    return adata.obsm["X_pca"]


def _varies(X: sp.csr_matrix) -> bool:
    """Whether some gene differs between cells by more than float32 can lose in a square."""
    most, least = (np.asarray(part.todense()).ravel() for part in (X.max(axis=0), X.min(axis=0)))
    return bool(len(most) and float((most - least).max()) > SMALLEST)


@contextmanager
def scanpy_quietly() -> Iterator[None]:
    """Scanpy and what it brings warn of their own future; none of it concerns a person's data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
