"""Sinkhorn against closed forms, POT and its own certificate."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.plans.sinkhorn import round_plan, sinkhorn

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 2)), RNG.normal(size=(70, 2)) * 0.7 + 1
RHOS = [(0.05, 0.05), (0.3, 2.0), (10.0, 10.0), (math.inf, math.inf), (math.inf, 0.5), (0.5, math.inf)]


def test_two_diracs():
    """METHODS section 0: a = 1, b = 2, C = 4, rho = (2, .5): mass .2319182, value 2.4202045."""
    for eps in (1e-2, 1e-3):
        plan = sinkhorn([[0.0]], [[2.0]], a=[1.0], b=[2.0], eps=eps, rho1=2, rho2=0.5, scale_cost=False)
        assert plan.mass == pytest.approx(0.23191820, abs=0.3 * eps)
        assert plan.unregularised == pytest.approx(2.42020450, abs=eps**2 + 1e-6)


def test_one_dimensional_gaussians():
    """Closed form with m = (0, 1.5), s = (.8, .5), masses (1, 1.4), rho = 1: value .85869, mass .77066."""
    grid = np.linspace(-3.5, 4, 400)[:, None]
    a, b = (np.exp(-((grid[:, 0] - m) ** 2) / (2 * s * s)) for m, s in ((0, 0.8), (1.5, 0.5)))
    a, b = a / a.sum(), 1.4 * b / b.sum()
    found = [sinkhorn(grid, grid, a, b, eps=eps, rho1=1, rho2=1, scale_cost=False) for eps in (0.02, 0.01)]
    value, mass = (2 * f1 - f0 for f0, f1 in ([p.unregularised for p in found], [p.mass for p in found]))
    assert value == pytest.approx(0.85869, abs=3e-4)
    assert mass == pytest.approx(0.77066, abs=4e-3)


@pytest.mark.parametrize(("rho1", "rho2"), [(0.05, 0.05), (1.0, 1.0), (5.0, 5.0)])
@pytest.mark.parametrize("eps", [0.2, 0.03])
def test_agrees_with_pot(eps, rho1, rho2):
    ot = pytest.importorskip("ot")
    C = ot.dist(X, Y)
    C /= C.mean()
    wanted = ot.unbalanced.sinkhorn_knopp_unbalanced(
        np.full(60, 1 / 60), np.full(70, 1 / 70), C, eps, rho1, "kl", stopThr=1e-13, numItermax=200_000
    )
    plan = sinkhorn(X, Y, eps=eps, rho1=rho1, rho2=rho2, tol=1e-12)
    assert np.abs(plan.P - wanted).sum() < 5e-6  # L1 error is about the square root of the certificate


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
@pytest.mark.parametrize("eps", [0.5, 0.05, 0.005])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certificate_and_marginals(eps, rho1, rho2, dtype):
    plan = sinkhorn(X.astype(dtype), Y.astype(dtype), eps=eps, rho1=rho1, rho2=rho2)
    assert plan.converged
    assert 0 <= plan.certificate <= (1e-4 if dtype == np.float32 else 1e-6)
    assert plan.P.dtype == dtype
    assert plan.f.shape == (60,)
    assert plan.g.shape == (70,)
    assert plan.value == pytest.approx(sum(plan.parts.values()))
    held = 1e-6 if dtype == np.float32 else 1e-12
    if math.isinf(rho1):
        np.testing.assert_allclose(plan.P.sum(1), plan.a, atol=held)
    if math.isinf(rho2):
        np.testing.assert_allclose(plan.P.sum(0), plan.b, atol=held)


def test_scaling_comes_from_the_potentials():
    """d pi_1/d mu = exp(-f / rho1) for KL, METHODS section 0."""
    plan = sinkhorn(X, Y, eps=0.05, rho1=0.5, rho2=2.0, tol=1e-10)
    np.testing.assert_allclose(plan.scaling(), np.exp(-plan.f / (0.5 * plan.cost_scale)), rtol=1e-4)
    np.testing.assert_allclose(plan.target_scaling(), np.exp(-plan.g / (2 * plan.cost_scale)), rtol=1e-3)


def test_masses_are_not_normalised():
    one = sinkhorn(X, Y, eps=0.05, rho1=1, rho2=1, tol=1e-10)
    three = sinkhorn(X, Y, a=np.full(60, 3 / 60), b=np.full(70, 3 / 70), eps=0.05, rho1=1, rho2=1, tol=1e-10)
    assert three.mass > 2 * one.mass
    assert one.mass < 1


def test_a_permutation_is_found():
    order = RNG.permutation(30)
    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0)), -1).reshape(-1, 2)
    plan = sinkhorn(grid, grid[order] + 0.1, eps=0.005)
    assert (plan.P.argmax(1) == np.argsort(order)).all()


def test_points_without_mass_and_far_outliers():
    a = np.full(60, 1 / 59)
    a[0] = 0
    y = np.concatenate([Y, [[1e3, 1e3]]])
    plan = sinkhorn(X, y, a=a, eps=0.01, rho1=0.1, rho2=0.1)
    assert plan.converged
    assert np.isfinite(plan.P).all()
    assert (plan.P[0] == 0).all()
    assert plan.P[:, -1].sum() < 1e-6


def test_warm_start_to_a_smaller_eps():
    first = sinkhorn(X, Y, eps=0.1, rho1=0.2, rho2=0.2)
    warm = sinkhorn(X, Y, eps=0.01, rho1=0.2, rho2=0.2, init=(first.f, first.g))
    cold = sinkhorn(X, Y, eps=0.01, rho1=0.2, rho2=0.2)
    assert warm.converged
    assert warm.value == pytest.approx(cold.value, rel=1e-5)


def test_pairs_follow_the_plan():
    plan = sinkhorn(torch.tensor(X[:5]), torch.tensor(Y[:4]), eps=0.1, rho1=1, rho2=1)
    i, j = plan.sample_pairs(40_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(5, 4).index_put((i, j), torch.ones(40_000), accumulate=True) / 40_000
    assert float((counts - plan.P / plan.P.sum()).abs().max()) < 0.01
    assert isinstance(plan.barycentric_map(), torch.Tensor)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"eps": 0}, "eps must be positive|eps must be a positive"),
        ({"rho1": -1}, "rho1 must be positive"),
        ({"tol": 0}, "tol must be positive"),
        ({"a": np.zeros(60)}, "a must have some mass"),
        ({"a": -np.ones(60)}, "a must not be negative"),
        ({"b": np.full(70, 2.0)}, "masses differ"),
        ({"cost": "sqeuclidian"}, "Did you mean 'sqeuclidean'"),
        ({"y": Y[:, :1]}, "same number of columns"),
        ({"y": np.full((3, 2), np.nan)}, "NaN or infinite"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        sinkhorn(**{"x": X, "y": Y, **arguments})


def test_rounding_keeps_hard_marginals():
    P = torch.rand(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b = torch.full((4,), 0.25, dtype=torch.float64), torch.full((5,), 0.2, dtype=torch.float64)
    Q = round_plan(P, a, b)
    assert torch.allclose(Q.sum(1), a)
    assert torch.allclose(Q.sum(0), b)
    assert bool((Q >= 0).all())


@pytest.mark.parametrize("rho", [1.0, math.inf])
@pytest.mark.parametrize("k", [1e-4, 1e4])
def test_own_units_keep_the_accuracy_at_any_scale(k, rho):
    """`scale_cost=False` solves the same problem: tolerance and certificate do not depend on the data's unit."""
    scaled = sinkhorn(k * X, k * Y, eps=0.02, rho1=rho, rho2=rho)
    s = scaled.cost_scale
    own = sinkhorn(k * X, k * Y, eps=0.02 * s, rho1=rho * s, rho2=rho * s, scale_cost=False)
    assert own.cost_scale == 1
    assert own.value == pytest.approx(scaled.value, rel=1e-9)
    assert own.certificate == pytest.approx(scaled.certificate, rel=1e-3)
    assert own.f == pytest.approx(scaled.f, rel=1e-6, abs=1e-9 * s)


def test_far_points_without_mass_on_both_sides():
    x, y = np.vstack([X, [[100.0, 100.0]]]), np.vstack([Y, [[100.0, 100.0]]])
    a, b = np.append(np.full(60, 1 / 60), 0), np.append(np.full(70, 1 / 70), 0)
    s = sinkhorn(x, y, a, b).cost_scale
    for rho in (1.0, math.inf):
        with_them = sinkhorn(x, y, a, b, eps=0.01, rho1=rho, rho2=rho)
        without = sinkhorn(X, Y, eps=0.01 * s, rho1=rho * s, rho2=rho * s, scale_cost=False)
        assert with_them.converged
        assert with_them.value == pytest.approx(without.value, rel=1e-5)
        assert not with_them.P[-1].any()


def test_large_rho():
    """Unequal masses at rho = 1e6 make potentials of 1e7 eps; at rho = 1e12 KL of rounding errors must not count."""
    plan = sinkhorn(X.astype("f4"), Y.astype("f4"), b=np.full(70, 2 / 70), rho1=1e6, rho2=1e6)
    assert plan.converged
    assert plan.mass == pytest.approx(2**0.5, rel=1e-4)
    assert plan.value == pytest.approx(plan.cost_scale * 1e6 * (2**0.5 - 1) ** 2, rel=1e-4)
    held = sinkhorn(X, Y)
    for rho in (1e9, 1e12):
        assert sinkhorn(X, Y, rho1=rho, rho2=rho).value == pytest.approx(held.value, rel=2e-6)


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
def test_potentials_of_points_without_mass_satisfy_the_update(rho1, rho2):
    a, b = np.full(60, 1 / 50), np.full(70, 1 / 60)
    a[:10], b[:10] = 0, 0
    plan = sinkhorn(X, Y, a, b, eps=0.1, rho1=rho1, rho2=rho2, tol=1e-10)
    tiny = sinkhorn(X, Y, a + 1e-14 * (a == 0), b + 1e-14 * (b == 0), eps=0.1, rho1=rho1, rho2=rho2, tol=1e-10)
    for exact, near in ((plan.f - plan.f[-1], tiny.f - tiny.f[-1]), (plan.g - plan.g[-1], tiny.g - tiny.g[-1])):
        assert exact == pytest.approx(near, abs=1e-3 * plan.cost_scale)


def test_one_dimensional_gaussians_of_different_masses_extrapolated():
    """METHODS section 0: value(eps) = v0 + c1 eps log(1/eps) + c2 eps; here v0 = .85869 with masses 1 and 1.4."""
    grid = np.linspace(-3.5, 4, 400)[:, None]
    a, b = (np.exp(-((grid[:, 0] - m) ** 2) / (2 * s * s)) for m, s in ((0, 0.8), (1.5, 0.5)))
    a, b = a / a.sum(), 1.4 * b / b.sum()
    eps = np.array([0.04, 0.02, 0.01])
    values = [sinkhorn(grid, grid, a, b, eps=e, rho1=1, rho2=1, scale_cost=False, tol=1e-9).unregularised for e in eps]
    v0, *_ = np.linalg.solve(np.stack([np.ones(3), eps * np.log(1 / eps), eps], 1), values)
    assert v0 == pytest.approx(0.85869, abs=1e-4)


def test_balanced_on_a_line_is_the_sorted_matching():
    x, y = RNG.permutation(np.arange(40.0))[:, None], RNG.permutation(3 * np.arange(40.0) - 20)[:, None]
    plan = sinkhorn(x, y, eps=0.002)
    assert (plan.P.argmax(1)[np.argsort(x[:, 0])] == np.argsort(y[:, 0])).all()
    wanted = ((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2).mean()
    # below the optimum of the problem without entropy, and above it by at most eps log n
    assert wanted - 1e-4 * plan.cost_scale <= plan.parts["transport"] <= wanted + 0.002 * plan.cost_scale * math.log(40)


def test_two_diracs_whose_masses_are_let_go_on_one_side():
    """With the source held its mass is the plan's: value <C> + rho2 KL(a | b) for one point a side."""
    plan = sinkhorn([[0.0]], [[2.0]], a=[1.5], b=[1.0], eps=1e-3, rho2=2.0, scale_cost=False)
    assert plan.mass == pytest.approx(1.5)
    assert plan.unregularised == pytest.approx(1.5 * 4 + 2 * (1.5 * math.log(1.5) - 1.5 + 1), rel=1e-6)


def test_a_plan_that_is_not_good_enough_says_so():
    with pytest.warns(UserWarning, match="larger eps, a smaller rho or more max_iter"):
        plan = sinkhorn(X, Y, eps=0.001, max_iter=3)
    assert not plan.converged
    assert plan.n_iter == 3
    assert np.isfinite(plan.P).all()


def test_progress_and_cancel():
    shares: list[float] = []
    plan = sinkhorn(X, Y, eps=0.002, progress=shares.append)
    assert plan.converged
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    stopped = sinkhorn(X, Y, eps=0.002, cancel=lambda: True)  # no warning: it was asked for
    assert not stopped.converged
    assert stopped.n_iter < plan.n_iter
    assert np.isfinite(stopped.P).all()


def test_a_near_permutation_is_finished_by_newton():
    """Twice as many points on one side, held on both: plain Sinkhorn takes millions of steps, the acceleration stalls."""
    rng = np.random.default_rng(0)
    plan = sinkhorn(rng.normal(size=(26, 2)), rng.normal(size=(13, 2)), eps=0.01, tol=1e-8)
    assert plan.converged


def test_a_wild_start_is_safe():
    for start in (
        (np.full(60, 1e9), np.linspace(-1e9, 1e9, 70)),
        (np.zeros(60), np.linspace(-50, 50, 70)),
        (np.zeros(60), np.full(70, 1e6)),
    ):
        for rho in (0.1, math.inf):
            plan = sinkhorn(X, Y, eps=0.01, rho1=rho, rho2=rho, init=start)
            assert plan.converged
            assert plan.value == pytest.approx(sinkhorn(X, Y, eps=0.01, rho1=rho, rho2=rho).value, rel=1e-5)


def test_compiled_loops_are_kept_for_all_their_sources():
    """The file on disk belongs to a digest of every module with compiled functions; numba by itself looks at one of them."""
    from uotlab.plans.accelerated import accelerated
    from uotlab.plans.compiled import sources
    from uotlab.plans.passes import passes

    for function in (accelerated(), passes().fill):
        assert function._cache._cache_file._source_stamp == sources()


@pytest.mark.parametrize("kind", ["exp32", "exp64", "log32", "log64"])
def test_own_exponentials(kind):
    from uotlab.plans import compiled
    from uotlab.plans.passes import passes

    passes()
    function, real = getattr(compiled, kind), np.float32 if kind.endswith("32") else np.float64
    most = {"exp32": 86.0, "exp64": 700.0}.get(kind, 80.0)
    points = np.concatenate([np.linspace(-most, most, 4001), np.linspace(-1e-3, 1e-3, 101)]).astype(real)
    if kind.startswith("log"):
        points = np.exp(points)
        assert np.abs([function(p) - np.log(np.float64(p)) for p in points]).max() < (1e-5 if real is np.float32 else 3e-14)
    else:
        wanted = np.exp(points.astype(np.float64))
        assert np.abs([function(p) for p in points] / wanted - 1).max() < (3e-7 if real is np.float32 else 1e-13)


def test_the_loop_for_other_devices_finds_the_same_plans(monkeypatch):
    from uotlab.plans.dense import Search

    wanted = [sinkhorn(X, Y, eps=0.02, rho1=rho, rho2=rho).value for rho in (0.5, math.inf)]
    monkeypatch.setattr(Search, "_compiled_sweeps", Search._torch_sweeps)
    found = [sinkhorn(X, Y, eps=0.02, rho1=rho, rho2=rho) for rho in (0.5, math.inf)]
    assert all(plan.converged for plan in found)
    assert [plan.value for plan in found] == pytest.approx(wanted, rel=3e-6)


def test_rough_plans_are_plans_over_their_largest_entry():
    from uotlab.plans.sinkhorn import plan_matrix, rough_plan

    C, a, b = torch.rand(7, 5, generator=torch.Generator().manual_seed(1)), torch.ones(7).double(), torch.full((5,), 2.0).double()
    a[2], b[1] = 0, 0
    f, g = torch.arange(7.0).double(), -torch.arange(5.0).double()
    for cost in (C, C.double()):
        P, log_top = rough_plan(cost, a, b, f, g, 0.1)
        assert P.dtype == cost.dtype
        assert torch.allclose(P.double() * log_top.exp(), plan_matrix(C.double(), a, b, f, g, 0.1), rtol=1e-4)
        assert not P[2].any()
        assert not P[:, 1].any()


def test_no_iterations_at_all():
    for rho in (1.0, math.inf):
        with pytest.warns(UserWarning, match="after 0 iterations"):
            plan = sinkhorn(X, Y, rho1=rho, rho2=rho, max_iter=0)
        assert np.isfinite(plan.P).all()


def test_warm_up():
    from uotlab.plans.sinkhorn import warm_up

    warm_up()
