"""Every method on a CUDA device: the same draws as on the CPU, so the same numbers but for rounding. Skipped where there is none."""

import numpy as np
import pytest
import torch

import uotlab
from uotlab.engine.asking import abilities
from uotlab.engine.begin import begin
from uotlab.engine.files import load_tensors, save_tensors
from uotlab.engine.frames import Camera
from uotlab.engine.loop import train
from uotlab.engine.spec import RunSpec

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
STEPS = 4
METHODS = list(uotlab.METHODS)


def problem() -> uotlab.Problem:
    """Five columns, weights and labels."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)).astype(np.float32), rng.normal(1.0, 2.0, size=(50, 5)).astype(np.float32)
    a, b = rng.uniform(0.5, 1.5, 60), rng.uniform(0.5, 1.5, 50)
    return uotlab.Problem.from_arrays(x, y, a / a.sum(), b / b.sum(), x_labels=np.arange(60) % 3, y_labels=np.arange(50) % 3)


def small(name: str):
    cls = uotlab.METHODS[name]
    wanted = {"batch_size": 16, "width": 8, "depth": 1, "plan_tol": 1e-8}  # of a rough plan the devices' answers differ
    return cls(**{k: v for k, v in wanted.items() if k in cls.model_fields})


def started(name: str, device: str, seed: int = 0):
    return begin(RunSpec(method=name, dataset=None, steps=STEPS, seed=seed, device=device), small(name), problem())


@pytest.mark.parametrize("name", METHODS)
def test_steps_are_those_of_the_cpu(name):
    runs = [started(name, device) for device in ("cpu", "cuda")]
    rough = 1e-2 if "eps" in type(runs[0].method).model_fields else 1e-4  # a plan in each step, which ends by its certificate
    first = [run.method.step(run.state) for run in runs]
    for part in first[0]:
        torch.testing.assert_close(first[1][part].cpu(), first[0][part], rtol=rough, atol=1e-5, msg=lambda m, p=part: f"{p}: {m}")
    x = problem().source.points[:20]
    images = []
    for run in runs:
        train(run.method, run.state, STEPS)
        assert all(p.device.type == run.state.device.type for _, p in run.state.parameters())
        with torch.no_grad():
            run.state.rng.manual_seed(0)
            images.append(run.method.transport(run.state, torch.from_numpy(x).to(run.state.device)).cpu())
    # Adam divides a gradient by its own size: where one is all rounding, its weight may go either way
    torch.testing.assert_close(images[1], images[0], rtol=0, atol=0.02 * float(images[0].std()))


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_numbers(name):
    runs = [started(name, "cuda", 3) for _ in range(2)]
    for run in runs:
        train(run.method, run.state, STEPS)
    for (at, p), (_, q) in zip(*(run.state.parameters() for run in runs), strict=True):
        assert torch.equal(p, q), at


@pytest.mark.parametrize("name", METHODS)
def test_trained_there_and_opened_on_the_cpu(name, tmp_path):
    fitted = uotlab.fit(small(name), problem(), STEPS, device="cuda")
    assert fitted.state.device.type == "cuda"
    assert fitted.metrics
    assert np.isfinite([v for v in fitted.metrics.values() if not np.isnan(v)]).all()
    fitted.save(tmp_path / "r.pt")
    opened = uotlab.Fitted.load(tmp_path / "r.pt", device="cpu")
    x, y = problem().source.points[:6], problem().target.points[:6]
    for ability in ("transport", *(a for a in abilities(fitted.method) if a in ("scaling", "target_scaling", "potential", "path"))):
        points = y if ability in ("target_scaling", "potential") else x
        there, here = getattr(fitted, ability)(points), getattr(opened, ability)(points)
        np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4, err_msg=ability)


@pytest.mark.parametrize("name", METHODS)
def test_going_on_from_a_checkpoint(name, tmp_path):
    whole, first, second = (started(name, "cuda") for _ in range(3))
    train(whole.method, whole.state, 2 * STEPS)
    train(first.method, first.state, STEPS)
    save_tensors(tmp_path / "c.pt", first.state.state_dict())
    second.state.load_state_dict(load_tensors(tmp_path / "c.pt"))
    train(second.method, second.state, 2 * STEPS)
    for (at, p), (_, q) in zip(whole.state.parameters(), second.state.parameters(), strict=True):
        assert torch.equal(p, q), at


@pytest.mark.parametrize("name", METHODS)
def test_pictures(name):
    run = started(name, "cuda")
    train(run.method, run.state, 1)
    camera = Camera(run.method, run.state, run.problem)
    for key, array in camera.arrays(still=True).items():
        assert array.dtype == np.float32, key
        assert np.isfinite(array).all(), key
    assert all(isinstance(v, float) for v in camera.metrics(still=True).values())


def test_devices_are_named_with_their_memory():
    from uotlab.engine.begin import devices, pick_device

    assert pick_device("auto").type == "cuda"
    assert devices()["cuda"]["free"] <= devices()["cuda"]["memory"]
    with pytest.raises(uotlab.InputError, match="no device 'cuda:99'"):
        pick_device("cuda:99")
