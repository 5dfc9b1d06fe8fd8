"""Studies: the registry's cells, what a Problem and a Study share, the store, and outcomes."""

import os
from pathlib import Path

import anndata
import numpy as np
import pytest

import uotlab
from uotlab import cells
from uotlab.cells.kept import kept
from uotlab.data.base import DATASETS
from uotlab.errors import InputError

OF_CELLS = [name for name in DATASETS if DATASETS[name].group == "Cells"]


def study(name: str, n: int = 40) -> cells.Study:
    try:
        return cells.load(name, n=n)
    except InputError as error:
        if "UOTLAB_DATA names" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("name", OF_CELLS)
def test_study_and_problem_are_the_same_cells(name):
    s = study(name)
    p = uotlab.load(name, n=40)
    assert p.kind == "cells"
    assert p.name == name
    for measure, side, points in ((p.source, "source", s.x), (p.target, "target", s.y)):
        assert np.array_equal(measure.points, points)
        assert np.array_equal(measure.labels["row"], s.rows(side))
        assert (np.diff(s.rows(side)) > 0).all()
        if s.type:
            assert next(iter(measure.labels)) == s.type
            assert np.array_equal(measure.labels[s.type], s.types(side))
        assert set(s.labels(s.time, side)) == {s.source_value if side == "source" else s.target_value}
    assert s.adata.n_obs == len(s.points)
    assert cells.study_of(p).origin == s.origin == p.origin
    for a, b in zip(p.split(3), s.split(3)):
        assert np.array_equal(a.source.labels["row"], b.source)
        assert np.array_equal(a.target.points, b.y)
    if s.has_genes:
        few = list(s.genes[:3])
        block = s.cells("source")[:, few].X.toarray()
        assert np.array_equal(s.expression(few), block)
        assert np.array_equal(s.expression(few[1]), block[:, 1])
    assert s.about.steps


def test_truth_is_kept_for_simulated_cells_only():
    s = study("zebrafish-simulated", 60)
    assert s.simulated
    assert "Simulated" in s.notes[0]
    assert s.truth["growth"].shape == (60,)
    assert s.truth["growth"].mean() == pytest.approx(1)
    assert set(s.truth) == {"growth", "fate", "transition", "growth_by_type", "markers", "cell_cycle", "apoptosis"}
    assert s.problem().truth["true_ratio"] == s.truth["growth_by_type"]
    assert (s.dt, s.unit, s.species) == (2.7, "h", "zebrafish")
    assert study("dentate-gyrus").truth == {}


def test_other_times_are_other_studies_of_the_same_space():
    s = study("hsmm", 100)
    later = s.between("24", "72")
    assert (len(later.source), len(later.target)) == (74, 49)
    assert np.array_equal(later.x, s.y)
    assert s.values() == {"0": 69, "24": 74, "48": 79, "72": 49}
    with pytest.raises(InputError, match="At least 2 cells must have '96'"):
        s.between("0", "96")
    assert uotlab.load("hsmm", hours=72).target.n == 49


def test_kept_studies_are_datasets(store):
    s = study("dentate-gyrus", 200)
    key = cells.keep(s)
    assert cells.keep(s) == key
    p = uotlab.load("cells-study", digest=key, n=1000)
    assert np.array_equal(p.source.points, s.x)
    again = cells.load("cells-study", digest=key, pcs=5)
    assert again.d == 5
    assert again.about == kept(key).about == s.about
    assert np.array_equal(again.expression("Tcea1", None), s.expression("Tcea1", None))
    turned = cells.load("cells-study", digest=key, source="35", target="12")
    assert np.array_equal(turned.x, s.y)
    with pytest.raises(InputError, match="not in this store"):
        uotlab.load("cells-study", digest="0" * 64)
    (store / "cells" / key / "light.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="damaged"):
        uotlab.load("cells-study", digest=key)


def test_what_a_dataset_makes_again_is_not_kept_for_ever(store, monkeypatch):
    own = cells.keep(study("dentate-gyrus"))
    monkeypatch.setattr("uotlab.cells.kept.prune.__defaults__", (2,))
    half = store / "cells" / ".half.part"
    half.mkdir()
    os.utime(half, (0, 0))
    for seed in range(4):
        cells.load("zebrafish-simulated", n=20, seed=seed, pcs=2, genes=200)
    assert kept(own) is not None
    assert not half.exists()
    folders = [f for f in (store / "cells").iterdir() if f.is_dir()]
    assert len(folders) == 1 + 3  # one's own, two, and the one that was made after those were counted


def test_unknown_names_get_a_sentence():
    s = study("dentate-gyrus")
    for ask, says in (
        (lambda: s.labels("cluster"), "Did you mean 'clusters'"),
        (lambda: s.expression("Tcea9"), "no gene 'Tcea9'"),
        (lambda: s.rows("left"), "side must be"),
        (lambda: study("hsmm").types(), "no cell types"),
        (lambda: cells.load("two-squares"), "holds no cells"),
        (lambda: cells.study_of(uotlab.Problem.from_arrays(s.x, s.y)), "made from arrays"),
    ):
        with pytest.raises(InputError, match=says):
            ask()


def test_outcomes_of_plans_and_of_fits():
    s = study("zebrafish-simulated", 60)
    plan = uotlab.sinkhorn(s.x, s.y, eps=0.05, rho1=0.45, rho2=float("inf"), tol=1e-4)
    outcome = cells.Outcome.of_plan(plan, s)
    assert outcome.mass == pytest.approx(1, abs=1e-3)
    assert outcome.growth.mean() == pytest.approx(1)
    assert outcome.high().sum() == 6
    assert np.allclose(outcome.velocity, outcome.mapped - s.x)
    fitted = uotlab.fit("uotfm", s.problem(), steps=3, batch_size=16, width=8, depth=1)
    outcome = cells.Outcome.of(fitted, s)
    assert outcome.mapped.shape == s.x.shape
    assert outcome.scaling.shape == (60,)
    assert outcome.settings["method"] == "uotfm"
    flat = cells.Outcome(s, s.x)
    assert (flat.growth == 1).all()
    with pytest.raises(InputError, match="grow alike"):
        flat.high()
    with pytest.raises(InputError, match="mapped must have shape"):
        cells.Outcome(s, s.x[:3])


def test_a_damaged_folder_of_own_data_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"zebrafish_dome_50_pca50\.npz into the folder that UOTLAB_DATA names"):
        uotlab.load("zebrafish-dome-50")
    np.savez(tmp_path / "zebrafish_dome_50_pca50.npz", dome=np.zeros((3, 50)))
    with pytest.raises(InputError, match="must hold the arrays dome and epi50"):
        uotlab.load("zebrafish-dome-50")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "zebrafish_dome_50_pca50.npz", dome=rng.normal(size=(9, 50)), epi50=rng.normal(size=(12, 50)))
    p = uotlab.load("zebrafish-dome-50")
    assert (p.source.n, p.target.n, p.d) == (9, 12, 30)


def test_memantine_like_tables_have_their_gaps_filled(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    values = rng.gamma(2, size=(40, 8)).round(3)
    values[3, 2] = np.nan
    lines = ["MouseID," + ",".join(f"P{i}_N" for i in range(8)) + ",Genotype,Treatment"]
    lines += [
        f"{i // 4}_{i % 4 + 1}," + ",".join("" if np.isnan(v) else str(v) for v in row) + f",Control,{'Saline' if i < 20 else 'Memantine'}"
        for i, row in enumerate(values)
    ]
    (tmp_path / "mice_protein_memantine.csv.gz").write_bytes(__import__("gzip").compress("\n".join(lines).encode()))
    s = cells.load("memantine", pcs=5)
    assert "1 of 320 values are missing" in s.notes[1]
    assert np.isfinite(s.points).all()
    assert (len(s.source), len(s.target)) == (20, 20)
    filled = s.adata.X.toarray()[3, 2]
    assert filled == pytest.approx(np.nanmean(values[:, 2]), rel=1e-5)


def test_raw_cells_are_left_as_they_were():
    rng = np.random.default_rng(0)
    raw = anndata.AnnData(rng.poisson(3, (30, 12)).astype(np.float32))
    raw.obs["day"] = ["1"] * 15 + ["2"] * 15
    before = raw.X.copy()
    s = cells.prepare(raw, pcs=4)
    assert np.array_equal(raw.X, before)
    assert s.d == 4
    assert list(raw.obs) == ["day"]
