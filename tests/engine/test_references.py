"""References and scores of runs: asked for without waiting, kept on disk, live while a job trains and stored when it ends."""

import dataclasses
import math
import threading
import time

import numpy as np
import pytest
import torch

import uotlab
from uotlab.engine import references
from uotlab.engine.background import Background, background
from uotlab.engine.begin import begin
from uotlab.engine.final import SCORING
from uotlab.engine.follower import Follower
from uotlab.engine.references import COMPUTING, Request, ask, find, folder, key_of, question
from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec
from uotlab.engine.store import Store


@pytest.fixture(autouse=True)
def empty(store, monkeypatch):
    """No reference in memory, and a folder of this test's own."""
    monkeypatch.setattr(references, "_held", type(references._held)())


def started(method="uotm", dataset="two-squares", n=300, data=None, **params):
    run = begin(RunSpec(method=method, dataset=dataset, n=n, data=data or {}, params={"width": 8, "depth": 1} | params, device="cpu"))
    return run, (run.method, run.state, run.problem)


def test_a_reference_is_asked_for_and_comes_later(monkeypatch):
    gate = threading.Event()
    real = references.discrete
    monkeypatch.setattr(references, "discrete", lambda *a: gate.wait(20) and real(*a))
    _, what = started()
    begun = time.perf_counter()
    request = ask(*what)
    assert time.perf_counter() - begun < 0.5
    assert (request.reference, request.waiting) == (None, COMPUTING)
    gate.set()
    assert background().wait(60)
    assert request.reference is not None
    assert request.waiting == ""


def test_it_is_found_again_in_memory_and_on_disk(monkeypatch):
    _, what = started()
    first = find(*what).reference
    (path,) = folder().glob("*.npz")
    with np.load(path, allow_pickle=False) as file:
        assert {"Tx", "xi", "zeta", "f", "g"} <= set(file)
    monkeypatch.setattr(references, "discrete", lambda *a: pytest.fail("it was computed again"))
    assert find(*what).reference is first
    references._held.clear()
    again = find(*what).reference
    assert again is not None
    for name in ("x", "Tx", "xi", "zeta", "f", "g"):
        assert torch.equal(getattr(again, name), getattr(first, name)), name
    assert (again.value, again.mass, again.noise, again.divergences) == (first.value, first.mass, first.noise, first.divergences)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_file_is_computed_again(damage):
    _, what = started()
    first = find(*what).reference
    (path,) = folder().glob("*.npz")
    if damage is None:
        np.savez(path, Tx=np.zeros((3, 2)))
    else:
        path.write_bytes(damage)
    references._held.clear()
    again = find(*what).reference
    assert again is not None
    assert again.value == pytest.approx(first.value)


def test_the_key_holds_all_that_matters():
    _, what = started()
    q = question(*what)
    keys = [key_of(p) for p in (
        q, question(*started()[1]), dataclasses.replace(q, penalty=uotlab.METHODS["uotm"](rho=1.0).penalty_at(1.0)),
        dataclasses.replace(q, divergences=("kl", "chi2")), dataclasses.replace(q, cost=dataclasses.replace(q.cost, factor=2.0)),
        dataclasses.replace(q, x=q.x + 1e-9), dataclasses.replace(q, b=2 * q.b), question(*started(cost="euclidean")[1]),
    )]  # fmt: skip
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(keys) - 1


def test_closed_forms_stand_in():
    found = find(*started(dataset="gaussians", data={"d": 3, "target_mass": 1.4}, rho=1.0)[1]).reference
    assert found is not None
    assert found.exact
    assert not folder().exists()


def test_where_there_is_none_a_sentence_says_why():
    request = find(*started("ubgan", c2="jeffreys")[1])
    assert request.reference is None
    assert request.waiting.startswith("No reference: ubgan with these settings")
    scheduled, _ = started("uotm", schedule="linear", alpha_max=4.0, rho=2.0)
    assert scheduled.method.settled(scheduled.state).rho1 == pytest.approx(8.0)


def test_weighted_arrays_keep_their_masses():
    rng = np.random.default_rng(0)
    x, y, a = rng.normal(size=(120, 3)), rng.normal(1, 2, size=(90, 3)), rng.uniform(0.2, 2.0, 120)
    a[:5] = 0
    problem = uotlab.Problem.from_arrays(x, y, a=a)
    fitted = uotlab.fit("uotfm", problem, 2, rho=1.0, width=8, depth=1, batch_size=16, device="cpu")
    values = fitted.evaluate()
    q = question(fitted.method, fitted.state, problem)
    assert len(q.x) == 115
    assert float(q.a.sum()) == pytest.approx(a.sum())
    assert {"map error", "scaling error", "mass error"} <= set(values)
    assert "discrete optimum of 115 × 90 points" in fitted.notes["reference"]


def test_evaluate_without_a_reference():
    fitted = uotlab.fit("uotm", uotlab.load("two-squares", n=200), 2, width=8, depth=1, device="cpu")
    values = fitted.evaluate(300, reference=False)
    assert "map error" not in values
    assert not folder().exists()
    assert "map error" in fitted.evaluate(300)
    assert all(isinstance(v, float) and math.isfinite(v) for v in fitted.evaluate(300).values())


def test_the_follower_says_that_it_waits_and_then_has_errors():
    _, what = started()
    request = Request()
    follower = Follower(*what, request)
    scores = follower.scores()
    assert scores.notes["reference"] == COMPUTING
    assert "map error" not in scores
    request.fill(lambda: find(*what).reference)
    scores = follower.scores(still=True)
    assert {"map error", "map error share", "scaling error", "mass error", "mass", "ess"} <= set(scores)
    assert scores.notes["reference"].startswith("Errors are against the discrete optimum of 1000 × 1000 points")
    follower._slow_due = 0.0
    follower.scores()
    assert background().wait(60)
    assert {"w2", "w2 floor", "objective gap %", "semi-dual gap %", "kl"} <= set(follower.scores())


def test_looking_does_not_change_the_run():
    numbers = []
    for request in (None, Request().fill(lambda: find(*started()[1]).reference)):
        run, what = started()
        follower = Follower(*what, request)
        for _ in range(3):
            run.method.step(run.state)
            follower._slow_due = 0.0
            follower._due = 0.0
            follower.scores()
            follower.scores()
        numbers.append([p.clone() for _, p in run.state.parameters()])
    assert all(torch.equal(p, q) for p, q in zip(*numbers, strict=True))
    assert background().wait(60)


def test_a_job_that_ends_is_scored_and_the_store_has_it(engine, spec):
    job = engine.submit(spec(), "me")
    assert job.wait(20)
    assert job.notes.get("final") == SCORING or "map error" in job.metrics
    assert background().wait(60)
    record = engine.store.get(job.id)
    assert {"map error", "map error share", "w2", "kl", "n", "loss", "mass"} <= set(record.metrics)
    assert record.metrics["n"] == 4000
    assert record.notes["final"].startswith("Evaluated on 4000 source")
    assert dict(job.metrics) == dict(record.metrics) == dict(job.snapshot.metrics)
    assert job.snapshot.notes == record.notes
    other = Engine(engine.store.folder)
    assert other.job(job.id).notes == record.notes
    other.close()


def test_a_run_that_goes_on_keeps_its_own_numbers(engine, spec):
    job = engine.submit(spec(nap=0.002, steps=50), "me")
    blocked = threading.Event()
    background().submit(lambda: blocked.wait(20))  # the scores have to wait
    assert job.wait(20)
    job.extend(100_000)
    end = time.monotonic() + 20
    while job.state != "running" and time.monotonic() < end:
        time.sleep(0.01)
    blocked.set()
    assert background().wait(60)
    assert "n" not in job.metrics
    assert job.notes.get("final") != SCORING
    job.stop()
    assert job.wait(20)
    assert background().wait(60)
    assert job.metrics["n"] == 4000


def test_an_older_store_gets_the_new_column(tmp_path, spec):
    store = Store(tmp_path)
    with store._db.begin() as db:
        db.exec_driver_sql("ALTER TABLE runs DROP COLUMN notes")
    store.close()
    again = Store(tmp_path)
    record = again.add("a", "me", "one", spec(), 10)
    assert record.notes == {}
    again.update("a", notes={"kl": "a sentence"})
    assert again.get("a").notes == {"kl": "a sentence"}
    again.close()


def test_background_tasks_come_in_order_and_end():
    here, done, gate = Background(), [], threading.Event()
    here.submit(lambda: gate.wait(10))
    here.submit(lambda: done.append("later"))
    here.submit(lambda: done.append("soon"), urgent=True)
    assert here.busy
    gate.set()
    assert here.wait(10)
    assert done == ["soon", "later"]
    here.end()
    here.submit(lambda: done.append("never"))
    time.sleep(0.05)
    assert done == ["soon", "later"]
    assert here.ending()
