"""`python -m uotlab cells`, and the same in one call."""

import json
import math

import anndata
import numpy as np
import pytest
import scanpy as sc

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
    assert sorted(f.name for f in out.iterdir()) == ["branches.csv", "cells.csv", "cells.h5ad", "fates.csv", "growth.csv", "run.json"]
    back = anndata.read_h5ad(out / "cells.h5ad")
    assert back.obs["uot_scaling"].notna().sum() == 30
    assert back.obsm["X_pca_uot"].shape == (60, 4)
    assert (out / "growth.csv").read_text().splitlines()[0] == "type,cells,mean,low,high"
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


def test_genes_fates_and_a_report(tmp_path, capsys):
    out, sets, allowed = tmp_path / "out", tmp_path / "own.gmt", tmp_path / "allowed.json"
    genes = cells.load("dentate-gyrus").genes
    sets.write_text("mine\tnote\t" + "\t".join(genes[:20]) + "\n")
    allowed.write_text('{"neurons": {"Neuroblast": ["Granule mature", "Granule immature"]}}')
    words = ["--genes", "--gmt", str(sets), "--shuffles", "1", "--fates", "--branches", str(allowed), "--push", "Neuroblast", "--effect"]
    command = ["cells", "dentate-gyrus", "--run", "sinkhorn", *words, "--out", str(out), "--report", "--figures", "html", "--json"]
    assert main(command) == 0
    got = capsys.readouterr()
    found = json.loads(got.out)
    assert found["terms"][0]["term"] == "mine"
    assert [row["branch"] for row in found["branches"]] == ["neurons"]
    assert sum(row["mass"] for row in found["push"]) == pytest.approx(1)
    assert 0 < found["effect l2"] < found["effect l2 without a map"]
    assert "Drawing figures" in got.err
    files_there = {f.name for f in out.iterdir()}
    tables = {"cells.csv", "growth.csv", "genes.csv", "terms.csv", "fates.csv", "branches.csv", "push.csv", "features.csv"}
    assert files_there == tables | {"cells.h5ad", "run.json", "report.html", "figures"}
    assert {f.stem for f in (out / "figures").iterdir()} >= {"cells", "velocity", "growth-by-type", "fate-flow", "volcano", "gene-sets"}
    back = anndata.read_h5ad(out / "cells.h5ad")
    table = sc.get.rank_genes_groups_df(back, "high")
    assert list(table["names"][:10]) == [row["gene"] for row in found["genes"]]
    assert table["pct_nz_reference"].between(0, 1).all()
    assert "transition" in back.uns["uot"]
    page = (out / "report.html").read_text()
    assert all(f"<h2>{title}</h2>" in page for title in ("Settings", "Growth", "Fates", "Genes"))
    record = json.loads((out / "run.json").read_text())
    assert record["versions"]["scanpy"]
    assert record["genes"]["shuffles"] == 1


def test_a_sweep_and_perturbations(tmp_path, capsys):
    out = tmp_path / "out"
    quick = ["cells", "dentate-gyrus", "--out", str(out), "--json", "--figures", "html"]
    assert main([*quick, "--sweep", "0.5,inf", "--seeds", "0,1", "--set", "eps=0.1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["rho"] for row in found] == [0.5, "Infinity"]
    runs = (out / "runs.csv").read_text().splitlines()
    assert len(runs) == 5
    assert runs[0].startswith("method,tau,rho,seed,")
    assert runs[4].startswith("sinkhorn,1,inf,1,")
    words = ["--perturb", "--run", "otm,uotm", "--steps", "2", "--set", "batch_size=16"]
    assert main([*quick, *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["condition"], row["method"]) for row in found] == [("35", "otm"), ("35", "uotm")]
    assert (out / "figures" / "conditions-l2.html").exists()
    assert {"sweep.csv", "runs.csv", "perturbation.csv"} <= {f.name for f in out.iterdir()}


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
        (["dentate-gyrus", "--report"], "needs a folder: --out DIR"),
        (["dentate-gyrus", "--percentile", "100"], "between 0 and 100"),
        (["dentate-gyrus", "--key", "a b"], "a plain name such as uot"),
        (["dentate-gyrus", "--push", "Beta"], "no source cell has the type 'Beta'; there are Astrocytes"),
        (["dentate-gyrus", "--run", "otm", "--genes"], "otm keeps every cell's mass"),
        (["dentate-gyrus", "--pull", "Beta"], "no target cell has the type 'Beta'"),
        (["dentate-gyrus", "--gmt", "none.gmt"], "none.gmt cannot be read"),
        (["dentate-gyrus", "--branches", "none.json"], "none.json cannot be read"),
        (["dentate-gyrus", "--sweep", "1,x"], "numbers above 0"),
        (["dentate-gyrus", "--sweep", "--perturb"], "not both"),
        (["dentate-gyrus", "--sweep", "--genes"], "--genes is of one run"),
        (["dentate-gyrus", "--perturb", "--seeds", "a"], "--seeds takes whole numbers"),
        (["dentate-gyrus", "--perturb", "--conditions", "P99"], "P99"),
        (["dentate-gyrus", "--sweep", "--run", "uotm,sinkhorn", "--set", "rho1=1"], "only one of the two kinds"),
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
        own = {k: v for k, v in cls.held_target.items() if k not in cls.model_fields or cls.model_fields[k].default != v}
        fields = {k: v for k, v in own.items() if k != "steps"}
        cls(**fields)  # each is a field, and a value that it takes
        if not own or not all(cls.relaxed):
            assert growth_settings(cls, {}).keys() <= {"rho1", "rho2"}
            continue
        assert growth_settings(cls, {}).items() >= own.items(), name
        assert growth_settings(cls, {"rho1": 2.0, "divergence2": "balanced"}).items() >= own.items(), name
        for key in fields:
            usual = cls.model_fields[key].default
            assert growth_settings(cls, {key: usual, "rho2": math.inf})[key] == usual, name
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
