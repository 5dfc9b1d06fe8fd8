"""`python -m uotlab plan`: numbers as valid JSON, files that hold what they promise, one sentence and exit code 2 for bad input."""

import csv
import json

import numpy as np
import pytest

import uotlab
from uotlab.__main__ import main
from uotlab.cli.plan import write_plan

NUMBERS = {"value", "transport", "mass", "mass source", "mass target", "certificate", "iterations", "converged", "seconds"}
CHANGES = {f"{what} {side}" for what in ("destroyed", "created") for side in ("source", "target")}


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("solver", list(uotlab.SOLVERS))
def test_every_solver_answers(solver, capsys):
    assert main(["plan", solver, "moons-to-spiral", "--n", "30", "--json"]) == 0
    got = capsys.readouterr()
    numbers = strict(got.out)
    assert NUMBERS | CHANGES <= numbers.keys()
    assert numbers["converged"] == 1
    assert got.err == ""


def test_plan_writes_everything(tmp_path, capsys):
    out = tmp_path / "deep" / "plan"
    words = ["plan", "sinkhorn", "moons-to-spiral"]
    assert main([*words, "--n", "40", "--seed", "3", "--set", "rho1=0.3", "rho2=inf", "eps=0.1", "--out", str(out), "--json"]) == 0
    numbers = strict(capsys.readouterr().out)
    record = strict((out / "plan.json").read_text())
    assert record["numbers"].keys() == numbers.keys()
    assert record["numbers"]["value"] == numbers["value"]
    assert record["set"] == {"rho1": 0.3, "rho2": "Infinity", "eps": 0.1}
    assert (record["n"], record["seed"], record["versions"]["uotlab"]) == (40, 3, uotlab.__version__)
    with np.load(out / "plan.npz", allow_pickle=False) as held:
        P = held["P"]
        assert P.shape == (40, 40)
        assert {"x", "y", "a", "b", "f", "g", "scaling", "target_scaling"} <= set(held)
        assert P.sum() == pytest.approx(numbers["mass"])
        np.testing.assert_allclose(P.sum(0), held["b"], rtol=1e-6)
        np.testing.assert_allclose(P.sum(1), held["scaling"] * held["a"])
    rows = list(csv.DictReader((out / "pairs.csv").read_text().splitlines()))
    masses = [float(row["mass"]) for row in rows]
    assert masses == sorted(masses, reverse=True)
    assert len(rows) == 1000
    assert masses[0] == pytest.approx(P[int(rows[0]["i"]), int(rows[0]["j"])])
    changed = numbers["mass source"] - numbers["destroyed source"] + numbers["created source"]
    assert changed == pytest.approx(numbers["mass"])


def test_large_plans_are_written_as_pairs(tmp_path):
    plan = uotlab.plan("ipot", uotlab.load("moons-to-spiral", n=50), 50)
    write_plan(tmp_path, plan, {}, most=100)
    with np.load(tmp_path / "plan.npz", allow_pickle=False) as held:
        assert "P" not in held
        assert held["mass"].sum() == pytest.approx(plan.mass)
        assert float(plan.P[held["i"][0], held["j"][0]]) == pytest.approx(held["mass"][0])


def test_plain_numbers_are_told(capsys):
    assert main(["plan", "partial", "p-to-q", "--n", "20", "--set", "mass=0.5", "cost=euclidean", "--data", "sd=0.4"]) == 0
    told = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert float(told["mass"]) == pytest.approx(0.5)
    assert float(told["destroyed source"]) == pytest.approx(0.5)
    assert float(told["created target"]) == pytest.approx(0.5)


def test_the_seed_draws_the_points(capsys):
    values = []
    for seed in (0, 0, 1):
        main(["plan", "exact", "p-to-q", "--n", "20", "--seed", str(seed), "--json"])
        values.append(strict(capsys.readouterr().out)["value"])
    assert values[0] == values[1] != values[2]


def test_what_stopped_early_says_so(capsys):
    assert main(["plan", "sinkhorn", "moons-to-spiral", "--n", "50", "--set", "max_iter=1", "eps=0.001"]) == 0
    assert "stopped early" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sinkhron", "p-to-q"], "Did you mean 'sinkhorn'"),
        (["sinkhorn", "p-to-r"], "Did you mean 'p-to-q'"),
        (["sinkhorn", "p-to-q", "--n", "0"], "n must be a whole number"),
        (["sinkhorn", "p-to-q", "--set", "eps"], "key=value"),
        (["sinkhorn", "p-to-q", "--set", "eps=-1"], "eps of sinkhorn"),
        (["sinkhorn", "p-to-q", "--set", "n=5"], "option of its own"),
        (["exact", "p-to-q", "--set", "eps=1"], "no setting 'eps'"),
        (["scaling", "p-to-q", "--set", "divergence1=tw"], "Did you mean 'tv'"),
        (["exact-unbalanced", "p-to-q", "--n", "2000"], "Give a subsample"),
        (["partial", "p-to-q", "--data", "sd=-1"], "sd of p-to-q"),
    ],
)
def test_bad_input_is_a_sentence_and_code_2(words, sentence, capsys):
    assert main(["plan", *words]) == 2
    got = capsys.readouterr()
    assert got.out == ""
    assert sentence in got.err
    assert got.err.count("\n") == 1
    assert "Traceback" not in got.err


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["plan", "exact", "p-to-q", "--n", "5", "--out", str(tmp_path / "file" / "x")]) == 2
    assert "choose another folder" in capsys.readouterr().err
