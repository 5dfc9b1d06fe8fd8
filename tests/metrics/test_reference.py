"""The reference that maps are measured by, against closed forms: Gaussians, Diracs, one dimension; and what it claims of itself."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import make_cost
from uotlab.metrics.reference import Question, c_transform, closed_form, discrete
from uotlab.penalty import Penalty

HELD = math.inf


def gaussians(n, rho1, rho2, d=2, mass=1.4, seed=1) -> Question:
    p = uotlab.load("gaussians", n=100, d=d, target_mass=mass)
    rng = torch.Generator().manual_seed(seed)
    x, y = (m.fresh(n, rng).points.double() for m in p.marginals)
    cost = make_cost(None).calibrated(x[:1000], y[:1000])
    a, b = (torch.full((n,), m.mass / n, dtype=torch.float64) for m in p.marginals)
    return Question(x, y, a, b, cost, ("kl", "kl"), Penalty(rho1 / cost.scale, rho2 / cost.scale), p.truth)


CASES = [(1.0, 1.0, 1.4, 2), (1.0, 1.0, 1.4, 16), (30.0, 5.0, 1.4, 3), (HELD, 4.0, 1.4, 2), (4.0, HELD, 1.4, 2), (HELD, HELD, 1.0, 16)]


@pytest.mark.parametrize(("rho1", "rho2", "mass", "d"), CASES)
def test_closed_form_is_optimal(rho1, rho2, mass, d):
    """Its potentials are feasible, tight along the map, and give the scalings; primal and dual are its value."""
    q = gaussians(20_000, rho1, rho2, d, mass)
    found = closed_form(q)
    s = q.cost.scale
    few = slice(0, 300)
    gap = q.cost.matrix(q.x[few], q.y[few]) * s - found.f[few, None] - found.g[None, few]
    assert gap.min() > -1e-6 * s
    assert float(q.a @ found.xi) == pytest.approx(found.mass, rel=0.05)
    assert float(q.b @ found.zeta) == pytest.approx(found.mass, rel=0.05)
    if math.isfinite(rho1):
        assert torch.allclose(found.xi, (-found.f / rho1).exp(), rtol=1e-9)
    if math.isfinite(rho2):
        assert torch.allclose(found.zeta, (-found.g / rho2).exp(), rtol=1e-9)
    one, two = q.sides
    assert one.dual(q.a, found.f) + two.dual(q.b, found.g) == pytest.approx(found.value, rel=0.04)
    paid = sum(rho * D for rho, D in zip((rho1, rho2), found.divergences) if math.isfinite(rho))
    moved = float(q.a @ (found.xi * (q.x - found.Tx.double()).square().sum(1)))
    assert moved + paid == pytest.approx(found.value, rel=0.04)


def test_closed_form_is_for_kl_and_squared_distances_only():
    q = gaussians(100, 1.0, 1.0)
    assert closed_form(q) is not None
    assert closed_form(Question(q.x, q.y, q.a, q.b, q.cost, ("tv", "kl"), q.penalty, q.truth)) is None
    assert closed_form(Question(q.x, q.y, q.a, q.b, make_cost("euclidean"), ("kl", "kl"), q.penalty, q.truth)) is None
    assert closed_form(Question(q.x, q.y, q.a, q.b, q.cost, ("kl", "kl"), q.penalty)) is None


@pytest.mark.parametrize(("rho1", "rho2", "mass"), [(1.0, 1.0, 1.4), (HELD, HELD, 1.0)])
def test_discrete_optimum_is_the_exact_one_but_for_sampling(rho1, rho2, mass):
    q = gaussians(1500, rho1, rho2, 2, mass)
    exact, found = closed_form(q), discrete(q)
    one, two = q.sides
    here = one.dual(q.a, exact.f) + two.dual(q.b, exact.g)  # the exact potentials at these points
    assert here - 1e-3 * abs(here) <= found.value == pytest.approx(here, rel=0.04)  # which no others of these points do better than
    assert one.dual(q.a, found.f) + two.dual(q.b, found.g) == pytest.approx(found.value, rel=1e-9)
    assert found.mass == pytest.approx(float(q.a @ exact.xi), rel=3 * found.noise["mass"] + 0.005)
    assert 0 <= found.certificate < 0.02
    error = float((found.Tx - exact.Tx).square().sum(1).mean().sqrt()) / exact.spread
    assert 0.4 * error < found.noise["map"] < 2.5 * error  # it knows its own error by sampling
    if math.isfinite(rho1):
        assert float((found.xi.log() - exact.xi.log()).square().mean().sqrt()) < 3 * found.noise["scaling"] + 0.01


@pytest.mark.parametrize(("a", "b", "rho"), [(1.0, 2.0, (2.0, 0.5)), (1.0, 1.4, (1.0, 1.0))])
def test_two_diracs(a, b, rho):
    """p = exp((rho1 log a + rho2 log b - C) / (rho1 + rho2)), value rho1 a + rho2 b - (rho1 + rho2) p, at C = 4."""
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 2.0, dtype=torch.float64)
    weights = (torch.tensor([w], dtype=torch.float64) for w in (a, b))
    found = discrete(Question(x, y, *weights, make_cost(None), ("kl", "kl"), Penalty(*rho)))
    p = math.exp((rho[0] * math.log(a) + rho[1] * math.log(b) - 4) / sum(rho))
    assert found.mass == pytest.approx(p, rel=2e-3)
    assert found.value == pytest.approx(rho[0] * a + rho[1] * b - sum(rho) * p, rel=1e-3)
    assert found.Tx.item() == 2.0
    assert float(found.xi) == pytest.approx(p / a, rel=2e-3)


def test_on_a_line_it_is_the_monotone_map():
    p = uotlab.load("p-to-q", n=1200)
    x, y = (torch.from_numpy(m.points).double() for m in p.marginals)
    a = torch.full((1200,), 1 / 1200, dtype=torch.float64)
    cost = make_cost(None).calibrated(x, y)
    found = discrete(Question(x, y, a, a, cost, ("kl", "kl"), Penalty()))
    order = x[:, 0].argsort()
    Tx, wanted = found.Tx[order, 0].double(), y[:, 0].sort().values
    assert (Tx.diff() >= -1e-6).all()
    assert float((Tx - wanted).square().mean().sqrt()) < 0.1 * found.spread
    exact = float((x[order, 0] - wanted).square().mean())
    assert found.value == pytest.approx(exact, rel=0.01)
    assert found.value <= exact * (1 + 1e-9)  # it is a dual value


@pytest.mark.parametrize("name", ["tv", "chi2", "js", "reverse-kl", "hellinger", "softplus"])
def test_any_divergence_is_bracketed(name):
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.normal(m, 1.0, size=(120, 2))) for m in (0.0, 1.5))
    a, b = torch.full((120,), 1 / 120, dtype=torch.float64), torch.full((120,), 1.3 / 120, dtype=torch.float64)
    found = discrete(Question(x, y, a, b, make_cost(None).calibrated(x, y), (name, name), Penalty(0.7, 1.2)))
    assert 0 <= found.certificate < 0.05
    assert 0 < found.value < math.inf
    assert found.mass > 0.05
    assert torch.isfinite(found.zeta).all()


def test_points_of_both_sides_and_heads():
    q = gaussians(200, 1.0, 1.0)
    whole = discrete(q)
    head = whole.head(50)
    assert (len(head.x), len(head.y), len(head.Tx)) == (50, 50, 50)
    assert float(head.a.sum()) == pytest.approx(1.0)
    assert float(head.b.sum()) == pytest.approx(1.4)
    assert torch.equal(head.Tx, whole.Tx[:50])
    assert whole.spread == pytest.approx(float(whole.Tx.double().var(0, correction=0).sum().sqrt()))


def test_c_transform_is_the_largest_feasible_answer():
    q = gaussians(60, 1.0, 1.0)
    f = c_transform(q.cost, q.x, q.y, torch.zeros(60, dtype=torch.float64))
    slack = q.cost.matrix(q.x, q.y) * q.cost.scale - f[:, None]
    assert torch.allclose(slack.amin(1), torch.zeros(60, dtype=torch.float64), atol=1e-9)
