"""Curves of convergence: Sinkhorn ends at its bias, IPOT goes on to the exact value, and plans become sparse."""

import numpy as np
import pytest

import uotlab
from uotlab.plans.convergence import convergence

GRID = np.linspace(0, 1, 60)
A = np.exp(-((GRID - 0.2) ** 2) / 0.01) + 0.5 * np.exp(-((GRID - 0.6) ** 2) / 0.02) + 1e-5
B = np.exp(-((GRID - 0.5) ** 2) / 0.01) + 0.2 * np.exp(-((GRID - 0.9) ** 2) / 0.003) + 1e-5
A, B = A / A.sum(), B / B.sum()
C = (GRID[:, None] - GRID) ** 2


@pytest.fixture(scope="module")
def curves():
    return convergence(C, A, B, eps=(0.1, 0.01), iterations=2000, keep=(1, 10, 2000))


def test_names_and_shapes(curves):
    assert list(curves) == ["Sinkhorn ε = 0.1", "Sinkhorn ε = 0.01", "IPOT β = 0.1"]
    for curve in curves.values():
        assert curve.iterations[0] == 1
        assert curve.iterations[-1] == 2000
        assert (np.diff(curve.iterations) > 0).all()
        assert curve.error.shape == curve.nonzeros.shape == curve.iterations.shape
        assert (curve.error >= 0).all()
        assert np.isfinite(curve.error).all()
        assert list(curve.plans) == [1, 10, 2000]
        assert all(P.shape == (60, 60) for P in curve.plans.values())


def test_sinkhorn_stops_at_its_bias_and_ipot_does_not(curves):
    last = {name: curve.error[-1] for name, curve in curves.items()}
    assert last["Sinkhorn ε = 0.1"] > 10 * last["Sinkhorn ε = 0.01"] > 10 * last["IPOT β = 0.1"]
    assert last["IPOT β = 0.1"] < 3e-3
    for eps in (0.1, 0.01):
        plan = uotlab.sinkhorn(GRID[:, None], GRID[:, None], A, B, eps=eps, tol=1e-9)
        exact = uotlab.exact(GRID[:, None], GRID[:, None], A, B).value
        assert last[f"Sinkhorn ε = {eps:g}"] == pytest.approx(plan.parts["transport"] / exact - 1, rel=2e-2)


def test_ipot_becomes_sparse(curves):
    ipot, blurred = curves["IPOT β = 0.1"], curves["Sinkhorn ε = 0.1"]
    assert ipot.nonzeros[-1] <= 2 * 60 < blurred.nonzeros[-1]
    assert ipot.nonzeros[0] > 5 * ipot.nonzeros[-1]


def test_units_do_not_matter(curves):
    other = convergence(1e3 * C, 5 * A, 5 * B, eps=(0.1,), iterations=200)["IPOT β = 0.1"]
    both = np.intersect1d(other.iterations, curves["IPOT β = 0.1"].iterations)
    pairs = [dict(zip(curve.iterations, curve.error)) for curve in (other, curves["IPOT β = 0.1"])]
    assert [pairs[0][t] for t in both] == pytest.approx([pairs[1][t] for t in both], rel=1e-6)


def test_small_temperatures_stay_finite():
    for curve in convergence(C, A, B, eps=(1e-4,), beta=1e-3, iterations=30).values():
        assert np.isfinite(curve.error).all()


def test_cancel_ends_early():
    assert all(len(curve.iterations) == 1 for curve in convergence(C, A, B, cancel=lambda: True).values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"b": 2 * B}, "masses differ"),
        ({"a": np.append(A[:-1], 0)}, "must be positive"),
        ({"C": np.zeros((60, 60))}, "mean of C is 0"),
        ({"eps": (0.1, -1)}, "eps must be a positive number"),
        ({"beta": 0}, "beta must be a positive number"),
        ({"iterations": 0}, "iterations must be"),
        ({"keep": (999,)}, "keep must be"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        convergence(**{"C": C, "a": A, "b": B, **arguments})
