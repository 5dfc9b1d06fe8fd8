"""SPOT: critics of unit slope, losses at known optima, couplings against closed forms, more than two marginals."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import make_cost
from uotlab.methods.spot import critic_loss, generator_loss, matched_cost, projection_loss
from uotlab.nets.lipschitz import LipschitzNet, maxmin
from uotlab.nets.mlp import Standard

FAST = {"batch_size": 64, "width": 16, "depth": 1, "critic_width": 16, "critic_depth": 1}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- critics -------------------------------------------------------------------------------------
@pytest.mark.parametrize("activation", ["maxmin", "leaky_relu"])
def test_a_critic_never_rises_faster_than_its_points_part(activation):
    phi = LipschitzNet(Standard(torch.zeros(3), 2.0), 3, 33, 2, seeded(), activation).double()
    for _ in range(200):
        phi.refresh_()  # power iterations come from below: let them arrive
    x, y = (4 * torch.randn(500, 3, generator=seeded(k), dtype=torch.float64) for k in (1, 2))
    assert ((phi(x) - phi(y)).abs() <= (x - y).norm(dim=1) / 2 * (1 + 1e-6)).all()
    for layer in phi.layers:
        W = layer.linear.weight.detach()
        assert float(layer.left @ W @ layer.right) == pytest.approx(float(torch.linalg.matrix_norm(W, 2)), rel=1e-6)


def test_maxmin_sorts_pairs_and_keeps_lengths():
    h = torch.randn(10, 6, generator=seeded())
    out = maxmin(h)
    assert (out[:, :3] >= out[:, 3:]).all()
    assert torch.allclose(out.sort(1).values, h.sort(1).values)


def test_critics_learn_the_distance_of_two_points():
    """For Diracs at distance 3 in spreads of 1 the critic's loss tends to -W1 = -3."""
    phi = LipschitzNet(Standard(torch.zeros(2), 1.0), 2, 16, 2, seeded())
    optimiser = torch.optim.Adam(phi.parameters(), 2e-2)
    G, x, a = torch.zeros(8, 2), torch.tensor([[0.0, 3.0]]).expand(8, 2), torch.full((8,), 1 / 8)
    for _ in range(80):
        loss = critic_loss(phi(G), phi(x), a)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        phi.refresh_()
    assert -float(loss.detach()) == pytest.approx(3, rel=0.03)


# ---- losses --------------------------------------------------------------------------------------
def test_gangbo_swiech_is_a_multiple_of_the_spread_around_the_mean():
    """sum_{i<j} |x_i - x_j|² = m sum_i |x_i - mean|²: the mean of a match is the barycenter's point."""
    points = [torch.randn(20, 3, generator=seeded(k), dtype=torch.float64) for k in range(4)]
    mean = torch.stack(points).mean(0)
    spread = 4 * sum((p - mean).square().sum(1) for p in points)
    assert torch.allclose(matched_cost(make_cost(None), points), spread)


def test_generator_loss_weighs_cost_by_eta():
    c, phis = torch.tensor([1.0, 3.0]), [torch.tensor([0.5, 0.5]), torch.tensor([-1.0, 0.0])]
    assert float(generator_loss(c, phis, 4.0)) == pytest.approx(2 / 4 + 0.5 - 0.5)


def test_projection_is_best_at_the_mean_partner():
    y = torch.randn(50, 2, generator=seeded())
    at = lambda t: float(projection_loss(t.expand(50, 2), y))  # noqa: E731
    best = at(y.mean(0))
    assert all(at(y.mean(0) + shift) > best for shift in (torch.tensor([0.1, 0.0]), torch.tensor([0.0, -0.1])))


# ---- fits ----------------------------------------------------------------------------------------
def test_matches_are_drawn_by_a_seed():
    fitted = uotlab.fit("spot", uotlab.load("p-to-q", n=64), 2, device="cpu", **FAST)
    x, y = fitted.sample_pairs(10, seed=3)
    assert x.shape == y.shape == (10, 1)
    again, other = fitted.sample_pairs(10, seed=3), fitted.sample_pairs(10, seed=4)
    assert np.array_equal(again[0], x)
    assert not np.array_equal(other[0], x)
    with pytest.raises(uotlab.InputError, match="spot has no log_density"):
        fitted.log_density(x, y)
    with pytest.raises(uotlab.InputError, match=r"methods with sample_pairs: .*spot"):
        uotlab.fit("otfm", uotlab.load("p-to-q", n=64), 1, device="cpu").sample_pairs(3)


def test_three_marginals_at_once():
    problem = uotlab.load("three-gaussians", n=200)
    fitted = uotlab.fit("spot", problem, 3, device="cpu", **FAST)
    assert [p.shape for p in fitted.sample_pairs(7)] == [(7, 2)] * 3
    assert fitted.evaluate(64, reference=False)["pair cost"] > 0
    with pytest.raises(uotlab.InputError, match="re-weights two marginals"):
        uotlab.fit("uspot", problem, 1, device="cpu")


def test_further_marginals_come_from_arrays_too():
    x = np.random.default_rng(0).normal(size=(30, 2))
    problem = uotlab.Problem.from_arrays(x, x + 1, further=[x - 1, x + 2])
    assert len(problem.marginals) == 4
    assert len(uotlab.fit("spot", problem, 1, device="cpu", **FAST).sample_pairs(5)) == 4
    with pytest.raises(uotlab.InputError, match=r"further\[0\] must have the 2 columns"):
        uotlab.Problem.from_arrays(x, x, further=[x[:, :1]])


def test_masses_of_all_marginals_must_agree():
    measures = uotlab.load("three-gaussians", n=20).marginals
    heavy = uotlab.Measure(measures[2].points, np.full(20, 0.1))
    problem = uotlab.Problem((*measures[:2], heavy), "plane")
    with pytest.raises(uotlab.InputError, match="keeps all marginals"):
        uotlab.fit("spot", problem, 1, device="cpu")


@pytest.mark.parametrize("name", [n for n in uotlab.METHODS if n != "spot"])
def test_methods_for_two_marginals_take_the_first_two(name):
    problem = uotlab.load("three-gaussians", n=64)
    if name == "uspot":
        return
    small = {k: v for k, v in {"batch_size": 16, "width": 8, "depth": 1, "pretrain": 2}.items() if k in uotlab.METHODS[name].model_fields}
    fitted = uotlab.fit(name, problem, 2, device="cpu", **small)
    assert np.isfinite(fitted.transport(problem.source.points[:4])).all()


@pytest.mark.slow
def test_the_distance_of_two_gaussians_is_recovered():
    """W1 = 5 between the thesis' Gaussians, from a random start; a quarter of the default steps and a looser bound."""
    fitted = uotlab.fit("spot", uotlab.load("shifted-gaussians", n=20_000), 1000, device="cpu", cost="euclidean")
    scores = fitted.evaluate(4000, reference=False)
    assert scores["pair cost error"] < 0.03
    x, y = fitted.sample_pairs(4000)
    assert np.abs(x.mean(0) - [-2.5, 0]).max() < 0.1
    assert np.abs(y.mean(0) - [2.5, 0]).max() < 0.1
    assert np.abs(np.stack([x.std(0), y.std(0)]) - 1).max() < 0.12


def test_unbalanced_twin_learns_who_shrinks():
    """Two squares whose sides change places in mass: the left of the source should shrink by 2/3, the right grow by 3/2."""
    fitted = uotlab.fit("uspot", uotlab.load("two-squares"), 60, device="cpu", rho=0.3, eps=0.02, lr=5e-3, **FAST)
    xi = fitted.scaling(fitted.problem.source.points)
    left = fitted.problem.source.labels["side"] == "left"
    assert xi[left].mean() < 0.9 * xi[~left].mean()
    assert math.isfinite(fitted.metrics["pair cost"])
