"""Kullback-Leibler divergence between samples by nearest neighbours.

Reference: wang2009divergence, eq. (14).
"""

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric

NEIGHBOURS = 2
REPEATED = 1e-3  #: with a larger share of points drawn more than twice, distances of 0 make the reading: it says nothing
LARGEST_DIMENSION = 5  #: in 16-D the estimator reads .45 where the truth is .137: it says nothing there


def knn_kl(p: Tensor, q: Tensor, k: int = NEIGHBOURS) -> float:
    """KL(P|Q) from samples p (n, d) of P and q (m, d) of Q, with k neighbours; may be a little below 0.

    (d/n) sum_i log(nu_k(i) / rho_k(i)) + log(m / (n-1)); rho_k among the others of p, nu_k in q. p and q must be
    different draws: a point of p that is in q has distance 0 to it.
    """
    n, d = p.shape
    x, y = p.double().numpy(), q.double().numpy()
    rho = cKDTree(x).query(x, k=k + 1)[0][:, k]
    nu = cKDTree(y).query(x, k=k)[0].reshape(n, k)[:, k - 1]
    tiny = 1e-12  # images that coincide have distance 0
    ratio = torch.from_numpy(nu).clamp(min=tiny).log() - torch.from_numpy(rho).clamp(min=tiny).log()
    return float(d * ratio.mean() + torch.tensor(len(y) / (n - 1)).log())


def _repeated(x: Tensor) -> float:
    """Share of points (n, d) that have `NEIGHBOURS` or more exact twins, as draws by weight from few points have."""
    counts = torch.unique(x, dim=0, return_counts=True)[1]
    return float(counts[counts > NEIGHBOURS].sum()) / len(x)


@METRICS.register("knn-kl")
class KnnKL(Metric):
    """KL(T#mu | nu), every source point counted once, and the estimator's reading for two halves of the target beside it."""

    title, unit, better, order = "KL(T#μ|ν)", "nats", "neither", 10
    summary = (
        "Distance of the mapped points from the target. Unbalanced optima do not match the target: lower is not always better. "
        "The floor is what the estimator reads between two samples of the target itself."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.x.shape[1] > LARGEST_DIMENSION or min(len(e.Tx), len(e.y)) < 100:
            return {}
        if max(_repeated(e.x), _repeated(e.y)) > REPEATED:
            return {}
        half = torch.randperm(len(e.y), generator=torch.Generator().manual_seed(0))
        floor = knn_kl(e.y[half[::2]], e.y[half[1::2]])
        return {"kl": knn_kl(e.Tx, e.y), "kl floor": abs(floor)}
