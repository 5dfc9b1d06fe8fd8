"""Scaling with any divergence against a generic convex optimiser, closed forms of two Diracs, KL-Sinkhorn and its own certificate."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import uotlab
from uotlab.divergences import DIVERGENCES
from uotlab.plans.proximal import Range, make_side, omega
from uotlab.plans.rounding import round_into
from uotlab.plans.scaling import sinkhorn_scaling

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)), RNG.normal(size=(40, 2)) * 0.7 + 1
ALL = [*DIVERGENCES, "range"]
RELAXED = [d for d in ALL if d != "balanced"]
MIXED = [
    ("balanced", "tv"),
    ("tv", "balanced"),
    ("kl", "tv"),
    ("chi2", "range"),
    ("range", "kl"),
    ("range", "balanced"),
    ("js", "hellinger"),
]
every = pytest.mark.parametrize("name", ALL)


def numbers(t):
    return torch.tensor(t, dtype=torch.float64)


# ---- one update ----------------------------------------------------------------------------------
@every
@given(h=st.floats(-30, 30), eps=st.sampled_from([0.005, 0.1, 2.0]), rho=st.sampled_from([0.05, 1.0, 20.0]))
@settings(max_examples=30)
def test_an_update_maximises_the_dual(name, h, eps, rho):
    """f is the greatest of -(rho psi)*(-f) - eps exp((f - h) / eps), whatever formula gave it."""
    side = make_side(name, rho, 0.7, 1.4)
    one = numbers([1.0])

    def dual(f):
        return side.dual(one, numbers([f])) - eps * math.exp(min((f - h) / eps, 700))

    f = float(side.update(numbers([h]), eps)[0])
    assert f >= side.least
    best = dual(f)
    assert math.isfinite(best)
    slack = 1e-9 * (1 + abs(best))
    assert all(dual(max(f + step * eps, side.least)) <= best + slack for step in (-3, -0.1, -1e-3, 1e-3, 0.1, 3))


def test_omega():
    z = torch.linspace(-700, 700, 4001, dtype=torch.float64)
    w = omega(z)
    assert torch.allclose((w + w.log())[z > -600], z[z > -600], rtol=1e-12, atol=1e-12)


# ---- whole problems ------------------------------------------------------------------------------
def reference(C, a, b, eps, one, two):
    """The objective's minimum by L-BFGS-B on log P for smooth penalties, by SLSQP on P where there are constraints or kinks."""
    n, m = C.shape
    ab = np.outer(a, b)

    def objective(P):
        r, c = P.sum(1), P.sum(0)
        entropy = eps * (P * np.log(np.maximum(P, 1e-300) / ab) - P + ab).sum()
        return float((P * C).sum()) + entropy + one.value(numbers(a), numbers(r)) + two.value(numbers(b), numbers(c))

    kinked = [side.psi.name == "tv" for side in (one, two)]
    size = n * m + n * kinked[0] + m * kinked[1]

    def split(z):
        P = z[: n * m].reshape(n, m)
        rest = z[n * m :]
        return P, (rest[:n] if kinked[0] else None), (rest[n * kinked[0] :] if kinked[1] else None)

    def value(z):
        P, u, v = split(np.maximum(z, 1e-12))
        total = float((P * C).sum()) + eps * (P * np.log(P / ab) - P + ab).sum()
        for side, w, marginal, bound in ((one, a, P.sum(1), u), (two, b, P.sum(0), v)):
            total += side.rho * bound.sum() if bound is not None else side.value(numbers(w), numbers(marginal))
        return total

    rules = []
    for side, w, axis, k in ((one, a, 1, 1), (two, b, 0, 2)):
        lo, hi = side.bounds
        marginal = lambda z, axis=axis: split(z)[0].sum(axis)  # noqa: E731
        if side.psi.name == "tv":
            rules.append({"type": "ineq", "fun": lambda z, w=w, k=k, marginal=marginal: split(z)[k] - (marginal(z) - w)})
            rules.append({"type": "ineq", "fun": lambda z, w=w, k=k, marginal=marginal: split(z)[k] + (marginal(z) - w)})
        elif lo == hi:
            last = len(w) - (k == 2 and one.hard)  # the masses are equal: the last equation follows from the others
            rules.append({"type": "eq", "fun": lambda z, w=w, last=last, marginal=marginal: (marginal(z) - w)[:last]})
        elif hi < math.inf:
            rules.append({"type": "ineq", "fun": lambda z, w=w, hi=hi, marginal=marginal: hi * w - marginal(z)})
            rules.append({"type": "ineq", "fun": lambda z, w=w, lo=lo, marginal=marginal: marginal(z) - lo * w})
    start = np.concatenate([(0.9 * ab).ravel(), np.full(size - n * m, 0.5)])
    if not rules:
        found = minimize(
            lambda z: value(np.exp(z)), np.log(start), method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15, "maxfun": 10**6}
        )
        return found.fun, np.exp(found.x).reshape(n, m)
    found = minimize(
        value, start, method="SLSQP", bounds=[(1e-12, None)] * size, constraints=rules, options={"maxiter": 2000, "ftol": 1e-13}
    )
    assert found.success, found.message
    return found.fun, split(found.x)[0]


@pytest.mark.parametrize(("first", "second"), [*((d, d) for d in ALL), *MIXED])
@pytest.mark.parametrize("rho", [0.2, pytest.param(2.0, marks=pytest.mark.slow)])
def test_agrees_with_a_generic_optimiser(first, second, rho):
    x, y = X[:4], Y[:3]
    a = np.array([0.2, 0.3, 0.3, 0.2])
    b = np.array([0.3, 0.3, 0.4]) * (0.9 if {first, second} <= {"range", "softplus-raw"} else 1.0)
    eps = 0.3
    C = ((x[:, None] - y) ** 2).sum(2)
    C /= a @ C @ b / (a.sum() * b.sum())
    one, two = (make_side(d, rho, 0.8, 1.25) for d in (first, second))
    wanted, P = reference(C, a, b, eps, one, two)
    plan = sinkhorn_scaling(x, y, a, b, eps=eps, rho1=rho, rho2=rho, divergence1=first, divergence2=second, tol=1e-10)
    assert plan.value / plan.cost_scale == pytest.approx(wanted, rel=2e-5, abs=1e-6)
    assert np.abs(plan.P - P).max() < 5e-3


@every
@pytest.mark.parametrize("cost", [0.3, 3.0])
def test_two_diracs(name, cost):
    """One number p is left: p C + rho a psi(p/a) + rho b psi(p/b) + eps ab (p/ab log p/ab - p/ab + 1), minimised on a fine grid."""
    a, b = (1.0, 1.0) if name == "balanced" else (1.0, 1.3)
    rho, eps = 0.8, 0.05
    plan = sinkhorn_scaling(
        [[0.0]], [[cost**0.5]], [a], [b], eps=eps, rho1=rho, rho2=rho, divergence1=name, divergence2=name, scale_cost=False, tol=1e-12
    )
    side = make_side(name, rho, 0.8, 1.25)
    lo, hi = side.bounds
    low, high = max(lo * a, lo * b, 1e-9), min(hi * a, hi * b, 3.0)
    grid = torch.cat([torch.linspace(low, high, 2_000_001, dtype=torch.float64), numbers([p for p in (a, b) if low <= p <= high])])
    psi = (lambda s: torch.zeros_like(s)) if name in ("balanced", "range") else side.psi.psi
    values = grid * cost + rho * (a * psi(grid / a) + b * psi(grid / b)) + eps * (torch.xlogy(grid, grid / (a * b)) - grid + a * b)
    assert plan.value == pytest.approx(float(values.min()), rel=1e-7)
    assert plan.mass == pytest.approx(float(grid[values.argmin()]), abs=2e-3)


def test_two_diracs_of_total_variation_and_range():
    """Without entropy: mass moves while 2 rho > C (min(a, b) of it), and a range moves its least."""
    for cost, moved in ((1.9, 1.0), (2.1, 0.0)):
        plan = sinkhorn_scaling(
            [[0.0]], [[cost**0.5]], [1.0], [1.5], eps=1e-3, rho1=1, rho2=1, divergence1="tv", divergence2="tv", scale_cost=False
        )
        assert plan.mass == pytest.approx(moved, abs=1e-6)
        assert plan.unregularised == pytest.approx(min(cost * 1.0 + 0.5, 2.5), abs=1e-3)
    plan = sinkhorn_scaling([[0.0]], [[1.0]], [1.0], [1.2], eps=1e-3, divergence1="range", divergence2="range", lo=0.7, hi=1.1)
    assert plan.mass == pytest.approx(0.84, abs=1e-6)


@pytest.mark.parametrize("rho", [0.1, 3.0, math.inf])
def test_kl_is_sinkhorn(rho):
    plan = sinkhorn_scaling(X, Y, eps=0.03, rho1=rho, rho2=rho, tol=1e-8)
    wanted = uotlab.sinkhorn(X, Y, eps=0.03, rho1=rho, rho2=rho, tol=1e-8)
    assert plan.value == pytest.approx(wanted.value, rel=1e-7)
    assert set(plan.parts) == set(wanted.parts)
    assert np.abs(plan.P - wanted.P).sum() < 1e-3


@every
def test_an_infinite_rho_holds_the_marginal(name):
    plan = sinkhorn_scaling(X, Y, eps=0.1, rho1=math.inf, rho2=0.5, divergence1=name, divergence2="chi2", lo=1, hi=1)
    np.testing.assert_allclose(plan.P.sum(1), plan.a, atol=1e-12)


@pytest.mark.parametrize("name", [d for d in RELAXED if d not in ("tv", "range")])
def test_the_scaling_comes_from_the_potentials(name):
    """d pi_1/d mu = psi*'(-f / rho)."""
    plan = sinkhorn_scaling(X, Y, eps=0.05, rho1=0.6, rho2=0.6, divergence1=name, divergence2=name, tol=1e-10)
    wanted = DIVERGENCES[name]().star_grad(torch.tensor(-plan.f / (0.6 * plan.cost_scale)))
    np.testing.assert_allclose(plan.scaling(), wanted, rtol=2e-3, atol=1e-4)


@every
@pytest.mark.parametrize("eps", [0.005, 0.05, 0.5, 5.0])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_finite_and_certified(name, eps, dtype):
    for rho in (0.01, 0.3, 10.0, math.inf):
        plan = sinkhorn_scaling(X.astype(dtype), Y.astype(dtype), eps=eps, rho1=rho, rho2=rho, divergence1=name, divergence2=name)
        assert plan.converged
        assert plan.certificate <= (1e-4 if dtype == np.float32 else 1e-6)
        for array in (plan.P, plan.f, plan.g):
            assert np.isfinite(array).all()
        assert plan.value == pytest.approx(sum(plan.parts.values()))
        lo, hi = (1.0, 1.0) if math.isinf(rho) and name != "range" else make_side(name, 1.0, 0.8, 1.25).bounds
        for factor in (plan.scaling(), plan.target_scaling()):
            assert (factor >= lo - 1e-5).all()
            assert (factor <= hi + 1e-5).all()


@pytest.mark.parametrize("name", RELAXED)
def test_unequal_masses(name):
    b = np.full(40, 1.2 / 40)
    for rho in (0.1, 5.0):
        plan = sinkhorn_scaling(X, Y, None, b, eps=0.05, rho1=rho, rho2=rho, divergence1=name, divergence2=name)
        assert plan.converged
        assert 0 < plan.mass < 1.6


def test_warm_starts():
    first = sinkhorn_scaling(X, Y, eps=0.1, rho1=0.4, rho2=0.4, divergence1="tv", divergence2="chi2")
    warm, cold = (
        sinkhorn_scaling(X, Y, eps=0.02, rho1=0.4, rho2=0.4, divergence1="tv", divergence2="chi2", init=init)
        for init in ((first.f, first.g), None)
    )
    assert warm.converged
    assert warm.value == pytest.approx(cold.value, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"divergence1": "balanced", "divergence2": "balanced", "b": np.full(40, 2 / 40)}, "masses differ"),
        ({"rho1": math.inf, "rho2": math.inf, "b": np.full(40, 2 / 40)}, "masses differ"),
        ({"divergence1": "range", "divergence2": "range", "b": np.full(40, 2 / 40)}, "do not meet"),
        ({"divergence1": "range", "divergence2": "balanced", "b": np.full(40, 2 / 40)}, "do not meet"),
        ({"divergence1": "softplus-raw", "rho1": 1.0, "divergence2": "balanced", "b": np.full(40, 2 / 40)}, "do not meet"),
        ({"divergence1": "rang"}, "Did you mean 'range'"),
        ({"divergence1": "range", "lo": 2.0, "hi": 1.0}, "lo <= hi"),
        ({"eps": 0}, "eps must be a positive number"),
        ({"tol": -1}, "tol must be a positive number"),
        ({"rho1": 0}, "rho1 must be positive"),
        ({"init": (np.zeros(3), np.zeros(40))}, "shapes"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence) as error:
        sinkhorn_scaling(**{"x": X, "y": Y, **arguments})
    assert "\n" not in str(error.value)


def test_what_does_not_converge_says_so():
    with pytest.warns(UserWarning, match="more max_iter"):
        plan = sinkhorn_scaling(X, Y, eps=0.005, max_iter=3)
    assert not plan.converged


def test_settings_are_checked():
    for bad in ({"divergence1": "tw"}, {"lo": 2.0, "hi": 1.0}, {"eps": 0}):
        with pytest.raises(uotlab.InputError):
            uotlab.plan("scaling", uotlab.load("moons-to-spiral", n=20), 10, **bad)
    assert uotlab.SOLVERS["scaling"](divergence1="KL").divergence1 == "kl"


# ---- rounding and the range ----------------------------------------------------------------------
@given(seed=st.integers(0, 10_000))
@settings(max_examples=100)
def test_rounding_keeps_the_bounds(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 8, 2)
    P, a, b = (torch.tensor(rng.random(shape) * 10 ** rng.uniform(-2, 2)) for shape in ((n, m), (n,), (m,)))
    (l1, h1), (l2, h2) = (sorted(rng.uniform(0, 2, 2)) for _ in range(2))
    low, high = max(l1 * float(a.sum()), l2 * float(b.sum())), min(h1 * float(a.sum()), h2 * float(b.sum()))
    if low > high:
        b *= float(a.sum() / b.sum()) * (l1 + h1) / (l2 + h2)
        if max(l1 * float(a.sum()), l2 * float(b.sum())) > min(h1 * float(a.sum()), h2 * float(b.sum())):
            return
    Q = round_into(P, a, b, (l1, h1), (l2, h2))
    assert bool((Q >= 0).all())
    for sums, w, lo, hi in ((Q.sum(1), a, l1, h1), (Q.sum(0), b, l2, h2)):
        assert bool((sums >= lo * w - 1e-9 * (1 + w)).all())
        assert bool((sums <= hi * w + 1e-9 * (1 + w)).all())


@given(t=st.floats(-5, 5), s=st.floats(0, 3))
def test_range_is_a_conjugate_pair(t, s):
    psi = Range(0.5, 2.0)
    value = float(psi.star(numbers(t)))
    assert value == pytest.approx(max(0.5 * t, 2.0 * t))
    assert float(psi.psi(numbers(s))) + value >= s * t - 1e-12
    if t != 0:
        assert float(psi.star_grad(numbers(t))) * t == pytest.approx(value)
