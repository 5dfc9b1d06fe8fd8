"""Sweeps: grids, cells as runs in the store, stop and go on, failures, curves over seeds; the command and the function."""

import csv
import json
import math
import subprocess
import sys
import time

import pytest
import torch

import uotlab
from uotlab.__main__ import main
from uotlab.engine.runner import Engine
from uotlab.engine.runner import engine as common_engine
from uotlab.engine.sweep import cell as cell_module
from uotlab.engine.sweep.headless import OWNER, open_sweep
from uotlab.engine.sweep.local import default_workers
from uotlab.engine.sweep.run import Row, find, listed, start
from uotlab.engine.sweep.spec import MOST_CELLS, SweepSpec, make_sweep
from uotlab.engine.sweep.summary import best_point, better_end, curves, mean_cost, metric_names, pick_metric, place
from uotlab.engine.sweep.table import table_of
from uotlab.errors import InputError
from uotlab.metrics.base import METRICS
from uotlab.paths import ROOT
from uotlab.penalty import rho_from_tau

SMALL = {"width": 8, "depth": 1, "batch_size": 16}


@pytest.fixture(autouse=True)
def few_points(monkeypatch):
    monkeypatch.setattr(cell_module, "POINTS", 120)


def grid(seeds=(0,), steps=12, n=64, data=None, params=None, **axes):
    return make_sweep("toy", "gaussians", axes or {"lr": [0.01, 0.1]}, seeds, steps=steps, n=n, data=data or {}, params=params or {})


def until(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


# ---- the grid --------------------------------------------------------------------------------------
def test_cells_cover_the_grid_with_the_first_seed_first():
    spec = make_sweep(["uotm", "otm"], "moons-to-spiral", {"rho": [0.1, 1, math.inf], "batch_size": 64}, [3, 4], steps=7)
    cells = spec.cells()
    assert [c.label for c in cells[:4]] == [
        "uotm rho=0.1 batch_size=64 seed 3", "uotm rho=1 batch_size=64 seed 3", "uotm rho=inf batch_size=64 seed 3",
        "otm rho=inf batch_size=64 seed 3",
    ]  # fmt: skip
    assert [c.spec.seed for c in cells] == [3] * 4 + [4] * 4
    assert spec.size == len(cells) == 8
    assert cells[0].spec.params == {"rho": 0.1, "batch_size": 64}
    assert cells[3].spec.params == {"batch_size": 64}  # it keeps both marginals
    assert SweepSpec.model_validate_json(spec.model_dump_json()) == spec


def test_steps_points_and_fields_of_the_data_can_be_swept():
    spec = make_sweep("uotm", "gaussians", {"steps": [5, 6], "n": [50], "data.target_mass": [1.0, 1.4]}, params={"rho": 1.0})
    assert [(c.spec.steps, c.spec.n, c.spec.data) for c in spec.cells()] == [
        (s, 50, {"target_mass": m}) for s in (5, 6) for m in (1.0, 1.4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"grid": {}}, "grid is empty"),
        ({"grid": {"rho": []}}, "rho has no values"),
        ({"grid": [1]}, "grid must map"),
        ({"grid": {"rho": [math.nan]}}, "NaN"),
        ({"grid": {"rho": [-1]}}, "greater than 0"),
        ({"grid": {"rhoo": [1]}}, "no setting 'rhoo'.*Did you mean 'rho'"),
        ({"grid": {"data.sdd": [1]}}, "no setting 'data.sdd'"),
        ({"grid": {"rho": range(1, 10_001)}}, f"10,000 runs.*at most {MOST_CELLS}"),
        ({"grid": {"lr": [0.1], "seed": [1]}}, "Seeds are no axis"),
        ({"grid": {"rho": [1]}, "params": {"rho": 2}}, "give it once"),
        ({"grid": {"rho": [1], "tau": [1]}}, "not both"),
        ({"grid": {"rho": [1]}, "seeds": []}, "needs a seed"),
        ({"grid": {"rho": [1]}, "seeds": [0.5]}, "seeds must be whole"),
        ({"grid": {"rho": [1]}, "methods": []}, "needs a method"),
        ({"grid": {"rho": [1]}, "methods": "utom"}, "Did you mean 'uotm'"),
        ({"grid": {"rho": [1]}, "methods": "otm"}, "rho does not apply"),
        ({"grid": {"rho": [1]}, "dataset": "nope"}, "no dataset"),
        ({"grid": {"rho": [1]}, "steps": 0}, "steps"),
        ({"grid": {"rho": [1]}, "device": "warp"}, "device"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        make_sweep(**{"methods": "uotm", "dataset": "moons-to-spiral", "seeds": [0], **given})
    assert "\n" not in str(caught.value)


# ---- runs in the store -----------------------------------------------------------------------------
def test_every_cell_is_a_scored_run_in_the_store(engine):
    sweep = start(engine, grid(seeds=[0, 1]), "me", workers=2)
    assert sweep.wait(60)
    assert (sweep.state, sweep.note, sweep.share) == ("done", "", 1.0)
    rows = sweep.rows()
    assert {record.id for record in engine.runs("me")} == {row.run for row in rows}
    assert all(row.scored and row.step == 12 for row in rows)
    assert listed(engine, "me") == [sweep]
    assert listed(engine, "somebody else") == []
    # the same numbers as one run by hand
    spec = rows[1].cell.spec
    problem = uotlab.load(spec.dataset, spec.n)
    fitted = uotlab.fit(spec.method, problem, steps=spec.steps, seed=spec.seed, **spec.params)
    for name, value in fitted.evaluate(120, 1).items():
        assert rows[1].metrics[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name
    assert torch.equal(engine.fitted(rows[1].run).state.net.weight, fitted.state.net.weight)


def test_the_end_is_no_stop_to_one_who_looked_just_before(engine, monkeypatch):
    """An older look lacks the last score: the page would offer to resume, and refresh itself no more."""
    monkeypatch.setattr("uotlab.engine.sweep.run.LOOK_SECONDS", 1e6)
    sweep = start(engine, grid(rho=[1.0]), "me")
    assert not all(row.settled for row in sweep.rows())
    sweep._thread.join(60)
    assert sweep.state == "done"
    assert all(row.scored for row in sweep.rows())


def test_a_failure_is_a_sentence_and_the_sweep_goes_on(engine):
    sweep = start(engine, grid(fail_at=[3, 0]), "me", workers=1)
    assert sweep.wait(60)
    first, second = sweep.rows()
    assert (first.state, second.scored) == ("failed", True)
    assert "the toy broke" in first.error
    assert sweep.state == "done"
    assert list(table_of(sweep.id, sweep.spec, sweep.rows()).failed.values()) == [first.error]


def test_what_cannot_begin_fails_with_its_sentence(engine):
    spec = make_sweep("uotm", "gaussians", {"rho": [1.0, math.inf]}, steps=3, n=64, data={"target_mass": 2.0}, params=SMALL)
    sweep = start(engine, spec, "me", workers=1)
    assert sweep.wait(60)
    assert [row.state for row in sweep.rows()] == ["done", "failed"]
    assert "masses differ" in sweep.rows()[1].error


def test_cancel_and_go_on_bit_for_bit_in_another_process(tmp_path):
    whole = Engine(tmp_path / "whole")
    spec = grid(steps=300, params={"nap": 0.003})
    reference = start(whole, spec, "me", workers=2)
    first = Engine(tmp_path / "parts")
    sweep = start(first, spec, "me", workers=1)
    until(lambda: sweep.rows()[0].step > 20)
    sweep.cancel()
    assert sweep.wait(30)
    assert sweep.state == "stopped"
    states = [row.state for row in sweep.rows()]
    assert states == ["stopped", "waiting"]
    sweep.begin(workers=2)
    until(lambda: all(row.step > 20 for row in sweep.rows()))
    first.close()  # as when the app ends
    assert {record.state for record in first.runs()} <= {"interrupted", "done"}
    second = Engine(tmp_path / "parts")
    again = find(second, sweep.id)
    assert again is not sweep
    assert again.spec == spec
    assert again.state == "stopped"
    again.begin(workers=2)
    assert again.wait(60)
    assert reference.wait(60)
    for a, b in zip(again.rows(), reference.rows(), strict=True):
        assert a.step == b.step == 300
        assert torch.equal(second.fitted(a.run).state.net.weight, whole.fitted(b.run).state.net.weight)
    second.close()
    whole.close()


KILLED = """
import sys
from tests.engine import toy
from uotlab.engine.runner import Engine
from uotlab.engine.sweep.run import start
from uotlab.engine.sweep.spec import SweepSpec
sweep = start(Engine(sys.argv[1]), SweepSpec.model_validate_json(sys.argv[2]), "me", workers=1)
while not sweep.rows()[0].step > 5:
    pass
print(sweep.id, flush=True)
sweep.wait()
"""


@pytest.mark.slow
def test_a_killed_process_is_noticed_and_its_sweep_goes_on(engine):
    spec = grid(steps=400, params={"nap": 0.01})
    words = [sys.executable, "-c", KILLED, str(engine.store.folder), spec.model_dump_json()]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        name = process.stdout.readline().strip()
        sweep = find(engine, name)
        assert sweep.state == "elsewhere"
        with pytest.raises(InputError, match="Another process"):
            sweep.begin()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    sweep._recovered = -1000.0
    assert sweep.state == "stopped"
    assert [row.state for row in sweep.rows()] == ["interrupted", "waiting"]
    sweep.begin(workers=2)
    assert sweep.wait(60)
    assert sweep.state == "done"


def test_a_sweep_leaves_the_lab_free_and_is_one_a_session(engine, spec):
    sweep = start(engine, grid(steps=100_000, params={"nap": 0.002}, lr=[0.1, 0.2, 0.3, 0.4, 0.5]), "me", workers=5)
    until(lambda: sum(row.state == "running" for row in sweep.rows()) == 5)
    job = engine.submit(spec(), "me")
    assert job.wait(20)
    assert job.state == "done"
    with pytest.raises(InputError, match="already has a sweep"):
        start(engine, grid(), "me")
    assert sweep.eta_seconds is None or sweep.eta_seconds > 0
    with pytest.raises(InputError, match="Another thread"):
        engine.work_on(sweep.rows()[0].run, "me", "x", sweep.cells[0].spec)
    sweep.cancel()
    assert sweep.state in ("stopping", "stopped")
    assert sweep.wait(30)
    assert all(row.state == "stopped" for row in sweep.rows())
    sweep.delete()
    assert listed(engine, "me") == []
    assert [record.id for record in engine.runs("me")] == [job.id]


def test_a_run_paused_in_the_lab_waits_and_the_others_go_on(engine):
    sweep = start(engine, grid(steps=400, params={"nap": 0.002}), "me", workers=1)
    until(lambda: sweep.rows()[0].step > 5)
    engine.known(sweep.rows()[0].run).pause()
    assert sweep.wait(60)
    assert [row.state for row in sweep.rows()] == ["paused", "done"]
    assert sweep.state == "stopped"
    sweep.begin()
    assert sweep.wait(60)
    assert sweep.state == "done"


def test_workers_come_from_the_cores(monkeypatch):
    monkeypatch.setattr("uotlab.engine.sweep.local.cores", lambda: 8)
    assert default_workers("cpu") == 8
    monkeypatch.setenv("UOTLAB_TORCH_THREADS", "4")
    assert default_workers("cpu") == 2


# ---- curves ----------------------------------------------------------------------------------------
def rows_of(spec, value):
    """Scored rows with a made-up number, without any training."""
    return [
        Row(c, f"r{c.index}", "done", 1, 1, 1.0, {"fresh": 1.0, "w2": value(c), "w2 floor": 0.1, "mass": 1.0}, None) for c in spec.cells()
    ]


def test_means_spreads_and_the_best():
    spec = make_sweep(["uotm", "otm"], "moons-to-spiral", {"rho": [0.1, 1.0, 10.0]}, [0, 1, 2])
    value = {0.1: 3.0, 1.0: 1.0, 10.0: 2.0, math.inf: 5.0}
    found = curves(rows_of(spec, lambda c: value[c.at["rho"]] + c.spec.seed), "w2", "rho")
    assert [c.label for c in found] == ["uotm", "otm"]
    assert [p.x for p in found[0].points] == [0.1, 1.0, 10.0]
    assert [p.mean for p in found[0].points] == pytest.approx([4.0, 2.0, 3.0])
    assert [p.spread for p in found[0].points] == pytest.approx([1.0] * 3)  # of 0, 1, 2 with n - 1
    assert best_point(found[0], "lower").x == 1.0
    assert best_point(found[0], "higher").x == 0.1
    assert best_point(found[0], "neither") is None
    assert found[1].level


def test_tau_is_drawn_as_rho():
    spec = make_sweep(["uotm", "uotfm"], "moons-to-spiral", {"tau": [0.3, 0.9]}, n=500)
    for cell in spec.cells():
        cls = uotlab.METHODS[cell.spec.method]
        eps = getattr(cls(), "temperature")  # noqa: B009
        rho = rho_from_tau(cls.convention, cell.at["tau"], mean_cost(cell.spec), eps)
        assert place(cell, "tau") == pytest.approx(rho)


def test_the_registry_says_which_end_is_good():
    for name, cls in METRICS.items():
        assert better_end(name) == cls.better
    assert better_end("w2 floor") == better_end("map loss") == "neither"
    assert better_end("scaling error spearman") == "higher"
    rows = rows_of(make_sweep("uotm", "moons-to-spiral", {"rho": [1.0]}), lambda c: 1.0)
    assert metric_names(rows) == ["mass", "w2"]
    assert pick_metric(rows) == "w2"
    assert pick_metric(rows, "Mass") == "mass"
    assert pick_metric([]) is None
    with pytest.raises(InputError, match=r"no metric 'w3'.*w2"):
        pick_metric(rows, "w3")


def test_the_table_as_csv_frame_and_picture():
    spec = make_sweep(["uotm", "otm"], "moons-to-spiral", {"rho": [0.1, 1.0, math.inf]}, [0, 1], n=500)
    table = table_of("id", spec, rows_of(spec, lambda c: 2.0 if c.at["rho"] == 1 else 3.0))
    rows = list(csv.DictReader(table.csv().splitlines()))
    assert len(rows) == 8
    assert (rows[0]["method"], rows[0]["rho"], rows[0]["rho1"], rows[0]["w2"]) == ("uotm", "0.1", "0.1", "3")
    assert list(table.frame()["w2"]) == [3.0, 2.0, 3.0, 3.0] * 2
    assert table.best("w2")["uotm"].x == 1.0
    figure = table.figure("w2")
    assert "UOTM · best at 1" in [trace.name for trace in figure.data]
    hover = next(trace for trace in figure.data if trace.name == "UOTM · best at 1").text[1]
    s = mean_cost(spec.cells()[1].spec)
    assert f"cost-weight τ {1 / s:.3g}" in hover
    assert f"Sinkhorn τ {1 / 1.05:.3g}" in hover
    assert list(figure.layout.xaxis.ticktext) == ["0.1", "1", "∞"]


# ---- without a page --------------------------------------------------------------------------------
WORDS = ["gaussians", "--n", "64", "--steps", "6", "--set", "width=8", "depth=1", "batch_size=16"]


def test_the_command(tmp_path, capsys):
    out = tmp_path / "deep" / "sweep"
    assert main(["sweep", "uotm,otm", *WORDS, "--grid", "rho=0.5,inf", "--seeds", "0,1", "--metric", "w2", "--out", str(out)]) == 0
    got = capsys.readouterr()
    lines = [line for line in got.out.splitlines() if line.startswith("[")]
    assert len(lines) == 6
    assert all("6 steps" in line and "w2" in line for line in lines)
    assert "best" in got.out
    assert "/sweep?sweep=" in got.err
    rows = list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))
    assert [(row["method"], row["rho"], row["seed"]) for row in rows[:3]] == [
        ("uotm", "0.5", "0"),
        ("uotm", "inf", "0"),
        ("otm", "inf", "0"),
    ]
    record = json.loads((out / "sweep.json").read_text())
    assert record["spec"]["seeds"] == [0, 1]
    assert len(record["runs"]) == 6
    assert {r.owner for r in common_engine().runs(OWNER)} == {OWNER}


def test_the_command_as_json(capsys):
    assert main(["sweep", "uotm", *WORDS, "--grid", "rho=1", "--json"]) == 0
    got = capsys.readouterr()
    (row,) = json.loads(got.out)
    assert row["state"] == "done"
    assert "[1/1] uotm rho=1 seed 0" in got.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["uotm", "gaussians"], "grid is empty"),
        (["uotm", "gaussians", "--grid", "rho"], "--grid takes key=value"),
        (["uotm", "gaussians", "--grid", "rho="], "commas between them"),
        (["uotm", "gaussians", "--grid", "rho=1", "rho=2"], "twice"),
        (["uotm", "gaussians", "--grid", "speed=1"], "no setting 'speed'"),
        (["uotm", "gaussians", "--grid", "rho=fast"], "rho1 of uotm"),
        (["uotm", "gaussians", "--grid", "rho=1", "--seeds", "a"], "seeds must be whole"),
        (["uotm", "gaussians", "--grid", "rho=1", "--set", "lr"], "--set takes key=value"),
        (["utom", "gaussians", "--grid", "rho=1"], "Did you mean 'uotm'"),
        (["uotm", "gaussians", "--grid", "rho=" + ",".join(map(str, range(1, 502)))], "at most 500"),
    ],
)
def test_a_bad_command_is_a_sentence_and_code_2(words, sentence, capsys):
    assert main(["sweep", *words]) == 2
    got = capsys.readouterr()
    assert got.out == ""
    assert sentence in got.err
    assert got.err.count("\n") == 1


def test_from_python_and_going_on_where_it_was():
    problem = uotlab.load("gaussians", n=64)
    table = uotlab.sweep("uotm", problem, {"rho": 1.0}, seeds=2, steps=5, **SMALL)
    assert [row.cell.spec.seed for row in table.rows] == [2]
    assert all(row.scored for row in table.rows)
    assert repr(table).startswith("<SweepTable uotm on gaussians over rho=1: 1 of 1")
    with pytest.raises(InputError, match="dataset's name"):
        uotlab.sweep("uotm", uotlab.Problem.from_arrays([[0.0], [1.0]], [[1.0], [2.0]]), {"rho": 1.0})
    spec = grid(steps=5000, params={"nap": 0.002})
    sweep = open_sweep(spec, workers=2)
    until(lambda: any(row.step > 3 for row in sweep.rows()))
    sweep.cancel()
    assert sweep.wait(30)
    again = open_sweep(spec, workers=2)
    assert again.id == sweep.id
    again.cancel()
    assert again.wait(30)
    fresh = open_sweep(spec, workers=2, fresh=True)
    assert fresh.id != sweep.id
    fresh.cancel()
    assert fresh.wait(30)
