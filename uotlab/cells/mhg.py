"""Minimum hypergeometric test: are the members of a set crowded at the top of a ranked list, for the cutoff that shows it best?

Of N ranked genes B are in the set. With b(n) of them among the first n, the statistic is s = min over n of P(X >= b(n)), X
hypergeometric. Its p-value p = P(s of a random order <= s) is no s times the number of cutoffs but exact: every random order is a path
(n, b), and p is the mass of the paths that enter {(n, b): P(X >= b) <= s}, summed where they first do. All terms are positive, so
p has nine digits even where it is 1e-200. In O(N b), b below B.

Reference: eden2007discovering, Section 2.
"""

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

EXACT_BELOW = 0.1  #: sets with a larger statistic cannot have a smaller p-value, and get the bound s B
SLACK = 1e-9  #: of s: a path that ties with what was seen counts, whatever the rounding
_lock = threading.Lock()


class MHG(NamedTuple):
    """s, the number of leading genes that gives it, and the p-value."""

    stat: float
    cutoff: int
    p: float


def mhg(member: np.ndarray, most: int | None = None, *, exact_below: float = 1.0) -> MHG:
    """The test for one set.

    Args:
        member: (N,) bool, membership down the ranked list.
        most: cutoffs up to this many genes are tried; None is all.
        exact_below: the p-value is exact where s is at most this, else the bound min(1, s B).
    """
    member = np.asarray(member, dtype=bool)
    return mhg_at(np.flatnonzero(member), len(member), most, exact_below=exact_below)


def mhg_at(places: np.ndarray, n_genes: int, most: int | None = None, *, exact_below: float = EXACT_BELOW) -> MHG:
    """As `mhg`, from the places (B,) of the members in the list, counted from 0 and increasing."""
    N, B = n_genes, len(places)
    L = N if most is None else min(most, N)
    if not 0 < B < N or not L:
        return MHG(1.0, 0, 1.0)
    code, table = _compiled(), log_factorials(N)
    s, cutoff = code["smallest_tail"](np.ascontiguousarray(places, dtype=np.int64), N, L, table)
    bound = min(1.0, s * B)
    if s >= 1.0 or s > exact_below:
        return MHG(float(s), int(cutoff), float(bound))
    p = code["entering_mass"](N, B, L, s * (1 + SLACK), table)
    return MHG(float(s), int(cutoff), float(np.clip(p, s, max(bound, s))))


def mhg_all(places: Iterable[np.ndarray], n_genes: int, most: int | None = None) -> list[MHG]:
    """The test for many sets; exact where s is at most EXACT_BELOW."""
    return [mhg_at(p, n_genes, most) for p in places]


@lru_cache(maxsize=4)
def log_factorials(n: int) -> np.ndarray:
    """log 0!, ..., log n!."""
    from scipy.special import gammaln

    found: np.ndarray = gammaln(np.arange(n + 1, dtype=np.float64) + 1)
    return found


# ---- compiled at first use: annotations would only slow the compiler ---------------------------------
def tail(k, n, B, N, lf):  # type: ignore[no-untyped-def]
    """P(X >= k): of n draws from N things, B of them marked, at least k are marked."""
    if k <= max(0, n + B - N):
        return 1.0
    if k > min(n, B):
        return 0.0
    log = lf[B] - lf[k] - lf[B - k] + lf[N - B] - lf[n - k] - lf[N - B - n + k] - lf[N] + lf[n] + lf[N - n]
    term = np.exp(log)
    total = term
    for j in range(k, min(n, B)):
        ratio = (B - j) * (n - j) / ((j + 1.0) * (N - B - n + j + 1.0))
        term *= ratio
        total += term
        if ratio < 0.5 and term < 1e-17 * total:
            break
    return min(total, 1.0)


def smallest_tail(places, N, L, lf):  # type: ignore[no-untyped-def]
    """(s, cutoff); the smallest tail always sits on a member."""
    B = len(places)
    s, cutoff = 1.0, 0
    for i in range(B):
        n = places[i] + 1
        if n > L:
            break
        t = tail(i + 1, n, B, N, lf)
        if t < s:
            s, cutoff = t, n
    return s, cutoff


def entering_mass(N, B, L, s, lf):  # type: ignore[no-untyped-def]
    """P(a random path (n, b) has P(X >= b) <= s for some n <= L)."""
    W = np.zeros(B + 2)  # W[b]: mass of the paths at b that have not entered yet
    W[0] = 1.0
    entered, low = 0.0, 1  # the region at n is b >= low, and low never falls as n grows
    for n in range(1, L + 1):
        before = low
        while low <= min(n, B) and tail(low, n, B, N, lf) > s:
            low += 1
        rest = N - n + 1.0
        for b in range(min(n, B, before), 0, -1):
            W[b] = W[b] * max(N - B - (n - 1 - b), 0) / rest + W[b - 1] * (B - b + 1) / rest
        W[0] *= max(N - B - (n - 1), 0) / rest
        for b in range(low, min(n, B, before) + 1):
            entered += W[b]
            W[b] = 0.0
    return entered


def _compiled() -> dict[str, Any]:
    """The three loops, compiled."""
    here = globals()
    with _lock:  # over the import too: a second thread would find numba half imported
        if not hasattr(here["tail"], "py_func"):
            from numba import njit

            for name in ("tail", "smallest_tail", "entering_mass"):
                try:
                    here[name] = njit(here[name], cache=True, nogil=True, error_model="numpy")
                except RuntimeError:  # no folder to keep the result in: compile anew in every process
                    here[name] = njit(here[name], nogil=True, error_model="numpy")
    return here
