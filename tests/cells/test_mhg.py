"""The minimum hypergeometric test against every order there is, and against scipy's tails."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import hypergeom

from uotlab.cells.mhg import EXACT_BELOW, mhg, mhg_all, mhg_at


def statistic(member, most):
    """The definition: every cutoff, scipy's tail."""
    N, B = len(member), int(member.sum())
    return min(hypergeom.sf(member[:n].sum() - 1, N, B, n) for n in range(1, most + 1))


@pytest.mark.parametrize(("N", "B", "most"), [(12, 4, 12), (12, 4, 5), (12, 1, 12), (11, 10, 11), (9, 3, 9)])
def test_exact_against_all_orders(N, B, most):
    orders = [np.isin(np.arange(N), places) for places in combinations(range(N), B)]
    stats = np.array([statistic(order, most) for order in orders])
    assert len(stats) == comb(N, B)
    for order, s in zip(orders, stats, strict=True):
        found = mhg(order, most)
        assert found.stat == pytest.approx(s, rel=1e-10)
        assert found.p == pytest.approx((stats <= s * (1 + 1e-9)).mean(), rel=1e-9)
        if s < 1:
            assert hypergeom.sf(order[: found.cutoff].sum() - 1, N, B, found.cutoff) == pytest.approx(s, rel=1e-10)


def test_small_p_values_keep_their_digits():
    """All members on top: only that one order is as extreme."""
    N, B = 2000, 100
    found = mhg(np.arange(N) < B)
    assert found.cutoff == B
    assert found.p == pytest.approx(1 / comb(N, B), rel=1e-8)
    assert found.p < 1e-170


def test_statistics_of_long_lists_and_bounds():
    rng = np.random.default_rng(0)
    for B in (3, 40, 700):
        places = np.sort(rng.choice(3000, B, replace=False))
        member = np.isin(np.arange(3000), places)
        n = np.arange(1, 3001)
        s = hypergeom.sf(np.cumsum(member) - 1, 3000, B, n).min()
        full = mhg(member)
        assert full.stat == pytest.approx(s, rel=1e-8)
        assert full.stat <= full.p <= min(1, full.stat * B)
        quick = mhg_at(places, 3000)
        assert quick.p == full.p if full.stat <= EXACT_BELOW else quick.p >= full.p


def test_p_values_of_random_orders_are_uniform():
    rng = np.random.default_rng(1)
    p = np.array([mhg(rng.permutation(np.arange(300) < 20)).p for _ in range(400)])
    assert abs(p.mean() - 0.5) < 0.06
    assert 0.02 < (p < 0.05).mean() < 0.09


@pytest.mark.parametrize("member", [[], [False] * 5, [True] * 5])
def test_sets_that_say_nothing(member):
    assert mhg(np.array(member, dtype=bool)) == (1, 0, 1)


def test_members_below_the_last_cutoff_say_nothing():
    assert mhg(np.arange(20) >= 15, most=10) == (1, 0, 1)
    assert [m.p for m in mhg_all([np.array([0, 1]), np.array([18, 19])], 20)] == [mhg(np.arange(20) < 2).p, 1.0]
