"""Metrics against known values; and no metric invents a number where it does not apply."""

import math

import numpy as np
import pytest
import torch

from uotlab.costs import make_cost
from uotlab.metrics.base import METRICS, Evaluation, evaluate
from uotlab.metrics.knn_kl import knn_kl
from uotlab.metrics.sinkhorn_divergence import sinkhorn_divergence
from uotlab.penalty import Penalty


def gaussian(n, d, mean=0.0, sd=1.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * sd + mean


def scored(x, y, Tx, xi=None, zeta=None, **more):
    return Evaluation(x, y, Tx, xi, zeta, (1.0, 1.0), make_cost(None), Penalty(1, 1), **more)


def test_knn_kl_of_two_gaussians():
    """KL(N(0,1) | N(1,4)) = log 2 + (1 + 1)/8 - 1/2 = .4431, within three standard deviations of the estimator."""
    assert knn_kl(gaussian(4000, 1), gaussian(4000, 1, 1.0, 2.0, seed=1)) == pytest.approx(0.4431, abs=0.08)
    assert knn_kl(gaussian(4000, 1), gaussian(4000, 1, seed=1)) == pytest.approx(0, abs=0.06)


def test_sinkhorn_divergence_of_a_shift_is_its_square():
    x = gaussian(300, 2).double()
    assert sinkhorn_divergence(x, x + torch.tensor([3.0, 4.0])) == pytest.approx(25, rel=2e-2)
    assert sinkhorn_divergence(x, x) == pytest.approx(0, abs=1e-2)


def test_mass_and_effective_share():
    x = gaussian(100, 2)
    xi = torch.cat([torch.full((50,), 2.0), torch.zeros(50)])
    values = evaluate(scored(x, x, x, xi))
    assert values["mass"] == pytest.approx(1.0)
    assert values["ess"] == pytest.approx(0.5)
    assert values["transport cost"] == 0


def test_monotone_maps_have_no_inversions():
    x = gaussian(2000, 1)
    assert METRICS["inversions"]()(scored(x, x, 3 * x + 1))["inversions"] == 0
    assert METRICS["inversions"]()(scored(x, x, -x))["inversions"] == 1


def test_outlier_shares_are_weighted_and_plain():
    x = gaussian(100, 1)
    Tx = torch.cat([torch.full((10, 1), -8.0), torch.ones(90, 1)])
    xi = torch.cat([torch.full((10,), 0.1), torch.ones(90)])
    values = METRICS["outlier-share"]()(scored(x, x, Tx, xi, truth={"outlier_position": -8.0, "bulk_position": 1.0}))
    assert values["outlier share plain"] == pytest.approx(0.1)
    assert values["outlier share"] == pytest.approx(1 / 91)


def test_class_scaling_correlations():
    labels = np.repeat(["a", "b", "c"], 40)
    truth = {"true_ratio": {"a": 0.5, "b": 1.0, "c": 2.0}}
    x = gaussian(120, 2)
    up = torch.tensor([0.5, 1.0, 2.0]).repeat_interleave(40)
    good = METRICS["class-scaling"]()(scored(x, x, x, up, x_labels=labels, truth=truth))
    bad = METRICS["class-scaling"]()(scored(x, x, x, 1 / up, x_labels=labels, truth=truth))
    assert list(good.values()) == pytest.approx([1, 1])
    assert list(bad.values()) == pytest.approx([-1, -1])


def test_labels_kept():
    x = torch.cat([gaussian(50, 2), gaussian(50, 2, 20.0)])
    labels = np.repeat(["l", "r"], 50)
    kept = METRICS["label-kept"]()(scored(x, x, x, x_labels=labels, y_labels=labels))
    crossed = METRICS["label-kept"]()(scored(x, x, x.flip(0), x_labels=labels, y_labels=labels))
    assert kept["label kept plain"] == 1
    assert crossed["label kept plain"] == 0


def test_straight_paths_are_straight():
    start, move = gaussian(20, 2), torch.linspace(0, 1, 5)[None, :, None]
    path = start[:, None] + move * torch.ones(1, 1, 2)
    assert METRICS["path-straightness"]()(scored(start, start, path[:, -1], path=path))["path straightness"] == pytest.approx(1)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_gives_finite_numbers_or_nothing(name):
    metric = METRICS[name]()
    for x, y in (
        (gaussian(150, 1), gaussian(120, 1, seed=1)),
        (gaussian(30, 20), gaussian(30, 20, seed=1)),
        (gaussian(2, 2), gaussian(2, 2)),
    ):
        for xi in (None, torch.rand(len(x), generator=torch.Generator().manual_seed(0))):
            values = metric(scored(x, y, x + 1, xi, None if xi is None else torch.ones(len(y))))
            assert all(math.isfinite(v) for v in values.values())
    assert metric.title
    assert metric.summary
    assert metric.better in ("lower", "higher", "neither")


def test_knn_kl_says_nothing_on_points_drawn_many_times():
    x, y = gaussian(300, 1), gaussian(300, 1, seed=1)
    rows = torch.randint(300, (300,), generator=torch.Generator().manual_seed(0))
    assert METRICS["knn-kl"]()(scored(x, y, x + 1))
    assert METRICS["knn-kl"]()(scored(x[rows], y, x[rows] + 1)) == {}
    assert METRICS["knn-kl"]()(scored(x, y[rows], x + 1)) == {}


def test_matches_cost_what_their_pairs_do():
    """Three points of a right triangle with legs 3 and 4: 9 + 16 + 25 for the squared cost; no matches, no number."""
    points = tuple(torch.tensor([p]).expand(5, 2) for p in ([0.0, 0.0], [3.0, 0.0], [0.0, 4.0]))
    x = gaussian(5, 2)
    values = evaluate(scored(x, x, x, pairs=points, truth={"optimal_cost": {"sqeuclidean": 40.0}}))
    assert values["pair cost"] == pytest.approx(50)
    assert values["pair cost error"] == pytest.approx(0.25)
    assert "pair cost error" not in evaluate(scored(x, x, x, pairs=points[:2], truth={"optimal_cost": {"euclidean": 1.0}}))
    assert "pair cost" not in evaluate(scored(x, x, x))
