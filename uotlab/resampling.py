"""Which of weighted points take part: rejection sampling, and systematic resampling, which wastes none."""

import torch
from torch import Tensor


def rejection(weights: Tensor, u: Tensor) -> Tensor:
    """u < w / max w, (n,) bool, for uniform u in [0, 1): an exact sample of the weighted points, never more of them than mean w / max w.

    gazdieva2025robust, Section 4 prints u < w, which is no sampling once a weight passes 1; its code divides by the maximum, as here.
    One large weight lowers the acceptance of all others: `systematic` is the better choice where numbers count.
    """
    return u.to(weights) * weights.max() < weights


def retained(weights: Tensor, u: Tensor) -> Tensor:
    """u < w / mean w, (n,) bool: a point is left out with the chance that is the share of its mass that is let go.

    The rule as gazdieva2025robust prints it, whose weights have mean 1. No exact sample, as heavy points would have to come more than once,
    but the one for pictures: `rejection` leaves out most of a cloud that is kept whole but for a few heavy points.
    """
    return u.to(weights) * weights.mean() < weights


def systematic(weights: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """n row numbers by weight, (n,) int64, ascending: each row floor(n w) or ceil(n w) times, w its share.

    One uniform shift of a regular grid: unbiased, of less variance than n independent draws.
    """
    cumulative = weights.double().cpu().cumsum(0)
    grid = (torch.arange(n, dtype=torch.float64) + torch.rand(1, generator=rng, dtype=torch.float64)) / n
    rows = torch.searchsorted(cumulative, grid * cumulative[-1], right=True).clamp(max=len(weights) - 1)
    return rows.to(weights.device)


def acceptance_rate(weights: Tensor) -> float:
    """mean w / max w: the share of points that rejection keeps."""
    return float(weights.mean() / weights.max().clamp(min=1e-30))


def effective_share(weights: Tensor) -> float:
    """(sum w)² / (n sum w²) in (0, 1]: 1 for equal weights."""
    return float(weights.sum() ** 2 / (len(weights) * weights.square().sum()).clamp(min=1e-30))


def allotted(shares: Tensor, n: int) -> list[int]:
    """n split by shares that sum to 1, each to within one."""
    edges = (shares.double().cumsum(0) * n).round().long().tolist()
    return [high - low for low, high in zip([0, *edges[:-1]], edges, strict=True)]
