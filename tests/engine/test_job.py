"""Jobs and the engine: states, queue, limits, failure in a sentence."""

import threading
import time

import pytest
import torch

from uotlab.engine import job as job_module
from uotlab.engine import runner
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError

SLOW = {"nap": 0.002, "steps": 100_000}


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def test_a_job_runs_to_the_end(engine, spec):
    job = engine.submit(spec(), "me")
    assert job.wait(20)
    assert (job.state, job.step, job.steps_total, job.error) == ("done", 30, 30, None)
    assert job.snapshot.step == 30
    assert {"x", "y", "Tx", "xi", "path"} <= job.snapshot.arrays.keys()
    assert "loss" in job.snapshot.metrics
    assert len(job.snapshot.history["loss"]) == 30
    record = engine.store.get(job.id)
    assert (record.state, record.step, record.name) == ("done", 30, "toy on two-squares")
    assert engine.store.history_csv(job.id).count("\n") == 31


def test_pause_step_resume_stop(engine, spec):
    job = engine.submit(spec(**SLOW), "me")
    until(lambda: job.step > 5)
    job.pause()
    assert job.wait(20)
    held = job.step
    assert job.state == "paused"
    time.sleep(0.05)
    assert job.step == held
    for i in (1, 2, 3):
        job.step_once()
        assert job.wait(20)
        assert (job.state, job.step, job.snapshot.step) == ("paused", held + i, held + i)
    job.resume()
    until(lambda: job.step > held + 10)
    assert job.steps_per_second is None or job.steps_per_second > 0
    job.stop()
    assert job.wait(20)
    assert job.state == "stopped"
    assert engine.store.checkpoint(job.id)["state"]["step"] == job.step


def test_a_checkpoint_when_it_is_asked_for(engine, spec):
    job = engine.submit(spec(**SLOW), "me")
    until(lambda: job.step > 5)
    step = job.step
    job.save()
    until(lambda: job.saved >= step)
    assert job.state == "running"
    assert engine.fitted(job.id).state.step >= step
    job.stop()


def test_a_run_keeps_the_defaults_it_began_with(engine):
    """Another version's defaults must not be taken for those that its weights were trained with."""
    params = {"activation": "tanh", "width": 8, "depth": 1, "batch_size": 16}
    job = engine.submit(RunSpec(method="uotm", dataset="two-squares", n=64, params=params, steps=3, device="cpu"), "me")
    assert job.wait(60)
    job.spec = job.spec.model_copy(update={"params": {"width": 8, "depth": 1}})  # as if tanh and 16 had been defaults
    run, _, _ = job_module.restore(engine, job)
    assert (run.method.activation, run.method.batch_size) == ("tanh", 16)


def test_extend_a_finished_job(engine, spec):
    job = engine.submit(spec(), "me")
    job.wait(20)
    with pytest.raises(InputError, match="extend"):
        job.step_once()
    with pytest.raises(InputError, match="n must be"):
        job.extend(0)
    job.extend(12)
    assert job.wait(20)
    assert (job.state, job.step, job.steps_total) == ("done", 42, 42)


def test_speed(engine, spec):
    job = engine.submit(spec(steps=1000), "me")
    job.set_speed(25)
    with pytest.raises(InputError, match="positive"):
        job.set_speed(0)
    until(lambda: job.step >= 3)
    before, start = job.step, time.perf_counter()
    time.sleep(0.6)
    assert job.step - before <= 25 * (time.perf_counter() - start) + 3
    job.set_speed(None)
    assert job.wait(30)


def test_pause_and_finish_do_not_race(engine, spec):
    """Whatever the moment of a word, the job ends in a state that fits its step."""
    for i in range(12):
        job = engine.submit(spec(steps=40, nap=0.0005), f"s{i}")
        word = threading.Timer(0.004 * i, job.pause)
        word.start()
        word.join()  # on a busy machine it may come when the job has long been done, but not while it is extended
        assert job.wait(90)
        until(lambda job=job: job.state in ("done", "paused"))
        assert (job.state == "done") == (job.step == 40)
        if job.state == "paused":
            job.resume()
            assert job.wait(90)
        job.extend(3)
        assert job.wait(90)
        assert (job.state, job.step) == ("done", 43)


def test_queue_positions_and_limits(engine, spec):
    first = engine.submit(spec(**SLOW), "me")
    until(lambda: first.state == "running")
    queued = [engine.submit(spec(), "me") for _ in range(3)]
    assert [j.position for j in queued] == [1, 2, 3]
    assert first.position is None
    with pytest.raises(InputError, match="one running and 3 queued"):
        engine.submit(spec(), "me")
    other = engine.submit(spec(), "someone else")
    assert other.position == 4
    queued[1].stop()
    assert [j.position for j in queued] == [1, None, 2]
    queued[2].pause()
    assert queued[2].state == "paused"
    first.stop()
    assert other.wait(30)
    assert [j.state for j in (first, *queued)] == ["stopped", "done", "stopped", "paused"]
    assert {j.id for j in engine.jobs("someone else")} == {other.id}


def test_a_job_beside_another_trains_at_the_same_time(engine, spec):
    first, beside = engine.submit(spec(**SLOW), "me"), engine.submit(spec(**SLOW), "me", beside=True)
    until(lambda: first.step > 0 and beside.step > 0)
    assert first.state == beside.state == "running"
    waiting = [engine.submit(spec(**SLOW), "me") for _ in range(3)]  # it takes no place in the queue
    assert [j.position for j in waiting] == [1, 2, 3]
    with pytest.raises(InputError, match="runs beside another"):
        engine.submit(spec(), "me", beside=True)
    for job in (first, beside):
        job.pause()
    assert first.wait(20)
    assert beside.wait(20)
    steps = first.step, beside.step
    for job in (first, beside):
        job.step_once()
    until(lambda: first.state == beside.state == "paused")
    assert (first.step, beside.step) == (steps[0] + 1, steps[1] + 1)
    beside.resume()
    until(lambda: beside.step > steps[1] + 1)
    for job in (first, beside, *waiting):
        job.stop()
    assert beside.wait(20)
    assert beside.state == "stopped"


def test_a_paused_job_holds_its_device_for_a_while_only(engine, spec, monkeypatch):
    monkeypatch.setattr(runner, "HOLD_SECONDS", 0.6)
    job = engine.submit(spec(**SLOW), "me")
    until(lambda: job.step > 0)
    waiting = engine.submit(spec(**SLOW), "you")
    job.pause()
    assert job.wait(20)
    time.sleep(0.1)
    assert waiting.state == "queued"
    job.step_once()  # goes before the one that waits
    until(lambda: job.state == "paused")
    until(lambda: waiting.state == "running")
    job.resume()
    assert job.state == "queued"
    waiting.stop()
    until(lambda: job.state == "running")


def test_failure_is_a_sentence_with_the_last_good_checkpoint(engine, spec):
    job = engine.submit(spec(steps=60, fail_at=40), "me")
    job.set_speed(200)
    until(lambda: job.step > 5)
    job.pause()
    assert job.wait(20)
    good = job.step
    job.set_speed(None)
    job.resume()
    assert job.wait(20)
    assert job.state == "failed"
    assert job.error == "Training failed at step 40 (RuntimeError: the toy broke)."
    assert "Traceback" in job.traceback
    assert job.step == good
    record = engine.store.get(job.id)
    assert (record.state, record.error) == ("failed", job.error)
    assert "Traceback" in record.traceback


def test_a_full_disk_ends_the_job_not_the_worker(engine, spec, monkeypatch):
    def full(path, parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_module, "save_tensors", full)
    job = engine.submit(spec(), "me")
    assert job.wait(20)
    assert job.state == "failed"
    assert "No space left on device" in job.error
    monkeypatch.undo()
    job.resume()
    assert job.wait(20)
    assert (job.state, job.error, engine.store.get(job.id).error) == ("done", None, None)


def test_a_store_that_breaks_does_not_end_the_worker(engine, spec, monkeypatch):
    job = engine.submit(spec(steps=300, nap=0.002), "me")
    until(lambda: job.step > 3)

    def broken(*args, **values):
        raise RuntimeError("the store broke")

    monkeypatch.setattr(engine.store, "update", broken)
    job.stop()
    assert job.wait(20)
    monkeypatch.undo()
    later = engine.submit(spec(), "me")
    assert later.wait(20)
    assert later.state == "done"


def test_nan_stops_the_job(engine, spec):
    job = engine.submit(spec(nan_at=9), "me")
    assert job.wait(20)
    assert job.state == "failed"
    assert "'loss' became NaN at step 9" in job.error


def test_bad_specs_are_refused_before_queueing(engine, spec):
    for bad, words in (
        ({"method": "toyy"}, "Did you mean"),
        ({"dataset": "two-square"}, "Did you mean 'two-squares'"),
        ({"params": {"lr": -1.0}}, "lr"),
        ({"data": {"nonsense": 1}}, "nonsense"),
        ({"device": "warp"}, "device"),
        ({"dataset": None}, "dataset"),
    ):
        with pytest.raises(InputError, match=words):
            engine.submit(RunSpec(**({"method": "toy", "dataset": "two-squares"} | bad)), "me")
    assert engine.store.list("me") == []


def test_unwatched_jobs_pause(engine, spec, monkeypatch):
    monkeypatch.setattr(job_module, "UNWATCHED_SECONDS", 0.3)
    job = engine.submit(spec(**SLOW), "me")
    assert job.wait(20)
    assert job.state == "paused"
    assert "nobody watched" in job.note


def test_static_arrays_are_the_same_objects(engine, spec):
    job = engine.submit(spec(**SLOW), "me")
    until(lambda: job.snapshot is not None)
    first = job.snapshot
    job.touch()
    until(lambda: job.snapshot.version > first.version + 1)
    for name in ("x", "y", "x_label", "y_label"):
        assert job.snapshot.arrays[name] is first.arrays[name]
    assert all(a.dtype == "float32" for a in job.snapshot.arrays.values())
    job.stop()


def test_equal_seeds_equal_numbers(engine, spec):
    jobs = [engine.submit(spec(seed=s), f"s{i}") for i, s in enumerate((5, 5, 6))]
    assert all(j.wait(20) for j in jobs)
    nets = [engine.store.checkpoint(j.id)["state"]["net"]["weight"] for j in jobs]
    assert torch.equal(nets[0], nets[1])
    assert not torch.equal(nets[0], nets[2])


def test_job_equals_fit(engine, spec):
    import uotlab

    job = engine.submit(spec(n=500), "me")
    job.wait(20)
    fitted = uotlab.fit("toy", uotlab.load("two-squares", 500), steps=30)
    assert torch.equal(engine.fitted(job.id).state.net.weight, fitted.state.net.weight)
    assert fitted.spec.model_copy(update={"device": "auto"}) == job.spec


def test_few_networks_stay_in_memory(engine, spec):
    jobs = []
    for i in range(runner.NETWORKS_KEPT + 3):
        jobs.append(engine.submit(spec(), f"s{i}"))
        jobs[-1].wait(20)
    until(lambda: sum(j._run is not None for j in jobs) <= runner.NETWORKS_KEPT)
    jobs[0].extend(5)
    assert jobs[0].wait(20)
    assert jobs[0].step == 35
    assert len(jobs[0].history) == 35


def test_delete_a_running_job(engine, spec):
    job = engine.submit(spec(**SLOW), "me")
    until(lambda: job.step > 0)
    with pytest.raises(InputError, match="no such run"):
        engine.delete(job.id, "a stranger")
    engine.delete(job.id, "me")
    assert job.wait(20)
    until(lambda: not engine.store.checkpoint_path(job.id).exists())
    assert engine.job(job.id) is None
    assert engine.store.list("me") == []


def test_forged_ids_lead_nowhere(engine):
    for forged in ("", "nope", "../../etc/passwd", "x" * 500, "'; drop table runs; --"):
        assert engine.job(forged) is None


def test_rename(engine, spec):
    job = engine.submit(spec(), "me", name="first")
    engine.rename(job.id, "  second   name ", "me")
    assert job.name == "second name"
    with pytest.raises(InputError, match="empty"):
        engine.rename(job.id, "  ", "me")
    job.wait(20)
