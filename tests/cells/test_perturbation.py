"""Perturbations: distances by their definitions, held-out cells, predicted features."""

import numpy as np
import pandas as pd
import pytest

from tests.cells.small import study_of_arrays
from uotlab import cells
from uotlab.cells.perturbation import GAMMAS, condition_arrays, effect, features, perturb
from uotlab.cells.study import Column
from uotlab.errors import InputError
from uotlab.plans.debiased import sinkhorn_divergence
from uotlab.views.base import VIEWS


def screen(seed=0):
    """Controls and two drugs that shift them by (1, 0, 0) and (0, 2, 0)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = [rng.normal(size=(50, 3)).astype(np.float32) + np.float32(s) for s in ((1, 0, 0), (0, 2, 0))]
    study = study_of_arrays(x, np.concatenate(y), ["a"] * 60, ["a"] * 100)
    drug = np.repeat([0, 1, 2], [60, 50, 50]).astype(np.int32)
    study.columns["time"] = Column(drug, ("0", "first", "second"))
    return study


def test_distances_are_their_definitions():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(40, 3)) + 1
    found = effect(x, y)
    assert found.l2 == pytest.approx(np.linalg.norm(x.mean(0) - y.mean(0)))
    assert found.sinkhorn == pytest.approx(sinkhorn_divergence(x, y, eps=0.01, tol=1e-3))

    def k(a, b, gamma):
        return np.mean([[np.exp(-gamma * ((p - q) ** 2).sum()) for q in b] for p in a])

    values = [k(x, x, g) + k(y, y, g) - 2 * k(x, y, g) for g in GAMMAS]
    assert found.mmd == pytest.approx(np.mean(values))
    g = 1 / np.median(((x[:, None] - y[None]) ** 2).sum(2))
    assert found.mmd_median == pytest.approx(k(x, x, g) + k(y, y, g) - 2 * k(x, y, g))
    same = effect(x, x)
    assert (same.l2, same.mmd) == (0, pytest.approx(0, abs=1e-12))
    assert same.sinkhorn == pytest.approx(0, abs=1e-6)


def test_rows_are_of_held_out_cells():
    study = screen()
    rows = list(perturb(study, ("sinkhorn",), seeds=(0, 1), eps=0.01))
    assert [(r["condition"], r["seed"]) for r in rows] == [("first", 0), ("first", 1), ("second", 0), ("second", 1)]
    assert all(r["cells"] == 12 for r in rows)
    held = study.between("0", "second").split(1)[1]
    assert rows[3]["l2_no_map"] == pytest.approx(np.linalg.norm(held.x.mean(0) - held.y.mean(0)), rel=1e-5)
    assert rows[3]["l2"] < rows[3]["l2_no_map"]


def test_methods_are_trained_on_the_rest():
    rows = pd.DataFrame(perturb(screen(), ("otfm", "uotfm"), ("second",), steps=3))
    assert rows["method"].tolist() == ["otfm", "uotfm"]
    assert np.isfinite(rows["sinkhorn"]).all()
    arrays = condition_arrays(rows, "otfm", "uotfm")
    assert arrays["conditions/x"].shape == (1,)
    assert VIEWS["conditions"]().figure(arrays)
    with pytest.raises(InputError, match="No row of the table is of the method 'uotm'"):
        condition_arrays(rows, "otfm", "uotm")
    with pytest.raises(InputError, match="measure must be one of"):
        condition_arrays(rows, "otfm", "uotfm", "w2")


def test_features_in_a_space_without_loadings():
    study = screen().between("0", "second")
    table = features(study, study.x + np.float32([0, 2, 0]))
    assert table["feature"][0] == "coordinate 2"
    assert (table["predicted"] - table["control"]).to_numpy() == pytest.approx([2, 0, 0], abs=1e-6)


def test_features_of_components_are_genes():
    study = cells.load("pancreas-simulated", n=150, seed=0)
    table = features(study, study.x).set_index("feature")
    assert len(table) == len(study.genes)
    assert (table["predicted"] - table["control"]).abs().max() == 0
    # the target's own mean brings every gene as near as the components can
    moved = features(study, study.x + study.y.mean(0) - study.x.mean(0)).set_index("feature")
    some = study.adata.var_names[study.adata.var["highly_variable"]]
    assert np.linalg.norm(moved.loc[some, "error"]) < 0.5 * np.linalg.norm(table.loc[some, "error"])
    assert table.loc[study.genes[3], "treated"] == pytest.approx(study.expression(study.genes[3], "target").mean(), rel=1e-5)


def test_real_proteins_with_missing_values():
    try:
        study = cells.load("memantine", n=200)
    except InputError as error:
        pytest.skip(str(error))
    row = next(perturb(study, ("sinkhorn",)))
    assert row["l2"] < row["l2_no_map"]


def test_bad_input():
    with pytest.raises(InputError, match="clouds of one dimension"):
        effect(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(InputError, match="no other condition"):
        next(perturb(screen(), conditions=[]))
    with pytest.raises(InputError, match="At least 2 cells must have 'third'"):
        next(perturb(screen(), conditions=["third"]))
