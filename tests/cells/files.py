"""Files of cells as other programs write them, small, for the tests of reading."""

import gzip
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

GENES = ["Sox9", "Neurog3", "Ins1", "Ins2", "Gcg", "Sst", "Ghrl", "Pax6", "Pax4", "Arx", "mt-Co1", "mt-Nd1"]


def raw(n: int = 60, seed: int = 0) -> anndata.AnnData:
    """Counts of two days and two types."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, (n, len(GENES))).astype(np.float32)
    obs = pd.DataFrame(
        {"day": np.repeat(["E14.5", "E15.5"], n // 2), "cell_type": np.resize(["Alpha", "Beta"], n)},
        index=[f"cell{i}" for i in range(n)],
    ).astype("category")
    return anndata.AnnData(sp.csr_matrix(counts), obs, pd.DataFrame(index=GENES))


def h5ad(folder: Path, adata: anndata.AnnData | None = None) -> Path:
    path = folder / "cells.h5ad"
    (raw() if adata is None else adata).write_h5ad(path)
    return path


def old_h5ad(folder: Path) -> Path:
    """As anndata wrote before 0.7: records for obs and var, categories in uns."""
    adata, path = raw(), folder / "GSE132188_adata.h5ad.h5"
    with h5py.File(path, "w") as file:
        X = file.create_group("X")
        X.attrs["h5sparse_format"], X.attrs["h5sparse_shape"] = "csr", np.array(adata.shape)
        for key in ("data", "indices", "indptr"):
            X[key] = getattr(adata.X, key)
        rows = [(name.encode(), code) for name, code in zip(adata.obs_names, adata.obs["day"].cat.codes)]
        file["obs"] = np.array(rows, dtype=[("index", "S16"), ("day", "i1")])
        file["var"] = np.array([(g.encode(),) for g in GENES], dtype=[("index", "S16")])
        file["uns/day_categories"] = np.array([b"14.5", b"15.5"])
    return path


def tenx_folder(folder: Path, *, packed: bool = True) -> Path:
    place = folder / "filtered_feature_bc_matrix"
    place.mkdir()
    adata = raw()
    scipy.io.mmwrite(place / "matrix.mtx", sp.coo_matrix(adata.X.T).astype(int))
    (place / "barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    (place / "features.tsv").write_text("".join(f"ENSMUSG{i:011d}\t{g}\tGene Expression\n" for i, g in enumerate(GENES)))
    if packed:
        for file in list(place.iterdir()):
            (place / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    return place


def tenx_h5(folder: Path) -> Path:
    """Cell Ranger's format since version 3."""
    adata, path = raw(), folder / "filtered_feature_bc_matrix.h5"
    matrix = sp.csc_matrix(adata.X.T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(matrix, key).astype(np.int32)
        group["shape"] = np.array(matrix.shape, dtype=np.int32)
        group["barcodes"] = np.array(adata.obs_names, dtype="S")
        features = group.create_group("features")
        features["id"] = np.array([f"ENSMUSG{i:011d}" for i in range(len(GENES))], dtype="S")
        features["name"] = np.array(GENES, dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * len(GENES), dtype="S")
        features["genome"] = np.array(["mm10"] * len(GENES), dtype="S")
    return path


def loom(folder: Path) -> Path:
    adata, path = raw(), folder / "cells.loom"
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=adata.X.T.toarray())
        for group, columns in (
            ("row_attrs", {"Gene": GENES}),
            ("col_attrs", {"CellID": list(adata.obs_names), "day": list(adata.obs["day"]), "cell_type": list(adata.obs["cell_type"])}),
        ):
            for key, values in columns.items():
                file.create_dataset(f"{group}/{key}", data=np.array(values, dtype=object), dtype=text)
        for group in ("layers", "row_graphs", "col_graphs", "attrs"):
            file.create_group(group)
        file.create_dataset("attrs/LOOM_SPEC_VERSION", data="3.0.0", dtype=text)
    return path


def table(folder: Path, ending: str = ".csv", *, transposed: bool = False) -> Path:
    adata, path = raw(), folder / f"cells{ending}"
    frame = adata.to_df().astype(int)
    frame = frame.T if transposed else frame.join(adata.obs)
    text = frame.to_csv(sep="," if ".csv" in ending else "\t")
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    return path


def mtx(folder: Path) -> Path:
    """Cells x genes, as others than 10x write it."""
    adata, path = raw(), folder / "pancreas_matrix.mtx"
    scipy.io.mmwrite(path, sp.coo_matrix(adata.X))
    (folder / "pancreas_cells.txt").write_text("\n".join(adata.obs_names))
    (folder / "pancreas_genes.txt").write_text("\n".join(GENES))
    return path


def known(folder: Path) -> Path:
    """What is known of the cells, for formats that hold names only."""
    path = folder / "known.csv"
    raw().obs.to_csv(path)
    return path
