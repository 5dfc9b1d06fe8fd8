"""UB-dual: its losses at known optima, the plan against Sinkhorn's, and the map against the closed forms."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import make_cost
from uotlab.divergences import DIVERGENCES
from uotlab.methods.ubdual import closed_form, dual_loss, projection_loss
from uotlab.penalty import Penalty
from uotlab.plans.sinkhorn import sinkhorn

KL = DIVERGENCES["kl"]()


@pytest.fixture(scope="module")
def solved():
    """Equal weights of masses 1 and 1.4, unscaled squared cost, with the plan of `sinkhorn`, float64."""
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 2, generator=rng, dtype=torch.float64) + m for n, m in ((12, 0), (15, 1)))
    a, b = torch.full((12,), 1 / 12, dtype=torch.float64), torch.full((15,), 1.4 / 15, dtype=torch.float64)
    plan = sinkhorn(x, y, a, b, eps=0.3, rho1=2.0, rho2=1.0, tol=1e-10, scale_cost=False)
    return x, y, plan, make_cost("sqeuclidean").matrix(x, y)


def test_dual_loss_at_sinkhorns_potentials(solved):
    """Minus the value of the entropic problem, all gradients 0, and higher anywhere else."""
    _x, _y, plan, C = solved
    u, v = (p.clone().requires_grad_(True) for p in (plan.f, plan.g))

    def loss(u, v):
        return dual_loss(u, v, C, 0.3, KL, KL, Penalty(2.0, 1.0), (1.0, 1.4))

    assert -float(loss(u, v).detach()) == pytest.approx(plan.value, rel=1e-8)
    for grad in torch.autograd.grad(loss(u, v), (u, v)):
        assert float(grad.abs().max()) < 1e-6
    rng = torch.Generator().manual_seed(1)
    for _ in range(5):
        du, dv = (0.1 * torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in (u, v))
        assert float(loss(u + du, v + dv).detach()) > float(loss(u, v).detach())


@pytest.mark.parametrize("name", [n for n in DIVERGENCES if n not in ("tv", "softplus-raw")])
def test_plan_and_factors_agree_at_the_optimum(name, solved):
    """Descending the loss gives P 1 / a = psi1*'(-u / rho1) and the same on the target: the equality that defines the optimum."""
    _x, _y, _, C = solved
    C, psi = C[:8, :8], DIVERGENCES[name]()
    u, v = (torch.zeros(8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimiser = torch.optim.LBFGS([u, v], max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe")
    penalty = Penalty() if name == "balanced" else Penalty(2.0, 3.0)

    def closure():
        optimiser.zero_grad()
        loss = dual_loss(u, v, C, 0.5, psi, psi, penalty)
        loss.backward()
        return loss

    optimiser.step(closure)
    density = ((u[:, None] + v[None] - C) / 0.5).exp().detach()
    assert torch.allclose(density.mean(1), psi.star_grad(-u.detach() / min(penalty.rho1, 1e9)), atol=1e-5)
    assert torch.allclose(density.mean(0), psi.star_grad(-v.detach() / min(penalty.rho2, 1e9)), atol=1e-5)


def test_exponent_is_capped():
    u = torch.tensor([1e4, 0.0], requires_grad=True)
    loss = dual_loss(u, torch.zeros(2), torch.zeros(2, 2), 0.01, KL, KL, Penalty(0.01, 1.0))
    (grad,) = torch.autograd.grad(loss, u)
    assert bool(torch.isfinite(loss) and torch.isfinite(grad).all())
    assert float(grad[0]) > 0  # down again


def test_projection_is_least_at_the_barycentric_map(solved):
    x, y, plan, C = solved
    cost = make_cost("sqeuclidean")
    best = plan.barycentric_map().clone().requires_grad_(True)
    loss = projection_loss(best, y, plan.f, plan.g, C, 0.3, cost)
    (grad,) = torch.autograd.grad(loss, best)
    assert float(grad.abs().max()) < 1e-6
    assert torch.allclose(closed_form(x, y, plan.g, 0.3, cost), best.detach(), atol=1e-8)


def test_projection_of_few_distances_is_that_of_all_pairs(solved):
    """The n distances of squared costs have the gradient of all n m pairs, of sum_ij d(y_j, T(x_i)) P_ij / sum P."""
    _x, y, plan, C = solved
    Tx = torch.randn(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    cost = make_cost("sqeuclidean")
    (few,) = torch.autograd.grad(projection_loss(Tx, y, plan.f, plan.g, C, 0.3, cost), Tx)
    (whole,) = torch.autograd.grad((plan.P / plan.P.sum() * cost.matrix(Tx, y)).sum(), Tx)
    assert torch.allclose(few, whole, atol=1e-8)
    l1 = projection_loss(Tx, y, plan.f, plan.g, C, 0.3, make_cost("euclidean"))
    assert float(l1.detach()) == pytest.approx(float((plan.P / plan.P.sum() * torch.cdist(Tx, y)).sum().detach()))


@pytest.fixture(scope="module")
def problem():
    return uotlab.load("moons-to-spiral", n=200, seed=0)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_trains_with_every_divergence(name, problem):
    fitted = uotlab.fit("ubdual", problem, 3, device="cpu", divergence=name, rho=0.5, batch_size=16, width=8)
    x, y = (m.points[:9] for m in problem.marginals)
    for value in (fitted.transport(x), fitted.scaling(x), fitted.target_scaling(y), fitted.potential(y), fitted.plan(x, y).P):
        assert np.isfinite(value).all()
    assert (fitted.scaling(x) == 1).all() == (name in ("balanced", "tv"))  # total variation keeps or drops a point whole


def test_closed_form_is_for_squared_costs(problem):
    settings = {"device": "cpu", "batch_size": 16, "width": 8, "projection": "closed-form"}
    fitted = uotlab.fit("ubdual", problem, 2, **settings)
    x = problem.source.points[:50]
    low, high = problem.target.points.min(0), problem.target.points.max(0)
    assert ((fitted.transport(x) >= low) & (fitted.transport(x) <= high)).all()
    with pytest.raises(uotlab.InputError, match="closed-form"):
        uotlab.fit("ubdual", problem, 1, cost="euclidean", **settings)
    assert np.isfinite(uotlab.fit("ubdual", problem, 2, cost="euclidean", **(settings | {"projection": "learned"})).transport(x)).all()


def test_plan_has_the_mass_of_its_marginals_and_a_true_certificate():
    """Unequal masses; the value of the nets' plan lies above the optimum by at most its certificate."""
    problem = uotlab.load("gaussians", n=400, seed=0, target_mass=1.4)
    fitted = uotlab.fit("ubdual", problem, 200, device="cpu", rho=1.0, eps=0.2, batch_size=64, width=32)
    x, y = (torch.as_tensor(m.points[:100]) for m in problem.marginals)
    plan, s = fitted.plan(x, y), fitted.state.cost.scale
    a, b = (torch.full((100,), m / 100, dtype=torch.float64) for m in (1.0, 1.4))
    best = sinkhorn(x.double(), y.double(), a, b, eps=0.2 * s, rho1=s, rho2=s, tol=1e-8, scale_cost=False)
    assert float(plan.b.sum()) == pytest.approx(1.4)
    assert 0 < plan.certificate < math.inf
    room = max(abs(plan.value), s * plan.mass)
    assert best.value <= plan.value + 1e-6 * room
    assert plan.value <= best.value + plan.certificate * room * 1.001


@pytest.mark.slow
def test_gaussians_reach_sinkhorn():
    """Masses 1 and 1.4, rho = 1: value, mass and map of Sinkhorn at the same eps, on points that training never saw."""
    problem = uotlab.load("gaussians", n=4000, seed=0, target_mass=1.4)
    fitted = uotlab.fit("ubdual", problem, 1000, device="cpu", rho=1.0, width=64)
    x, y = (m.fresh(1000, torch.Generator().manual_seed(9)).points for m in problem.marginals)
    plan, s = fitted.plan(x, y), fitted.state.cost.scale
    a, b = (torch.full((1000,), m / 1000, dtype=torch.float64) for m in (1.0, 1.4))
    best = sinkhorn(x.double(), y.double(), a, b, eps=0.05 * s, rho1=s, rho2=s, tol=1e-5, scale_cost=False)
    assert plan.certificate < 0.03
    assert plan.value == pytest.approx(best.value, rel=0.03)
    assert plan.mass == pytest.approx(best.mass, rel=0.05)
    wanted = best.barycentric_map().float()

    def off(Tx):
        return float((torch.as_tensor(Tx) - wanted).square().sum(1).mean().sqrt()) / float(wanted.var(0).sum().sqrt())

    assert off(fitted.transport(x)) < 0.15 < 0.15 * off(x)
    with torch.no_grad():
        closed = fitted.method.barycentric(fitted.state, x)
    assert off(closed) < 0.15
    assert float((torch.as_tensor(fitted.scaling(x)).log() - best.scaling().log()).square().mean().sqrt()) < 0.1
