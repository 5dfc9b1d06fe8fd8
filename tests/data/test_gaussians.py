"""The closed forms of Gaussian pairs against printed figures and a direct minimisation."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import minimize

from uotlab.data.base import load
from uotlab.data.gaussians import gaussian_optimum

d = 2


def _bures(S1, S2):
    root = np.real(sqrtm(S1))
    return np.trace(S1 + S2 - 2 * np.real(sqrtm(root @ S2 @ root)))


def _kl(m, S, m0, S0):
    ratio = np.linalg.solve(S0, S)
    return (np.trace(ratio) - d - np.linalg.slogdet(ratio)[1] + (m - m0) @ np.linalg.solve(S0, m - m0)) / 2


def _pair(seed):
    rng = np.random.default_rng(seed)
    covs = [(B := rng.normal(size=(d, d))) @ B.T / 2 + 0.3 * np.eye(d) for _ in range(2)]
    return rng.normal(size=d), covs[0], rng.normal(size=d), covs[1]


def test_the_1d_case_has_its_known_value():
    r = gaussian_optimum([0.0], [[0.64]], [1.5], [[0.25]], a=1, b=1.4, rho1=1, rho2=1)
    assert r.value == pytest.approx(0.85869, abs=1e-5)
    assert r.mass == pytest.approx(0.77066, abs=1e-5)
    assert math.sqrt(r.cov[0, 0]) == pytest.approx(0.7034, abs=1e-4)


@pytest.mark.parametrize(("weight", "rho1", "rho2"), [(1, 1, 1), (0.5, 0.7, 3)])
def test_no_other_pair_of_gaussians_is_cheaper(weight, rho1, rho2):
    m1, S1, m2, S2 = _pair(0)
    i = np.tril_indices(d)

    def energy(t):
        roots = np.zeros((2, d, d))
        roots[0][i], roots[1][i] = t[2 * d : 2 * d + 3], t[2 * d + 3 :]
        A, B = (L @ L.T + 1e-9 * np.eye(d) for L in roots)
        n1, n2 = t[:d], t[d : 2 * d]
        return weight * (np.sum((n1 - n2) ** 2) + _bures(A, B)) + rho1 * _kl(n1, A, m1, S1) + rho2 * _kl(n2, B, m2, S2)

    best = minimize(energy, np.concatenate([m1, m2, np.linalg.cholesky(S1)[i], np.linalg.cholesky(S2)[i]]), method="BFGS")
    r = gaussian_optimum(m1, S1, m2, S2, a=1.3, b=0.8, weight=weight, rho1=rho1, rho2=rho2)
    mass = math.exp((rho1 * math.log(1.3) + rho2 * math.log(0.8) - best.fun) / (rho1 + rho2))
    assert r.mass == pytest.approx(mass, rel=1e-6)
    assert best.x[:d] == pytest.approx(r.mean, abs=1e-4)
    assert r.A @ r.cov @ r.A == pytest.approx(r.target_cov)


def test_balanced_and_half_balanced_are_limits():
    m1, S1, m2, S2 = _pair(1)
    balanced = gaussian_optimum(m1, S1, m2, S2)
    assert balanced.value == pytest.approx(np.sum((m1 - m2) ** 2) + _bures(S1, S2))
    assert balanced.A @ S1 @ balanced.A == pytest.approx(S2)
    assert balanced.A @ m1 + balanced.shift == pytest.approx(m2)
    half, nearly = gaussian_optimum(m1, S1, m2, S2, rho2=0.5), gaussian_optimum(m1, S1, m2, S2, rho1=1e7, rho2=0.5)
    assert half.mass == 1
    assert half.cov == pytest.approx(S1)
    assert half.value == pytest.approx(nearly.value, rel=1e-5)


@pytest.mark.parametrize("dimension", [1, 2, 7, 64])
def test_the_dataset_has_the_law_it_tells(dimension):
    p = load("gaussians", n=20000, d=dimension, target_mass=2.5)
    assert p.kind == {1: "line", 2: "plane"}.get(dimension, "table")
    assert (p.source.mass, p.target.mass) == (1, pytest.approx(2.5))
    assert np.cov(p.target.points.T).reshape(dimension, -1) == pytest.approx(p.truth["target_cov"], abs=0.15)
    assert p.target.points.mean(0) == pytest.approx(p.truth["target_mean"], abs=0.1)
    A, shift = p.truth["balanced_map"]
    mapped = p.source.points @ A.T + shift
    assert np.mean(np.sum((mapped - p.source.points) ** 2, 1)) == pytest.approx(p.truth["w2"] ** 2, rel=0.05)
