"""IPOT against exact transport, in both domains and with every option; what it says of marginals, nonzeros and bounds."""

import numpy as np
import pytest
import torch

import uotlab
from uotlab.plans.emd import optimal
from uotlab.plans.ipot import Steps, ipot, proximal_points

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 16)), RNG.random((60, 16))
A, B = RNG.random(60) + 0.1, RNG.random(60) + 0.1
A, B = A / A.sum(), B / B.sum()


def problem(n=40, m=30, seed=0):
    rng = np.random.default_rng(seed)
    C = torch.tensor(((rng.normal(size=(n, 1, 2)) - rng.normal(size=(m, 2)) - 1) ** 2).sum(2))
    a, b = torch.tensor(rng.random(n) + 0.1), torch.tensor(rng.random(m) + 0.1)
    a, b = a / a.sum(), b / b.sum()
    return C / float(a @ C @ b), a, b


def as_printed(C, a, b, beta, steps, inner=1, warm=True):
    """Algorithm 1, line by line, in float64."""
    n, m = C.shape
    G, P, v = torch.exp(-C / beta), torch.full_like(C, 1 / (n * m)), torch.full_like(b, 1 / m)
    for _ in range(steps):
        Q = G * P
        v = v if warm else torch.full_like(b, 1 / m)
        for _ in range(inner):
            u = a / (Q @ v)
            v = b / (Q.T @ u)
        P = u[:, None] * Q * v
    return P


@pytest.mark.parametrize("domain", ["exp", "log"])
@pytest.mark.parametrize(("inner", "warm"), [(1, True), (1, False), (4, True), (4, False)])
def test_steps_are_the_algorithm_as_printed(domain, inner, warm):
    C, a, b = problem()
    for beta in (0.05, 1.0):
        steps = Steps(C, a, b, beta, inner=inner, domain=domain, warm=warm)
        steps.advance(25)
        assert torch.allclose(steps.plan(), as_printed(C, a, b, beta, 25, inner, warm), rtol=1e-6, atol=1e-12)


def test_steps_are_sinkhorn_at_a_falling_temperature():
    """With many inner steps, P_t is Sinkhorn's plan at eps = beta / t: the proximal steps add up."""
    C, a, b = problem()
    steps = Steps(C, a, b, 0.5, inner=2000)
    steps.advance(5)
    P = torch.exp(-C / 0.1)
    for _ in range(20000):
        P = P * (a / P.sum(1))[:, None]
        P = P * (b / P.sum(0))[None]
    assert torch.allclose(steps.plan(), P, atol=1e-8)


@pytest.mark.parametrize("beta", [1e-4, 0.01, 10.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_stay_finite_at_any_beta(beta, dtype):
    C, a, b = problem()
    for domain in ("exp", "log", "auto"):
        steps = Steps(C, a, b, beta, dtype, domain=domain)
        for _ in range(10):
            steps.advance(5)
            assert bool(torch.isfinite(steps.plan()).all())
            assert all(bool(torch.isfinite(g).all()) for g in steps.duals())
        # float32 has two digits left of an exponent of a million
        assert torch.allclose(steps.plan().sum(0).double(), b, rtol=2e-2 if dtype == torch.float32 else 1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"domain": "exp"}, {"domain": "log"}, {"inner": 5}, {"beta": 0.02}, {"beta": 1.0}, {"warm": False, "inner": 20}, {"tol": 1e-9}],
    ids=str,
)
@pytest.mark.parametrize("masses", [(None, None), (A, B)], ids=["equal", "unequal"])
def test_the_value_is_exact(options, masses):
    wanted = uotlab.exact(X, Y, *masses)
    plan = ipot(X, Y, *masses, **options)
    assert plan.converged
    assert plan.value == pytest.approx(wanted.value, rel=2 * max(plan.certificate, 1e-9))
    np.testing.assert_allclose(plan.P.sum(1), plan.a, atol=1e-12)
    np.testing.assert_allclose(plan.P.sum(0), plan.b, atol=1e-12)
    assert (plan.P > 0).sum() < 2 * 60
    C = ((X[:, None] - Y) ** 2).sum(2)
    assert (plan.f[:, None] + plan.g <= C + 1e-9).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (70, 20)])
def test_n_and_m_may_differ(shape):
    x, y = RNG.normal(size=(shape[0], 2)), RNG.normal(size=(shape[1], 2)) + 1
    assert ipot(x, y).value == pytest.approx(uotlab.exact(x, y).value, rel=1e-6)


def test_as_printed_the_value_is_reached_from_above():
    """Without the finish: the nearest plan with the marginals, never below the optimum, its error within the certificate."""
    wanted = uotlab.exact(X, Y).value
    for domain in ("exp", "log"):
        plan = ipot(X, Y, tol=2e-3, finish=False, domain=domain)
        assert plan.converged
        assert wanted * (1 - 1e-9) <= plan.value <= wanted + 1.001 * plan.certificate * max(plan.value, plan.cost_scale)
        assert 0 < plan.marginal_error < 0.05
        np.testing.assert_allclose(plan.P.sum(1), plan.a, atol=1e-12)


def test_unrounded_costs_fall_below_the_optimum():
    """Why plans are rounded: with one inner step the first marginal is off, and <P, C> then lies below the true value."""
    C, a, b = problem(seed=3)
    exact = float((optimal(C, a, b)[0] * C).sum())
    steps = Steps(C, a, b, 0.01)
    steps.advance(300)
    P = steps.plan()
    assert float((P.sum(1) - a).abs().sum()) > 1e-3
    assert float((P * C).sum()) < exact
    assert proximal_points(C, a, b, 0.01, 1e-6).certificate <= 1e-6


def test_nonzeros_shrink_to_a_basis():
    C, a, b = problem()
    steps, counts = Steps(C, a, b, 0.1), []
    for _ in range(4):
        steps.advance(250)
        counts.append(int((steps.plan() > 1e-4 / 40).sum()))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] <= 2 * 40


def test_points_without_mass():
    a, b = A.copy(), B.copy()
    a[:4], b[50:] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    plan = ipot(X, Y, a, b)
    assert plan.value == pytest.approx(uotlab.exact(X, Y, a, b).value)
    assert not plan.P[:4].any()
    assert (plan.f[:, None] + plan.g <= ((X[:, None] - Y) ** 2).sum(2) + 1e-9).all()


def test_warm_starts():
    first = ipot(X, Y)
    again = ipot(X, Y, init=(first.f, first.g), finish=False, tol=5e-3)
    cold = ipot(X, Y, finish=False, tol=5e-3)
    assert again.n_iter <= cold.n_iter
    assert ipot(X, Y, init=(first.f, first.g)).value == pytest.approx(first.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"beta": 0}, "beta must be a positive number"),
        ({"beta": float("inf")}, "beta must be a positive number"),
        ({"inner": 0}, "inner must be a whole number"),
        ({"max_iter": 0}, "max_iter must be a whole number"),
        ({"domain": "linear"}, "domain must be 'auto', 'log' or 'exp'"),
        ({"tol": 0}, "tol must be a positive number"),
        ({"init": (np.zeros(3), np.zeros(60))}, "shapes"),
        ({"y": Y[:, :3]}, "same number of columns"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence) as error:
        ipot(**{"x": X, "y": Y, **arguments})
    assert "\n" not in str(error.value)


def test_what_does_not_converge_says_so():
    with pytest.warns(UserWarning, match="more max_iter"):
        plan = ipot(X, Y, finish=False, tol=1e-8, max_iter=20)
    assert not plan.converged
    assert plan.n_iter == 20


def test_progress_and_cancel():
    seen = []
    with pytest.warns(UserWarning, match="IPOT stopped after 60"):
        ipot(X, Y, finish=False, tol=1e-8, max_iter=60, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert ipot(X, Y, finish=False, tol=1e-8, cancel=lambda: True).n_iter <= 10
