"""`python -m uotlab cells`, and the same in one call."""

import json
import math

import anndata
import numpy as np
import pytest

import uotlab
from tests.cells import files
from uotlab import cells
from uotlab.__main__ import main
from uotlab.cells.running import growth_settings
from uotlab.data.base import DATASETS

QUICK = ["--steps", "3", "--set", "width=8", "depth=1", "batch_size=16"]


def test_a_file_becomes_an_h5ad_and_tables(tmp_path, store, capsys):
    out = tmp_path / "out"
    command = ["cells", str(files.h5ad(tmp_path)), "--time", "day", "--source", "E14.5", "--type", "cell_type", "--prepare", "pcs=4"]
    assert main([*command, *QUICK, "--out", str(out), "--json"]) == 0
    got = capsys.readouterr()
    numbers = json.loads(got.out)
    assert {"source cells", "target cells", "mass", "growth Alpha", "growth Beta"} == set(numbers)
    assert "Principal components" in got.err
    assert sorted(f.name for f in out.iterdir()) == ["cells.csv", "cells.h5ad", "growth.csv", "run.json"]
    back = anndata.read_h5ad(out / "cells.h5ad")
    assert back.obs["uot_scaling"].notna().sum() == 30
    assert back.obsm["X_pca_uot"].shape == (60, 4)
    assert (out / "growth.csv").read_text().splitlines()[0] == "cell_type,growth"
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["method"] == "uotm"
    assert record["about"]["source"] == "E14.5"
    assert record["settings"]["rho2"] == "Infinity"


def test_a_dataset_by_a_solver(tmp_path, capsys):
    assert main(["cells", "zebrafish-simulated", "--n", "80", "--run", "sinkhorn", "--data", "seed=1", "--quiet"]) == 0
    got = capsys.readouterr()
    assert "spearman with true growth" in got.out
    assert "Note: Simulated cells" in got.out
    assert got.err == ""


def test_a_look_is_json(tmp_path, capsys):
    assert main(["cells", str(files.tenx_folder(tmp_path)), "--look", "--obs", str(files.known(tmp_path))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["genes"], found["times"]) == (60, 12, ["day", "cell_type"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no.h5ad"], "no file or folder no.h5ad"),
        (["dentate-gyrus", "--run", "uotmm"], "Did you mean 'uotm'"),
        (["dentate-gyrus", "--time", "day"], "--time does not apply"),
        (["two-squares"], "holds no cells"),
        (["no.h5ad", "--data", "pcs=3"], "--prepare KEY=VALUE"),
        (["dentate-gyrus", "--set", "nonsense=1"], "nonsense"),
    ],
)
def test_mistakes_are_sentences(words, says, capsys):
    assert main(["cells", *words, "--quiet"]) == 2
    assert says in capsys.readouterr().err


def test_growth_holds_the_target_unless_something_else_is_said():
    methods, solvers = uotlab.METHODS, uotlab.SOLVERS
    expected = {"rho1": pytest.approx(0.95), "rho2": math.inf}
    assert growth_settings(methods["uotfm"], {}) == expected
    assert growth_settings(solvers["sinkhorn"], {}) == expected
    assert growth_settings(solvers["sinkhorn"], {"eps": 0.1})["rho1"] == pytest.approx(1.9)
    assert growth_settings(methods["uotm"], {"tau": 0.1}) == {"tau": 0.1}
    for name, cls in methods.items():
        settings = growth_settings(cls, {})
        assert settings.pop("steps", 1) > 0
        made = cls(**settings)
        assert not all(cls.relaxed) or (made.rho1 < 1 and math.isinf(made.rho2)), name
    assert growth_settings(methods["otm"], {}) == {}


def test_a_held_target_brings_the_settings_of_the_method_along():
    for name, cls in uotlab.METHODS.items():
        own = dict(cls.held_target)
        fields = {k: v for k, v in own.items() if k != "steps"}
        cls(**fields)  # each is a field, and a value that it takes
        if not own or not all(cls.relaxed):
            assert growth_settings(cls, {}).keys() <= {"rho1", "rho2"}
            continue
        key = next(iter(fields))
        assert growth_settings(cls, {}).items() >= own.items(), name
        assert growth_settings(cls, {"rho1": 2.0, "divergence2": "balanced"}).items() >= own.items(), name
        assert growth_settings(cls, {key: 7, "rho2": math.inf})[key] == 7, name
        for other in ({"rho": 1.0}, {"rho1": math.inf, "rho2": math.inf}, {"rho1": 1.0, "rho2": 5.0}):
            assert growth_settings(cls, other) == other, name


def test_steps_of_a_held_target_are_taken_and_given_way(monkeypatch):
    seen = []

    def stop(method, problem, steps, *rest, **params):
        seen.append((steps, params["r1"]))
        raise uotlab.InputError("enough")

    monkeypatch.setattr("uotlab.cells.running.fit", stop)
    for more in ({}, {"steps": 7}, {"r1": 0.0}):
        with pytest.raises(uotlab.InputError, match="enough"):
            cells.run(cells.load("dentate-gyrus"), "uotm", **more)
    own = uotlab.METHODS["uotm"].held_target
    assert seen == [(own["steps"], own["r1"]), (7, own["r1"]), (own["steps"], 0.0)]


def test_too_large_plans_are_refused(monkeypatch):
    monkeypatch.setattr("uotlab.cells.running.MOST_PAIRS", 100)
    with pytest.raises(uotlab.InputError, match="too large to hold"):
        cells.run(cells.load("dentate-gyrus"), "sinkhorn")
    assert DATASETS["dentate-gyrus"].kind == "cells"


def test_a_cell_without_mass_stays_where_it_is():
    study = cells.load("dentate-gyrus")
    n, m = len(study.source), len(study.target)
    P = np.zeros((n, m))
    P[1:] = 1 / (n * m)
    plan = uotlab.Plan(P, np.zeros(n), np.zeros(m), np.full(n, 1 / n), np.full(m, 1 / m), 0.0, {}, 0.0, 1.0, 1, True, study.x, study.y)
    outcome = cells.Outcome.of_plan(plan, study)
    assert np.array_equal(outcome.mapped[0], study.x[0])
    assert outcome.growth[0] == 0
    assert outcome.mass == pytest.approx(1 - 1 / n)
