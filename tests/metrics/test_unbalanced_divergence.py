"""The debiased divergence, balanced and unbalanced, against closed forms; and the metric made of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import uotlab
from uotlab import sinkhorn_divergence
from uotlab.costs import make_cost
from uotlab.metrics.base import METRICS, Evaluation
from uotlab.penalty import Penalty

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(50, 2)) * 0.7 + 1
A, B = RNG.random(40) + 0.1, RNG.random(50) + 0.1


@pytest.mark.parametrize("rho", [0.05, 1.0, math.inf])
@pytest.mark.parametrize("eps", [0.01, 0.3])
def test_zero_between_equal_measures_and_positive_else(rho, eps):
    a, b = A / A.sum(), B / B.sum()
    assert sinkhorn_divergence(X, X, a, a, eps, rho, rho) == pytest.approx(0, abs=1e-9)
    order = RNG.permutation(40)
    assert sinkhorn_divergence(X, X[order], a, a[order], eps, rho, rho) == pytest.approx(0, abs=1e-5)
    assert sinkhorn_divergence(X, Y, a, b, eps, rho, rho) > 0.01


@given(seed=st.integers(0, 10_000), eps=st.sampled_from([0.02, 0.2]), rho=st.sampled_from([0.1, 1.0]))
@settings(max_examples=15)
def test_never_negative_and_symmetric(seed, eps, rho):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 8, 2)
    x, y, a, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), rng.random(n) + 0.01, 3 * rng.random(m) + 0.01
    one, other = sinkhorn_divergence(x, y, a, b, eps, rho, rho, tol=1e-9), sinkhorn_divergence(y, x, b, a, eps, rho, rho, tol=1e-9)
    assert one >= -1e-7
    assert one == pytest.approx(other, rel=1e-5, abs=1e-7)


def one_point(a, b, cost, eps, rho):
    """OT of a delta_x and b delta_y, from the best of its one number."""
    p = torch.linspace(1e-6, 4, 2_000_001, dtype=torch.float64)

    def kl(s, w):
        return torch.xlogy(s, s / w) - s + w

    return float((p * cost + rho * (kl(p, a) + kl(p, b)) + eps * kl(p, a * b)).min())


@pytest.mark.parametrize("masses", [(1.0, 1.0), (0.5, 2.0)])
def test_two_diracs(masses):
    a, b = masses
    cost, eps, rho = 2.0, 0.3, 0.8
    wanted = one_point(a, b, cost, eps, rho) - one_point(a, a, 0, eps, rho) / 2 - one_point(b, b, 0, eps, rho) / 2 + eps / 2 * (a - b) ** 2
    got = sinkhorn_divergence([[0.0]], [[2**0.5]], [a], [b], eps, rho, rho, scale_cost=False, tol=1e-10)
    assert got == pytest.approx(wanted, rel=1e-6)


def test_a_shift_of_a_cloud_is_its_square():
    assert sinkhorn_divergence(X, X + np.array([3.0, 4.0]), eps=0.01) == pytest.approx(25, rel=1e-6)


def test_units():
    s = uotlab.sinkhorn(X, Y).cost_scale
    scaled = sinkhorn_divergence(X, Y, eps=0.05, rho1=0.5, rho2=0.5)
    assert sinkhorn_divergence(X, Y, eps=0.05 * s, rho1=0.5 * s, rho2=0.5 * s, scale_cost=False) == pytest.approx(scaled, rel=1e-4)
    assert sinkhorn_divergence(1e3 * X, 1e3 * Y, eps=0.05, rho1=0.5, rho2=0.5) == pytest.approx(1e6 * scaled, rel=1e-4)


def test_a_far_outlier_counts_little_where_mass_may_go():
    y = np.vstack([X, [[100.0, 100.0]]])
    assert sinkhorn_divergence(X, y, eps=0.01) > 100
    s = uotlab.sinkhorn(X, X).cost_scale
    assert sinkhorn_divergence(X, y, eps=0.01 * s, rho1=0.3 * s, rho2=0.3 * s, scale_cost=False) < 1


def test_one_place():
    assert sinkhorn_divergence(np.ones((3, 2)), np.ones((4, 2))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"eps": 0}, "eps must be a positive number"),
        ({"rho1": -1}, "rho1 must be positive"),
        ({"b": np.full(50, 2 / 50)}, "masses differ"),
        ({"y": Y[:, :1]}, "same number of columns"),
        ({"cost": "nope"}, "no cost named"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        sinkhorn_divergence(**{"x": X, "y": Y, **arguments})


# ---- the metric ----------------------------------------------------------------------------------
def scored(x, y, Tx, rho1, rho2, masses=(1.0, 1.0)):
    cost = make_cost(None).calibrated(x, y)
    return METRICS["unbalanced-divergence"]()(Evaluation(x, y, Tx, None, None, masses, cost, Penalty(rho1, rho2)))


def test_the_metric_uses_the_runs_own_rho_and_masses():
    x, y = torch.tensor(X).float(), torch.tensor(Y).float()
    (value,) = scored(x, y, x, 0.5, math.inf, (1.0, 2.0)).values()
    s = float(make_cost(None).calibrated(x, y).scale)
    weights = np.full(40, 1 / 40), np.full(50, 2 / 50)
    assert value == pytest.approx(sinkhorn_divergence(X, Y, *weights, 0.01 * s, 0.5 * s, 0.5 * s, scale_cost=False), rel=5e-3)
    assert scored(x, y, y[:40], 0.5, 0.5)["unbalanced divergence"] < value


def test_the_metric_says_nothing_of_balanced_runs():
    x, y = torch.tensor(X).float(), torch.tensor(Y).float()
    assert scored(x, y, x, math.inf, math.inf) == {}
    assert scored(x, y[:1].repeat(40, 1), y[:1].repeat(40, 1), 1.0, 1.0) == {}
