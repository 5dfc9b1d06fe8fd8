"""Exact, partial and exact unbalanced transport against closed forms, linear programmes and POT."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import uotlab
from uotlab.plans.crossover import best_plan, column_minima, corner, row_minima, support
from uotlab.plans.emd import optimal
from uotlab.plans.exact_unbalanced import exact_unbalanced
from uotlab.plans.pot import pot

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)), RNG.normal(size=(40, 2)) * 0.7 + 1
A, B = RNG.random(30) + 0.1, RNG.random(40) + 0.1
A, B = A / A.sum(), B / B.sum()


def squared(x, y):
    return ((x[:, None] - y) ** 2).sum(2)


def feasible(plan, C):
    assert (plan.f[:, None] + plan.g <= C + 1e-9 * C.max()).all()


# ---- exact ---------------------------------------------------------------------------------------
@given(seed=st.integers(0, 10_000), equal=st.booleans())
@settings(max_examples=40)
def test_exact_is_the_linear_programme(seed, equal):
    rng = np.random.default_rng(seed)
    n, m = (int(rng.integers(1, 7)),) * 2 if equal else rng.integers(1, 7, 2)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    a, b = (None, None) if equal else (rng.random(n) + 0.01, rng.random(m) + 0.01)
    if b is not None:
        b *= a.sum() / b.sum()
    plan = uotlab.exact(x, y, a, b)
    C = squared(x, y)
    rules = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    wanted = linprog(C.ravel(), A_eq=rules[:-1], b_eq=np.concatenate([plan.a, plan.b])[:-1])
    assert plan.value == pytest.approx(wanted.fun, rel=1e-7, abs=1e-10)
    assert plan.certificate <= 1e-9
    feasible(plan, C)
    assert float(plan.a @ plan.f + plan.b @ plan.g) == pytest.approx(plan.value, rel=1e-7, abs=1e-9)
    assert float(plan.a @ plan.f) == pytest.approx(float(plan.b @ plan.g), abs=1e-9)


def test_one_dimension_is_sorted_matching():
    x, y = RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1)) + 3
    plan = uotlab.exact(x, y, cost="power")
    i, j = plan.P.nonzero()
    assert (np.argsort(x[i, 0]) == np.argsort(y[j, 0])).all()
    assert plan.value == pytest.approx((np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 1.5).mean())


def test_a_permutation_is_found():
    order = RNG.permutation(500)
    grid = np.stack(np.meshgrid(np.arange(25.0), np.arange(20.0)), -1).reshape(-1, 2)
    plan = uotlab.exact(grid, grid[order] + 0.1)
    assert (plan.P.argmax(1) == np.argsort(order)).all()
    assert (plan.P > 0).sum() == 500
    assert plan.value == pytest.approx(0.02)
    assert plan.certificate < 1e-12


def test_both_ways_to_the_same_value():
    """scipy's assignment for equal weights, the network simplex once one weight differs by little."""
    x, y = RNG.normal(size=(2, 450, 3))
    C = torch.tensor(squared(x, y))
    a = torch.full((450,), 1 / 450, dtype=torch.float64)
    near = a.clone()
    near[0], near[1] = near[0] * (1 + 1e-9), near[1] - near[0] * 1e-9
    assert float((optimal(C, a, a)[0] * C).sum()) == pytest.approx(float((optimal(C, near, a)[0] * C).sum()), rel=1e-8)


@pytest.mark.parametrize("solve", [uotlab.exact, uotlab.ipot])
def test_unequal_masses_get_one_sentence(solve):
    with pytest.raises(uotlab.InputError, match=r"masses differ \(1 and 2\)") as error:
        solve(X, Y, None, 2 * B)
    assert "\n" not in str(error.value)


def test_potentials_of_points_without_mass_are_feasible():
    a, b = A.copy(), B.copy()
    a[:5], b[:7] = 0, 0
    plan = uotlab.exact(X, Y, a / a.sum(), b / b.sum())
    feasible(plan, squared(X, Y))
    assert plan.certificate < 1e-9


# ---- the best plan on few pairs ------------------------------------------------------------------
@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_pricing_reaches_the_optimum_from_any_pairs(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30, 2)
    C = torch.tensor(rng.random((n, m)))
    a, b = torch.tensor(rng.random(n) + 0.01), torch.tensor(rng.random(m) + 0.01)
    b *= a.sum() / b.sum()
    P, f, g, value = best_plan(C, a, b, torch.zeros(n, m, dtype=torch.bool), rounds=100)
    wanted = float((optimal(C, a, b)[0] * C).sum())
    assert value == pytest.approx(wanted, rel=1e-8, abs=1e-12)
    assert float((P * C).sum()) == pytest.approx(wanted, rel=1e-8, abs=1e-12)
    assert torch.allclose(P.sum(1), a)
    assert torch.allclose(P.sum(0), b)
    assert bool((f[:, None] + g <= C + 1e-12).all())


def test_few_rounds_still_give_a_plan_and_a_bound():
    C, a, b = torch.tensor(squared(X, Y)), torch.tensor(A), torch.tensor(B)
    P, f, g, value = best_plan(C, a, b, torch.zeros(30, 40, dtype=torch.bool), rounds=1)
    wanted = float((optimal(C, a, b)[0] * C).sum())
    assert torch.allclose(P.sum(1), a)
    assert float(a @ f + b @ g) <= wanted <= value


@given(seed=st.integers(0, 10_000))
def test_the_corner_holds_a_plan(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 9, 2)
    a, b = torch.tensor(rng.integers(1, 5, n).astype(float)), torch.tensor(rng.integers(1, 5, m).astype(float))
    b *= a.sum() / b.sum()
    i, j = corner(a, b)
    assert len(i) == n + m - 1
    assert (i[0], j[0], i[-1], j[-1]) == (0, 0, n - 1, m - 1)
    assert bool(((i.diff() + j.diff()) == 1).all())
    assert bool((i.diff() >= 0).all() and (j.diff() >= 0).all())


def test_support_keeps_what_matters():
    a = torch.full((200,), 1 / 200, dtype=torch.float64)
    P = torch.diag(a) + 1e-13
    held = support(P, a, a)
    assert held is not None
    assert bool((held == (P > 1e-10)).all())
    assert support(torch.full((200, 200), 1 / 200**2), a, a) is None


def test_minima_by_blocks():
    C, f, g = torch.rand(700, 900), torch.rand(700), torch.rand(900)
    assert torch.equal(row_minima(C, g), (C - g).amin(1))
    assert torch.equal(column_minima(C, f), (C - f[:, None]).amin(0))


# ---- partial -------------------------------------------------------------------------------------
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("total", [0.5, 1.0, 3.0])
def test_partial_is_pots(share, total):
    plan = uotlab.partial(X, Y, A, total * B, mass=share)
    moved = share * min(1, total)
    C = squared(X, Y)
    wanted = pot().partial.partial_wasserstein(A, total * B, C, m=moved * (1 - 1e-12))
    assert plan.mass == pytest.approx(moved)
    assert plan.value == pytest.approx((wanted * C).sum(), rel=1e-6)
    assert (plan.P.sum(1) <= A + 1e-12).all()
    assert (plan.P.sum(0) <= total * B + 1e-12).all()
    assert plan.certificate < 1e-9
    assert plan.converged
    feasible(plan, C)


def test_partial_leaves_the_outlier():
    x, y = np.vstack([X, [[50.0, 50.0]]]), X + 0.1
    plan = uotlab.partial(x, np.vstack([y, [[-50.0, 0.0]]]), mass=30 / 31)
    assert plan.P[-1].sum() == pytest.approx(0, abs=1e-12)
    assert plan.value == pytest.approx(30 / 31 * 0.02)


def test_all_of_the_mass_is_exact():
    assert uotlab.partial(X, Y, A, B, mass=1.0).value == pytest.approx(uotlab.exact(X, Y, A, B).value)


@pytest.mark.parametrize("mass", [0, -1, 1.1, math.nan, math.inf])
def test_shares_outside_the_rule(mass):
    with pytest.raises(uotlab.InputError, match="mass must lie"):
        uotlab.partial(X, Y, mass=mass)


# ---- exact unbalanced ----------------------------------------------------------------------------
def test_unbalanced_two_diracs():
    """METHODS section 0: a = 1, b = 2, C = 4, rho = (2, .5) in the cost's units, which is (.5, .125) in mean-cost units."""
    plan = exact_unbalanced([[0.0]], [[2.0]], [1.0], [2.0], rho1=0.5, rho2=0.125)
    assert plan.mass == pytest.approx(0.23191820, rel=1e-6)
    assert plan.value == pytest.approx(2.42020450, rel=1e-8)
    plan = exact_unbalanced([[0.0]], [[2.0]], [1.0], [2.0], rho1=0.8, rho2=1.2, divergence="l2")
    p = (3.2 * 1 + 4.8 * 2 - 4) / (3.2 + 4.8)  # 4 p + 3.2/2 (p - 1)^2 + 4.8/2 (p - 2)^2
    assert plan.mass == pytest.approx(p, rel=1e-5)
    assert plan.value == pytest.approx(4 * p + 1.6 * (p - 1) ** 2 + 2.4 * (p - 2) ** 2, rel=1e-8)


@pytest.mark.parametrize("rho", [0.05, 0.5, 2.0])
def test_sinkhorn_tends_to_the_exact_unbalanced_plan(rho):
    plan = exact_unbalanced(X, Y, A, 1.3 * B, rho1=rho, rho2=rho)
    assert plan.converged
    near = [uotlab.sinkhorn(X, Y, A, 1.3 * B, eps=e, rho1=rho, rho2=rho, tol=1e-7).unregularised for e in (4e-3, 1e-3)]
    assert plan.value <= near[1] * (1 + 1e-4) <= near[0] * (1 + 2e-4)
    assert plan.value == pytest.approx(near[1], rel=3e-3)


@pytest.mark.parametrize("divergence", ["kl", "l2"])
@pytest.mark.parametrize("algorithm", ["mm", "lbfgsb"])
def test_both_algorithms_and_their_certificates(divergence, algorithm):
    rho = 0.3 if divergence == "kl" else 10.0
    found = {
        name: exact_unbalanced(X, Y, A, B, rho1=rho, rho2=rho, divergence=divergence, algorithm=name, max_iter=5000)
        for name in ("auto", algorithm)
    }
    best, plan = found["auto"], found[algorithm]
    assert plan.certificate < 1e-3
    bound = plan.certificate * max(plan.value, plan.cost_scale * plan.mass)
    assert -1e-3 * best.value < plan.value - best.value <= bound * 1.01 + best.certificate * best.value
    feasible(plan, squared(X, Y))
    assert set(plan.parts) - {"transport", "entropy"} == ({"kl1", "kl2"} if divergence == "kl" else {"divergence1", "divergence2"})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rho1": math.inf}, "must be finite"),
        ({"rho2": 0}, "rho2 must be positive"),
        ({"divergence": "tv"}, "divergence must be one of kl, l2"),
        ({"algorithm": "newton"}, "algorithm must be one of"),
        ({"x": np.zeros((1000, 2)), "y": np.ones((1000, 2))}, "at most 2.6e"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        exact_unbalanced(**{"x": X, "y": Y, **arguments})


def test_what_does_not_converge_says_so():
    with pytest.warns(UserWarning, match="more max_iter"):
        assert not exact_unbalanced(X, Y, rho1=5, rho2=5, divergence="l2", algorithm="mm", max_iter=1).converged
