"""Costs: pairs and matrix agree, one factor, calibration, gradients where distances vanish, precision far from the origin."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uotlab.costs import COSTS, Cost, Feature, make_cost
from uotlab.errors import InputError

NAMES = list(COSTS)
every = pytest.mark.parametrize("name", NAMES)


def clouds(n: int = 7, m: int = 5, d: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=dtype), 0.5 * torch.randn(m, d, generator=rng, dtype=dtype) + 0.3


@every
@given(seed=st.integers(0, 1000), d=st.integers(1, 6))
def test_matrix_agrees_with_pairs(name: str, seed: int, d: int) -> None:
    x, y = clouds(d=d, seed=seed)
    cost = COSTS[name]()
    C = cost.matrix(x, y)
    pairs = cost(x.repeat_interleave(len(y), 0), y.repeat(len(x), 1))
    assert C.shape == (7, 5)
    assert pairs.shape == (35,)
    torch.testing.assert_close(C.reshape(-1), pairs, rtol=1e-9, atol=1e-9)
    assert (C >= -1e-12).all()


@every
def test_factor_multiplies(name: str) -> None:
    x, y = clouds()
    one = COSTS[name]()
    three = COSTS[name](factor=3.0)
    torch.testing.assert_close(three.matrix(x, y), 3 * one.matrix(x, y))
    torch.testing.assert_close(three(x[:5], y), 3 * one(x[:5], y))
    assert three.scale == pytest.approx(1 / 3)
    assert three.unscaled() == one


@every
def test_calibration_makes_the_mean_one(name: str) -> None:
    x, y = clouds(40, 30)
    cost = COSTS[name]().calibrated(x, y)
    assert float(cost.matrix(x, y).mean()) == pytest.approx(1, rel=1e-9)
    assert float(cost.unscaled().matrix(x, y).mean()) == pytest.approx(cost.scale, rel=1e-9)


@every
def test_calibration_under_weights(name: str) -> None:
    x, y = clouds(4, 3)
    a, b = torch.tensor([1.0, 0.0, 3.0, 2.0], dtype=torch.float64), torch.tensor([0.5, 0.25, 4.0], dtype=torch.float64)
    cost = COSTS[name]().calibrated(x, y, a, b)
    mean = (a / a.sum()) @ cost.matrix(x, y) @ (b / b.sum())
    assert float(mean) == pytest.approx(1, rel=1e-9)


@every
def test_nothing_to_move_is_said(name: str) -> None:
    x = torch.ones(3, 2)
    with pytest.raises(InputError, match="mean cost"):
        COSTS[name]().calibrated(x, x)


@every
def test_gradients_are_finite_where_x_is_y(name: str) -> None:
    x, y = clouds(4, 4)
    x[1] = y[1]
    for value in ("pairs", "matrix"):
        point = x.clone().requires_grad_()
        cost = COSTS[name]()
        (cost(point, y) if value == "pairs" else cost.matrix(point, y)).sum().backward()
        assert torch.isfinite(point.grad).all(), value


@every
def test_zero_on_the_diagonal(name: str) -> None:
    x, _ = clouds(6, 4)
    assert float(COSTS[name]()(x, x).abs().max()) <= 1e-9
    assert float(COSTS[name]().matrix(x, x).diagonal().abs().max()) <= 1e-6


@pytest.mark.parametrize("name", ["sqeuclidean", "feature", "euclidean", "power", "wfr"])
def test_far_from_the_origin_keeps_its_digits(name: str) -> None:
    """float32 at 10⁴ leaves steps of 10⁻³: distances of order one stay right to that."""
    x, y = clouds(50, 40, d=2)
    shift = 1e4
    near = COSTS[name]().matrix(x, y)
    x32, y32 = (x + shift).float(), (y + shift).float()
    exact = COSTS[name]().matrix(x32.double() - shift, y32.double() - shift)
    far = COSTS[name]().matrix(x32, y32)
    assert far.dtype == torch.float32
    torch.testing.assert_close(far.double(), exact, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(exact, near, rtol=0.1, atol=0.1)


def test_closed_forms() -> None:
    x, y = torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    assert make_cost("sqeuclidean")(x, y).tolist() == [25, 13]
    assert make_cost("euclidean")(x, y)[0].item() == pytest.approx(5)
    assert make_cost("power", 3)(x, y)[0].item() == pytest.approx(125, rel=1e-6)
    assert make_cost("cosine")(x[1:], y[1:]).item() == pytest.approx(1)
    assert make_cost("wfr")(x[1:], x[1:] + torch.tensor([[0.5, 0.0]])).item() == pytest.approx(-2 * math.log(math.cos(0.5)), rel=1e-5)


def test_wfr_beyond_its_reach_is_large_increasing_and_finite() -> None:
    """Mass further than length·π/2 is made and destroyed, never moved: exp(-cost/eps) is 0 there, and no number breaks."""
    r = torch.linspace(0, 100, 2001, dtype=torch.float64)
    x, y = torch.zeros(2001, 1, dtype=torch.float64), r[:, None].clone().requires_grad_()
    cost = make_cost("wfr")
    C = cost(x, y)
    assert torch.isfinite(C).all()
    assert (C.diff() > 0).all()
    C.sum().backward()
    assert torch.isfinite(y.grad).all()
    beyond = r > math.pi / 2
    assert float(torch.exp(-C.detach()[beyond] / 0.05).max()) == 0
    assert make_cost("wfr", 2.0)(x[:1], x[:1] + 1.0).item() == pytest.approx(-2 * math.log(math.cos(0.5)))


def test_wfr_calibration_sets_its_length() -> None:
    x, y = clouds(30, 20)
    free, held = make_cost("wfr").calibrated(x, y), make_cost("wfr", 1.5).calibrated(x, y)
    mean = torch.cdist(x, y).square().mean()
    assert free.length == pytest.approx(float(mean) ** 0.5)
    assert held.length == 1.5


def test_feature_map() -> None:
    x, y = clouds()
    doubled = Feature(features=lambda v: 2 * v)
    torch.testing.assert_close(doubled.matrix(x, y), 4 * make_cost("sqeuclidean").matrix(x, y))


def test_make_cost_takes_a_name_a_cost_or_nothing() -> None:
    held = make_cost("power", 2.5)
    assert make_cost(held) is held
    assert held.p == 2.5
    assert make_cost(None).name == "sqeuclidean"
    assert isinstance(make_cost("SQ-Euclidean"), Cost)


@pytest.mark.parametrize(
    ("name", "value", "words"), [("power", 0.5, r"\[1, 10\].*0.5"), ("power", math.nan, "p of the power"), ("wfr", -1.0, "positive.*-1")]
)
def test_bad_parameters_are_named(name: str, value: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_cost(name, value)


def test_features_of_float32_networks():
    net = torch.nn.Linear(2, 3)
    x, y = torch.randn(9, 2, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    for features in (net, net.forward):
        cost = Feature(features=features).calibrated(x, y)
        assert float(cost.matrix(x, y).detach().mean()) == pytest.approx(1, abs=1e-5)
