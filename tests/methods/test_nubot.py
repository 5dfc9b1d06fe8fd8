"""NubOT: weights from the carried points, its guard, growth, and that balanced it is the plain convex pair."""

import numpy as np
import pytest
import torch

import uotlab
from uotlab.engine.begin import begin
from uotlab.engine.spec import RunSpec

SMALL = {"width": 8, "depth": 1, "batch_size": 32, "pretrain": 20}


def started(problem, **params):
    method = uotlab.METHODS["nubot"](**SMALL, **params)
    return method, begin(RunSpec(method="nubot", dataset=None, steps=1, device="cpu"), method, problem).state


@pytest.fixture(scope="module")
def squares():
    return uotlab.load("two-squares")


def test_weights_are_densities_of_two_plans_between_carried_points(squares):
    """p1 from the plan of T(x) with y, p2 from that of x with S(y): those of `couple`, the same solver as UOT-ICNN's."""
    method, state = started(squares, rho=0.5)
    x, y = state.batch(0, 20), state.batch(1, 20)
    found = method.couple_carried(state, state.f, state.g, x, y)
    with torch.no_grad():
        forward, backward = method.couple(state, state.f.map(x), y), method.couple(state, x, state.g.map(y))
    assert torch.equal(found.p1, forward.p1)
    assert torch.equal(found.p2, backward.p2)


def test_nothing_is_weighted_once_the_map_arrives(squares):
    """Where T#mu = nu the plan of carried points is balanced, however far the mass went: the paper's fixed point."""
    method, state = started(squares, rho=0.5, eps=0.002)
    y = state.batch(1, 40)
    found = method.couple(state, y, y)
    assert torch.allclose(found.p1, torch.ones(40), atol=0.1)
    assert torch.allclose(found.p2, torch.ones(40), atol=0.1)


def test_balanced_it_draws_plain_batches(squares):
    method, state = started(squares, rho="inf")
    batch, losses = method.draw(state)
    assert losses == {}
    assert torch.allclose(batch.a, torch.full((32,), 1 / 32))
    assert torch.equal(method.scaling(state, batch.x), torch.ones(32))


@pytest.mark.parametrize("bad", [float("nan"), 1e6])
def test_the_guard_goes_back_to_the_last_good_networks(squares, bad):
    method, state = started(squares, rho=0.5)
    good = {k: v.clone() for k, v in state.f_good.state_dict().items()}
    with torch.no_grad():
        state.f.a.fill_(bad)
    assert method.ran_away(state)
    rates = method.rates(state)
    method.go_back(state)
    assert not method.ran_away(state)
    assert all(torch.equal(v, good[k]) for k, v in state.f.state_dict().items())
    assert float(state.restarts) == 1
    assert method.rates(state) == pytest.approx((rates[0] / 2, rates[1] / 2))
    assert torch.isfinite(method.step(state)["dual loss"])


def test_a_few_far_images_do_not_trip_the_guard(squares):
    method, state = started(squares)
    state.held_x[:20] *= 1e4  # fewer than a tenth of 300
    assert len(state.held_x) >= 240
    assert not method.ran_away(state)


def test_growth_is_the_ratio_of_both_nets(squares):
    fitted = uotlab.fit("nubot", squares, 20, device="cpu", rho=0.3, **SMALL)
    x = torch.from_numpy(np.array(squares.source.points[:10]))
    with torch.no_grad():
        growth = fitted.method.growth(fitted.state, x)
    expected = fitted.scaling(x) / fitted.target_scaling(fitted.transport(x))
    assert torch.allclose(growth, expected, rtol=1e-4)
    assert {"restarts", "re-weighting loss", "plan mass"} <= set(fitted.metrics)


def test_outliers_out_of_reach_get_no_weight():
    """1% of the target at -8: at rho = .3 the carried points never go there, and its weight falls below a tenth of the bulk's."""
    problem = uotlab.load("outliers-1d", n=2000)
    fitted = uotlab.fit("nubot", problem, 60, device="cpu", rho=0.3, lr=1e-2, **(SMALL | {"batch_size": 128}))
    zeta = fitted.target_scaling(np.array([[-8.0], [1.0]], np.float32))
    assert zeta[0] < 0.5 * zeta[1]
    assert fitted.evaluate(1000, reference=False)["outlier share"] < 0.005
