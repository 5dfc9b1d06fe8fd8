"""How far the re-weighted image is from the target, masses included: what an unbalanced run pays on its second marginal.

    KL(T#(xi mu) | nu) = p KL of the shapes + p log(p / b) - p + b,   p the transported mass, b the target's

Shapes: Gaussian moments where the target is a known Gaussian, else weighted nearest neighbours.
Reference: wang2009divergence, eq. (14).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores
from uotlab.metrics.knn_kl import ABOVE, knn_floor, knn_kl, unfit
from uotlab.metrics.reference import gaussian_kl

LEAST_MASS = 1e-9  #: of the target's, below which nothing is compared


@dataclass(frozen=True)
class Reading:
    """A divergence, the reading that sampling alone gives, and how both were estimated; without a value `how` says why."""

    value: float
    floor: float
    how: str

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)


def effective(w: Tensor) -> float:
    """(sum w)² / sum w²: how many equal points weights (n,) stand for."""
    return float(w.double().sum()) ** 2 / max(float(w.double().square().sum()), 1e-300)


def target_kl(Tx: Tensor, w: Tensor, y: Tensor, mass: float, truth: Mapping[str, Any]) -> Reading:
    """KL of images Tx (n, d) with masses w (n,) from the target: a known Gaussian, or a sample y (m, d) of total `mass`."""
    p = float(w.double().sum())
    if not p > LEAST_MASS * mass:
        return Reading(math.nan, 0.0, "no mass is transported.")
    masses = p * math.log(p / mass) - p + mass
    if "target_cov" in truth:
        shape, floor = gaussian_shape(Tx, w, np.asarray(truth["target_mean"]), np.asarray(truth["target_cov"]))
        if not math.isfinite(shape):
            return Reading(math.nan, 0.0, "too few points carry the mass.")
        return Reading(p * shape + masses, p * floor, "Gaussian moments")
    why = unfit(Tx, y)
    if why:
        return Reading(math.nan, 0.0, why)
    return Reading(p * knn_kl(Tx, y, weights=w) + masses, p * knn_floor(y, int(effective(w))), "weighted nearest neighbours")


def gaussian_shape(Tx: Tensor, w: Tensor, m0: np.ndarray, S0: np.ndarray) -> tuple[float, float]:
    """(KL(N(m, S) | N(m0, S0)) for the moments of weighted points, what k moments of so few points add to it: k / (2 ESS), taken off)."""
    d, n = Tx.shape[1], effective(w)
    k = d + d * (d + 1) // 2
    if n < 2 * d + 2:
        return math.nan, math.nan
    x, share = Tx.double().numpy(), (w.double() / w.double().sum()).numpy()
    m = share @ x
    S = (x - m).T @ ((x - m) * share[:, None])
    if np.linalg.slogdet(S)[0] <= 0:
        return math.nan, math.nan
    return gaussian_kl(m, S, m0, S0) - k / (2 * n), k / (2 * n)


@METRICS.register("marginal-kl")
class MarginalKL(Metric):
    """KL(T#(xi mu) | nu) with masses, its floor, and what it is at the optimum."""

    title, unit, better, order = "KL(T#(ξμ)|ν)", "nats × mass", "neither", 21
    summary = (
        "Distance of the re-weighted image from the target, masses included, by weighted nearest neighbours or Gaussian moments. "
        "Compare it with its own optimum, not with 0; the floor is what sampling alone reads."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        a, b = e.masses
        read = target_kl(e.Tx, a / len(e.x) * e.weights, e.y, b, e.truth)
        if not read.known:
            return Scores(notes={self.name: f"No KL(T#(ξμ)|ν): {read.how}"})
        scores = Scores({"marginal kl": read.value, "marginal kl floor": read.floor})
        best = None
        if e.reference is not None and math.isfinite(e.penalty.rho2) and e.divergences[1] == "kl":
            best = scores["marginal kl optimum"] = e.reference.divergences[1]
        if abs(read.value - (best or 0.0)) < ABOVE * read.floor:
            wanted = "0" if best is None else f"{best:.2g}, its optimum,"
            scores.notes[self.name] = (
                f"KL(T#(ξμ)|ν) {read.value:.2g} is not told from {wanted} by {len(e.x)} points (floor {read.floor:.2g}, {read.how})."
            )
        return scores
