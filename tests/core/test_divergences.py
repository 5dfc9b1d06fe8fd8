"""Every divergence against the definition of a convex conjugate, not against another formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from uotlab.divergences import DIVERGENCES, weighted_star, weighted_star_grad

NAMES = list(DIVERGENCES)
SMOOTH = [n for n in NAMES if n not in ("tv", "balanced")]
every = pytest.mark.parametrize("name", NAMES)


def num(t: float) -> torch.Tensor:
    return torch.tensor(float(t), dtype=torch.float64)


def inside(name: str, share: float) -> torch.Tensor:
    """A t in the interior of the domain of psi*, from a share in (0, 1) of [-6, min(recession, 4)]."""
    top = min(DIVERGENCES[name].recession, 4.0)
    return num(-6 + share * (top - 1e-3 + 6))


shares = st.floats(0.0, 1.0)
masses_of = st.floats(1e-6, 50.0)


@every
@given(share=shares, s=masses_of)
def test_fenchel_young(name: str, share: float, s: float) -> None:
    psi, t = DIVERGENCES[name](), inside(name, share)
    assert float(psi.psi(num(s)) + psi.star(t) - num(s) * t) >= -1e-9 * (1 + s * abs(float(t)))


@every
@given(share=shares)
def test_fenchel_young_is_tight_at_star_grad(name: str, share: float) -> None:
    psi, t = DIVERGENCES[name](), inside(name, share)
    s = psi.star_grad(t)
    gap = float(psi.psi(s) + psi.star(t) - s * t)
    assert abs(gap) <= 1e-9 * (1 + float(s) * abs(float(t)))


@every
@given(share=st.floats(0.0, 0.97))
def test_star_is_the_numerical_supremum(name: str, share: float) -> None:
    psi, t = DIVERGENCES[name](), inside(name, share)
    # a coarse grid finds the best cell, a fine one inside it the value
    grid = (
        torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(-9, 4.5, 4001, dtype=torch.float64), num(1.0)[None]]).sort().values
    )
    values = grid * t - psi.psi(grid)
    best = int(values.argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    fine = low + (high - low) * torch.linspace(0, 1, 20001, dtype=torch.float64)
    supremum = torch.maximum(values.max(), (fine * t - psi.psi(fine)).max())
    assert float(psi.star(t)) == pytest.approx(float(supremum), abs=1e-8, rel=1e-8)


@every
@given(t=st.floats(-30, 30), s_max=st.sampled_from([1.5, 3.0, 10.0, 100.0]))
def test_star_capped_is_the_conjugate_on_masses_up_to_s_max(name: str, t: float, s_max: float) -> None:
    psi = DIVERGENCES[name]()
    near = torch.logspace(-9, 0, 1001, dtype=torch.float64)  # psi is steep where its domain may end: at 0, 1 and 2
    grid = torch.cat([torch.linspace(0, s_max, 200_001, dtype=torch.float64), near, 1 - near, 2 - near])
    grid = grid[grid <= s_max]
    if name == "balanced":
        grid = torch.cat([grid, torch.ones(1, dtype=torch.float64)])
    supremum = float((grid * t - psi.psi(grid)).max())
    assert float(psi.star_capped(num(t), s_max)) == pytest.approx(supremum, abs=2e-5, rel=2e-5)
    assert 0 <= float(psi.star_capped_grad(num(t), s_max)) <= s_max * (1 + 1e-12)


@pytest.mark.parametrize("name", SMOOTH)
@given(share=shares)
def test_star_grad_is_the_derivative(name: str, share: float) -> None:
    psi = DIVERGENCES[name]()
    t = inside(name, share).requires_grad_()
    (by_autograd,) = torch.autograd.grad(psi.star(t), t)
    assert float(psi.star_grad(t.detach())) == pytest.approx(float(by_autograd), rel=1e-9, abs=1e-12)


@every
@given(t=st.floats(-30, 30), s_max=st.sampled_from([1.5, 100.0]))
def test_star_capped_grad_is_its_derivative(name: str, t: float, s_max: float) -> None:
    psi = DIVERGENCES[name]()
    # kinks have no derivative: of |s - 1| and of the branch of chi2 at fixed t, and where the tangent starts
    assume(all(abs(t - kink) > 1e-3 for kink in (-1.0, 1.0, -2.0, psi.cap(s_max))))
    point = num(t).requires_grad_()
    (by_autograd,) = torch.autograd.grad(psi.star_capped(point, s_max), point)
    assert float(psi.star_capped_grad(point.detach(), s_max)) == pytest.approx(float(by_autograd), rel=1e-8, abs=1e-12)


@every
def test_star_capped_and_its_gradient_are_finite_everywhere(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        t = torch.tensor([-1e6, -1e3, -100.0, -2.0, 0.0, math.log(2), 1.0, 100.0, 1e3, 1e6], dtype=dtype, requires_grad=True)
        value = DIVERGENCES[name]().star_capped(t)
        (grad,) = torch.autograd.grad(value.sum(), t)
        assert torch.isfinite(value).all()
        assert torch.isfinite(grad).all()
        assert (grad >= 0).all()
        assert value.dtype == dtype


@every
def test_star_is_increasing_and_convex(name: str) -> None:
    psi = DIVERGENCES[name]()
    t = torch.stack([inside(name, s) for s in np.linspace(0, 1, 501)])
    value, slope = psi.star(t), psi.star_grad(t)
    assert (value.diff() >= -1e-12).all()
    assert (slope.diff() >= -1e-12).all()
    assert (slope >= 0).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "softplus-raw"])
def test_normalised_at_one(name: str) -> None:
    """psi(1) = 0, psi*(0) = 0 and psi*'(0) = 1: nothing grows where nothing asks for it."""
    psi = DIVERGENCES[name]()
    assert float(psi.psi(num(1))) == pytest.approx(0, abs=1e-12)
    assert float(psi.star(num(0))) == pytest.approx(0, abs=1e-12)
    assert float(psi.star_grad(num(0))) == pytest.approx(1, abs=1e-12)


def test_raw_softplus_is_an_ablation() -> None:
    psi = DIVERGENCES["softplus-raw"]()
    assert float(psi.star(num(0))) == pytest.approx(math.log(2))
    assert float(psi.star_grad(num(0))) == pytest.approx(0.5)


@every
def test_domains_are_exact(name: str) -> None:
    psi = DIVERGENCES[name]()
    assert float(psi.psi(num(-0.1))) == math.inf
    if math.isfinite(psi.recession):
        assert float(psi.star(num(psi.recession + 1e-6))) == math.inf
        assert math.isfinite(float(psi.star(num(psi.recession - 1e-6))))
        assert math.isfinite(float(psi.star(num(psi.recession)))) == psi.closed


@pytest.mark.parametrize("name", [n for n in NAMES if math.isfinite(DIVERGENCES[n].recession)])
def test_recession_is_the_slope_at_infinity(name: str) -> None:
    psi = DIVERGENCES[name]()
    slopes = [float(psi.psi(num(s)) / s) for s in (1e4, 1e8, 1e12)]
    assert slopes[-1] == pytest.approx(psi.recession, abs=1e-5)


@every
@given(v=st.floats(-1e4, 1e4), w=st.floats(-1e4, 1e4))
def test_activation_increases_and_stays_within_the_recession(name: str, v: float, w: float) -> None:
    psi = DIVERGENCES[name]()
    low, high = psi.activation(num(min(v, w))), psi.activation(num(max(v, w)))
    assert float(low) <= float(high) <= psi.recession
    assert math.isfinite(float(low))


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 1, 2)])
def test_any_shape_and_float_type(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    psi = DIVERGENCES[name]()
    t = torch.zeros(shape, dtype=dtype)
    for method in (psi.psi, psi.star, psi.star_grad, psi.star_capped, psi.star_capped_grad, psi.activation):
        assert method(t).shape == shape
        assert method(t).dtype == dtype


@every
def test_plain_numbers_are_taken(name: str) -> None:
    psi = DIVERGENCES[name]()
    assert float(psi.psi(1.0)) == pytest.approx(float(psi.psi(num(1))))
    assert float(psi.star(-0.5)) == pytest.approx(float(psi.star(num(-0.5))))


@pytest.mark.parametrize("name", SMOOTH)
@given(share=st.floats(0.05, 0.95), rho=st.floats(0.05, 20.0))
def test_weighting(name: str, share: float, rho: float) -> None:
    """(rho psi)* = rho psi*(t / rho): the supremum of s t - rho psi(s)."""
    psi, t = DIVERGENCES[name](), inside(name, share)
    s = psi.star_grad(t)
    assume(float(s) < 100)
    assert float(weighted_star(psi, rho, rho * t)) == pytest.approx(float(s * rho * t - rho * psi.psi(s)), rel=1e-8, abs=1e-8)
    assert float(weighted_star_grad(psi, rho, rho * t)) == pytest.approx(float(s), rel=1e-8)


@every
def test_infinite_weight_is_balanced(name: str) -> None:
    t = torch.linspace(-3, 3, 7)
    assert torch.equal(weighted_star(DIVERGENCES[name](), math.inf, t), t)
    assert torch.equal(weighted_star_grad(DIVERGENCES[name](), math.inf, t), torch.ones(7))


def test_js_is_the_sum_of_two_kl_without_halves() -> None:
    """D_js(P|Q) = KL(P|M) + KL(Q|M), M = (P + Q) / 2, for unequal masses too."""
    P, Q = torch.tensor([0.5, 1.5, 0.2], dtype=torch.float64), torch.tensor([1.0, 0.4, 0.9], dtype=torch.float64)
    M = (P + Q) / 2

    def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return (p * (p / q).log() - p + q).sum()

    by_psi = (DIVERGENCES["js"]().psi(P / Q) * Q).sum()
    assert float(by_psi) == pytest.approx(float(kl(P, M) + kl(Q, M)), abs=1e-12)


@pytest.mark.parametrize("name", ["kl", "chi2", "softplus", "js", "hellinger", "reverse-kl"])
def test_large_weights_keep_the_digits_of_float32(name):
    t = torch.linspace(-2, 2, 401)
    psi = DIVERGENCES[name]()
    assert torch.allclose(weighted_star(psi, 1e6, t).double(), weighted_star(psi, 1e6, t.double()), rtol=0, atol=2e-6)
