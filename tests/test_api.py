"""The public API as other people's scripts call it: arrays in, same kind out; wrong input, one sentence."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import uotlab

SMALL = {"batch_size": 16, "width": 8, "depth": 1}


@pytest.fixture(scope="module")
def plane():
    return uotlab.load("moons-to-spiral", n=200, seed=0)


@pytest.fixture(scope="module")
def fitted(plane):
    return uotlab.fit("uotm", plane, steps=8, seed=0, device="auto", tau=0.1, divergence="kl", **SMALL)


@pytest.fixture(scope="module")
def flow(plane):
    return uotlab.fit("uotfm", plane, steps=4, **SMALL)


def test_public_names():
    for name in uotlab.__all__:
        assert hasattr(uotlab, name)
    assert callable(uotlab.sinkhorn)
    for registry in (uotlab.METHODS, uotlab.DATASETS, uotlab.DIVERGENCES, uotlab.COSTS, uotlab.METRICS, uotlab.VIEWS):
        names = list(registry)
        assert names
        assert all(registry[name]().name == name for name in names)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_in_numpy_out(fitted, plane, dtype):
    x, y = plane.source.points[:9].astype(dtype), plane.target.points[:7].astype(dtype)
    for out, shape in (
        (fitted.transport(x), (9, 2)),
        (fitted.scaling(x), (9,)),
        (fitted.target_scaling(y), (7,)),
        (fitted.potential(y), (7,)),
    ):
        assert isinstance(out, np.ndarray)
        assert out.dtype == dtype
        assert out.shape == shape
        assert np.isfinite(out).all()


def test_torch_in_torch_out(fitted, plane):
    x = torch.from_numpy(plane.source.points[:9]).double().requires_grad_()
    out = fitted.transport(x)
    assert isinstance(out, torch.Tensor)
    assert out.dtype == torch.float64
    assert not out.requires_grad
    assert np.allclose(out.numpy(), fitted.transport(plane.source.points[:9]), atol=1e-6)


def test_lists_and_chunks(fitted, plane, monkeypatch):
    assert fitted.transport([[0.0, 1.0], [1, 0]]).dtype == np.float32
    whole = fitted.transport(plane.source.points)
    parts = np.concatenate([fitted.transport(plane.source.points[i : i + 50]) for i in range(0, 200, 50)])
    assert np.allclose(whole, parts, atol=1e-6)


def test_one_dimension_takes_flat_arrays():
    r = uotlab.fit("uotm", uotlab.load("p-to-q", n=100), steps=2, **SMALL)
    grid = np.linspace(-1, 1, 5, dtype=np.float32)
    assert r.transport(grid).shape == (5,)
    assert np.array_equal(r.transport(grid), r.transport(grid[:, None])[:, 0])
    assert r.scaling(grid).shape == (5,)


def test_path(flow, plane):
    x = plane.source.points[:5]
    path = flow.path(x, [0.0, 0.5, 1.0])
    assert path.shape == (5, 3, 2)
    assert path.dtype == np.float32
    assert np.allclose(path[:, 0], x, atol=1e-5)
    assert flow.path(x).shape == (5, 11, 2)
    for bad in ([0.0, 2.0], [0.5, 0.2], [-0.1, 1]):
        with pytest.raises(uotlab.InputError, match="ts must be"):
            flow.path(x, bad)


def test_what_a_method_cannot_do_is_said_in_a_sentence(fitted, plane):
    able = [n for n, cls in uotlab.METHODS.items() if hasattr(cls, "path")]
    with pytest.raises(uotlab.InputError, match=rf"uotm has no path.*{able[0]}"):
        fitted.path(plane.source.points)


def test_spec_makes_the_same_run_again(fitted):
    spec = uotlab.RunSpec.model_validate_json(fitted.spec.model_dump_json())
    again = uotlab.fit(spec.method, uotlab.load(spec.dataset, spec.n), spec.steps, spec.seed, spec.device, **spec.params)
    assert np.array_equal(again.history["step"], fitted.history["step"])
    for name in set(again.history) - {"step"}:
        assert np.array_equal(again.history[name], fitted.history[name]), name


def test_data_seed_is_in_the_spec():
    r = uotlab.fit("fm", uotlab.load("p-to-q", n=50, seed=7), steps=1, **SMALL)
    assert (r.spec.dataset, r.spec.n, r.spec.data) == ("p-to-q", 50, {"seed": 7})


def test_metrics_and_history(fitted):
    assert all(isinstance(v, float) for v in fitted.metrics.values())
    assert fitted.history["step"].tolist() == list(range(1, 9))
    assert fitted.history_csv().splitlines()[0].startswith("step,")


def test_evaluate_says_on_what(fitted, plane):
    got = fitted.evaluate(n=300)
    assert (got["n"], got["m"], got["fresh"]) == (300, 300, 1)
    assert got == pytest.approx(fitted.evaluate(n=300), nan_ok=True)
    assert fitted.evaluated_on == "Evaluated on 300 source and 300 target fresh draws (seed 1)."
    r = uotlab.fit("uotm", uotlab.Problem.from_arrays(plane.source.points, plane.target.points[:150]), steps=2, **SMALL)
    got = r.evaluate()
    assert (got["n"], got["m"], got["fresh"]) == (40, 30, 0)
    assert r.evaluated_on == "Evaluated on 40 source and 30 target held-out points (seed 1)."
    few = uotlab.fit("uotm", uotlab.Problem.from_arrays(np.eye(3), np.eye(3) + 1), steps=2, **SMALL)
    assert few.evaluate()["n"] == 3
    assert "trained on" in few.evaluated_on


def test_held_out_points_are_never_trained_on():
    x = np.arange(100, dtype=np.float32)[:, None]
    train, test = uotlab.Problem.from_arrays(x, x + 1).split(3)
    assert not set(train.source.points.ravel()) & set(test.source.points.ravel())
    assert train.source.n + test.source.n == 100


def test_weights_of_any_total_are_kept_by_the_split():
    x = np.arange(20, dtype=np.float32)[:, None]
    problem = uotlab.Problem.from_arrays(x, x + 1, np.linspace(1, 3, 20), np.full(20, 2.0))
    for part in problem.split(0):
        assert [m.mass for m in part.marginals] == pytest.approx([40.0, 40.0])


def test_save_and_load_of_arrays_keeps_a_subsample(tmp_path):
    x = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    p = uotlab.Problem.from_arrays(x, x[:100] + 1, x_labels=np.array(["a", "b"] * 2500))
    r = uotlab.fit("uotm", p, steps=2, **SMALL)
    r.save(tmp_path / "r.pt")
    loaded = uotlab.Fitted.load(tmp_path / "r.pt")
    assert (loaded.problem.source.n, loaded.problem.target.n) == (4000, 100)
    assert set(loaded.problem.source.labels["label"]) == {"a", "b"}
    assert np.array_equal(loaded.transport(x), r.transport(x))
    assert np.array_equal(loaded.scaling(x), r.scaling(x))
    assert loaded.state.penalty == r.state.penalty
    assert loaded.state.cost == r.state.cost
    (tmp_path / "bad.pt").write_bytes(b"no")
    for name in ("bad.pt", "absent.pt"):
        with pytest.raises(uotlab.InputError, match=name):
            uotlab.Fitted.load(tmp_path / name)


def test_cost_objects(plane, tmp_path):
    cost = uotlab.COSTS["power"](p=3.0)
    r = uotlab.fit("uotm", plane, steps=2, cost=cost, **SMALL)
    assert r.problem.cost == cost
    assert r.spec.params["cost"] == "power"
    assert r.state.cost.p == 3.0
    named = uotlab.fit("uotm", plane, steps=2, cost="power", cost_parameter=3.0, **SMALL)
    assert np.array_equal(named.transport(plane.source.points), r.transport(plane.source.points))
    features = uotlab.COSTS["feature"](features=torch.tanh)
    r = uotlab.fit("uotm", plane, steps=2, cost=features, **SMALL)
    r.save(tmp_path / "f.pt")
    with pytest.raises(uotlab.InputError, match="feature"):
        uotlab.Fitted.load(tmp_path / "f.pt")
    loaded = uotlab.Fitted.load(tmp_path / "f.pt", problem=dataclasses.replace(plane, cost=features))
    assert np.array_equal(loaded.scaling(plane.source.points), r.scaling(plane.source.points))


def test_progress(plane, capsys):
    seen = []
    uotlab.fit("fm", plane, steps=5, progress=lambda step, steps, losses: seen.append((step, steps)), **SMALL)
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)
    assert capsys.readouterr().err == ""
    uotlab.fit("fm", plane, steps=5, progress=True, **SMALL)
    assert "fm: 5/5 steps" in capsys.readouterr().err


def test_threads_are_put_back(plane):
    torch.set_num_threads(2)
    try:
        uotlab.fit("fm", plane, steps=1, **SMALL)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_global_random_state_is_left_alone(plane):
    before = torch.get_rng_state()
    uotlab.fit("uotfm", plane, steps=2, **SMALL).evaluate(100)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "utom"}, "Did you mean 'uotm'"),
        ({"method": 3}, "name or a Method"),
        ({"problem": "moons-to-spiral"}, "must be a Problem"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"steps": 2.5}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"device": "tpu9"}, "device"),
        ({"widht": 8}, "Did you mean 'width'"),
        ({"lr": -1}, "lr of uotm"),
        ({"tau": 0.1, "rho1": 2}, "not both"),
        ({"divergence": "kll"}, "Did you mean 'kl'"),
        ({"cost": "euclid"}, "Did you mean"),
        ({"rho1": math.nan}, "rho1"),
    ],
)
def test_bad_arguments_get_a_sentence(plane, change, words):
    arguments = {"method": "uotm", "problem": plane, "steps": 1} | change
    with pytest.raises(uotlab.InputError, match=words) as error:
        uotlab.fit(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 5)), r"shape \(n, 2\)"),
        (np.zeros((2, 3, 2)), r"shape \(n, 2\)"),
        ([[0.0, math.nan]], "NaN"),
        (np.zeros((0, 2)), "empty"),
        ([["a", "b"]], "numbers only"),
    ],
)
def test_bad_points_get_a_sentence(fitted, x, words):
    with pytest.raises(uotlab.InputError, match=words):
        fitted.transport(x)


def test_a_made_method_takes_no_hyper_parameters(plane):
    method = uotlab.METHODS["uotm"](**SMALL)
    assert uotlab.fit(method, plane, steps=1).method is method
    with pytest.raises(uotlab.InputError, match="already holds its own"):
        uotlab.fit(method, plane, steps=1, lr=0.1)


def test_deterministic_maps_take_no_noise(fitted, plane):
    with pytest.raises(uotlab.InputError, match="not stochastic"):
        fitted.transport(plane.source.points[:2], z=np.zeros((2, 1)))
