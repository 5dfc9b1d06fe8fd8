"""Sinkhorn where it is hard: extreme tau, eps, masses and starts. Every plan is finite, and certified or warned about."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import uotlab
from uotlab.plans.sinkhorn import sinkhorn

TAUS = (0.3, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
EPSILONS = (5.0, 0.5, 0.05, 0.01, 0.005, 0.001)


def rho_of(tau: float, eps: float) -> float:
    return math.inf if tau == 1 else eps * tau / (1 - tau)


def check_grid(n: int, dtype: type, taus: tuple[float, ...], epsilons: tuple[float, ...]) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) * 0.7 + 1
    if n >= 50:
        y[0], x[1] = (30, 30), x[2]  # a far outlier and a point twice
    x, y = x.astype(dtype), y.astype(dtype)
    for tau in taus:
        before = None
        for eps in epsilons:
            for init in (None, before):
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always")
                    plan = sinkhorn(x, y, eps=eps, rho1=rho_of(tau, eps), rho2=rho_of(tau, eps), init=init)
                where = f"n {n}, {dtype.__name__}, tau {tau}, eps {eps}, {'cold' if init is None else 'warm'}"
                assert all(np.isfinite(v).all() for v in (plan.P, plan.f, plan.g)), where
                assert math.isfinite(plan.value), where
                assert plan.converged == (plan.certificate <= (1e-4 if dtype == np.float32 else 1e-6)), where
                assert plan.converged == (not said), where
            before = plan.f, plan.g


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_the_grid(n, dtype):
    check_grid(n, dtype, TAUS, EPSILONS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_grid_at_1024_points(dtype):
    check_grid(1024, dtype, TAUS, EPSILONS)


def log_domain(C, a, b, eps, rho1, rho2, most=200_000):
    """The plan by plain Sinkhorn in the log domain, the best constant moved between f and g; None where f did not come to rest."""
    tau1, tau2 = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (rho1, rho2))
    la, lb = a.log(), b.log()
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    weight = 0.0
    if not (math.isinf(rho1) and math.isinf(rho2)):
        weight = rho2 if math.isinf(rho1) else rho1 if math.isinf(rho2) else rho1 * rho2 / (rho1 + rho2)
    for _ in range(most):
        before = f
        f = -tau1 * eps * torch.logsumexp((g[None] - C) / eps + lb[None], 1)
        g = -tau2 * eps * torch.logsumexp((f[:, None] - C) / eps + la[:, None], 0)
        if weight:
            f_mass = torch.logsumexp(la - (0.0 if math.isinf(rho1) else f / rho1), 0)
            g_mass = torch.logsumexp(lb - (0.0 if math.isinf(rho2) else g / rho2), 0)
            moved = weight * float(f_mass - g_mass)
            f, g = f + moved, g - moved
        if float((f - before).abs().max()) <= 1e-12 * (1 + float(f.abs().max())):
            break
    else:
        return None
    return ((f[:, None] + g[None] - C) / eps + la[:, None] + lb[None]).exp()


@st.composite
def problems(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n, m, d = draw(st.integers(1, 60)), draw(st.integers(1, 60)), draw(st.integers(1, 4))
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + draw(st.sampled_from([0.0, 0.5, 3.0]))
    kind = draw(st.sampled_from(["plain", "plain", "duplicates", "same points", "all one point"]))
    if kind == "duplicates":
        x[n // 2 :] = x[0]
        y[: m // 2] = y[-1]
    elif kind == "same points":
        y = x[rng.integers(0, n, m)]
    elif kind == "all one point":
        x[:], y[:] = 1.0, 1.0
    weights = draw(st.sampled_from(["equal", "random", "wide"]))
    if weights == "equal":
        a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    elif weights == "random":
        a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
    else:
        a, b = 10 ** rng.uniform(-6, 3, n), 10 ** rng.uniform(-6, 3, m)
    eps = 10 ** draw(st.floats(math.log10(0.005), 1.0))
    rhos = [draw(st.one_of(st.just(math.inf), st.floats(-2.0, 3.0).map(lambda e: 10**e))) for _ in (1, 2)]
    return x, y, a, b, eps, *rhos


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(problems())
def test_random_problems_agree_with_a_log_domain_loop(problem):
    x, y, a, b, eps, rho1, rho2 = problem
    if math.isinf(rho1) and math.isinf(rho2):
        if abs(a.sum() - b.sum()) > 1e-6 * max(a.sum(), b.sum()):
            with pytest.raises(uotlab.InputError, match="masses differ"):
                sinkhorn(x, y, a, b, eps=eps, rho1=rho1, rho2=rho2)
        b = b * (a.sum() / b.sum())
    plan = sinkhorn(x, y, a, b, eps=eps, rho1=rho1, rho2=rho2, tol=1e-12 if not (math.isinf(rho1) and math.isinf(rho2)) else 1e-7)
    C = torch.from_numpy(((x[:, None] - y[None]) ** 2).sum(2) / plan.cost_scale)
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    assert plan.converged
    P = log_domain(C, ta, tb, eps, rho1, rho2, most=20_000)
    if P is None:  # nearly a permutation, held on both sides: the plain loop takes millions of steps
        return
    mass = float(P.sum())
    assert plan.mass == pytest.approx(mass, rel=1e-5)
    assert np.abs(plan.P - P.numpy()).sum() <= 1e-5 * mass


X = np.random.default_rng(0).normal(size=(20, 2))


@pytest.mark.parametrize("solve", [uotlab.sinkhorn, uotlab.sinkhorn_lazy])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"eps": 1e-30}, "eps must be at least 1e-05 of the mean cost"),
        ({"eps": 1e-6, "scale_cost": False}, "eps must be at least 1e-05 of the mean cost"),
        ({"progress": 3}, "progress must be a function"),
        ({"cancel": "now"}, "cancel must be a function"),
        ({"scale_cost": X}, "scale_cost must be True or False"),
        ({"cost": np.ones((20, 20))}, "cost must be a name of uotlab.COSTS or a Cost"),
    ],
)
def test_settings_that_cannot_be_solved_are_one_sentence(solve, given, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        solve(X, X + 1, **given)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sinkhorn(X, X + 1, eps=1e-7, divergence="tv", rho1=1, rho2=1), "eps must be at least"),
        (lambda: uotlab.sinkhorn_batch(np.ones((2, 3, 3)), eps=1e-9), "eps must be at least"),
        (lambda: uotlab.ipot(X, X + 1, beta=1e-300), "beta must be at least"),
        (lambda: uotlab.plan("sinkhorn", uotlab.Problem.from_arrays(X, X + 1), rho1=True), "rho1 of sinkhorn must not be True"),
        (lambda: uotlab.plan("scaling", uotlab.Problem.from_arrays(X, X + 1), lo=3), "lo and hi of the range"),
        (lambda: sinkhorn((1e25 * X).astype("f"), (1e25 * X + 1e25).astype("f")), "too large for float32"),
    ],
)
def test_numbers_beyond_what_can_be_solved_are_one_sentence(call, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        call()
