"""What is written is what scanpy's readers expect: keys, shapes, missing values; small files and those on disk alike."""

import anndata
import numpy as np
import pytest
from pandas import DataFrame

from tests.cells import files
from uotlab import cells
from uotlab.errors import InputError


def outcome_of(study):
    rng = np.random.default_rng(0)
    scaling = rng.gamma(2, size=len(study.source))
    settings = {
        "method": "uotm",
        "params": {"tau": 0.1, "cost": None, "width": 64},
        "seed": 3,
        "steps": 5,
        "rho1": 0.95,
        "rho2": float("inf"),
    }
    mapped = (study.x + 1).astype(np.float32)
    return cells.Outcome(study, mapped, scaling, None, float(scaling.mean()), None, settings, {"loss": np.arange(5.0)})


@pytest.mark.parametrize("place", ["memory", "store", "backed"])
def test_h5ad_has_the_promised_keys(place, tmp_path, store, monkeypatch):
    path = files.h5ad(tmp_path)
    if place == "backed":
        monkeypatch.setattr("uotlab.cells.reading.IN_MEMORY", 0)
        monkeypatch.setattr("uotlab.cells.kept.BACKED", 0)
    study = cells.prepare(files.raw() if place == "memory" else path, pcs=3, time="day", type="cell_type")
    outcome = outcome_of(study)
    out = cells.write_h5ad(outcome, tmp_path / "new" / "out.h5ad", transition=DataFrame(np.eye(2), ["Alpha", "Beta"], ["Alpha", "Beta"]))
    assert [f.name for f in out.parent.iterdir()] == ["out.h5ad"]
    back = anndata.read_h5ad(out)
    scaling = back.obs["uot_scaling"].to_numpy()
    assert np.isnan(scaling[study.target]).all()
    assert np.allclose(scaling[study.source], outcome.growth)
    assert scaling[study.source].mean() == pytest.approx(1)
    assert np.allclose(back.obs["uot_scaling_log2"].to_numpy()[study.source], np.log2(outcome.growth))
    assert back.obs["uot_high"].dtype == bool
    assert back.obs["uot_high"].sum() == 3
    assert np.allclose(back.obsm["X_pca_uot"][study.source], outcome.mapped)
    assert np.allclose(back.obsm["velocity_pca"][study.source], 1, atol=1e-5)
    assert (back.obsm["velocity_pca"][study.target] == 0).all()
    assert np.array_equal(back.obsm["X_pca"], study.points)
    uns = back.uns["uot"]
    assert {"params", "seed", "tau", "mass", "transition", "history", "method", "source", "target", "time"} <= set(uns)
    assert uns["mass"] == pytest.approx(outcome.mass)
    assert uns["tau"]["source"] == pytest.approx(0.95)
    assert uns["tau"]["target"] == 1
    assert uns["params"] == {"tau": 0.1, "width": 64}
    assert uns["transition"].loc["Alpha", "Alpha"] == 1
    assert len(back.uns["cell_type_colors"]) == 2
    assert (back.X.toarray() > 0).sum() == (files.raw().X > 0).sum()


def test_other_keys_and_tables(tmp_path):
    study = cells.load("zebrafish-simulated", n=40)
    outcome = outcome_of(study)
    back = anndata.read_h5ad(cells.write_h5ad(outcome, tmp_path / "a.h5ad", "second"))
    assert {"second_scaling", "second_high"} <= set(back.obs)
    assert {"X_pca_second", "velocity_pca_second"} <= set(back.obsm)
    table = cells.cells_table(outcome, mapped=True)
    assert table.shape == (40, 1 + 2 + 3 + 1 + study.d)
    assert np.allclose(table["true_growth"], study.truth["growth"])
    assert list(table.index) == list(study.adata.obs_names[study.source])
    balanced = cells.Outcome(study, study.y)
    assert (cells.cells_table(balanced)["uot_scaling"] == 1).all()
    assert not cells.cells_table(balanced)["uot_high"].any()


def test_bad_places_get_a_sentence(tmp_path):
    outcome = outcome_of(cells.load("dentate-gyrus"))
    (tmp_path / "file").write_text("")
    for path, key, says in ((tmp_path / "file" / "a.h5ad", "uot", "cannot be written"), (tmp_path / "a.h5ad", "my key", "plain name")):
        with pytest.raises(InputError, match=says):
            cells.write_h5ad(outcome, path, key)
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_a_held_source_has_no_growing_cells(tmp_path):
    study = cells.load("dentate-gyrus")
    outcome = cells.run(study, "sinkhorn", rho1=np.inf, rho2=np.inf)
    assert outcome.alike
    with pytest.raises(InputError, match="All cells grow alike"):
        outcome.high()
    back = anndata.read_h5ad(cells.write_h5ad(outcome, tmp_path / "cells.h5ad"))
    assert not back.obs["uot_high"].any()
