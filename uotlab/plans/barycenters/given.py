"""Given: checked measures on one support, with one common cost scale, and the kernel sums that every method needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from uotlab.arrays import as_tensor, masses
from uotlab.costs import Cost
from uotlab.errors import InputError
from uotlab.plans.ground import fitted

LOST = 1e-290  #: kernel sums below this are summed in logarithms
MOST_POINTS = 4096  #: points of a support without a grid: its cost matrix is dense


@dataclass(frozen=True, eq=False)
class Given:
    """K measures on one support.

    Args:
        p: masses, (K, n) float64.
        weights: lam, (K,), on the simplex.
        support: points, (n, d).
        shape: (h, w) of images, whose support is the grid of pixels; None for anything else.
        cost: the unscaled ground cost.
    """

    p: Tensor
    weights: Tensor
    support: Tensor
    shape: tuple[int, int] | None
    cost: Cost

    @cached_property
    def C(self) -> Tensor:
        """The cost between all points of the support in its own units, (n, n)."""
        return self.cost.matrix(self.support, self.support)

    @cached_property
    def scale(self) -> float:
        """s, the mean cost between two points drawn from all measures alike: one for all, so that the weights mean what they say.

        It depends neither on the weights nor on empty margins of the support.
        """
        pooled = (self.p / self.p.sum(1, keepdim=True)).mean(0)
        if self.cost.name == "sqeuclidean":
            centre = pooled @ self.support
            mean = 2 * float(pooled @ (self.support - centre).square().sum(1))
        else:
            mean = float(pooled @ self.C @ pooled)
        return mean if 1e-300 < mean < math.inf else 1.0  # all mass at one point: nothing has to move

    @property
    def mass(self) -> float:
        """Mean mass of the measures under the weights."""
        return float(self.weights @ self.p.sum(1))

    @property
    def separable(self) -> bool:
        """Whether kernel sums split into rows and columns of a grid."""
        return self.shape is not None and self.cost.name == "sqeuclidean"

    @property
    def largest_cost(self) -> float:
        """The largest cost over s that one kernel factor holds: along one axis where it splits."""
        span = self.support.amax(0) - self.support.amin(0)
        if self.separable:
            return float(span.square().max()) / self.scale
        return float(self.C.max()) / self.scale

    def log_sums(self, v: Tensor, temperature: float) -> Tensor:
        """log sum_j exp(v_kj - C_ij / (s temperature)), (K, n) -> (K, n); the cost is symmetric, so it serves both sides."""
        if self.separable:
            assert self.shape is not None
            grid = v.reshape(-1, *self.shape)
            for size in reversed(self.shape):  # along the last axis, then turned
                step = torch.arange(size, dtype=v.dtype)
                D = (step[:, None] - step[None]).square_() / (self.scale * temperature)
                grid = log_product(grid, D).transpose(1, 2)
            return grid.reshape(v.shape)
        return log_product(v, self.C / (self.scale * temperature))

    def check_masses(self) -> None:
        """Raises InputError where masses differ, for methods that carry all of it."""
        totals = self.p.sum(1)
        if float(totals.max() - totals.min()) > 1e-6 * float(totals.max()):
            shown = ", ".join(f"{t:g}" for t in totals[:6].tolist())
            raise InputError(
                f"The measures have different masses ({shown}), and this method carries all of it: no barycenter exists. "
                "Divide each measure by its sum, or take the method 'unbalanced'."
            )


def log_product(v: Tensor, D: Tensor) -> Tensor:
    """log sum_j exp(v_rj - D_ij), (..., m) and (n, m) -> (..., n): one matrix product, and term by term where its sums would underflow."""
    top = v.amax(-1, keepdim=True)
    some = torch.isfinite(top)  # rows without any mass stay at -infinity
    top = torch.where(some, top, 0.0)
    sums = (v - top).exp_() @ D.neg().exp_().T
    found = sums.log() + top
    lost = (sums < LOST) & some  # the terms that a sum above it has lost are too small to count
    if bool(lost.any()):
        *rows, i = torch.nonzero(lost, as_tuple=True)
        for part in torch.arange(len(i)).split(max(1, 2**22 // v.shape[-1])):
            at = tuple(r[part] for r in rows)
            found[(*at, i[part])] = torch.logsumexp(v[at] - D[i[part]], -1)
    return found


def histograms(measures: Any, weights: Any, support: Any, cost: Cost) -> Given:
    """Densities (K, n) with their support, or images (K, h, w), checked.

    Raises:
        InputError: no measure, unequal shapes, negative, all zero or not finite masses, weights off the simplex.
    """
    rows = _rows(measures)
    arrays = [as_tensor(m, f"measures[{k}]", dtype=torch.float64).cpu() for k, m in enumerate(rows)]  # as what comes out is
    shape = tuple(arrays[0].shape)
    for k, array in enumerate(arrays):
        if tuple(array.shape) != shape:
            raise InputError(
                f"All measures must have the same shape; measures[0] has {shape} and measures[{k}] has {tuple(array.shape)}. "
                "Put them on one grid first."
            )
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise InputError(f"Each measure must be a density (n,) or an image (h, w); measures[0] has shape {shape}.")
    p = torch.stack([masses(a.reshape(-1), a.numel(), f"measures[{k}]") for k, a in enumerate(arrays)])
    image = (shape[0], shape[1]) if len(shape) == 2 else None
    n = p.shape[1]
    if image is not None:
        if support is not None:
            raise InputError("support is for densities; images lie on their own grid of pixels. Leave it out.")
        rows_, columns = torch.meshgrid(*(torch.arange(s, dtype=torch.float64) for s in image), indexing="ij")
        points = torch.stack([rows_.reshape(-1), columns.reshape(-1)], 1)
    elif support is None:
        points = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    else:
        points = as_tensor(support, "support", dtype=torch.float64).cpu()
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2 or len(points) != n:
            raise InputError(f"support must have one point for each of the {n} entries of a measure; it has shape {tuple(points.shape)}.")
    if n > MOST_POINTS and (image is None or cost.name != "sqeuclidean"):
        raise InputError(f"The support has {n} points; at most {MOST_POINTS} fit. Use a coarser grid.")
    # a cost that measures its own length takes it from the points that have mass, for all measures alike
    used = points[(p > 0).any(0)]
    return Given(p, simplex(weights, len(p)), points, image, fitted(cost, used, used))


def clouds(measures: Any) -> list[tuple[Tensor, Tensor]]:
    """Point clouds, each (n, d) or a pair of points and masses, as (points, masses of total 1).

    Raises:
        InputError: no cloud, different columns, bad points or masses.
    """
    found = []
    for k, given in enumerate(_rows(measures)):
        points, a = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        x = as_tensor(points, f"measures[{k}]", ndim=2, dtype=torch.float64).cpu()
        found.append((x, masses(a, len(x), f"the masses of measures[{k}]")))
        if x.shape[1] != found[0][0].shape[1]:
            raise InputError(
                f"All clouds must have the same number of columns; measures[0] has {found[0][0].shape[1]} and measures[{k}] "
                f"has {x.shape[1]}. Keep the same columns in all."
            )
    totals = [float(a.sum()) for _, a in found]
    if max(totals) - min(totals) > 1e-6 * max(totals):
        raise InputError(
            f"The clouds have different masses ({', '.join(f'{t:g}' for t in totals[:6])}); divide each cloud's masses by their sum."
        )
    return found


def simplex(weights: Any, k: int) -> Tensor:
    """Weights (K,) of total 1, none negative; None is equal ones.

    Raises:
        InputError: wrong number, negative, or another total.
    """
    if weights is None:
        return torch.full((k,), 1.0 / k, dtype=torch.float64)
    lam = as_tensor(weights, "weights", ndim=1).double().cpu()
    if len(lam) != k:
        raise InputError(f"weights must have one number for each of the {k} measures; it has {len(lam)}.")
    if bool((lam < 0).any()) or abs(float(lam.sum()) - 1) > 1e-4:
        raise InputError(f"weights must be at least 0 with sum 1; they are {[round(v, 4) for v in lam.tolist()]}. Divide by their sum.")
    return lam / lam.sum()


def _rows(measures: Any) -> Sequence[Any]:
    try:
        rows = list(measures)
    except TypeError:
        raise InputError(f"measures must be a list of arrays; it is {type(measures).__name__}.") from None
    if not rows:
        raise InputError("measures is empty; give at least one.")
    return rows
