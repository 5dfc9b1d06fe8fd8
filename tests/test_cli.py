"""`python -m uotlab`: valid JSON, files that hold what they promise, one sentence and exit code 2 for bad input."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

import uotlab
from uotlab.__main__ import main
from uotlab.cli.listing import REGISTRIES

ROOT = Path(__file__).resolve().parents[1]
QUICK = ["--steps", "3", "--n", "60", "--set", "width=8", "depth=1", "batch_size=16"]


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("what", list(REGISTRIES))
def test_list(what, capsys):
    assert main(["list", what]) == 0
    plain = capsys.readouterr().out
    assert main(["list", what, "--json"]) == 0
    entries = strict(capsys.readouterr().out)
    assert [e["name"] for e in entries] == list(REGISTRIES[what])
    for e in entries:
        assert e["name"] in plain
        assert e["title"]
        assert e["summary"]


def test_list_describes_every_parameter(capsys):
    for what in ("methods", "datasets"):
        main(["list", what, "--json"])
        for e in strict(capsys.readouterr().out):
            assert set(e["parameters"]) == set(REGISTRIES[what][e["name"]].model_fields)
            for name, parameter in e["parameters"].items():
                assert parameter["description"], f"{e['name']}.{name} needs a description"
                assert {"type", "default", "range"} <= parameter.keys()
                if parameter["type"] in ("int", "float"):
                    assert parameter["range"], f"{e['name']}.{name} needs a range"


def test_run_writes_everything(tmp_path, capsys):
    out = tmp_path / "deep" / "run"
    assert main(["run", "uotm", "p-to-q", *QUICK, "tau=0.1", "--data", "sd=0.4", "seed=3", "--out", str(out), "--json"]) == 0
    got = capsys.readouterr()
    metrics = strict(got.out)
    assert metrics["fresh"] == 1
    assert "3/3 steps" in got.err
    record = strict((out / "run.json").read_text())
    assert record["metrics"].keys() == metrics.keys()
    assert record["spec"]["data"] == {"sd": 0.4, "seed": 3}
    assert record["spec"]["params"]["tau1"] == 0.1
    assert record["versions"]["uotlab"] == uotlab.__version__
    assert (out / "history.csv").read_text().count("\n") == 4
    rows = list(csv.DictReader((out / "mapped.csv").read_text().splitlines()))
    assert len(rows) == 60
    assert list(rows[0]) == ["x0", "Tx0", "xi"]
    fitted = uotlab.Fitted.load(out / "weights.pt")
    (Tx,) = fitted.transport([float(rows[5]["x0"])])
    assert float(rows[5]["Tx0"]) == pytest.approx(float(Tx), rel=1e-4)


def test_equal_runs_print_equal_numbers(capsys):
    printed = []
    for _ in range(2):
        main(["run", "uotfm", "two-squares", *QUICK, "--json", "--quiet"])
        printed.append(capsys.readouterr())
    assert printed[0].out == printed[1].out
    assert printed[0].err == ""


def test_settings_are_read_by_their_field(capsys):
    assert main(["run", "uotm", "p-to-q", *QUICK, "rho1=inf", "divergence1=balanced", "cost=power", "cost_parameter=3", "--quiet"]) == 0
    assert "fresh draws" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "utom", "p-to-q"], "Did you mean 'uotm'"),
        (["run", "uotm", "p-to-r"], "Did you mean 'p-to-q'"),
        (["run", "uotm", "p-to-q", "--steps", "0"], "steps must be"),
        (["run", "uotm", "p-to-q", "--n", "1"], "n must be"),
        (["run", "uotm", "p-to-q", "--set", "lr"], "key=value"),
        (["run", "uotm", "p-to-q", "--set", "lr=fast"], "lr of uotm"),
        (["run", "uotm", "p-to-q", "--set", "speed=1"], "no setting 'speed'"),
        (["run", "uotm", "p-to-q", "--data", "sd=-1"], "sd of p-to-q"),
        (["run", "uotm", "p-to-q", "--data", "seed=x"], "seed"),
        (["run", "uotm", "p-to-q", "--device", "warp"], "device"),
        (["run", "fm", "p-to-q", "--set", "tau=1"], "tau does not apply"),
    ],
)
def test_bad_input_is_a_sentence_and_code_2(words, sentence, capsys):
    assert main(words) == 2
    got = capsys.readouterr()
    assert got.out == ""
    assert sentence in got.err
    assert got.err.count("\n") == 1
    assert "Traceback" not in got.err


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["run", "uotm", "p-to-q", *QUICK, "--quiet", "--out", str(tmp_path / "file" / "x")]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_as_a_process():
    done = subprocess.run([sys.executable, "-m", "uotlab", "run", "nope", "p-to-q"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    done = subprocess.run([sys.executable, "-m", "uotlab", "list", "nonsense"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
