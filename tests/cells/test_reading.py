"""Every format gives the same cells; large files stay on disk and give the same study; what is prepared once is kept."""

from itertools import pairwise

import anndata
import numpy as np
import pytest

from tests.cells import files
from uotlab import cells
from uotlab.cells import kept as kept_module
from uotlab.cells import reading
from uotlab.cells.files import store_upload, title_of
from uotlab.cells.gmt import SPECIES, symbols
from uotlab.cells.looking import look, quality
from uotlab.cells.values import species_of
from uotlab.errors import InputError

FORMATS = {
    "h5ad": files.h5ad,
    "old h5ad": files.old_h5ad,
    "10x folder": files.tenx_folder,
    "10x folder, plain": lambda folder: files.tenx_folder(folder, packed=False),
    "10x h5": files.tenx_h5,
    "loom": files.loom,
    "csv": files.table,
    "tsv.gz": lambda folder: files.table(folder, ".tsv.gz"),
    "mtx": files.mtx,
}


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same_cells(make, tmp_path):
    path, expected = make(tmp_path), files.raw()
    own = cells.read(path)
    known = None if len(own.obs.columns) else files.known(tmp_path)
    adata = cells.read(path, obs=known)
    assert list(adata.obs_names) == list(expected.obs_names)
    assert list(adata.var_names) == files.GENES
    assert np.array_equal(adata.X.toarray(), expected.X.toarray())
    study = cells.prepare(path, obs=known, pcs=3, time="day")
    assert (study.source_value.lstrip("E"), study.target_value.lstrip("E")) == ("14.5", "15.5")
    assert (study.dt, study.unit, study.species) == (1.0, "d", "mouse")
    assert study.x.shape == (30, 3)
    assert np.array_equal(study.x, cells.prepare(files.raw(), pcs=3).x)


def test_tables_of_genes_as_rows_are_turned(tmp_path):
    path = files.table(tmp_path, transposed=True)
    adata = cells.read(path, transpose=True, obs=files.known(tmp_path))
    assert np.array_equal(adata.X.toarray(), files.raw().X.toarray())
    assert list(adata.obs) == ["day", "cell_type"]


def test_samples_are_joined_by_time(tmp_path):
    first, second = files.raw(seed=1), files.h5ad(tmp_path)
    first.obs = first.obs[[]]
    study = cells.prepare(cells.join({"12": first[:, ::2], "35": second}, column="age"), time="age", pcs=3)
    assert (len(study.source), len(study.target), study.dt) == (60, 60, 23)
    assert list(study.genes) == files.GENES[::2]
    with pytest.raises(InputError, match="two samples or more"):
        cells.join({"12": first})


def test_a_preparation_is_done_once(tmp_path, store, monkeypatch):
    path = files.h5ad(tmp_path)
    told = []
    first = cells.prepare(path, lambda step, share: told.append((step, share)), pcs=3)
    assert [s for s, _ in told][:2] == ["Looking at the file", "Reading"]
    assert "Principal components" in {s for s, _ in told}
    assert told[-1] == ("Done", 1.0)
    assert all(a <= b for (_, a), (_, b) in pairwise(told))
    monkeypatch.setattr("uotlab.cells.files.read", lambda *_, **__: pytest.fail("read once more"))
    again = cells.prepare(path, pcs=3)
    assert np.array_equal(first.points, again.points)
    assert again.origin["dataset"] == "cells-study"
    assert np.array_equal(cells.study_of(again.problem()).x, first.x)


@pytest.mark.parametrize("settings", [{}, {"genes": 5}, {"genes": 6, "scale": True}, {"min_genes": 11, "max_mito": 18}, {"others": True}])
def test_cells_on_disk_give_the_same_study(settings, tmp_path, store, monkeypatch):
    path = files.h5ad(tmp_path)
    whole = cells.prepare(path, pcs=3, **settings)
    monkeypatch.setattr(reading, "IN_MEMORY", 0)
    monkeypatch.setattr(kept_module, "BACKED", 0)
    monkeypatch.setattr("uotlab.cells.blocks.VALUES", 64 * len(files.GENES) // 4)
    monkeypatch.setattr("uotlab.cells.blocks.block_rows", lambda columns: 7)
    adata = files.raw()
    adata.obs["more"] = 1.0
    backed = cells.prepare(files.h5ad(tmp_path, adata), pcs=3, **settings)
    assert backed.adata.isbacked
    assert backed.about.steps == whole.about.steps
    assert list(backed.genes) == list(whole.genes)
    assert np.array_equal(backed.adata.var["highly_variable"], whole.adata.var["highly_variable"])
    for a, b in zip(backed.points.T, whole.points.T):
        assert min(np.abs(a - b).max(), np.abs(a + b).max()) < 2e-3  # float32, and eigenvalues of noise lie close together
    assert np.allclose(backed.expression(["Ins1", "Gcg"]), whole.expression(["Ins1", "Gcg"]), atol=1e-6)
    assert np.allclose(backed.cells("target").X.toarray(), whole.cells("target").X.toarray(), atol=1e-6)


def test_backed_anndata_are_prepared_from_their_file(tmp_path, store):
    backed = anndata.read_h5ad(files.h5ad(tmp_path), backed="r")
    backed.obs["half"] = np.repeat(["a", "b"], 30)
    study = cells.prepare(backed, time="half", pcs=3)
    whole = backed.to_memory()
    assert np.allclose(np.abs(study.points), np.abs(cells.prepare(whole, time="half", pcs=3).points), atol=2e-3)
    assert study.origin["dataset"] == "cells-study"
    backed.file.close()


def test_a_look_says_what_is_likely_meant(tmp_path):
    adata = files.raw()
    adata.layers["logs"] = adata.X.log1p()
    adata.obsm["X_umap"] = np.zeros((60, 2))
    found = look(files.h5ad(tmp_path, adata))
    assert (found.cells, found.genes, found.values, found.species) == (60, 12, "counts", "mouse")
    assert (found.times, found.types) == (("day", "cell_type"), ("cell_type",))
    assert found.columns["day"] == {"E14.5": 30, "E15.5": 30}
    assert (found.layers, found.spaces, found.warnings) == (("logs",), {"X_umap": 2}, ())
    assert look(adata) == found
    assert look(cells.read(tmp_path / "cells.h5ad", layer="logs")).values == "log"
    seen = quality(adata)
    dense = adata.X.toarray()
    assert np.array_equal(seen.total, dense.sum(1))
    assert np.array_equal(seen.genes, (dense > 0).sum(1))
    assert np.array_equal(seen.cells, (dense > 0).sum(0))
    assert np.allclose(seen.mito, 100 * dense[:, -2:].sum(1) / dense.sum(1))
    adata.X = dense - 1
    assert "negative" in look(adata).warnings[0]


def test_layers_raw_and_spaces_are_chosen_by_name(tmp_path):
    adata = files.raw()
    adata.raw = adata.copy()
    adata.layers["twice"] = adata.X * 2
    adata.obsm["X_own"] = np.random.default_rng(0).normal(size=(60, 5))
    adata = adata[:, :6].copy()
    path = files.h5ad(tmp_path, adata)
    assert cells.read(path, layer="raw").n_vars == 12
    assert np.array_equal(cells.read(path, layer="twice").X.toarray(), 2 * adata.X.toarray())
    study = cells.prepare(path, space="X_own")
    assert study.rep == "X_own"
    assert np.allclose(study.points, adata.obsm["X_own"])
    for settings, says in (({"layer": "thrice"}, "Did you mean 'twice'"), ({"space": "X_pcs"}, "no obsm 'X_pcs'")):
        with pytest.raises(InputError, match=says):
            cells.prepare(path, **settings)


def test_uploads_keep_their_endings_and_their_folder(tmp_path, store):
    content = files.h5ad(tmp_path).read_bytes()
    path = store_upload({"../../my cells.h5ad": content})
    assert path.name == "my_cells.h5ad"
    assert path == store_upload({"../../my cells.h5ad": content})
    assert path.is_relative_to(store)
    folder = store_upload({f.name: f.read_bytes() for f in files.tenx_folder(tmp_path).iterdir()})
    assert (title_of(path), title_of(folder), title_of(tmp_path)) == (path.name, "barcodes.tsv.gz and 2 more", tmp_path.name)
    assert cells.read(folder).shape == (60, 12)
    with pytest.raises(InputError, match="empty"):
        store_upload({"a.h5ad": b""})


def test_a_species_is_that_of_symbols_that_are_known():
    for species in SPECIES:
        known = list(symbols(species)[::40])
        assert species_of(known) == species
        assert species_of([*known, *(f"Gene{i}" for i in range(2 * len(known)))]) == species  # many genes have no known function
        assert species_of([*known, *(f"Gene{i}" for i in range(9 * len(known)))]) == ""
    for made_up in ([], [f"Gene{i}" for i in range(2000)], [f"GENE{i}" for i in range(50)], ["ENSMUSG00000000001", "ENSMUSG00000000028"]):
        assert species_of(made_up) == ""
