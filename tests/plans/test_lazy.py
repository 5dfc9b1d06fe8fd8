"""The lazy Sinkhorn against the dense one, closed forms and its own certificate."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import uotlab
from uotlab.plans.cells import box_distances, make_cells
from uotlab.plans.coarse import cell_shifts
from uotlab.plans.lazy import sinkhorn_lazy
from uotlab.plans.lazy_plan import LazyPlan

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(160, 2)), RNG.normal(size=(130, 2)) * 0.7 + 1
A, B = RNG.uniform(0.2, 2, 160) / 160, RNG.uniform(0.2, 2, 130) / 130
B_EQUAL = B * A.sum() / B.sum()
RHOS = [(0.05, 0.05), (0.3, 2.0), (10.0, 10.0), (math.inf, math.inf), (math.inf, 0.5), (0.5, math.inf)]


def problem(rho1, rho2):
    return X, Y, A, B_EQUAL if math.isinf(rho1) and math.isinf(rho2) else B


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
@pytest.mark.parametrize("eps", [0.5, 0.05, 0.01])
def test_agrees_with_the_dense_solver(rho1, rho2, eps):
    x, y, a, b = problem(rho1, rho2)
    lazy = sinkhorn_lazy(x, y, a, b, eps=eps, rho1=rho1, rho2=rho2)
    dense = uotlab.sinkhorn(x, y, a, b, eps=eps, rho1=rho1, rho2=rho2, tol=1e-9)
    assert lazy.converged
    assert 0 <= lazy.certificate <= 1e-4
    assert abs(lazy.value - dense.value) <= (1e-4 + 1e-6) * max(abs(lazy.value), lazy.cost_scale * lazy.mass)
    assert lazy.value == pytest.approx(sum(lazy.parts.values()))
    assert lazy.cost_scale == pytest.approx(dense.cost_scale)
    assert lazy.mass == pytest.approx(dense.mass, rel=1e-2)
    P = lazy.P
    assert np.abs(P - dense.P).sum() < 0.03 * dense.mass
    # all that is computed without the matrix is what the matrix gives
    np.testing.assert_allclose(lazy.scaling(), P.sum(1) / a, rtol=1e-4)
    np.testing.assert_allclose(lazy.target_scaling(), P.sum(0) / b, rtol=1e-4)
    np.testing.assert_allclose(lazy.barycentric_map(), P @ y / P.sum(1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(lazy.rows([3, -1, 3]), P[[3, -1, 3]])
    assert lazy.parts["transport"] == pytest.approx(float((P * ((x[:, None] - y[None]) ** 2).sum(-1)).sum()), rel=1e-4)
    for held, sums, wanted in ((rho1, P.sum(1), a), (rho2, P.sum(0), b)):
        if math.isinf(held):
            np.testing.assert_allclose(sums, wanted, atol=1e-6)


@pytest.mark.parametrize(("rho1", "rho2"), [(0.3, 2.0), (math.inf, math.inf), (0.5, math.inf)])
def test_small_tolerances_are_float64(rho1, rho2):
    x, y, a, b = problem(rho1, rho2)
    lazy = sinkhorn_lazy(x, y, a, b, eps=0.05, rho1=rho1, rho2=rho2, tol=1e-10)
    dense = uotlab.sinkhorn(x, y, a, b, eps=0.05, rho1=rho1, rho2=rho2, tol=1e-11)
    assert lazy.converged
    assert lazy.value == pytest.approx(dense.value, rel=1e-9)
    np.testing.assert_allclose(lazy.P, dense.P, atol=1e-6)
    if math.isinf(rho1):
        np.testing.assert_allclose(lazy.P.sum(1), a, atol=1e-12)


@pytest.mark.parametrize("cost", list(uotlab.COSTS))
def test_every_cost(cost):
    lazy = sinkhorn_lazy(X, Y, A, B, cost, eps=0.03, rho1=1, rho2=0.5)
    dense = uotlab.sinkhorn(X, Y, A, B, cost, eps=0.03, rho1=1, rho2=0.5, tol=1e-8)
    assert lazy.converged
    assert lazy.cost_scale == pytest.approx(dense.cost_scale)
    assert lazy.value == pytest.approx(dense.value, rel=2e-4)


def test_own_units():
    s = sinkhorn_lazy(X, Y).cost_scale
    own = sinkhorn_lazy(X, Y, eps=0.05 * s, rho1=s, rho2=2 * s, scale_cost=False)
    scaled = sinkhorn_lazy(X, Y, eps=0.05, rho1=1, rho2=2)
    assert own.cost_scale == 1
    assert own.value == pytest.approx(scaled.value, rel=1e-6)
    np.testing.assert_allclose(own.f, scaled.f, rtol=1e-5, atol=1e-5 * s)


def test_two_diracs():
    """METHODS section 0: a = 1, b = 2, C = 4, rho = (2, .5): mass .2319182, value 2.4202045."""
    plan = sinkhorn_lazy([[0.0]], [[2.0]], a=[1.0], b=[2.0], eps=1e-3, rho1=2, rho2=0.5, scale_cost=False)
    assert plan.mass == pytest.approx(0.23191820, abs=1e-3)
    assert plan.unregularised == pytest.approx(2.42020450, rel=1e-4)


def test_balanced_in_one_dimension_is_the_sorted_matching():
    x, y = RNG.normal(size=(300, 1)), RNG.normal(size=(300, 1)) * 2 + 1
    plan = sinkhorn_lazy(x, y, eps=1e-3)
    exact = float(((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2).mean())
    assert plan.converged
    assert plan.parts["transport"] == pytest.approx(exact, rel=5e-3)


def test_pairs_left_out_are_accounted_for():
    """A sharp plan on points in order: most pairs of cells are skipped, and nothing is lost."""
    x = RNG.uniform(size=(1500, 2))
    y = RNG.uniform(size=(1200, 2)) ** 1.5
    lazy = sinkhorn_lazy(x, y, eps=0.003, rho1=1, rho2=1)
    dense = uotlab.sinkhorn(x, y, eps=0.003, rho1=1, rho2=1, tol=1e-6)
    blocks = lazy.kernel.blocks
    active = blocks._active(lazy.kernel.f / blocks.tau1, lazy.kernel.g)
    assert active is not None
    assert float(active.double().mean()) < 0.5
    assert lazy.value == pytest.approx(dense.value, abs=1e-4 * lazy.cost_scale)
    assert np.abs(lazy.P - dense.P).sum() < 0.03
    assert np.isfinite(lazy.barycentric_map()).all()


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize(("rho1", "rho2"), [(1.0, 1.0), (math.inf, math.inf)])
def test_few_sweeps_from_a_coarse_start(rho1, rho2, coarse):
    x, y = RNG.normal(size=(2000, 2)).astype("f4"), (RNG.normal(size=(1500, 2)) * 0.7 + 1).astype("f4")
    plan = sinkhorn_lazy(x, y, eps=0.02, rho1=rho1, rho2=rho2, coarse=coarse)
    assert plan.converged
    assert plan.n_iter <= (10 if coarse else 30)
    assert plan.f.dtype == np.float32


def test_warm_start():
    cold = sinkhorn_lazy(X, Y, A, B, eps=0.02, rho1=1, rho2=1, tol=1e-6)
    warm = sinkhorn_lazy(X, Y, A, B, eps=0.02, rho1=1, rho2=1, init=(cold.f, cold.g))
    assert warm.n_iter == 2
    assert warm.value == pytest.approx(cold.value, rel=1e-5)
    far = sinkhorn_lazy(X, Y, A, B, eps=0.005, rho1=1, rho2=1, init=(cold.f + 3, cold.g - 40))
    assert far.converged
    assert far.value == pytest.approx(sinkhorn_lazy(X, Y, A, B, eps=0.005, rho1=1, rho2=1).value, rel=2e-4)


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
def test_points_without_mass(rho1, rho2):
    a, b = np.append(A, 0), np.append(B_EQUAL, [0, 0])
    x, y = np.vstack([X, [[50.0, 50.0]]]), np.vstack([Y, [[50.0, 50.0], [0, 0]]])
    lazy = sinkhorn_lazy(x, y, a, b, eps=0.05, rho1=rho1, rho2=rho2)
    dense = uotlab.sinkhorn(x, y, a, b, eps=0.05, rho1=rho1, rho2=rho2)
    assert lazy.P.shape == (161, 132)
    assert not lazy.P[-1].any()
    assert not lazy.P[:, -2:].any()
    assert np.isnan(lazy.barycentric_map()[-1]).all()
    shift = 0 if not (math.isinf(rho1) and math.isinf(rho2)) else lazy.f[0] - dense.f[0]
    np.testing.assert_allclose(lazy.f - shift, dense.f, atol=0.05 * lazy.cost_scale)
    np.testing.assert_allclose(lazy.g + shift, dense.g, atol=0.05 * lazy.cost_scale)


def test_extreme_masses_and_outliers():
    b = B.copy()
    b[:5] *= 1e-6
    b[5:9] *= 1e3
    x = np.vstack([X, [[1e3, 1e3]]])
    a = np.append(A, 1e-3)
    for rho in (0.02, 1.0, 1e6):
        lazy = sinkhorn_lazy(x, Y, a, b, eps=0.05, rho1=rho, rho2=rho)
        dense = uotlab.sinkhorn(x, Y, a, b, eps=0.05, rho1=rho, rho2=rho, tol=1e-8)
        assert lazy.converged
        assert lazy.value == pytest.approx(dense.value, rel=2e-4)
        assert np.isfinite(lazy.f).all()
        assert np.isfinite(lazy.g).all()


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 40), (2, 2), (37, 1), (9, 1000)])
@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
def test_any_size(n, m, rho1, rho2):
    x, y = RNG.normal(size=(n, 3)), RNG.normal(size=(m, 3))
    lazy = sinkhorn_lazy(x, y, eps=0.05, rho1=rho1, rho2=rho2)
    assert lazy.converged
    assert lazy.value == pytest.approx(uotlab.sinkhorn(x, y, eps=0.05, rho1=rho1, rho2=rho2, tol=1e-8).value, rel=2e-4)


def test_coinciding_points():
    x = np.ones((20, 2))
    plan = sinkhorn_lazy(x, x, eps=0.1)
    assert plan.converged
    np.testing.assert_allclose(plan.P, np.full((20, 20), 1 / 400), atol=1e-8)
    doubled = np.vstack([X, X])
    assert sinkhorn_lazy(doubled, Y, eps=0.05).value == pytest.approx(sinkhorn_lazy(X, Y, eps=0.05).value, rel=2e-4)


@pytest.mark.parametrize("rho", [1.0, math.inf])
def test_pairs_follow_the_plan(rho):
    x, y = torch.tensor(X[:5]), torch.tensor(Y[:4])
    plan = sinkhorn_lazy(x, y, eps=0.1, rho1=rho, rho2=rho)
    i, j = plan.sample_pairs(40_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(5, 4).index_put((i, j), torch.ones(40_000), accumulate=True) / 40_000
    assert float((counts - plan.P / plan.P.sum()).abs().max()) < 0.01
    again = plan.sample_pairs(40_000, torch.Generator().manual_seed(0))
    assert torch.equal(i, again[0])
    assert torch.equal(j, again[1])
    assert not torch.equal(i, i.sort().values)
    assert plan.sample_pairs(0)[0].shape == (0,)


def test_sampled_pairs_of_a_plan_in_blocks():
    plan = sinkhorn_lazy(X, Y, A, B, eps=0.02, rho1=1, rho2=1, block=700)
    i, j = plan.sample_pairs(200_000, torch.Generator().manual_seed(1))
    counts = np.zeros((160, 130))
    np.add.at(counts, (i.numpy(), j.numpy()), 1 / 200_000)
    wanted = plan.P / plan.P.sum()
    assert np.abs(counts.sum(1) - wanted.sum(1)).max() < 2e-3
    assert np.abs(counts.sum(0) - wanted.sum(0)).max() < 2e-3
    assert counts[wanted < 1e-9].sum() < 1e-4


def test_progress_and_cancel():
    x, y = RNG.normal(size=(600, 2)), RNG.normal(size=(600, 2))
    shares = []
    sinkhorn_lazy(x, y, eps=0.02, progress=shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.3
    assert shares[-1] == 1
    for after in (0, 30, 100):
        calls = []
        plan = sinkhorn_lazy(x, y, eps=0.02, cancel=lambda calls=calls, after=after: calls.append(1) or len(calls) > after)
        assert not plan.converged
        assert plan.certificate == math.inf
        assert math.isnan(plan.value)
        assert np.isfinite(plan.f).all()
        assert np.isfinite(plan.scaling()).all()


@pytest.mark.parametrize("d", [2, 7])
def test_compiled_sweeps_are_those_of_torch(d):
    """Few dimensions run a compiled loop; the same sweep by matrix products gives the same sums."""
    x, y = torch.tensor(RNG.normal(size=(300, d))), torch.tensor(RNG.normal(size=(260, d)) + 0.5)
    kernel = sinkhorn_lazy(x, y, eps=0.02, rho1=1, rho2=0.7).kernel
    assert (kernel.blocks.exponents.plain is not None) == (d == 2)
    phi = kernel.f / kernel.blocks.tau1 + 0.001 * torch.randn(300, generator=torch.Generator().manual_seed(0))
    kernel.blocks.dtype = torch.float64  # torch, all of it in float64
    wanted = kernel.blocks.sweep(phi, kernel.g, transport=True)
    kernel.blocks.dtype = torch.float32
    for careful in (False, True):
        found = kernel.blocks.sweep(phi, kernel.g, careful=careful, transport=True)
        for name in ("f", "r1", "log_r2", "coupled"):
            torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=2e-4, atol=2e-6 if careful else 1e-4)
        assert found.transport == pytest.approx(wanted.transport, rel=1e-4)
    far = kernel.blocks.sweep(phi + 100, kernel.g)  # not to be trusted: done again with a maximum
    torch.testing.assert_close(far.f, wanted.f, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from /proc")
def test_memory():
    """6000 x 6000 in float32 would be 144 MB."""

    def anonymous_mb():
        return int(next(r for r in Path("/proc/self/status").read_text().splitlines() if r.startswith("RssAnon")).split()[1]) / 1024

    x, y = RNG.normal(size=(6000, 2)).astype("f4"), RNG.normal(size=(6000, 2)).astype("f4") + 1
    sinkhorn_lazy(x[:500], y[:500])  # what is loaded once does not count
    before, seen = anonymous_mb(), []
    sinkhorn_lazy(x, y, eps=0.05, rho1=1, rho2=1, progress=lambda share: seen.append(anonymous_mb()))
    assert max(seen) - before < 72


def test_too_few_sweeps_are_said():
    with pytest.warns(UserWarning, match="larger eps"):
        plan = sinkhorn_lazy(X, Y, eps=0.002, max_iter=2, coarse=False)
    assert not plan.converged
    assert plan.certificate > 1e-4


def test_the_matrix_is_built_only_if_it_fits():
    plan = sinkhorn_lazy(RNG.normal(size=(20_000, 1)), RNG.normal(size=(7_000, 1)), eps=0.5, rho1=1, rho2=1)
    with pytest.raises(uotlab.InputError, match=r"rows\(i\)"):
        plan.P  # noqa: B018
    assert plan.rows([0, 19_999]).shape == (2, 7000)
    with pytest.raises(uotlab.InputError, match="row numbers"):
        plan.rows([20_000])


def test_arrays_come_back_as_they_came():
    x = torch.tensor(X, dtype=torch.float32)
    plan = sinkhorn_lazy(x, torch.tensor(Y, dtype=torch.float32), eps=0.1)
    for array in (plan.f, plan.g, plan.a, plan.scaling(), plan.barycentric_map(), plan.P):
        assert isinstance(array, torch.Tensor)
        assert array.dtype == torch.float32
    other = plan.like(X)
    assert isinstance(other, LazyPlan)
    assert isinstance(other.f, np.ndarray)
    assert isinstance(other.P, np.ndarray)
    assert other.value == plan.value


def test_the_solver_is_registered():
    plan = uotlab.plan("sinkhorn-lazy", uotlab.load("moons-to-spiral"), n=300, rho1=1, rho2=1)
    assert isinstance(plan, LazyPlan)
    assert plan.converged


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"eps": 0}, "eps must be a positive"),
        ({"rho1": -1}, "rho1 must be positive"),
        ({"tol": 0}, "tol must be a positive"),
        ({"b": np.full(130, 2.0)}, "masses differ"),
        ({"cost": "sqeuclidian"}, "Did you mean 'sqeuclidean'"),
        ({"y": Y[:, :1]}, "same number of columns"),
        ({"init": 3}, "init must be a pair"),
        ({"block": 0}, "block must be a whole number"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        sinkhorn_lazy(**{"x": X, "y": Y, **arguments})


def test_cells_hold_all_points_once_and_their_boxes_bound_distances():
    points = torch.tensor(RNG.normal(size=(101, 3)))
    cells = make_cells(points, 16)
    assert len(cells) == 16
    assert torch.equal(cells.order.sort().values, torch.arange(101))
    assert {b - a for a, b in zip(cells.bounds, cells.bounds[1:])} <= {6, 7}
    few, inside = cells.merged(4), points[cells.order]
    assert len(few) == 4
    low, high = few.boxes(inside)
    for c in range(4):
        piece = inside[few.bounds[c] : few.bounds[c + 1]]
        assert torch.equal(low[c], piece.amin(0))
        assert torch.equal(high[c], piece.amax(0))
    near = box_distances(low, high, low, high)
    far = torch.cdist(inside, inside)
    for c in range(4):
        for k in range(4):
            assert float(far[few.owner == c][:, few.owner == k].min()) >= float(near[c, k]) - 1e-12


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
def test_cell_shifts_solve_the_small_problem(rho1, rho2):
    """At the optimum the shifted plan has the marginals that its shifted potentials ask for."""
    P = torch.tensor(RNG.uniform(size=(6, 9)))
    A, B = P.sum(1) * torch.tensor(RNG.uniform(0.5, 2, 6)), P.sum(0) * torch.tensor(RNG.uniform(0.5, 2, 9))
    if math.isinf(rho1) and math.isinf(rho2):
        B = B * A.sum() / B.sum()
    total_s, total_t = torch.zeros(6).double(), torch.zeros(9).double()
    for _ in range(4):
        Q = P * ((total_s[:, None] + total_t[None]) / 0.1).exp()
        s, t = cell_shifts(Q, A * (-total_s / rho1).exp(), B * (-total_t / rho2).exp(), 0.1, rho1, rho2)
        total_s, total_t = total_s + s, total_t + t
    Q = P * ((total_s[:, None] + total_t[None]) / 0.1).exp()
    torch.testing.assert_close(Q.sum(1), A * (-total_s / rho1).exp(), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(Q.sum(0), B * (-total_t / rho2).exp(), rtol=1e-5, atol=1e-8)
