"""Kullback-Leibler divergence between samples by nearest neighbours.

    KL(P|Q) = sum_i w_i [ log(p/q)(x_i) + log xi_i ],   log(p/q)(x_i) = d log(nu_k(i) / rho_k(i)) + log(m / (n-1))

rho_k is the distance to the k-th neighbour among the others of P's sample, nu_k to that in Q's. Weighted samples are neither resampled
nor thinned, which would leave twins at distance 0 or few points: weights that vary smoothly over the points multiply their density, so
that the density ratio of the points as they are, times the weights' mean over the k neighbours, is that of the weighted measure.

Reference: wang2009divergence, eq. (14).
"""

import math

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores

NEIGHBOURS = 2
REPEATED = 1e-3  #: with a larger share of points drawn more than twice, distances of 0 make the reading: it says nothing
LARGEST_DIMENSION = 5  #: in 16-D the estimator reads .45 where the truth is .137: it says nothing there
LEAST = 100  #: points a side
SPLITS = 4  #: pairs of halves that give the floor
ABOVE = 2.0  #: a reading below so many floors is not told from none
TINY = 1e-12  #: images that coincide have distance 0


def knn_kl(p: Tensor, q: Tensor, k: int = NEIGHBOURS, weights: Tensor | None = None) -> float:
    """KL(P|Q) from samples p (n, d) of P and q (m, d) of Q, with k neighbours; may be a little below 0.

    p and q must be different draws: a point of p that is in q has distance 0 to it. weights (n,), of any sum, make P the weighted sample.
    """
    n, d = p.shape
    x, y = p.double().numpy(), q.double().numpy()
    rho, near = cKDTree(x).query(x, k=k + 1)
    nu = cKDTree(y).query(x, k=k)[0].reshape(n, k)[:, k - 1]
    ratio = d * (np.log(np.maximum(nu, TINY)) - np.log(np.maximum(rho[:, k], TINY))) + math.log(len(y) / (n - 1))
    if weights is None:
        return float(ratio.mean())
    w = weights.double().numpy()
    w = w / w.mean()
    local = np.maximum(w[near].mean(1), TINY)
    return float((w * (ratio + np.log(local))).mean())


def knn_floor(q: Tensor, n: int | None = None, k: int = NEIGHBOURS) -> float:
    """What the estimator reads between two samples of one law, the root mean square over pairs of halves of q; n points in the first."""
    readings = []
    rng = torch.Generator().manual_seed(0)
    for _ in range(SPLITS):
        order = torch.randperm(len(q), generator=rng)
        first, second = order[::2], order[1::2]
        readings.append(knn_kl(q[first[: max(n or len(first), 4 * k)]], q[second], k))
    return math.sqrt(sum(r * r for r in readings) / SPLITS)


def unfit(x: Tensor, y: Tensor) -> str:
    """Why neighbours say nothing of samples x (n, d), y (m, d): a sentence, or nothing where they do."""
    if x.shape[1] > LARGEST_DIMENSION:
        return f"nearest neighbours cannot resolve a divergence in {x.shape[1]} dimensions (at most {LARGEST_DIMENSION})."
    if min(len(x), len(y)) < LEAST:
        return f"nearest neighbours need at least {LEAST} points a side; there are {min(len(x), len(y))}."
    if max(_repeated(x), _repeated(y)) > REPEATED:
        return "the points were drawn by weight, many of them more than once, and twins have no nearest neighbour."
    return ""


def _repeated(x: Tensor) -> float:
    """Share of points (n, d) that have `NEIGHBOURS` or more exact twins, as draws by weight from few points have."""
    counts = torch.unique(x, dim=0, return_counts=True)[1]
    return float(counts[counts > NEIGHBOURS].sum()) / len(x)


@METRICS.register("knn-kl")
class KnnKL(Metric):
    """KL(T#mu | nu), every source point counted once, and the estimator's reading for two halves of the target beside it."""

    title, unit, better, order = "KL(T#μ|ν)", "nats", "neither", 20
    summary = (
        "Distance of the mapped points from the target. Unbalanced optima do not match the target: lower is not always better. "
        "The floor is what the estimator reads between two samples of the target itself."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        why = unfit(e.x, e.y)
        if why:
            return Scores(notes={self.name: f"No KL(T#μ|ν): {why}"})
        value, floor = knn_kl(e.Tx, e.y), knn_floor(e.y)
        scores = Scores({"kl": value, "kl floor": floor})
        if value < ABOVE * floor:
            scores.notes[self.name] = (
                f"KL(T#μ|ν) {value:.2g} is not told from 0 by {len(e.x)} points: two samples of the target read {floor:.2g}."
            )
        return scores
