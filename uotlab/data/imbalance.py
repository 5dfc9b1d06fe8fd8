"""2-D toys with imbalance: two squares, two unequal classes, four modes with outliers."""

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.data.shapes import choose_modes, gaussian_mixture
from uotlab.problem import Draw, Problem


def _squares(n: int, rng: torch.Generator, *, low: float, share_left: float) -> Draw:
    right = choose_modes(n, torch.tensor([share_left, 1 - share_left]), rng)
    corner = torch.stack([5.0 * right - 0.5, torch.full((n,), low)], 1)
    return Draw(corner + torch.rand(n, 2, generator=rng), {"side": np.array(["left", "right"])[right.numpy()]})


def _plane_mixture(
    n: int, rng: torch.Generator, *, means: torch.Tensor, sds: torch.Tensor, shares: torch.Tensor, label: str, names: tuple[str, ...]
) -> Draw:
    points, modes = gaussian_mixture(n, rng, means, sds, shares)
    return Draw(points, {label: np.array(names)[modes.numpy()]})


@DATASETS.register("two-squares")
class TwoSquares(Dataset):
    """U([-.5, .5] x [-1.5, -.5]) and U([4.5, 5.5] x [-1.5, -.5]) to the same squares two units higher, with the shares swapped."""

    title: ClassVar[str] = "Two squares, unequal shares"
    group: ClassVar[str] = "2-D toys"
    kind = "plane"
    summary = (
        "180 points left and 120 right go to 120 left and 180 right. Balanced transport must carry mass across; "
        "unbalanced transport keeps each side and scales it instead."
    )
    reference = "eyring2024unbalancedness"
    default_n = 300
    order = 30
    share: float = Field(0.6, gt=0.01, lt=0.99, description="Share of the source on the left; the target has it on the right")

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        source = partial(_squares, low=-1.5, share_left=self.share)
        target = partial(_squares, low=0.5, share_left=1 - self.share)
        ratio = (1 - self.share) / self.share
        truth = {"true_ratio": {"left": ratio, "right": 1 / ratio}, "same_labels": True}
        return Problem((measure_of(source, n, rng), measure_of(target, n, rng)), "plane", self.name, truth=truth)


@DATASETS.register("class-imbalance")
class ClassImbalance(Dataset):
    """share N((-5, 4)) + (1-share) N((-5, -4)) to (1-share) N((5, 4)) + share N((5, -4)), covariance variance·I."""

    title = "Two classes, unequal shares"
    group = "2-D toys"
    kind = "plane"
    summary = (
        "A quarter above and three quarters below go to three quarters above and a quarter below. Unbalanced transport keeps above above."
    )
    reference = "gazdieva2025robust"
    order = 31
    share: float = Field(0.25, gt=0.01, lt=0.99, description="Share of the source's upper class; the target's lower class has it")
    variance: float = Field(0.4, gt=0, le=10, description="Variance of each class in each direction, in squared data units")

    def problem(self, n: int, seed: int) -> Problem:
        rng, sds, names = data_rng(seed), torch.tensor(self.variance).sqrt(), ("above", "below")
        shares = torch.tensor([self.share, 1 - self.share])
        make = partial(_plane_mixture, sds=sds, label="class", names=names)
        source = partial(make, means=torch.tensor([[-5.0, 4.0], [-5.0, -4.0]]), shares=shares)
        target = partial(make, means=torch.tensor([[5.0, 4.0], [5.0, -4.0]]), shares=shares.flip(0))
        ratio = (1 - self.share) / self.share
        truth = {"true_ratio": {"above": ratio, "below": 1 / ratio}, "same_labels": True}
        return Problem((measure_of(source, n, rng), measure_of(target, n, rng)), "plane", self.name, truth=truth)


@DATASETS.register("outlier-mixture")
class OutlierMixture(Dataset):
    """Four modes a side, and four small groups of outliers: the source's at x = 10, the target's at x = -10.

    A third marginal, for barycenters, lies between the two and has no outliers.
    """

    title = "Four modes with outliers"
    group = "2-D toys"
    kind = "plane"
    summary = "Both sides carry a few percent of outliers far away. Unbalanced transport scales them down instead of dragging them across."
    reference = "gazdieva2025robust"
    order = 32
    weight: float = Field(0.05, ge=0, le=1, description="Weight of each of the four outlier groups relative to a mode of weight 1")
    marginals: int = Field(2, ge=2, le=3, description="2, or 3 with the clean marginal between them, for barycenters")
    variance: float = Field(0.1, gt=0, le=10, description="Variance of a mode in each direction, in squared data units")
    outlier_variance: float = Field(0.02, gt=0, le=10, description="Variance of an outlier group in each direction, in squared data units")

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        variances = torch.tensor([self.variance] * 4 + [self.outlier_variance] * 4)
        make = partial(
            _plane_mixture,
            sds=variances.sqrt(),
            shares=torch.tensor([1.0] * 4 + [self.weight] * 4),
            label="kind",
            names=("bulk",) * 4 + ("outlier",) * 4,
        )
        source = partial(make, means=torch.tensor([[-5.0, -1], [5, 1], [1, -5], [-1, 5], [10, 2], [10, 1], [10, 0], [10, -1]]))
        target = partial(make, means=torch.tensor([[-5.0, 1], [5, -1], [1, 5], [-1, -5], [-10, 1], [-10, 0], [-10, -1], [-10, -2]]))
        between = partial(
            _plane_mixture,
            means=torch.tensor([[-5.0, 0], [5, 0], [0, 5], [0, -5]]),
            sds=variances[:4].sqrt(),
            shares=torch.ones(4),
            label="kind",
            names=("bulk",) * 4,
        )
        truth = {"outlier_share": self.weight / (1 + self.weight)}
        laws = (source, target, between)[: self.marginals]
        return Problem(tuple(measure_of(law, n, rng) for law in laws), "plane", self.name, truth=truth)
