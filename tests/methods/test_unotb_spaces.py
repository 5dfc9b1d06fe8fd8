"""Barycenters of marginals on spaces of their own: a cost for each, one scale, maps between spaces, who refuses."""

import dataclasses

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import Observed, SquaredEuclidean
from uotlab.engine.begin import begin
from uotlab.engine.files import load_tensors, save_tensors
from uotlab.engine.frames import Camera, portrait
from uotlab.engine.loop import train
from uotlab.engine.spec import RunSpec
from uotlab.problem import BarycenterSpace, ImageSpace
from uotlab.ui.wire import views_of
from uotlab.views.base import VIEWS

SMALL = {"width": 16, "depth": 1, "batch_size": 32}


def first(y):
    return y[:, :1]


def others(y):
    return 2 * y[:, 1:]


def uniform(n, rng):
    return 2 * torch.rand(n, 3, generator=rng) - 1


def ball(y):
    return y * (1 + y.square().sum(1, keepdim=True)).rsqrt()


def tiles(points):
    return np.broadcast_to(np.clip(points[:, :1, None], 0, 1), (len(points), 4, 4))


def apart(n: int = 80, far: float = 3.0, **more) -> uotlab.Problem:
    """A number and a pair of numbers; y in the unit ball of R^3 has both as coordinates. Of each a tenth lies where no y is."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.5, 0.5, (n, 1)), rng.uniform(-0.5, 0.5, (n, 2))
    x[: n // 10], y[: n // 10] = far, -far
    kinds = np.where(np.arange(n) < n // 10, "outlier", "bulk")
    images = ImageSpace(4, 4, tiles)
    space = BarycenterSpace(3, (Observed(h=first), Observed(h=others)), uniform, ball, torch.sin, images, (images, None))
    return uotlab.Problem.from_arrays(
        x, y, x_labels=kinds, y_labels=kinds, space=dataclasses.replace(space, **more), name="apart", kind="table"
    )


def test_observed_costs_pair_and_match():
    rng = torch.Generator().manual_seed(0)
    x, y, cost = torch.randn(7, 1, generator=rng), torch.randn(5, 3, generator=rng), Observed(h=first, factor=3.0)
    C = cost.matrix(x, y)
    pairs = cost(x.repeat_interleave(5, 0), y.repeat(7, 1)).reshape(7, 5)
    torch.testing.assert_close(C, pairs)
    torch.testing.assert_close(C, 3 * (x - y[:, :1].T).square())
    assert Observed()(x, x).tolist() == [0.0] * 7


def test_all_costs_have_one_scale_and_keep_their_proportion():
    problem = apart()
    method = uotlab.METHODS["unotb"](tau=2.0, **SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    y = uniform(2048, torch.Generator().manual_seed(0))
    means = [float(c.matrix(torch.from_numpy(m.points), y).mean()) for c, m in zip(problem.space.costs, problem.marginals)]
    assert state.cost.scale == pytest.approx(sum(means) / 2, rel=1e-5)
    assert state.cost_of(0).factor == state.cost_of(1).factor == state.cost.factor
    assert state.rho.tolist() == pytest.approx([4 / state.cost.scale] * 2)
    x, image = torch.zeros(4, 2), torch.ones(4, 3)
    torch.testing.assert_close(state.cost_of(1)(x, image), torch.full((4,), 8.0 / state.cost.scale))


def test_maps_lead_onto_the_space_and_conformance_holds(tmp_path):
    problem, method = apart(), uotlab.METHODS["unotb"](**SMALL)
    spec = RunSpec(method="unotb", dataset=None, steps=4, device="cpu")
    whole, half, again = (begin(spec, method, problem) for _ in range(3))
    train(method, whole.state, 6)
    train(method, half.state, 3)
    save_tensors(tmp_path / "c.pt", half.state.state_dict())
    again.state.load_state_dict(load_tensors(tmp_path / "c.pt"))
    train(method, again.state, 6)
    assert all(torch.equal(p, q) for (_, p), (_, q) in zip(whole.state.parameters(), again.state.parameters()))
    with torch.no_grad():
        for k, m in enumerate(problem.marginals):
            x = torch.from_numpy(m.points)
            there = method.barycenter_map(whole.state, k, x)
            assert there.shape == (len(x), 3)
            assert float(there.norm(dim=1).max()) < 1
            assert method.acceptance(whole.state, k, x).shape == (len(x),)
            assert not torch.equal(there[-1], method.barycenter_map(whole.state, k, x[-1:].repeat(2, 1))[1]), "one point has many images"
        y = method.sample_barycenter(whole.state, 9)
        assert y.shape == (9, 3)
        assert float(method.congruence(whole.state, y).abs().max()) < 1e-5


def test_what_no_point_can_explain_is_let_go():
    """Coordinates match at no cost within the ball; nothing there is near an outlier. The balanced twin keeps all."""
    problem, settings = apart(400), {"width": 32, "depth": 1, "batch_size": 64, "lr": 5e-3}
    fitted = uotlab.fit("unotb", problem, 200, device="cpu", tau=0.5, **settings)
    for k, m in enumerate(problem.marginals):
        w, out = np.asarray(fitted.acceptance(k, m.points)), m.labels["label"] == "outlier"
        assert w[out].mean() < 0.1 * w[~out].mean()
        y = torch.as_tensor(fitted.barycenter_map(k, m.points))
        seen = np.asarray(problem.space.costs[k].h(y))
        assert np.square(seen - m.points)[~out].sum(1).mean() < 0.1 * np.square(m.points[~out]).sum(1).mean() + 0.05
    numbers = fitted.evaluate(200)
    assert "not available for these costs" in fitted.notes["reference"]
    assert numbers["mass of marginal 1"] == pytest.approx(1, abs=0.4)
    assert "barycenter L2" not in numbers
    held = uotlab.fit("notb", problem, 2, device="cpu", **SMALL)
    assert np.asarray(held.acceptance(1, problem.target.points)).tolist() == [1.0] * 400


def test_frames_hold_no_common_plane():
    problem, method = apart(), uotlab.METHODS["unotb"](**SMALL)
    run = begin(RunSpec(method="unotb", dataset=None, steps=1, device="cpu"), method, problem)
    camera = Camera(method, run.state, problem)
    arrays = camera.arrays() | {f"names/{k}": np.array(v) for k, v in camera.labels.items()}
    assert not {"x", "Tx", "marginal/0", "image/0"} & set(arrays)
    assert arrays["weight/0"].shape == arrays["accepted/1"].shape == (80,)
    assert arrays["image_image/0"].shape == (len(arrays["image_label/0"]), 4, 4)
    assert "marginal_image/1" not in arrays
    assert {"barycenter-digits", "barycenter-acceptance"} <= set(views_of(arrays))
    for name in views_of(arrays):
        assert VIEWS[name]().figure(arrays).data
    before, labels = portrait(problem)
    assert labels["marginal_label/0"] == ("bulk", "outlier")
    assert views_of(before) == ["barycenter-digits"]


def test_who_cannot_is_told(tmp_path):
    problem = apart()
    for name in uotlab.METHODS:
        if name not in ("unotb", "notb"):
            with pytest.raises(uotlab.InputError, match=r"different spaces.*unotb"):
                uotlab.fit(name, problem, 1, device="cpu")
    with pytest.raises(uotlab.InputError, match="cost of its own"):
        uotlab.fit("unotb", problem, 1, device="cpu", cost="euclidean", **SMALL)
    with pytest.raises(uotlab.InputError, match="one cost a marginal, 2; it has 1"):
        apart(costs=(SquaredEuclidean(),))
    fitted = uotlab.fit("unotb", problem, 1, device="cpu", **SMALL)
    with pytest.raises(uotlab.InputError, match=r"\(n, 2\)"):
        fitted.acceptance(1, problem.source.points)
    fitted.save(tmp_path / "fit.pt")
    with pytest.raises(uotlab.InputError, match="between this fit's spaces"):
        uotlab.Fitted.load(tmp_path / "fit.pt")
    again = uotlab.Fitted.load(tmp_path / "fit.pt", problem)
    assert np.array_equal(again.transport(problem.source.points), fitted.transport(problem.source.points))
