"""What SPOT is shown on: laws whose optimal cost is known, a curved target, densities on a line, and three marginals at once."""

from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import make_cost
from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.data.shapes import gaussian_mixture
from uotlab.problem import Draw, Problem, Sampler

LINES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {"gaussians": ((0.0,), (2.0,)), "mixtures": ((-1.0, 1.0), (-2.0, 2.0))}


def _round(n: int, rng: torch.Generator, *, mean: tuple[float, ...], sd: float) -> Draw:
    return Draw(torch.tensor(mean) + sd * torch.randn(n, len(mean), generator=rng), {})


def _curve(n: int, rng: torch.Generator) -> Draw:
    along, across = 3 * torch.rand(n, generator=rng), 2 + 0.1**0.5 * torch.randn(n, generator=rng)
    return Draw(torch.stack([along.sin() + across, 2 * along - 3], 1), {})


def _line(n: int, rng: torch.Generator, *, means: tuple[float, ...], variance: float) -> Draw:
    return Draw(gaussian_mixture(n, rng, torch.tensor(means)[:, None], variance**0.5)[0], {})


def _problem(dataset: Dataset, n: int, seed: int, samplers: list[Sampler], **info: object) -> Problem:
    rng = data_rng(seed)
    return Problem(tuple(measure_of(s, n, rng) for s in samplers), dataset.kind, dataset.name, **info)  # type: ignore[arg-type]


@DATASETS.register("shifted-gaussians")
class ShiftedGaussians(Dataset):
    """N((-shift/2, 0), sd² I) to N((shift/2, 0), sd² I); `truth["optimal_cost"]` holds W1 = shift and W2² = shift².

    The problem's own cost is |x - y|, for which the distance is quoted.
    """

    title: ClassVar[str] = "Two Gaussians, one shift apart"
    group: ClassVar[str] = "2-D toys"
    kind = "plane"
    summary = "Two equal Gaussians whose distance is known exactly: for the cost |x-y| every optimal plan costs the shift, 5."
    reference = "xie2019scalable"
    # the means of n points are off by sd·sqrt(2/n): a fiftieth of a percent of the shift is not to be seen with a few thousand
    default_n: ClassVar[int] = 100_000
    order = 29
    shift: float = Field(5.0, gt=0, le=100, description="Distance between the means, in data units")
    sd: float = Field(1.0, gt=0.01, le=10, description="Standard deviation of both, in data units")

    def problem(self, n: int, seed: int) -> Problem:
        sides: list[Sampler] = [partial(_round, mean=(sign * self.shift / 2, 0.0), sd=self.sd) for sign in (-1, 1)]
        return _problem(
            self,
            n,
            seed,
            sides,
            cost=make_cost("euclidean"),
            truth={"optimal_cost": {"euclidean": self.shift, "sqeuclidean": self.shift**2}},
        )


@DATASETS.register("gaussian-to-curve")
class GaussianToCurve(Dataset):
    """N((-2.5, 0), .5 I) to (sin U + V, 2U - 3), U uniform on [0, 3], V ~ N(2, .1); the second numbers are variances."""

    title: ClassVar[str] = "A Gaussian to a curve"
    group: ClassVar[str] = "2-D toys"
    kind = "plane"
    summary = "A round cloud to a bent band. Pairs should not cross: what is high goes high, what is low goes low."
    reference = "xie2019scalable"
    order = 29

    def problem(self, n: int, seed: int) -> Problem:
        return _problem(self, n, seed, [partial(_round, mean=(-2.5, 0.0), sd=0.5**0.5), _curve])


@DATASETS.register("line-densities")
class LineDensities(Dataset):
    """On a line, N(0, 1) to N(2, .5), or 1/2 N(-1, .5) + 1/2 N(1, .5) to 1/2 N(-2, .5) + 1/2 N(2, .5); second numbers are variances."""

    title: ClassVar[str] = "Densities on a line"
    group: ClassVar[str] = "1-D toys"
    kind = "line"
    summary = "Two smooth densities whose joint density under the optimal plan is a picture: a curve, which an entropy widens to a band."
    reference = "xie2019scalable"
    order = 24
    law: Literal["gaussians", "mixtures"] = Field("gaussians", description="One Gaussian to another, or two bumps to two others")

    def problem(self, n: int, seed: int) -> Problem:
        source, target = LINES[self.law]
        first = 1.0 if self.law == "gaussians" else 0.5
        return _problem(self, n, seed, [partial(_line, means=source, variance=first), partial(_line, means=target, variance=0.5)])


@DATASETS.register("three-gaussians")
class ThreeGaussians(Dataset):
    """Three round Gaussians at the corners of a triangle, with standard deviations 1, 1/2 and 3/2 times `sd`.

    `truth["optimal_cost"]` holds the least mean of sum_{i<j} |x_i - x_j|², Gangbo and Swiech's cost: the maps between round
    Gaussians agree with each other, so that it is the sum of the three squared distances W2².
    """

    title: ClassVar[str] = "Three Gaussians at once"
    group: ClassVar[str] = "2-D toys"
    kind = "plane"
    summary = "Three marginals for methods that match all of them together; the mean of each triple is a point of their barycenter."
    reference = "xie2019scalable"
    order = 29
    radius: float = Field(3.0, gt=0, le=100, description="Distance of the three means from the origin, in data units")
    sd: float = Field(1.0, gt=0.01, le=10, description="Standard deviation of the first, in data units; the others have 1/2 and 3/2 of it")

    def problem(self, n: int, seed: int) -> Problem:
        angles = torch.tensor([0.5, 7 / 6, 11 / 6]) * torch.pi
        means: Tensor = self.radius * torch.stack([angles.cos(), angles.sin()], 1)
        sds = [self.sd * k for k in (1.0, 0.5, 1.5)]
        sides: list[Sampler] = [partial(_round, mean=tuple(m.tolist()), sd=sd) for m, sd in zip(means, sds, strict=True)]
        pairs = [(0, 1), (0, 2), (1, 2)]
        cost = sum(float((means[i] - means[j]).square().sum()) + 2 * (sds[i] - sds[j]) ** 2 for i, j in pairs)
        note = "Methods for two marginals take the first two of the three Gaussians and leave the third aside."
        return _problem(self, n, seed, sides, truth={"optimal_cost": {"sqeuclidean": cost}}, notes=(note,))
