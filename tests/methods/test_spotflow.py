"""SPOT with its density: the divergence against autograd, densities against a linear flow, the entropic plan against its closed form."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.engine.frames import Camera
from uotlab.methods.spotflow import entropy_term
from uotlab.nets.joint_flow import DivergenceNet, JointFlow
from uotlab.nets.mlp import Standard


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def lively(net):
    """The same net with larger weights: a start near the identity tests little."""
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.5 * torch.randn(p.shape, generator=seeded(k)))
    return net.double()


@pytest.mark.parametrize("d", [2, 5])
def test_divergence_is_the_trace_of_the_jacobian(d):
    v = lively(DivergenceNet(d, 16, 3, seeded()))
    z, t = torch.randn(6, d, generator=seeded(9), dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    out, div = v(t, z)
    J = torch.autograd.functional.jacobian(lambda p: v.velocity(t, p).sum(0), z)  # (d, n, d)
    assert torch.allclose(out, v.velocity(t, z))
    assert torch.allclose(div, torch.einsum("ini->n", J), atol=1e-12)


def test_density_runs_forward_and_back_to_the_same_number():
    flow = lively(JointFlow([Standard(torch.ones(2), 2.0), Standard(-torch.ones(2), 0.5)], 2, 16, 2, seeded(), steps=200))
    points, log_p = flow.with_density(torch.randn(5, 4, generator=seeded(3), dtype=torch.float64))
    assert torch.allclose(torch.cat(points), torch.cat(flow(torch.randn(5, 4, generator=seeded(3), dtype=torch.float64))))
    assert torch.allclose(flow.log_density(points), log_p, atol=1e-3)


def test_density_of_a_flow_that_stands_still():
    """v = 0: a product of Gaussians with the standards' centres and spreads."""
    flow = JointFlow([Standard(torch.tensor([1.0]), 2.0), Standard(torch.tensor([-3.0]), 0.5)], 1, 8, 1, seeded()).double()
    with torch.no_grad():
        for p in flow.v.net[-1].parameters():
            p.zero_()
    x, y = torch.randn(7, 1, dtype=torch.float64, generator=seeded()), torch.randn(7, 1, dtype=torch.float64, generator=seeded(1))
    exact = sum(torch.distributions.Normal(m, s).log_prob(v[:, 0]) for m, s, v in ((1.0, 2.0, x), (-3.0, 0.5, y)))
    assert torch.allclose(flow.log_density([x, y]), exact)


def test_density_of_any_flow_integrates_to_one():
    flow = lively(JointFlow([Standard(torch.zeros(1), 1.0), Standard(torch.zeros(1), 1.0)], 1, 8, 2, seeded(), steps=40))
    grid = torch.linspace(-12, 12, 241, dtype=torch.float64)
    X, Y = (v.reshape(-1, 1) for v in torch.meshgrid(grid, grid, indexing="ij"))
    with torch.no_grad():
        mass = flow.log_density([X, Y]).exp().sum() * float(grid[1] - grid[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=0.01)


def test_entropy_is_added_with_its_sign():
    """eps E log p lowers the loss where pairs are less dense."""
    assert float(entropy_term(torch.tensor([-1.0, -3.0]), 0.5, 4.0)) == pytest.approx(-0.25)


def test_asking_for_a_density_is_checked():
    problem = uotlab.load("line-densities", n=64)
    fitted = uotlab.fit("spotflow", problem, 2, device="cpu", batch_size=16, width=8, depth=1)
    x, y = fitted.sample_pairs(5)
    assert fitted.log_density(x, y).shape == (5,)
    assert fitted.log_density(x[:, 0], y[:, 0]).shape == (5,)
    with pytest.raises(uotlab.InputError, match="each of the 2 marginals; it got 1"):
        fitted.log_density(x)
    with pytest.raises(uotlab.InputError, match="row by row; they have 5, 4 rows"):
        fitted.log_density(x, y[:4])
    wide = uotlab.Problem.from_arrays(*np.random.default_rng(0).normal(size=(2, 9, 40)))
    with pytest.raises(uotlab.InputError, match="at most 64 coordinates"):
        uotlab.fit("spotflow", wide, 1, device="cpu")


def test_a_frame_has_the_density_on_a_line_only():
    small = {"batch_size": 16, "width": 8, "depth": 1}
    for data, there in (("line-densities", True), ("two-squares", False)):
        fitted = uotlab.fit("spotflow", uotlab.load(data, n=64), 1, device="cpu", **small)
        arrays = Camera(fitted.method, fitted.state, fitted.problem).arrays(still=True)
        assert ("joint" in arrays) == there
        assert arrays["pairs"].shape[1:] == (2, fitted.problem.d)


@pytest.mark.slow
def test_the_entropic_plan_between_gaussians_is_recovered():
    """Covariance of the plan at eps between N(0, s1²) and N(2, s2²): sqrt(s1² s2² + eps²/16) - eps/4, means and variances held.

    Reference: janati2020entropic, Theorem 1, at sigma² = eps/2.
    """
    fitted = uotlab.fit("spotflow", uotlab.load("line-densities", n=20_000), 800, device="cpu", width=32)
    x, y = fitted.sample_pairs(20_000)
    eps = fitted.method.eps * fitted.state.cost.scale
    C = np.cov(x[:, 0], y[:, 0])
    assert C[0, 1] == pytest.approx(math.sqrt(0.5 + eps**2 / 16) - eps / 4, rel=0.06)
    assert C[0, 0] == pytest.approx(1, rel=0.08)
    assert C[1, 1] == pytest.approx(0.5, rel=0.12)
    assert float(y.mean() - x.mean()) == pytest.approx(2, rel=0.03)
