"""Loaders of published data on generated files with the layout of the real ones."""

import gzip

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import uotlab
from uotlab import cells
from uotlab.cells.datasets.published import HOURS, PERIODS
from uotlab.errors import InputError

GENES = ["TBX16", "TBXTA", "SOX32", "NOTO", "OTX2A", "KRT4", "ACTB1", "PCNA"]


def farrell(folder, *, corner: bool = False, quotes: bool = False):
    """GSE106474_UMICounts.txt.gz: genes x cells, tab-separated; R leaves the corner out."""
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    names = [f"{stage}_WT_DS{i % 3 + 2}_{''.join(rng.choice(letters, 12))}" for stage in HOURS for i in range(12)]
    counts = rng.poisson(2, (len(GENES), len(names)))
    quote = (lambda v: f'"{v}"') if quotes else str
    lines = ["\t".join([*(["GENE"] if corner else []), *map(quote, names)])]
    lines += ["\t".join([quote(g), *map(str, row)]) for g, row in zip(GENES, counts)]
    path = folder / "GSE106474_UMICounts.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path, names, counts


@pytest.mark.parametrize("layout", [{}, {"corner": True}, {"quotes": True}])
def test_zebrafish_of_all_stages(layout, tmp_path, monkeypatch):
    path, names, counts = farrell(tmp_path, **layout)
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    monkeypatch.setattr("uotlab.cells.tables.VALUES", 200)  # several pieces
    study = cells.load("zebrafish-farrell", pcs=3)
    assert (len(study.source), len(study.target), study.dt, study.unit) == (12, 12, 1.0, "h")
    assert set(study.labels("hours", "source")) == {"4.3"}
    assert set(study.labels("run")) == {"DS2", "DS3", "DS4"}
    chosen = [i for i, v in enumerate(names) if v.startswith("ZFDOME_")]
    assert np.array_equal(study.cells("source").layers["counts"].toarray(), counts[:, chosen].T)
    assert list(study.genes) == GENES
    periods = cells.load("zebrafish-farrell", file=str(path), source="blastula", target="gastrula", pcs=3)
    assert (len(periods.source), len(periods.target), periods.dt) == (12 * len(PERIODS["blastula"]), 12 * len(PERIODS["gastrula"]), None)
    with pytest.raises(InputError, match="have cells in common"):
        cells.load("zebrafish-farrell", source="blastula", target="ZF30")


def test_zebrafish_without_the_stage(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("GENE\tA_1\tB_2\ntbx16\t1\t2\n")
    with pytest.raises(InputError, match="None of the 2 columns"):
        cells.load("zebrafish-farrell", file=str(path))
    with pytest.raises(InputError, match="no file none\\.gz"):
        cells.load("zebrafish-farrell", file="/nowhere/none.gz")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
def test_pancreas_with_cell_types(old, on_disk, tmp_path, store, monkeypatch):
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    if on_disk:
        monkeypatch.setattr("uotlab.cells.reading.IN_MEMORY", 0)
    rng = np.random.default_rng(1)
    X = sp.csr_matrix(rng.poisson(2, (60, 10)).astype(np.float32))
    days, types = np.repeat(["12.5", "14.5", "15.5"], 20), np.resize(["Ductal", "Ngn3 high EP", "Alpha"], 60)
    path, genes = tmp_path / "GSE132188_adata.h5ad.h5", [f"Gene{i}" for i in range(10)]
    if old:
        with h5py.File(path, "w") as file:
            group = file.create_group("X")
            group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = "csr", np.array(X.shape)
            for key in ("data", "indices", "indptr"):
                group[key] = getattr(X, key)
            columns = [("index", "S8"), ("day", "i1"), ("clusters_fig6_broad_final", "i1"), ("clusters_fig6_fine_final", "i1")]
            codes = [pd.Categorical(v).codes for v in (days, types)]
            file["obs"] = np.array([(f"c{i}".encode(), codes[0][i], codes[1][i], codes[1][i]) for i in range(60)], dtype=columns)
            file["var"] = np.array([(g.encode(),) for g in genes], dtype=[("index", "S8")])
            for key, values in (("day", days), ("clusters_fig6_broad_final", types), ("clusters_fig6_fine_final", types)):
                file[f"uns/{key}_categories"] = np.array(sorted(set(values)), dtype="S")
    else:
        obs = pd.DataFrame({"day": days, "clusters_fig6_broad_final": types, "clusters_fig6_fine_final": types}).astype("category")
        obs.index = [f"c{i}" for i in range(60)]
        anndata.AnnData(X, obs, pd.DataFrame(index=genes)).write_h5ad(tmp_path / "a.h5ad")
        (tmp_path / "a.h5ad").rename(path)
    study = cells.load("pancreas-bastidas", pcs=4)
    assert (study.type, study.dt, study.unit) == ("clusters_fig6_broad_final", 1.0, "d")
    assert (len(study.source), len(study.target)) == (20, 20)
    assert set(study.types("source")) == {"Ductal", "Ngn3 high EP", "Alpha"}
    problem = uotlab.load("pancreas-bastidas", source="12.5", target="14.5", types="fine", pcs=4)
    assert problem.d == 4
    assert next(iter(problem.source.labels)) == "clusters_fig6_fine_final"
    with pytest.raises(InputError, match="must be later"):
        cells.load("pancreas-bastidas", source="14.5", target="13.5")


def perturbed(drugs, values) -> anndata.AnnData:
    obs = pd.DataFrame({"drug": pd.Categorical(drugs)}, index=[f"c{i}" for i in range(len(drugs))])
    return anndata.AnnData(values, obs, pd.DataFrame(index=[f"f{i}" for i in range(values.shape[1])]))


def test_cellots_imaged_features(tmp_path, monkeypatch):
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    place = tmp_path / "datasets" / "4i"
    place.mkdir(parents=True)
    values = np.random.default_rng(0).gamma(2, size=(60, 6)).astype(np.float32)
    perturbed(np.repeat(["control", "cisplatin", "dasatinib"], 20), values).write_h5ad(place / "8h.h5ad")
    (place / "features.txt").write_text("f1\nf3\nf4\n")
    study = cells.load("cellot-4i")
    assert (study.source_value, study.target_value, study.rep, study.d) == ("control", "cisplatin", "X_features", 3)
    assert np.array_equal(study.x, values[:20, [1, 3, 4]])
    assert study.problem().source.names == ("f1", "f3", "f4")
    assert np.array_equal(study.between("control", "dasatinib").y, values[40:, [1, 3, 4]])
    assert np.array_equal(uotlab.load("cellot-4i", drug="dasatinib").target.points, values[40:, [1, 3, 4]])
    with pytest.raises(InputError, match="Did you mean 'cisplatin'"):
        uotlab.load("cellot-4i", drug="cisplatine")
    (place / "features.txt").write_text("f1\nf9\n")
    with pytest.raises(InputError, match=r"features\.txt names 'f9'"):
        uotlab.load("cellot-4i")


def test_cellots_sciplex(tmp_path):
    path = tmp_path / "hvg-top1k-train-only.h5ad"
    values = np.log1p(np.random.default_rng(0).poisson(2, (60, 30)).astype(np.float32) * 1.7)
    adata = perturbed(np.repeat(["control", "trametinib", "belinostat"], 20), sp.csr_matrix(values))
    adata.obs["cell_type"] = pd.Categorical(np.resize(["A549", "K562", "MCF7"], 60))
    adata.write_h5ad(path)
    study = cells.load("cellot-sciplex3", file=str(path), drug="trametinib", pcs=5)
    assert (study.target_value, study.type, study.d) == ("trametinib", "cell_type", 5)
    assert np.allclose(study.expression("f3"), values[:20, 3])
    del adata.obs["drug"]
    adata.write_h5ad(path)
    with pytest.raises(InputError, match="no obs column 'drug'"):
        cells.load("cellot-sciplex3", file=str(path))
