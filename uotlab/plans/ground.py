"""A ground cost on two point clouds in blocks: its mean, its values and lower bounds of them, never the whole n x m matrix.

Squared distances, between points, directions or features, are one matrix product a block; other costs come from `Cost.matrix`.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from uotlab.costs import Cosine, Cost, Euclidean, Feature, Power, SquaredEuclidean, WassersteinFisherRao
from uotlab.errors import InputError

RADIAL = (SquaredEuclidean, Euclidean, Power, WassersteinFisherRao)  #: costs that grow with the distance


def embedded(cost: Cost, x: Tensor) -> tuple[Tensor, float] | None:
    """(z, w) such that the cost is w |z - z'|², z (n, k); None where it is no squared distance."""
    if isinstance(cost, SquaredEuclidean):
        return x, cost.factor
    if isinstance(cost, Cosine):
        return F.normalize(x, dim=-1), cost.factor / 2
    if isinstance(cost, Feature):
        return cost._map(x), cost.factor
    return None


def mean_square(z: Tensor, w: Tensor, a: Tensor, b: Tensor) -> float:
    """The mean of |z - w|² under the masses a (n,), b (m,), in closed form."""
    a, b = a / a.sum(), b / b.sum()
    centre = b @ w
    z, w = z - centre, w - centre
    return float(a @ z.square().sum(1) + b @ w.square().sum(1) - 2 * (a @ z) @ (b @ w))


def calibrated(cost: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, pairs: int) -> Cost:
    """The cost over its mean under the masses, as `Cost.calibrated`, from blocks of at most `pairs` pairs.

    Raises:
        InputError: the mean is zero, or too large or small for float64.
    """
    cost = fitted(cost, x, y)
    mean = mean_cost(cost, x, y, a, b, pairs)
    if not 1e-300 < mean < math.inf:
        what = "0: all points coincide, nothing has to move" if mean == 0 else f"{mean:g}"
        raise InputError(f"The mean cost between x and y is {what}. Check that x and y differ, or rescale both by the same factor.")
    return replace(cost, factor=1.0 / mean)


def fitted(cost: Cost, x: Tensor, y: Tensor) -> Cost:
    """The unscaled cost with its length measured, where it has one that is not given: as `Cost._fit`, without the n x m matrix."""
    cost = cost.unscaled()
    if isinstance(cost, WassersteinFisherRao) and cost.length is None:
        even = [torch.ones(len(p), dtype=torch.float64, device=p.device) for p in (x, y)]
        return replace(cost, length=max(mean_square(x, y, *even) ** 0.5, 1e-12))
    return cost


def mean_cost(cost: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, pairs: int) -> float:
    """The mean cost under the masses a (n,), b (m,)."""
    left, right = embedded(cost, x), embedded(cost, y)
    if left is not None and right is not None:
        return left[1] * mean_square(left[0], right[0], a, b)
    rows, total = max(1, pairs // len(y)), 0.0
    for i in range(0, len(x), rows):
        total += float(a[i : i + rows] @ cost.matrix(x[i : i + rows], y) @ b)
    return total / float(a.sum() * b.sum())


def least_costs(cost: Cost, distances: Tensor) -> Tensor | None:
    """The cost of points at given distances, a lower bound for points at least as far apart; None where it does not grow with them."""
    if not isinstance(cost, RADIAL):
        return None
    far = distances.reshape(-1, 1)
    return cost(torch.zeros_like(far), far).reshape(distances.shape)


def soft_minimum(cost: Cost, x: Tensor, y: Tensor, h: Tensor, eps: float, pairs: int) -> Tensor:
    """-eps log sum_j exp(h_j - C_ij / eps) of each row of x (n, d) against y (m, d), h (m,): (n,), in blocks, safe for any h."""
    rows = max(1, pairs // len(y))
    return torch.cat(
        [-eps * torch.logsumexp(h[None] - cost.matrix(x[i : i + rows], y) / eps, 1) for i in range(0, len(x), rows)] or [h.new_zeros(0)]
    )
