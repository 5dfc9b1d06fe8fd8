"""One τ: exact conversions to each paper's convention and back, and the numbers that they must give."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uotlab.errors import InputError
from uotlab.penalty import CONVENTIONS, EPS, Penalty, rho_from_tau, tau_from_rho

positive = st.floats(1e-3, 1e3)
every = pytest.mark.parametrize("convention", CONVENTIONS)


@every
@given(rho=positive, scale=positive, eps=st.floats(1e-2, 1.0))
def test_round_trip(convention: str, rho: float, scale: float, eps: float) -> None:
    tau = tau_from_rho(convention, rho, scale, eps)
    assert rho_from_tau(convention, tau, scale, eps) == pytest.approx(rho, rel=1e-9)


@every
def test_infinity_is_balanced_both_ways(convention: str) -> None:
    tau = tau_from_rho(convention, math.inf, 2.0)
    assert tau == {"cost-weight": 0.0, "divergence-weight": math.inf, "sinkhorn": 1.0}[convention]
    assert rho_from_tau(convention, tau, 2.0) == math.inf


@pytest.mark.parametrize(("eps", "tau", "lam"), [(0.01, 0.9, 0.09), (0.01, 0.95, 0.19), (0.01, 0.99, 0.99), (0.1, 0.85, 0.5666667)])
def test_sinkhorn_exponent_of_ott_and_moscot(eps: float, tau: float, lam: float) -> None:
    assert rho_from_tau("sinkhorn", tau, eps=eps) == pytest.approx(lam, rel=1e-6)


def test_cost_weight_is_uotm_s() -> None:
    """UOTM's c = τ |x-y|²: dividing the problem by τ s leaves mean cost 1 and rho = 1 / (τ s)."""
    assert rho_from_tau("cost-weight", 0.1, scale=2.5) == pytest.approx(4)
    # its toy code has a half in the cost: c = .5 τ |x-y|² is half the τ
    assert rho_from_tau("cost-weight", 0.5 * 0.1, scale=2.5) == pytest.approx(2 / (0.1 * 2.5))


def test_divergence_weight_is_u_notb_s() -> None:
    """½|x-y|² with τ D: τ over the mean of its own cost s / 2."""
    assert rho_from_tau("divergence-weight", 20, scale=8) == pytest.approx(20 / (8 / 2))


def test_larger_tau_is_more_unbalanced_in_the_first_and_less_in_the_others() -> None:
    up = {c: rho_from_tau(c, 0.6, 2.0) > rho_from_tau(c, 0.3, 2.0) for c in CONVENTIONS}
    assert up == {"cost-weight": False, "divergence-weight": True, "sinkhorn": True}


def test_the_two_sides_are_independent() -> None:
    p = Penalty.from_tau("sinkhorn", 0.5, 1.0, eps=0.1)
    assert (p.rho1, p.rho2) == (pytest.approx(0.1), math.inf)
    assert not p.balanced
    assert Penalty().balanced
    assert p.tau("sinkhorn", eps=0.1) == (pytest.approx(0.5), 1.0)
    assert Penalty(2.0, 4.0).tau("cost-weight", scale=0.5) == (1.0, 0.5)


def test_the_default_eps_is_the_stated_one() -> None:
    assert EPS == 0.05
    assert rho_from_tau("sinkhorn", 0.5) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("convention", "tau", "scale", "words"),
    [
        ("sinkhorn", 1.5, 1.0, r"\(0, 1\].*1.5"),
        ("sinkhorn", 0.0, 1.0, r"\(0, 1\].*0"),
        ("cost-weight", -1.0, 1.0, "tau must be positive.*-1"),
        ("cost-weight", 1.0, 0.0, "scale must be positive"),
        ("divergence-weight", 0.0, 1.0, "tau must be positive"),
        ("divergence-weight", math.nan, 1.0, "tau must be positive.*nan"),
        ("no-such", 1.0, 1.0, "cost-weight, divergence-weight, sinkhorn"),
    ],
)
def test_bad_values_name_their_rule(convention: str, tau: float, scale: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rho_from_tau(convention, tau, scale)


@pytest.mark.parametrize("rho", [0.0, -1.0, math.nan])
def test_a_penalty_is_positive(rho: float) -> None:
    with pytest.raises(InputError, match="rho2 must be positive"):
        Penalty(1.0, rho)
    with pytest.raises(InputError, match="rho must be positive"):
        tau_from_rho("sinkhorn", rho)
