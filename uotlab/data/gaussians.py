"""Gaussian to Gaussian in any dimension: the one family whose optimum, balanced or not, is known in closed form."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.problem import Draw, Problem, kind_of


def _root(S: np.ndarray) -> np.ndarray:
    """The symmetric square root of a symmetric positive matrix (d, d)."""
    values, vectors = np.linalg.eigh(S)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


@dataclass(frozen=True)
class GaussianOptimum:
    """The exact optimum between a N(m1, S1) and b N(m2, S2).

    Args:
        A, shift: the optimal map, T(x) = A x + shift; (d, d) and (d,).
        mean, cov: the plan's source marginal is mass * N(mean, cov).
        target_mean, target_cov: its target marginal likewise.
        mass: total mass of the plan.
        value: the problem's optimal value, in the cost's units.
    """

    A: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    target_mean: np.ndarray
    target_cov: np.ndarray
    mass: float
    value: float


def gaussian_optimum(
    m1, S1, m2, S2, *, a: float = 1.0, b: float = 1.0, weight: float = 1.0, rho1: float = math.inf, rho2: float = math.inf
) -> GaussianOptimum:
    """Minimise  ∫ weight |x-y|² dP + rho1 KL(P1 | a N(m1, S1)) + rho2 KL(P2 | b N(m2, S2)).

    The potentials are quadratic, so P1 and P2 are Gaussians that a linear map A joins. With k_i = 2 weight / rho_i,
    P = S1^-1 + k1 I, Q = S2^-1 + k2 I, stationarity reads  A^-1 P A^-1 + (k2 - k1) A^-1 = Q,  a Riccati equation whose
    solution commutes with M = P^(1/2) Q P^(1/2). Means decouple from covariances, and the total mass from both.
    rho1, rho2 and weight are in the same units, those of the value; both infinite is the balanced Bures map.

    Args:
        m1, m2: means (d,).
        S1, S2: covariances (d, d), positive definite.
        a, b: total masses; with rho1 = rho2 = infinity they must be equal.
    """
    m1, m2, S1, S2 = (np.asarray(v, dtype=np.float64) for v in (m1, m2, S1, S2))
    eye = np.eye(len(m1))
    k1, k2 = 2 * weight / rho1, 2 * weight / rho2
    P, Q = np.linalg.inv(S1) + k1 * eye, np.linalg.inv(S2) + k2 * eye
    R = _root(P)
    half = (k2 - k1) / 2
    C = _root(R @ Q @ R + half**2 * eye) - half * eye  # = R A^-1 R
    A = R @ np.linalg.inv(C) @ R
    A = (A + A.T) / 2
    cov = np.linalg.inv(P - k1 * A)
    target_cov = A @ cov @ A
    # means: weight |n1-n2|² + rho1/2 (n1-m1)' S1^-1 (n1-m1) + rho2/2 (n2-m2)' S2^-1 (n2-m2)
    gap = np.linalg.solve(eye / weight + 2 * S1 / rho1 + 2 * S2 / rho2, m2 - m1)  # = weight (n2 - n1)
    mean, target_mean = m1 + 2 * S1 @ gap / rho1, m2 - 2 * S2 @ gap / rho2
    E = weight * (np.sum((mean - target_mean) ** 2) + np.trace((eye - A) @ cov @ (eye - A)))
    kl1, kl2 = _gaussian_kl(mean, cov, m1, S1), _gaussian_kl(target_mean, target_cov, m2, S2)
    E += sum(rho * kl for rho, kl in ((rho1, kl1), (rho2, kl2)) if math.isfinite(rho))
    mass, value = _mass_and_value(float(E), a, b, rho1, rho2)
    return GaussianOptimum(A, target_mean - A @ mean, mean, cov, target_mean, target_cov, mass, value)


def _gaussian_kl(m: np.ndarray, S: np.ndarray, m0: np.ndarray, S0: np.ndarray) -> float:
    ratio = np.linalg.solve(S0, S)
    return float((np.trace(ratio) - len(m) - np.linalg.slogdet(ratio)[1] + (m - m0) @ np.linalg.solve(S0, m - m0)) / 2)


def _mass_and_value(E: float, a: float, b: float, rho1: float, rho2: float) -> tuple[float, float]:
    """Total mass and value once E, the least cost plus divergences a unit of mass, is known."""
    if math.isinf(rho1) and math.isinf(rho2):
        return a, a * E
    if math.isinf(rho1) or math.isinf(rho2):
        held, free, rho = (a, b, rho2) if math.isinf(rho1) else (b, a, rho1)
        return held, held * E + rho * (held * math.log(held / free) - held + free)
    p = math.exp((rho1 * math.log(a) + rho2 * math.log(b) - E) / (rho1 + rho2))
    return p, rho1 * a + rho2 * b - (rho1 + rho2) * p


def _draw(n: int, rng: torch.Generator, *, mean: torch.Tensor, root: torch.Tensor) -> Draw:
    return Draw(mean + torch.randn(n, len(mean), generator=rng) @ root, {})


@DATASETS.register("gaussians")
class Gaussians(Dataset):
    """N(0, source_sd² I) to N(shift·1/√d, target_sd² C) with C_ij = correlation^|i-j|; masses may differ.

    `truth` holds means, covariances, masses, `w2` (balanced, of the normalised laws) and `balanced_map` (A, shift);
    `gaussian_optimum` gives the unbalanced optimum for KL at any weight.
    """

    title: ClassVar[str] = "Gaussian to Gaussian"
    group: ClassVar[str] = "2-D toys"
    kind = "plane"
    summary = (
        "Any dimension up to 64, masses may differ. The optimal map is linear and known exactly, so errors can be read off, not guessed."
    )
    order = 28
    d: int = Field(2, ge=1, le=64, description="Dimension")
    shift: float = Field(4.0, ge=0, le=100, description="Distance between the means, in data units")
    source_sd: float = Field(1.0, gt=0.01, le=10, description="Standard deviation of the source in each coordinate")
    target_sd: float = Field(1.5, gt=0.01, le=10, description="Standard deviation of the target in each coordinate")
    correlation: float = Field(0.7, ge=-0.95, le=0.95, description="Correlation of neighbouring coordinates of the target")
    source_mass: float = Field(1.0, gt=0, le=1000, description="Total mass of the source")
    target_mass: float = Field(
        1.0, gt=0, le=1000, description="Total mass of the target; where it differs, at least one side must be relaxed"
    )

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        steps = np.arange(self.d)
        m1, m2 = np.zeros(self.d), np.full(self.d, self.shift / math.sqrt(self.d))
        S1, S2 = self.source_sd**2 * np.eye(self.d), self.target_sd**2 * self.correlation ** np.abs(steps[:, None] - steps)
        sides = [
            measure_of(
                partial(_draw, mean=torch.tensor(m, dtype=torch.float32), root=torch.tensor(_root(S), dtype=torch.float32)), n, rng, mass
            )
            for m, S, mass in ((m1, S1, self.source_mass), (m2, S2, self.target_mass))
        ]
        best = gaussian_optimum(m1, S1, m2, S2)
        truth = {
            "source_mean": m1,
            "source_cov": S1,
            "target_mean": m2,
            "target_cov": S2,
            "source_mass": self.source_mass,
            "target_mass": self.target_mass,
            "w2": math.sqrt(best.value),
            "balanced_map": (best.A, best.shift),
        }
        return Problem((sides[0], sides[1]), kind_of(self.d), self.name, truth=truth)
