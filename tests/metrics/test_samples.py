"""Metrics of samples alone: weighted nearest neighbours, W2 with its floor, Gaussian moments, path energy."""

import math

import numpy as np
import pytest
import torch

from uotlab.costs import make_cost
from uotlab.metrics.base import METRICS, Evaluation
from uotlab.metrics.knn_kl import knn_floor, knn_kl
from uotlab.metrics.marginal_divergence import effective, target_kl
from uotlab.metrics.reference import gaussian_kl
from uotlab.metrics.wasserstein import w2
from uotlab.penalty import Penalty


def normal(n, d, mean=0.0, sd=1.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * sd + mean


def tilted(x, slope):
    """Weights that turn N(0, I) into N(slope, I) (the same slope in each coordinate)."""
    return (slope * x.sum(1) - slope**2 * x.shape[1] / 2).exp()


@pytest.mark.parametrize("d", [1, 2])
def test_weighted_neighbours(d):
    """N(0, I) tilted to N(.5, I), against N(1, 1.5² I)."""
    x, y = normal(4000, d), normal(4000, d, 1.0, 1.5, seed=1)
    wanted = gaussian_kl(np.full(d, 0.5), np.eye(d), np.ones(d), 2.25 * np.eye(d))
    assert knn_kl(x, y, weights=3 * tilted(x, 0.5)) == pytest.approx(wanted, abs=0.05)
    assert knn_kl(x, y, weights=torch.ones(4000)) == pytest.approx(knn_kl(x, y), abs=1e-9)
    # the same law on both sides, though its points are weighted: at the floor of so many points
    z = normal(4000, d, 0.5, seed=2)
    assert abs(knn_kl(x, z, weights=tilted(x, 0.5))) < 0.05
    assert knn_floor(z) < 0.06


def test_masses_count_in_the_marginal_divergence():
    """p KL + p log(p / b) - p + b, for a tilted Gaussian of mass .7 against N(0, I) of mass 1.4."""
    x, y, b = normal(4000, 2), normal(4000, 2, seed=1), 1.4
    w = tilted(x, 0.5)
    w = 0.7 * w / w.sum()
    wanted = 0.7 * 0.25 + 0.7 * math.log(0.5) - 0.7 + b
    near = target_kl(x, w, y, b, {})
    assert near.known
    assert near.value == pytest.approx(wanted, abs=0.05)
    exact = target_kl(x, w, y, b, {"target_mean": np.zeros(2), "target_cov": np.eye(2)})
    assert exact.value == pytest.approx(wanted, abs=0.03)
    assert exact.how == "Gaussian moments"


def test_gaussian_moments_in_16_dimensions():
    x = normal(4000, 16)
    truth = {"target_mean": np.full(16, 0.2), "target_cov": 1.3 * np.eye(16)}
    wanted = gaussian_kl(np.zeros(16), np.eye(16), truth["target_mean"], truth["target_cov"])
    read = target_kl(x, torch.full((4000,), 1 / 4000), x, 1.0, truth)
    assert read.value == pytest.approx(wanted, abs=0.02)
    same = target_kl(x, torch.full((4000,), 1 / 4000), x, 1.0, {"target_mean": np.zeros(16), "target_cov": np.eye(16)})
    assert abs(same.value) < same.floor


def test_effective_number_of_points():
    assert effective(torch.ones(10)) == pytest.approx(10)
    assert effective(torch.tensor([1.0, 1.0, 0.0, 0.0])) == pytest.approx(2)


def test_w2_of_weighted_points():
    x = torch.tensor([[0.0], [1.0]])
    assert w2(x, x + 3, torch.ones(2), torch.ones(2)) == pytest.approx(3)
    # two thirds of the mass must go from 0 to 1
    assert w2(x, x, torch.tensor([2.0, 1.0]), torch.tensor([0.0, 5.0])) == pytest.approx(math.sqrt(2 / 3), rel=1e-6)


def evaluated(Tx, y, xi=None, zeta=None, x=None, **more):
    x = Tx if x is None else x
    return Evaluation(x, y, Tx, xi, zeta, (1.0, 1.0), make_cost(None), Penalty(1, 1), **more)


def test_w2_has_its_floor_beside_it():
    y = normal(4000, 2, seed=1)
    here = METRICS["w2"]()(evaluated(normal(2000, 2), y))
    assert here["w2"] == pytest.approx(here["w2 floor"], rel=0.3)
    away = METRICS["w2"]()(evaluated(normal(2000, 2, 2.0), y))
    assert away["w2"] == pytest.approx(math.sqrt(8), rel=0.05)
    x = normal(2000, 2)
    tilt = METRICS["w2"]()(evaluated(x, y, tilted(x, 0.5), tilted(y, 0.5)))
    plain = METRICS["w2"]()(evaluated(x, y, tilted(x, 0.5)))
    assert tilt["w2"] < 2 * tilt["w2 floor"]
    assert plain["w2"] == pytest.approx(0.5 * math.sqrt(2), rel=0.25)  # the tilt moves the mean by (.5, .5), and nothing else
    few = METRICS["w2"]()(evaluated(y[:30], y[:30]))
    assert few == {}
    assert "30" in few.notes["w2"]


def test_the_energy_of_straight_even_paths_is_the_squared_distance():
    start, t = normal(40, 2), torch.linspace(0, 1, 9)[None, :, None]
    move = torch.tensor([3.0, 4.0])
    straight = METRICS["path-energy"]()(evaluated(start + move, start, x=start, path=start[:, None] + t * move))
    assert straight["path energy"] == pytest.approx(25, rel=1e-4)
    assert straight["path energy excess"] == pytest.approx(0, abs=1e-4)
    uneven = METRICS["path-energy"]()(evaluated(start + move, start, x=start, path=start[:, None] + t**2 * move))
    assert uneven["path energy"] == pytest.approx(25 * 4 / 3, rel=0.02)  # E ∫ (2t)² dt
