"""Every method on every small problem: shapes, finite numbers, same seed same numbers, JSON, going on, saving, views."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import uotlab
from uotlab.engine.asking import abilities, is_stochastic
from uotlab.engine.begin import begin
from uotlab.engine.files import load_tensors, save_tensors
from uotlab.engine.frames import Camera
from uotlab.engine.loop import train
from uotlab.engine.spec import RunSpec

STEPS = 4


def arrays() -> uotlab.Problem:
    """Five columns, weights, named labels, no sampler: another shape than any toy's."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)).astype(np.float32), rng.normal(1.0, 2.0, size=(50, 5)).astype(np.float32)
    a, b = rng.uniform(0.5, 1.5, 60), rng.uniform(0.5, 1.5, 50)
    return uotlab.Problem.from_arrays(x, y, a / a.sum(), b / b.sum(), x_labels=np.arange(60) % 3, y_labels=np.arange(50) % 3)


PROBLEMS = {
    "line": lambda: uotlab.load("p-to-q", n=64),
    "plane": lambda: uotlab.load("two-squares", n=64),
    "arrays": arrays,
}


def small(method: str, **more: object) -> uotlab.METHODS.__class__:
    """The method with a small net and batch."""
    cls = uotlab.METHODS[method]
    wanted = {"batch_size": 16, "width": 8, "depth": 1} | more
    return cls(**{k: v for k, v in wanted.items() if k in cls.model_fields})


def started(method, problem, seed=0):
    spec = RunSpec(method=method.name, dataset=None, steps=STEPS, seed=seed, device="cpu")
    return begin(spec, method, problem)


@pytest.fixture(params=list(uotlab.METHODS))
def method(request):
    return small(request.param)


@pytest.fixture(params=list(PROBLEMS))
def problem(request):
    return PROBLEMS[request.param]()


def same(a, b) -> bool:
    return all(torch.equal(p, q) for (_, p), (_, q) in zip(a.state.parameters(), b.state.parameters()))


def test_shapes_and_finite_numbers(method, problem):
    run = started(method, problem)
    losses = method.step(run.state)
    assert losses
    for name, loss in losses.items():
        assert loss.ndim == 0, f"{name} must be a 0-dim tensor"
        assert not loss.requires_grad, f"{name} must be detached"
        assert torch.isfinite(loss)
    assert run.state.parameters(), "parameters() feeds the NaN guard"
    x, y = run.train.source.sample(7, run.state.rng), run.train.target.sample(9, run.state.rng)
    with torch.no_grad():
        out = {"transport": method.transport(run.state, x)}
        shapes = {"transport": (7, problem.d)}
        for name in abilities(method):
            if name == "path":
                out[name], shapes[name] = method.path(run.state, x, torch.tensor([0.0, 0.25, 1.0])), (7, 3, problem.d)
                assert torch.allclose(out[name][:, 0], x, atol=1e-5)
                assert torch.allclose(out[name][:, -1], out["transport"], atol=1e-2)
            elif name == "plan":
                plan = method.plan(run.state, x, y)
                out[name], shapes[name] = torch.as_tensor(plan.P), (7, 9)
            elif name == "sample_pairs":
                pairs = method.sample_pairs(run.state, 7)
                assert len(pairs) == len(problem.marginals)
                out[name], shapes[name] = torch.stack(pairs), (len(pairs), 7, problem.d)
            elif name == "sample_barycenter":
                out[name], shapes[name] = method.sample_barycenter(run.state, 7), (7, problem.d)
                for k, marginal in enumerate((x, y)):
                    out[f"map {k}"], shapes[f"map {k}"] = method.barycenter_map(run.state, k, marginal), (len(marginal), problem.d)
                    out[f"accepted {k}"], shapes[f"accepted {k}"] = method.acceptance(run.state, k, marginal), (len(marginal),)
                out["residual"], shapes["residual"] = method.congruence(run.state, x), (7,)
                assert float(out["residual"].abs().max()) < 1e-5
            elif name == "log_density":
                out[name], shapes[name] = method.log_density(run.state, [x, y[:7]]), (7,)
            else:
                points = y if name in ("target_scaling", "potential") else x
                out[name], shapes[name] = getattr(method, name)(run.state, points), (len(points),)
    for name, value in out.items():
        assert tuple(value.shape) == shapes[name], f"{name} has shape {tuple(value.shape)}; a potential or scaling is (n,)"
        assert torch.isfinite(value).all(), name
    for name in ("scaling", "target_scaling"):
        if name in out:
            assert (out[name] >= 0).all()


def test_same_seed_same_numbers_whatever_else_draws(method, problem):
    runs = []
    for seed in (3, 3, 4):
        run = started(method, problem, seed)
        torch.rand(5)  # a draw from the global source must not matter
        train(method, run.state, STEPS)
        runs.append(run)
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_model_survives_json(method):
    cls = type(method)
    assert cls.model_validate_json(method.model_dump_json(exclude_unset=True)) == method
    spec = RunSpec(method=method.name, params=method.model_dump(exclude_unset=True))
    again = RunSpec.model_validate_json(spec.model_dump_json())
    assert cls(**again.params) == method


def test_all_settings_make_the_same_method(method):
    cls = type(method)
    tried = [method, cls(), *([cls(tau=0.5)] if any(method.relaxed) else [])]
    for made in tried:
        again = cls(**json.loads(json.dumps(made.settings())))
        assert again.model_dump() == made.model_dump()


def test_going_on_equals_never_stopping(method, problem, tmp_path):
    whole, first, second = (started(method, problem) for _ in range(3))
    train(method, whole.state, 2 * STEPS)
    train(method, first.state, STEPS)
    save_tensors(tmp_path / "c.pt", first.state.state_dict())
    second.state.load_state_dict(load_tensors(tmp_path / "c.pt"))
    train(method, second.state, 2 * STEPS)
    assert second.state.step == whole.state.step == 2 * STEPS
    assert same(whole, second)
    x = whole.train.source.points[:5]
    x = torch.from_numpy(np.array(x))
    with torch.no_grad():
        whole.state.rng.manual_seed(0), second.state.rng.manual_seed(0)
        assert torch.equal(method.transport(whole.state, x), method.transport(second.state, x))


def test_save_and_load(method, problem, tmp_path):
    fitted = uotlab.fit(method, problem, STEPS, device="cpu")
    fitted.save(tmp_path / "r.pt")
    loaded = uotlab.Fitted.load(tmp_path / "r.pt", device="cpu")
    assert loaded.spec == fitted.spec
    assert loaded.method == method
    assert loaded.metrics == pytest.approx(fitted.metrics, nan_ok=True)
    assert np.array_equal(loaded.history["step"], fitted.history["step"])
    x, y = problem.source.points[:6], problem.target.points[:6]
    if "sample_pairs" in abilities(method):
        assert all(np.array_equal(p, q) for p, q in zip(loaded.sample_pairs(6), fitted.sample_pairs(6), strict=True))
    if "sample_barycenter" in abilities(method):
        assert np.array_equal(loaded.sample_barycenter(6), fitted.sample_barycenter(6))
        assert np.array_equal(loaded.acceptance(1, y), fitted.acceptance(1, y))
    if "log_density" in abilities(method):
        assert np.array_equal(loaded.log_density(x, y), fitted.log_density(x, y))
    for name in ("transport", *(a for a in abilities(method) if a not in ("plan", "sample_pairs", "log_density", "sample_barycenter"))):
        points = y if name in ("target_scaling", "potential") else x
        assert np.array_equal(getattr(loaded, name)(points), getattr(fitted, name)(points)), name
    assert loaded.problem.d == problem.d


def test_frames_have_the_promised_arrays(method, problem):
    run = started(method, problem)
    train(method, run.state, 1)
    camera = Camera(method, run.state, run.problem)
    before = run.state.rng.get_state()
    first, second = camera.arrays(), camera.arrays(still=True)
    assert torch.equal(before, run.state.rng.get_state())
    assert first["Tx"].shape == first["x"].shape
    assert ("x2" in first) == (problem.d > 2)
    assert ("xi" in first) == ("scaling" in abilities(method))
    assert ("path" in first) == ("path" in abilities(method))
    assert ("Tx_z" in first) == is_stochastic(method)
    for name, array in first.items():
        assert array.dtype == np.float32, name
        assert array.flags.c_contiguous, name
    for name in ("x", "y"):
        assert first[name] is second[name]
    assert all(isinstance(v, float) for v in camera.metrics(still=True).values())


def test_every_view_draws(method, problem):
    run = started(method, problem)
    camera = Camera(method, run.state, run.problem)
    arrays = camera.arrays(still=True) | {"history/step": np.arange(3, dtype=np.float32), "history/loss": np.ones(3, np.float32)}
    drawn = [cls().figure(arrays) for _, cls in uotlab.VIEWS.items() if cls().applies(arrays)]
    assert drawn


@pytest.mark.parametrize("name", [n for n, cls in uotlab.METHODS.items() if "noise" in cls.model_fields])
def test_stochastic_maps(name):
    method, problem = small(name, noise=2), arrays()
    fitted = uotlab.fit(method, problem, STEPS, device="cpu")
    x = problem.source.points[:6]
    assert np.array_equal(fitted.transport(x), fitted.transport(x))
    z = np.zeros((6, 2), np.float32)
    assert fitted.transport(x, z).shape == (6, 5)
    assert not np.array_equal(fitted.transport(x, z), fitted.transport(x, z + 3))
    clouds = Camera(method, fitted.state, problem).arrays()["Tx_z"]
    assert clouds.shape[2] == 5
    assert (clouds.std(1) > 0).any(), "the images of one point under different noise differ"


@pytest.mark.parametrize("name", list(uotlab.METHODS))
def test_unequal_masses(name):
    """Weights are masses: a method that can relax a side takes them, one that cannot says so in a sentence."""
    problem = dataclasses.replace(arrays())
    source = dataclasses.replace(problem.source, weights=problem.source.weights * 2)
    problem = dataclasses.replace(problem, marginals=(source, problem.target))
    method = small(name)
    if any(method.relaxed):
        assert np.isfinite(list(uotlab.fit(method, problem, 2, device="cpu").metrics.values())).all()
    else:
        with pytest.raises(uotlab.InputError, match="masses differ"):
            uotlab.fit(method, problem, 2, device="cpu")
