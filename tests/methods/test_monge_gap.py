"""The Monge gap: its sign, its gradient by the envelope theorem against finite differences, any cost, Gaussians."""

import math

import pytest
import torch

import uotlab
from uotlab.costs import COSTS, make_cost
from uotlab.data.gaussians import gaussian_optimum
from uotlab.methods.base import METHODS
from uotlab.methods.otmg import fitting_loss, monge_gap_loss, swaps
from uotlab.methods.rebalance import Batch
from uotlab.plans.debiased import sinkhorn_divergence

TIGHT = METHODS["otmg"](tol=1e-8, eps_fit=0.1, eps_gap=0.05)


def points(n=24, seed=0, d=2):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shares(n=24, seed=0):
    a = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.2
    return a / a.sum()


def gap(x, Tx, a, eps, cost="sqeuclidean", method=TIGHT):
    cost = make_cost(cost)
    C = cost.matrix(x, Tx)
    return monge_gap_loss(cost(x, Tx), C, method.held_plan(C, a, a, eps), a, eps)


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
def test_never_negative_and_nothing_for_an_optimal_map(cost):
    x, a = points(), shares()
    shifted = float(gap(x, x + 2.0, a, 0.005, cost))
    assert 0 <= shifted < 0.02
    assert float(gap(x, -x, a, 0.005, cost)) > 10 * shifted + 0.1  # turned around
    for eps in (0.01, 0.1, 1.0):
        assert float(gap(x, x, a, eps, cost)) >= -1e-9


def test_the_map_s_own_pairs_count_where_the_plan_is_worse():
    """A plan far from optimal says nothing against a map: its gap is 0, and nothing pulls at its images."""
    x, a = points(), shares()
    C = make_cost("sqeuclidean").matrix(x, Tx := x.clone().requires_grad_(True))
    poor = a[:, None] * a[None]
    raw = -float((poor * C.detach()).sum()) + 0.01 * float((a * a.log()).sum() - (poor * poor.log()).sum())
    lack = monge_gap_loss(make_cost("sqeuclidean")(x, Tx), C, poor, a, 0.01)
    (grad,) = torch.autograd.grad(lack, Tx)
    assert raw < -0.1
    assert lack.item() == 0
    assert float(grad.abs().max()) == 0


def test_the_gap_falls_with_eps():
    x, a = points(), shares()
    gaps = [float(gap(x, x, a, eps)) for eps in (1.0, 0.1, 0.01, 0.001)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3


def test_gap_gradient_by_the_envelope_theorem():
    """Against differences of the value itself, plan and all: no derivative of the plan is missing."""
    x, a, Tx = points(), shares(), points(seed=3).requires_grad_(True)
    (grad,) = torch.autograd.grad(gap(x, Tx, a, 0.05), Tx)
    assert differences(lambda p: float(gap(x, p, a, 0.05)), Tx.detach()) == pytest.approx(picked(grad), abs=1e-4)


def test_fitting_gradient_is_that_of_the_sinkhorn_divergence():
    a, b, y, Tx = shares(), shares(20, 1), points(20, 1), points(seed=3).requires_grad_(True)
    cost = make_cost("sqeuclidean")
    C, C_self = cost.matrix(Tx, y), cost.matrix(Tx, Tx)
    loss = fitting_loss(C, C_self, TIGHT.held_plan(C, a, b, 0.1), TIGHT.held_plan(C_self, a, a, 0.1))
    (grad,) = torch.autograd.grad(loss, Tx)

    def value(p):
        return sinkhorn_divergence(p, y, a, b, 0.1, tol=1e-9, scale_cost=False)

    assert differences(value, Tx.detach()) == pytest.approx(picked(grad), abs=1e-4)


PLACES = [(0, 0), (3, 1), (11, 0), (23, 1)]


def picked(grad):
    return [float(grad[p]) for p in PLACES]


def differences(value, Tx, h=2e-3):
    found = []
    for place in PLACES:
        more, less = Tx.clone(), Tx.clone()
        more[place] += h
        less[place] -= h
        found.append((value(more) - value(less)) / (2 * h))
    return found


def test_nothing_pulls_where_the_image_is_the_target():
    x, a = points().requires_grad_(True), shares()
    cost = make_cost("sqeuclidean")
    C, C_self = cost.matrix(x, x.detach()), cost.matrix(x, x)
    P = TIGHT.held_plan(C, a, a, 0.1)
    (grad,) = torch.autograd.grad(fitting_loss(C, C_self, P, P), x)
    assert float(grad.abs().max()) < 1e-6


def begun(**settings):
    method = METHODS["otmg"](**({"batch_size": 32, "width": 16, "depth": 1} | settings))
    problem = uotlab.load("moons-to-spiral", n=200)
    return method, method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))


@pytest.mark.parametrize("cost", list(COSTS))
def test_any_cost_trains(cost):
    method, state = begun(cost=cost)
    for _ in range(3):
        losses = method.step(state)
    assert all(math.isfinite(float(v)) for v in losses.values())
    assert all(bool(torch.isfinite(p).all()) for _, p in state.parameters())


def test_points_without_a_share_do_not_count():
    method, state = begun()
    x, y = state.batch(0, 32), state.batch(1, 32)
    a = torch.full((32,), 1 / 31)
    a[5] = 0
    Tx = state.T(x).detach().requires_grad_(True)
    fit, lack = method.terms(state, Batch(x, y, a, torch.full((32,), 1 / 32)), Tx)
    (grad,) = torch.autograd.grad(fit + lack, Tx)
    assert torch.isfinite(grad).all()
    assert float(grad[5].abs().max()) < 1e-6 < float(grad[4].abs().max())


def test_the_fit_does_not_pull_images_together_in_many_dimensions():
    """Images that already have the target's law: neither wider nor narrower is better, in the mean over batches."""
    method = METHODS["otmg"](batch_size=64)
    state = method.init(uotlab.load("gaussians", n=200, d=16), torch.Generator().manual_seed(0), torch.device("cpu"))
    slopes = []
    for seed in range(40):
        scale = torch.ones(1, requires_grad=True)
        x, y = torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(seed))
        (grad,) = torch.autograd.grad(method.fit(state, Batch.plain(scale * x, y)), scale)
        slopes.append(float(grad))
    mean, noise = torch.tensor(slopes).mean(), torch.tensor(slopes).std() / 40**0.5
    assert abs(float(mean)) < 4 * float(noise)


def covariance(Tx, a):
    centred = Tx - a @ Tx
    return (a[:, None] * centred).T @ centred


def test_swaps_leave_mean_and_covariance():
    Tx, a, h = points(200, d=3) @ torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 0.1]]).double(), shares(200), 1e-6
    v = points(200, seed=1, d=3) + 1 + Tx
    kept = swaps(v, Tx, a)
    assert float((a @ kept).abs().max()) < 1e-12
    change = (covariance(Tx + h * kept, a) - covariance(Tx - h * kept, a)) / (2 * h)
    assert float(change.abs().max()) < 1e-6
    torch.testing.assert_close(swaps(kept, Tx, a), kept)  # nothing more to take away


def test_swaps_keep_turns_and_take_stretches():
    Tx, a = points(200), shares(200)
    quarter = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).double()
    K = covariance(Tx, a)
    turn = (Tx - a @ Tx) @ torch.linalg.inv(K) @ quarter  # of the images' own ellipse
    torch.testing.assert_close(swaps(turn, Tx, a), turn)
    stretch = (Tx - 1) @ torch.tensor([[1.0, 0.5], [0.5, -2.0]]).double()
    assert float(swaps(stretch, Tx, a).abs().max()) < 1e-10
    assert float(swaps(0 * Tx, 0 * Tx, a).abs().max()) == 0  # images in one place


def test_the_gap_does_not_narrow_images():
    """Its pull on a map's scale, which in many dimensions is inwards, is left out with "moments"; with "nothing" it is the gap's own."""
    method, plain = METHODS["otmg"](batch_size=128), METHODS["otmg"](batch_size=128, gap_keeps="nothing")
    state = method.init(uotlab.load("gaussians", n=400, d=16), torch.Generator().manual_seed(0), torch.device("cpu"))
    x, y = state.batch(0, 128), state.batch(1, 128)
    pulls = {}
    for m in (method, plain):
        scale = torch.ones(1, requires_grad=True)
        images = (Tx := 2 * (x - x.mean(0))) * scale
        batch = Batch.plain(x, y)
        _, gap = m.terms(state, batch, images)
        (pulls[m.gap_keeps],) = torch.autograd.grad(m.kept(gap, images, batch.a), scale)
    inwards = float(pulls["nothing"])
    assert inwards > 0.05 * float(Tx.square().sum(1).mean()) / state.cost.scale
    assert abs(float(pulls["moments"])) < 1e-3 * inwards
    few = METHODS["otmg"](batch_size=32)
    assert few.kept(gap, images[:32], batch.a[:32]) is gap  # 16 dimensions, 32 points


@pytest.mark.parametrize(("d", "shrink"), [(1, 0.5), (2, 0.5), (16, 0.5 / 64)])
def test_weights_shrink_less_in_many_dimensions(d, shrink):
    method = METHODS["otmg"](width=8, depth=1)
    state = method.init(uotlab.load("gaussians", n=50, d=d), torch.Generator().manual_seed(0), torch.device("cpu"))
    assert state.T_optimiser.param_groups[0]["weight_decay"] == pytest.approx(shrink)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "masses"), [("otmg", {}, 1.0), ("uotmg", {"rho": 1.0}, 1.4)])
def test_gaussians_are_matched(name, settings, masses):
    problem = uotlab.load("gaussians", n=2000, target_mass=masses)
    fitted = uotlab.fit(name, problem, 300, device="cpu", **settings)
    t, s = problem.truth, fitted.state.cost.scale
    rho = settings.get("rho", math.inf) * s
    best = gaussian_optimum(t["source_mean"], t["source_cov"], t["target_mean"], t["target_cov"], b=masses, rho1=rho, rho2=rho)
    x = problem.source.fresh(4000, torch.Generator().manual_seed(5)).points
    truth = x.double() @ torch.from_numpy(best.A).T + torch.from_numpy(best.shift)
    error = float((fitted.transport(x) - truth).square().sum(1).mean().sqrt())
    assert error < 0.15 * float((x - truth).square().sum(1).mean().sqrt())
    if name == "uotmg":
        assert float(fitted.scaling(x).mean()) == pytest.approx(best.mass, rel=0.08)
