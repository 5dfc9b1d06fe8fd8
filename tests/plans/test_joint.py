"""The plan of two or three clouds at once: against linear programming, the unbalanced plan of two, weak duality, and exact Gaussians."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

import uotlab
from uotlab.costs import make_cost
from uotlab.data.barycenters import gaussian_barycenter, gaussian_map
from uotlab.engine import references
from uotlab.engine.frames import Camera
from uotlab.metrics.barycenter_optimum import BarycenterQuestion, barycenter_optimum
from uotlab.plans.barycenters.joint import Joint
from uotlab.plans.proximal import make_side
from uotlab.views.base import VIEWS


def clouds(*sizes: int, seed: int = 0) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 2, generator=rng, dtype=torch.float64) + 2 * k for k, n in enumerate(sizes)]


def joint(x, name, rho, lam, masses=None) -> Joint:
    p = [torch.full((len(c),), (masses or [1.0] * len(x))[k] / len(c), dtype=torch.float64) for k, c in enumerate(x)]
    return Joint(x, p, lam, [make_side(name, w * rho, 1.0, 1.0) for w in lam], scale=1.0)


def test_three_held_clouds_against_linear_programming():
    x, lam = clouds(5, 4, 3), (0.5, 0.3, 0.2)
    found = joint(x, "balanced", math.inf, lam).solve(1e-3, 1e-7, 5000)
    C = sum(lam[j] * lam[k] * np.expand_dims(torch.cdist(x[j], x[k]).square().numpy(), axis=3 - j - k) for j, k in ((0, 1), (0, 2), (1, 2)))
    A, b = [], []
    for k, n in enumerate(C.shape):
        for i in range(n):
            one = np.zeros(C.shape)
            one[(slice(None),) * k + (i,)] = 1
            A.append(one.ravel())
            b.append(1 / n)
    best = linprog(C.ravel(), A_eq=np.array(A), b_eq=np.array(b)).fun
    primal, dual = found.values()
    assert dual <= best + 1e-9
    assert dual == pytest.approx(best, rel=2e-2)
    assert primal == pytest.approx(best, rel=2e-2)
    assert found.c_transform().shape == (5,)


def test_two_clouds_under_kl_are_the_normalised_unbalanced_plan():
    x, lam, rho, eps = clouds(30, 20), (0.3, 0.7), 0.5, 0.05
    found = joint(x, "kl", rho, lam).solve(eps, 1e-9, 5000)
    product = lam[0] * lam[1]
    P = uotlab.sinkhorn(x[0], x[1], eps=eps / product, rho1=rho / lam[1], rho2=rho / lam[0], scale_cost=False, tol=1e-10).P
    P = P / P.sum()
    assert torch.allclose(found.factors(0) / 30, P.sum(1), atol=1e-6)
    assert torch.allclose(found.factors(1) / 20, P.sum(0), atol=1e-6)
    assert torch.allclose(found.partners(0, means=True)[1][1], (P @ x[1]) / P.sum(1)[:, None], atol=1e-5)


@pytest.mark.parametrize("name", ["kl", "chi2", "softplus"])
@pytest.mark.parametrize("sizes", [(20, 15), (10, 9, 8)])
def test_one_mass_for_all_and_no_gap_to_the_dual(name, sizes):
    """Weak duality: a dual just below the primal proves both, whatever the divergence."""
    lam = (0.5, 0.5) if len(sizes) == 2 else (0.2, 0.3, 0.5)
    found = joint(clouds(*sizes), name, 1.0, lam, [1.2, 0.9, 1.0]).solve(5e-3, 1e-5, 2000)
    primal, dual = found.values()
    assert found.error <= 1e-5
    assert 0 <= primal - dual < 0.05 * primal
    for k, p in enumerate(found.p):
        assert float(p @ found.factors(k)) == pytest.approx(1, abs=1e-6)


def test_three_gaussians_against_the_closed_form():
    problem = uotlab.load("barycenter-gaussians", n=2000)
    rng = torch.Generator().manual_seed(5)
    points = tuple(m.fresh(200, rng).points.double() for m in problem.marginals)
    masses = (torch.full((200,), 1 / 200, dtype=torch.float64),) * 3
    cost = make_cost("sqeuclidean").calibrated(points[0], points[1])
    q = BarycenterQuestion(points, masses, cost, ("balanced",) * 3, (math.inf,) * 3, (1 / 3,) * 3)
    found = barycenter_optimum(q)
    truth = problem.truth
    mean, cov = gaussian_barycenter(truth["marginal_means"], truth["marginal_covs"], np.ones(3) / 3)
    A, b = map(torch.from_numpy, gaussian_map(truth["marginal_means"][0], truth["marginal_covs"][0], mean, cov))
    where = q.x / 3 + found.Tx.double() * 2 / 3
    error = float((where - (q.x @ A.T + b)).square().sum(1).mean())
    floor = (2 / 3 * found.noise["map"] * found.spread) ** 2
    assert error < 3 * floor < 0.05 * np.trace(cov)
    assert found.certificate < 0.02


SMALL = {"width": 8, "depth": 1, "batch_size": 16}


@pytest.mark.parametrize(
    ("data", "params", "word"),
    [
        ({"marginals": 3}, {"divergence": "chi2"}, ""),
        ({"marginals": 2}, {"divergence": "softplus"}, ""),
        ({"marginals": 3}, {"divergence": "tv"}, "does not say who takes part"),
        ({"marginals": 3}, {"cost": "euclidean"}, "squared Euclidean cost only"),
    ],
)
def test_the_reference_of_a_run(data, params, word, monkeypatch):
    monkeypatch.setattr(references, "LEAST_DRAWN", 40)
    problem = uotlab.load("outlier-mixture", n=40, **data)
    method = uotlab.METHODS["unotb"](**params, **SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    found = references.find(method, state, problem)
    assert word in found.waiting
    assert (found.reference is None) == bool(word)
    if found.reference is not None:
        assert float(found.reference.a @ found.reference.xi) == pytest.approx(1, abs=1e-3)
        arrays = Camera(method, state, problem, found).arrays()
        assert arrays["reference"].shape == (len(found.reference.x), 2)
        names = [t["name"] for t in VIEWS["barycenter-samples"]().traces(arrays, reference=True)]
        assert "discrete barycenter" in names


def test_four_marginals_are_too_many():
    problem = uotlab.load("measures", n=40, measures="|".join(f"gaussian,{x},0,1" for x in range(4)))
    method = uotlab.METHODS["unotb"](**SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert "a plan of all 4 marginals at once" in references.find(method, state, problem).waiting
