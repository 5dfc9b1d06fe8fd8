"""What every discrete solver must not depend on: the unit of mass, who asks for gradients, which solver fits a cost's length."""

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import WassersteinFisherRao

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), RNG.normal(size=(15, 2)) + 1
LENGTH = float(np.sqrt(((X[:, None] - Y) ** 2).sum(-1).mean()))


@pytest.mark.parametrize("unit", [1e-90, 1.1e9])
@pytest.mark.parametrize("solve", [uotlab.exact, uotlab.ipot, uotlab.partial], ids=lambda f: f.__name__)
def test_a_plan_scales_with_the_unit_of_mass(solve, unit):
    a, b = np.full(20, 1 / 20), np.full(15, 1 / 15)
    one, many = solve(X, Y, a, b), solve(X, Y, unit * a, unit * b)
    assert many.value / unit == pytest.approx(one.value, rel=1e-9)
    assert many.mass / unit == pytest.approx(one.mass, rel=1e-9)


def test_masses_beyond_all_numbers_are_refused():
    with pytest.raises(uotlab.InputError, match="total mass"):
        uotlab.sinkhorn(X, Y, np.full(20, 1e-200), np.full(15, 1e-200))


@pytest.mark.parametrize("solve", [uotlab.exact, uotlab.ipot, uotlab.sinkhorn, uotlab.sinkhorn_lazy], ids=lambda f: f.__name__)
def test_points_that_ask_for_gradients_are_points(solve):
    assert solve(torch.tensor(X, requires_grad=True), Y).converged


def test_a_cost_with_its_own_length_is_one_cost():
    fixed = WassersteinFisherRao(length=LENGTH)
    wanted = uotlab.sinkhorn(X, Y, cost=fixed, rho1=1, rho2=1, scale_cost=False).value
    for solve in (uotlab.sinkhorn, uotlab.sinkhorn_lazy):
        assert solve(X, Y, cost="wfr", rho1=1, rho2=1, scale_cost=False).value == pytest.approx(wanted, rel=5e-3)
    between = uotlab.sinkhorn_divergence(X, Y, rho1=1, rho2=1, cost="wfr")
    assert between == pytest.approx(uotlab.sinkhorn_divergence(X, Y, rho1=1, rho2=1, cost=fixed), rel=1e-6)
    assert between > 0


def test_sinkhorns_barycenter_honours_unequal_weights_in_every_domain():
    support = np.sort(RNG.uniform(0, 3, 12))[:, None]
    p = RNG.uniform(0.05, 1, (3, 12))
    found = [
        uotlab.barycenter("sinkhorn", p / p.sum(1, keepdims=True), [0.5, 0.3, 0.2], support, variant=v, tol=1e-9, iterations=20000)
        for v in ("exp", "stabilized", "log")
    ]
    assert [r.value for r in found] == pytest.approx([found[2].value] * 3, rel=1e-6)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 2.5}, {"seed": "x"}])
def test_plan_names_what_is_wrong(wrong):
    with pytest.raises(uotlab.InputError, match=next(iter(wrong))):
        uotlab.plan("sinkhorn", uotlab.Problem.from_arrays(X, Y), **wrong)
