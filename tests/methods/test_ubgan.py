"""UB-GAN: losses at known optima, the learned factor against its formula, and the map against the Gaussian closed form."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.data.gaussians import gaussian_optimum
from uotlab.divergences import DIVERGENCES, weighted_star_grad
from uotlab.methods.ubgan import critic_loss, jeffreys, map_loss, scaling_loss
from uotlab.methods.uotm import potential_loss
from uotlab.nets.mlp import Standard
from uotlab.nets.positive import PositiveNet
from uotlab.nets.potential import ScalarNet
from uotlab.nets.slope import slope_penalty
from uotlab.penalty import Penalty

SMOOTH = [name for name in DIVERGENCES if name not in ("tv", "balanced")]


def drawn(n=64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(n, generator=rng, dtype=torch.float64) for _ in range(3))


@pytest.fixture(scope="module")
def problem():
    return uotlab.load("moons-to-spiral", n=200, seed=0)


@pytest.fixture(scope="module")
def standard():
    return Standard(torch.zeros(2), 2.0)


@pytest.mark.parametrize("name", SMOOTH)
def test_best_factor_turns_the_game_into_the_semi_dual(name):
    """At xi = psi1*'((g(Tx) - c) / rho1) the game's value is minus the loss of UOTM, for any f = -g, and no other xi is better."""
    f_Tx, f_y, c = drawn()
    psi, rho, masses = DIVERGENCES[name](), (0.7, 1.3), (1.0, 1.4)
    f_Tx, f_y = (rho[1] * psi.activation(f / rho[1] - 0.5) for f in (f_Tx, f_y))
    best = weighted_star_grad(psi, rho[0], -(c + f_Tx))

    def game(xi):
        # the critic's loss holds - a E[xi f(Tx)], which the scaling loss has too
        least = masses[0] * scaling_loss(xi, c, f_Tx, psi.psi, rho[0])
        return float(least - critic_loss(f_Tx, f_y, xi, psi, rho[1], masses) - masses[0] * (xi * f_Tx).mean())

    assert game(best) == pytest.approx(-float(potential_loss(-f_Tx, -f_y, c, psi, psi, Penalty(*rho), masses)), abs=1e-9)
    top = 2.0 if name == "softplus" else 1.0 if name == "softplus-raw" else math.inf
    for other in (best * 0.9, (best * 1.1).clamp(max=top)):
        assert game(other) >= game(best)


def test_game_of_two_diracs():
    """Mass a at x, b at y: at the closed form's mass and f, the value is the closed form's and every gradient vanishes."""
    a, b, C, rho1, rho2 = 1.0, 2.0, 4.0, 2.0, 0.5
    p = 0.23191820
    kl = DIVERGENCES["kl"]()
    xi, f = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (p / a, rho2 * math.log(p / b)))
    c = torch.full((1,), C, dtype=torch.float64)
    player = scaling_loss(xi, c, f, kl.psi, rho1)
    critic = critic_loss(f, f, xi, kl, rho2, (a, b))
    value = a * scaling_loss(xi, c, f, kl.psi, rho1) - b * rho2 * kl.star(f / rho2).mean()
    assert float(value.detach()) == pytest.approx(2.42020450, abs=1e-7)
    assert abs(float(torch.autograd.grad(player, xi)[0])) < 1e-6
    assert abs(float(torch.autograd.grad(critic, f)[0])) < 1e-6


@pytest.mark.parametrize("name", SMOOTH)
def test_best_critic_measures_the_divergence(name):
    """max_f a E[xi f] - b E[psi*(f)] = b E[psi(a xi / b)], over activations of any v and for unequal masses."""
    psi, masses = DIVERGENCES[name](), (1.0, 1.4)
    xi = torch.tensor([0.3, 0.8, 1.3] if name == "softplus-raw" else [0.5, 1.1, 2.0], dtype=torch.float64)
    v = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([v], max_iter=200, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        f = psi.activation(v)
        loss = critic_loss(f, f, xi, psi, 1.0, masses)
        loss.backward()
        return loss

    optimiser.step(closure)
    wanted = masses[1] * psi.psi(masses[0] * xi / masses[1]).mean()
    assert -float(closure().detach()) == pytest.approx(float(wanted), abs=1e-6)


def test_jeffreys_is_the_sum_of_both_entropies():
    s = torch.linspace(0.1, 4, 50, dtype=torch.float64, requires_grad=True)
    both = DIVERGENCES["kl"]().psi(s) + DIVERGENCES["reverse-kl"]().psi(s)
    assert torch.allclose(jeffreys(s), both)
    one = torch.ones(1, dtype=torch.float64, requires_grad=True)
    assert float(torch.autograd.grad(jeffreys(one), one)[0]) == 0


def test_map_loss_is_that_of_uotm_with_the_sign_of_f_turned():
    from uotlab.methods.uotm import map_loss as semi_dual

    f, c, xi = drawn()
    assert float(map_loss(c, f)) == pytest.approx(float(semi_dual(-f, c)))
    assert float(map_loss(c, f, xi)) == pytest.approx(float((xi * (c + f)).mean()))


@pytest.mark.parametrize("form", ["log", "softplus"])
def test_scaling_nets_are_positive_and_finite_far_out(form, standard):
    net = PositiveNet(standard, 2, 16, 1, torch.Generator().manual_seed(0), form=form)
    with torch.no_grad():
        assert net(torch.randn(50, 2)) == pytest.approx(torch.ones(50), abs=0.7)
        net.net[-1].weight.mul_(1e3)
    far = net(1e3 * torch.randn(50, 2))
    loss = jeffreys(far).mean()
    grads = torch.autograd.grad(loss, list(net.parameters()))
    assert bool((far > 0).all() and torch.isfinite(far).all() and torch.isfinite(loss))
    assert all(bool(torch.isfinite(g).all()) for g in grads)


@pytest.mark.parametrize(("name", "top"), [("softplus", 2.0), ("softplus-raw", 1.0)])
def test_factors_stay_in_a_bounded_domain(name, top, problem):
    fitted = uotlab.fit("ubgan", problem, 3, device="cpu", divergence1=name, rho=1.0, batch_size=16, width=8)
    with torch.no_grad():
        fitted.state.xi_ema.net[-1].bias.add_(100)
    xi = fitted.scaling(problem.source.points[:5])
    assert (xi < top).all()
    assert np.isfinite(DIVERGENCES[name]().psi(torch.as_tensor(xi)).numpy()).all()


def test_slope_penalty_of_a_linear_function(standard):
    """|∇| per standard deviation of w·x / spread is |w|."""
    net = ScalarNet(standard, 2, 4, 0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.net[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    p, q, rng = torch.randn(6, 2), torch.randn(6, 2), torch.Generator().manual_seed(1)
    for slope, sides, wanted in ((1.0, "one", 16.0), (1.0, "two", 16.0), (7.0, "one", 0.0), (7.0, "two", 4.0)):
        assert float(slope_penalty(net, p, q, rng, slope, sides).detach()) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_trains_with_every_divergence(name, problem):
    fitted = uotlab.fit("ubgan", problem, 3, device="cpu", divergence=name, rho=0.5, batch_size=16, width=8)
    x, y = (m.points[:9] for m in problem.marginals)
    for value in (fitted.transport(x), fitted.scaling(x), fitted.target_scaling(y), fitted.potential(y)):
        assert np.isfinite(value).all()
    assert (fitted.scaling(x) == 1).all() == (name == "balanced")


def test_as_in_the_paper(problem):
    """The authors' settings train; penalties and dynamics change what is learned."""
    paper = {
        "improved": False, "critic_penalty": 10, "scaling_penalty": 0.01, "slope": 1, "sides": "two", "c2": "jeffreys",
        "divergence2": "js", "positive": "softplus", "lr": 1e-4, "beta1": 0.9, "beta2": 0.999, "batch_size": 16, "ema": 0, "tau": 0.001,
    }  # fmt: skip
    fits = [
        uotlab.fit("ubgan", problem, 5, device="cpu", width=8, **(paper | change)) for change in ({}, {"improved": True}, {"sides": "one"})
    ]
    x = problem.source.points[:9]
    assert fits[0].state.penalty.rho2 == pytest.approx(1 / (0.001 * fits[0].state.cost.scale))
    assert (fits[0].transport(x) != fits[1].transport(x)).any()
    assert (fits[0].scaling(x) != fits[2].scaling(x)).any()


def test_a_held_side_of_other_mass():
    """rho2 infinite, masses 1 and 1.4: all growth is left to xi, whose mean tends to the ratio of masses."""
    problem = uotlab.load("gaussians", n=400, seed=0, target_mass=1.4)
    fitted = uotlab.fit("ubgan", problem, 3, device="cpu", rho1=1.0, rho2=math.inf, batch_size=16, width=8)
    assert (fitted.target_scaling(problem.target.points[:5]) == 1).all()
    both = uotlab.load("gaussians", n=400, seed=0)
    held = uotlab.fit("ubgan", both, 3, device="cpu", rho=math.inf, batch_size=16, width=8)
    assert (held.scaling(both.source.points[:5]) == 1).all()
    with pytest.raises(uotlab.InputError, match="masses differ"):
        uotlab.fit("ubgan", problem, 1, device="cpu", rho=math.inf)


@pytest.mark.slow
def test_gaussians_reach_the_closed_form():
    """Masses 1 and 1.4, rho = 1: the map, the mass, and xi against both the closed form and psi1*'((g(Tx) - c) / rho1)."""
    problem = uotlab.load("gaussians", n=4000, seed=0, target_mass=1.4)
    fitted = uotlab.fit("ubgan", problem, 1500, device="cpu", rho=1.0, batch_size=128, width=64)
    truth, cost = problem.truth, fitted.state.cost
    laws = (truth[k] for k in ("source_mean", "source_cov", "target_mean", "target_cov"))
    best = gaussian_optimum(*laws, a=1.0, b=1.4, weight=1 / cost.scale, rho1=1.0, rho2=1.0)
    x = problem.source.fresh(4000, torch.Generator().manual_seed(9)).points
    Tx, xi = fitted.transport(x), fitted.scaling(x)
    wanted = x @ torch.tensor(best.A.T, dtype=torch.float32) + torch.tensor(best.shift, dtype=torch.float32)
    spread = math.sqrt(np.trace(best.target_cov))
    error = float((Tx - wanted).square().sum(1).mean().sqrt()) / spread
    identity = float((x - wanted).square().sum(1).mean().sqrt()) / spread
    assert error < 0.12 < 0.1 * identity
    assert float(xi.mean()) == pytest.approx(best.mass, rel=0.03)
    formula = torch.exp(fitted.potential(Tx) - cost(x, Tx))
    assert float((formula.log() - xi.log()).square().mean().sqrt()) < 0.08
    assert float(torch.corrcoef(torch.stack([formula, xi]))[0, 1]) > 0.97
