"""Input-convex networks and the pair of them: gradients, convexity, losses at a known optimum, the best model, Gaussians."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.data.gaussians import gaussian_optimum
from uotlab.methods.base import METHODS
from uotlab.methods.oticnn import conjugate_loss, dual_loss
from uotlab.nets.icnn import ICNN
from uotlab.nets.mlp import Standard

STANDARD = Standard(torch.zeros(3), 1.0)


def net(activation="softplus", first="square", quadratic=True, depth=3, seed=0) -> ICNN:
    made = ICNN(STANDARD, 3, 16, depth, torch.Generator().manual_seed(seed), activation, first, quadratic)
    with torch.no_grad():
        made.w.mul_(20)  # at the start the layers hardly count
    return made.double()


KINDS = [(a, f, q, k) for a in ("softplus", "leaky_relu") for f in ("square", "activated") for q in (True, False) for k in (1, 3)]


@pytest.mark.parametrize(("activation", "first", "quadratic", "depth"), KINDS)
def test_the_written_gradient_is_the_gradient(activation, first, quadratic, depth):
    f = net(activation, first, quadratic, depth)
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    (wanted,) = torch.autograd.grad(f(x).sum(), x)
    assert f(x).shape == (7,)
    assert torch.allclose(f.gradient(x), wanted, atol=1e-12)
    with torch.no_grad():
        assert torch.allclose(f.gradient(x), wanted, atol=1e-12)


@pytest.mark.parametrize(("activation", "first", "quadratic", "depth"), KINDS)
def test_convex_and_its_map_monotone(activation, first, quadratic, depth):
    f = net(activation, first, quadratic, depth)
    rng = torch.Generator().manual_seed(2)
    x, y = 3 * torch.randn(2, 500, 3, dtype=torch.float64, generator=rng)
    with torch.no_grad():
        assert bool((f((x + y) / 2) <= (f(x) + f(y)) / 2 + 1e-9).all())
        assert bool((((f.gradient(x) - f.gradient(y)) * (x - y)).sum(1) >= -1e-9).all())


def test_clamping_makes_it_convex_again():
    f = net()
    assert float(f.negativity().detach()) == 0
    with torch.no_grad():
        f.W[0].sub_(1.0)
    assert float(f.negativity().detach()) == pytest.approx(float(f.W[0].detach().square().sum()))
    f.clamp_()
    assert float(f.negativity().detach()) == 0


def test_losses_at_the_optimum_of_gaussians():
    """f = ½x'Ax and g = ½y'A⁻¹y: the saddle's value gives half the squared Wasserstein distance, and T = Ax is a minimum."""
    S1, S2 = np.diag([1.0, 0.5]), np.array([[1.5, 0.4], [0.4, 0.8]])
    best = gaussian_optimum(np.zeros(2), S1, np.zeros(2), S2)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 300, 2))
    samples = []
    for cloud, S in zip(z, (S1, S2)):
        cloud = cloud - cloud.mean(0)
        white = cloud @ np.linalg.inv(np.linalg.cholesky(np.cov(cloud.T, bias=True))).T
        samples.append(torch.from_numpy(white @ np.linalg.cholesky(S).T))  # exactly the moments S
    x, y = samples
    A = torch.from_numpy(best.A)
    shares = torch.full((300,), 1 / 300, dtype=torch.float64)

    def g(p):
        return ((p @ torch.linalg.inv(A)) * p).sum(1) / 2

    def inner(M):
        return conjugate_loss(g(x @ M.T), x, x @ M.T, shares)

    half = (x.square().sum(1).mean() + y.square().sum(1).mean()) / 2
    assert float(half + inner(A) - shares @ g(y)) == pytest.approx(best.value / 2, abs=1e-9)
    assert float(dual_loss(g(y), g(x @ A.T), shares, shares)) == pytest.approx(0, abs=1e-9)
    for seed in range(3):
        other = A + 0.1 * torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        assert float(inner(other)) > float(inner(A))


def begun(name="oticnn", problem=None, **settings):
    method = METHODS[name](**({"batch_size": 64, "width": 16, "depth": 2} | settings))
    problem = problem or uotlab.load("moons-to-spiral", n=200)
    return method, method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))


@pytest.mark.parametrize(("quadratic", "activation"), [(True, "softplus"), (False, "softplus"), (False, "leaky_relu")])
def test_it_begins_at_the_identity(quadratic, activation):
    _, state = begun(quadratic=quadratic, activation=activation, pretrain=300)
    x = state.f.standard(state.batch(0, 200))
    with torch.no_grad():
        error = float((state.f.gradient(x) - x).square().sum(1).mean().sqrt())
        assert error < (0.1 if quadratic else 0.35) * float(x.square().sum(1).mean().sqrt())
        assert torch.equal(state.f.gradient(x), state.g.gradient(x))  # f and g begin alike


@pytest.mark.parametrize(("rule", "f_convex", "g_convex"), [("clamp", True, True), ("mixed", False, True), ("penalty", False, False)])
def test_which_net_is_clamped(rule, f_convex, g_convex):
    method, state = begun(convex=rule, penalty_weight=0.0, lr=0.05)
    for _ in range(8):
        method.step(state)
    assert [float(n.negativity().detach()) == 0 for n in (state.f, state.g)] == [f_convex, g_convex]


def test_the_best_model_is_kept():
    method, state = begun(select_every=5)
    x = state.held_x[:5]
    for _ in range(5):
        method.step(state)
    first, best = method.transport(state, x).detach(), float(state.best)
    assert math.isfinite(best)
    with torch.no_grad():
        state.f_ema.a.add_(50.0)  # far away
    method.select(state)
    assert float(state.best) == best
    assert torch.equal(method.transport(state, x), first)
    assert not torch.equal(method.preview(state, x), first)


@pytest.mark.parametrize("name", ["oticnn", "uoticnn"])
def test_points_that_choose_are_never_trained_on(name):
    rng = np.random.default_rng(0)
    problem = uotlab.Problem.from_arrays(rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 1)
    _, state = begun(name, problem)
    trained = {tuple(p) for p in state.problem.source.points.tolist()}
    held = {tuple(p) for p in state.held_x.tolist()}
    assert held
    assert not trained & held


def test_other_costs_are_refused():
    with pytest.raises(uotlab.InputError, match="squared Euclidean cost only"):
        begun(cost="euclidean")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "masses"), [("oticnn", {}, 1.0), ("uoticnn", {"rho": 1.0}, 1.4)])
def test_gaussians_are_matched(name, settings, masses):
    problem = uotlab.load("gaussians", n=2000, target_mass=masses)
    fitted = uotlab.fit(name, problem, 300, device="cpu", width=32, **settings)
    t, s = problem.truth, fitted.state.cost.scale
    rho = settings.get("rho", math.inf) * s
    best = gaussian_optimum(
        t["source_mean"], t["source_cov"], t["target_mean"], t["target_cov"], b=masses, rho1=rho, rho2=rho
    )  # fmt: skip
    x = problem.source.fresh(4000, torch.Generator().manual_seed(5)).points
    truth = x.double() @ torch.from_numpy(best.A).T + torch.from_numpy(best.shift)
    error = float((fitted.transport(x) - truth).square().sum(1).mean().sqrt())
    identity = float((x - truth).square().sum(1).mean().sqrt())
    assert error < 0.1 * identity
    if name == "uoticnn":
        assert float(fitted.scaling(x).mean()) == pytest.approx(best.mass, rel=0.08)


def test_potentials_of_a_linear_map_are_the_exact_ones():
    """g quadratic: |y|² - 2 g(y) is the optimal potential of balanced Gaussians, up to a constant; of UOT-ICNN with its constant."""
    from uotlab.metrics.reference import Question, closed_form

    problem = uotlab.load("gaussians", n=400, d=2, target_mass=1.4)
    method = uotlab.METHODS["uoticnn"](rho=1.0, pretrain=0, select_every=0, width=8, depth=1)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    x, y = (m.take(torch.arange(m.n)) for m in problem.marginals)
    a, b = (torch.full((400,), m.mass / 400, dtype=torch.float64) for m in problem.marginals)
    best = closed_form(Question(x.double(), y.double(), a, b, state.cost, ("kl", "kl"), state.penalty, problem.truth))
    s, standard, net = state.cost.scale, state.g_ema.standard, state.g_ema
    # ½ z' M z + a z with M the inverse of the optimal map, in standardised coordinates
    z, wanted = standard(y).double(), best.g / s
    columns = torch.stack([z[:, 0] ** 2, z[:, 0] * z[:, 1], z[:, 1] ** 2, z[:, 0], z[:, 1], torch.ones(400)], 1)
    unit = state.cost.factor * standard.spread.double() ** 2
    fit = torch.linalg.lstsq(columns, (z.square().sum(1) - wanted / unit)[:, None] / 2).solution[:, 0]
    M = torch.tensor([[2 * fit[0], fit[1]], [fit[1], 2 * fit[2]]])
    with torch.no_grad():
        net.w.zero_()
        net.L.copy_(torch.linalg.cholesky(M).T)
        net.a.copy_(fit[3:5])
    values, vectors = (t.clone() for t in (best.zeta.float(), best.xi.float()))
    exact = {"w": values, "u": vectors}
    state.held_x, state.held_y = x, y
    found = super(type(method), method).potential(state, y)
    gap = found.double() - wanted
    assert float(gap.std()) < 1e-3 * float(wanted.std())
    state.rescaling_ema = {k: (lambda p, v=v: v[: len(p)]) for k, v in exact.items()}
    assert torch.allclose(method.potential(state, y).double(), wanted, atol=2e-3 * float(wanted.abs().max()))
