"""The one training loop: pause is no step, step is one, guards name step and tensor."""

import time

import pytest
import torch

from uotlab.engine import loop
from uotlab.engine.begin import begin
from uotlab.engine.history import SHOWN, History
from uotlab.engine.loop import Control, NotFinite, train


@pytest.fixture
def run(spec):
    return lambda **params: begin(spec(**params))


def test_runs_to_the_end_and_looks_before_the_first_step(run):
    made, seen = run(), []
    assert train(made.method, made.state, 30, publish=lambda step, losses, still: seen.append((step, still))) == "done"
    assert made.state.step == 30
    assert seen[0] == (0, False)
    assert seen[-1] == (30, True)


def test_pause_takes_no_step_and_step_takes_one(run):
    made, control = run(), Control()
    control.pause()
    assert train(made.method, made.state, 30, control) == "paused"
    assert made.state.step == 0
    for expected in (1, 2):
        control.step_once()
        assert train(made.method, made.state, 30, control) == "paused"
        assert made.state.step == expected
    control.resume()
    assert train(made.method, made.state, 30, control) == "done"


def test_stop_keeps_what_was_done(run):
    made, control, saved = run(), Control(), []

    def publish(step, losses, still):
        control.stop()

    assert train(made.method, made.state, 30, control, publish, lambda: saved.append(made.state.step)) == "stopped"
    assert made.state.step == 1
    assert saved == [1]


def test_extend(run):
    made, control = run(), Control()
    control.extend(5)
    train(made.method, made.state, 30, control)
    assert made.state.step == 35


def test_slow_motion_wakes_at_once_for_stop(run):
    made, control = run(), Control()
    control.set_speed(20)
    start = time.perf_counter()
    train(made.method, made.state, 8, control)
    assert time.perf_counter() - start > 7 / 20
    control.set_speed(0.01)
    import threading

    threading.Timer(0.1, control.stop).start()
    assert train(made.method, made.state, 30, control) == "stopped"
    assert time.perf_counter() - start < 5


def test_looking_does_not_change_the_numbers(run, spec):
    from uotlab.engine.frames import Camera

    plain, watched = run(), run()
    camera = Camera(watched.method, watched.state, watched.problem)
    control = Control()
    control.frame_seconds = 0.0
    train(plain.method, plain.state, 30)
    train(watched.method, watched.state, 30, control, lambda step, losses, still: camera.arrays(still=still) and camera.metrics(still=True))
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(plain.state.parameters(), watched.state.parameters()))


def test_nan_loss_is_named_with_its_step(run):
    made = run(nan_at=7)
    with pytest.raises(NotFinite, match=r"loss 'loss' became NaN at step 7"):
        train(made.method, made.state, 30)


def test_infinite_parameter_is_named_and_never_saved(run):
    made, saved = run(poison_at=30), []
    with pytest.raises(NotFinite, match=r"parameter 'net\.bias' became infinite at step 30"):
        train(made.method, made.state, 30, checkpoint=lambda: saved.append(1))
    assert not saved


def test_looks_become_rarer_when_they_cost_much(run):
    made, seen = run(nap=0.002), []

    def publish(step, losses, still):
        seen.append(step)
        time.sleep(0.02)

    start = time.perf_counter()
    train(made.method, made.state, 300, publish=publish)
    spent = time.perf_counter() - start
    assert 0.02 * (len(seen) - 2) < 2.5 * loop.FRAME_SHARE * spent


def test_history_thins_by_steps_alone():
    whole, first = History(), History()
    for step in range(1, 9001):
        if whole.wants(step):
            whole.record(step, {"loss": 1.0 / step})
        if step <= 5000 and first.wants(step):
            first.record(step, {"loss": 1.0 / step})
    second = History.from_state_dict(first.state_dict())
    for step in range(5001, 9001):
        if second.wants(step):
            second.record(step, {"loss": 1.0 / step})
    assert second.csv() == whole.csv()
    shown = whole.arrays()
    assert len(shown["step"]) == len(shown["loss"]) <= SHOWN
    assert shown["step"][-1] == whole.steps[-1]


def test_history_keeps_late_columns():
    history = History()
    history.record(1, {"loss": 1.0})
    history.live = {"distance": 2.0}
    history.record(2, {"loss": 0.5})
    assert history.csv() == "step,loss,distance\n1,1,nan\n2,0.5,2\n"
