"""2-D toys: any shape to any shape, and the pairs that the papers show."""

from abc import abstractmethod
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field

from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.data.shapes import SHAPES
from uotlab.problem import Draw, Measure, Problem

ShapeName = Literal["moons", "spiral", "8gaussians", "25gaussians", "checkerboard", "circles", "gaussian", "square"]
SIZE_HELP = "in data units: radius, scale or half width; empty is the shape's own"


def _draw(n: int, rng: torch.Generator, *, shape: str, size: float | None, noise: float | None, shift: tuple[float, float]) -> Draw:
    kind = SHAPES[shape]
    points, labels = kind.draw(n, rng, kind.size if size is None else size, kind.noise if noise is None else noise)
    return Draw(points + torch.tensor(shift), labels)


class Pair(Dataset):
    """A source shape and a target shape, with their sizes, noise and the target's shift."""

    group: ClassVar[str] = "2-D toys"
    kind = "plane"

    source_size: float | None = Field(None, gt=0, le=100, description=f"Size of the source shape {SIZE_HELP}")
    target_size: float | None = Field(None, gt=0, le=100, description=f"Size of the target shape {SIZE_HELP}")
    source_noise: float | None = Field(
        None, ge=0, le=10, description="Standard deviation around the source shape, in data units; empty is the shape's own"
    )
    target_noise: float | None = Field(
        None, ge=0, le=10, description="Standard deviation around the target shape, in data units; empty is the shape's own"
    )
    shift_x: float = Field(0.0, ge=-100, le=100, description="How far the target is moved to the right, in data units")
    shift_y: float = Field(0.0, ge=-100, le=100, description="How far the target is moved up, in data units")

    @abstractmethod
    def shapes(self) -> tuple[str, str]:
        """Names of the source and the target shape."""

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        return Problem((self._side(0, n, rng), self._side(1, n, rng)), "plane", self.name)

    def _side(self, side: int, n: int, rng: torch.Generator) -> Measure:
        size, noise = ((self.source_size, self.source_noise), (self.target_size, self.target_noise))[side]
        shift = (0.0, 0.0) if side == 0 else (self.shift_x, self.shift_y)
        return measure_of(partial(_draw, shape=self.shapes()[side], size=size, noise=noise, shift=shift), n, rng)


@DATASETS.register("shapes")
class Shapes(Pair):
    """Any shape to any shape."""

    title = "Any shape to any shape"
    summary = "Choose a source shape and a target shape. Watch which part of the source goes to which part of the target."
    order = 29
    source: ShapeName = Field("circles", description="Source shape")
    target: ShapeName = Field("checkerboard", description="Target shape")
    target_size: float | None = Field(12.0, gt=0, le=100, description=f"Size of the target shape {SIZE_HELP}")

    def shapes(self) -> tuple[str, str]:
        return self.source, self.target


@DATASETS.register("moons-to-spiral")
class MoonsToSpiral(Pair):
    """Two moons to one spiral."""

    title = "Moons to spiral"
    summary = (
        "Two half circles become one spiral arm. A good map tears the moons and bends them, "
        "and leaves no bridge between the turns of the arm."
    )
    order = 20

    def shapes(self) -> tuple[str, str]:
        return "moons", "spiral"


@DATASETS.register("8gaussians-to-moons")
class EightGaussiansToMoons(Pair):
    """Eight Gaussians on a circle to two moons."""

    title = "8 Gaussians to moons"
    summary = "Eight blobs on a circle become two half circles. Each blob should go to the arc nearest to it and stay in one piece."
    order = 21

    def shapes(self) -> tuple[str, str]:
        return "8gaussians", "moons"


@DATASETS.register("spiral-to-8gaussians")
class SpiralTo8Gaussians(Pair):
    """A spiral to eight Gaussians on a circle."""

    title = "Spiral to 8 Gaussians"
    summary = (
        "One connected arm must break into eight separate blobs: the map jumps between them, and a network that cannot jump leaves threads."
    )
    reference = "gazdieva2025robust"
    order = 22

    def shapes(self) -> tuple[str, str]:
        return "spiral", "8gaussians"


@DATASETS.register("gaussian-to-8gaussians")
class GaussianTo8Gaussians(Pair):
    """One Gaussian to eight on a circle."""

    title = "Gaussian to 8 Gaussians"
    summary = "The round cloud splits into eight equal slices, one a blob: the borders are eight straight rays from the centre."
    reference = "choi2024analyzing"
    order = 23
    source_size: float | None = Field(2.4, gt=0, le=100, description="Standard deviation of the source, in data units")

    def shapes(self) -> tuple[str, str]:
        return "gaussian", "8gaussians"


@DATASETS.register("gaussian-to-checkerboard")
class GaussianToCheckerboard(Pair):
    """One Gaussian to the dark squares of a board."""

    title = "Gaussian to checkerboard"
    summary = "A round cloud fills eight squares that touch at their corners only. Look for empty light squares and sharp edges."
    reference = "choi2024analyzing"
    order = 24

    def shapes(self) -> tuple[str, str]:
        return "gaussian", "checkerboard"


@DATASETS.register("gaussian-to-25gaussians")
class GaussianTo25Gaussians(Pair):
    """One Gaussian to a grid of 25."""

    title = "Gaussian to 25 Gaussians"
    summary = (
        "One cloud splits into 25 narrow blobs on a grid. Count how many are reached, and how many points are left on the way between."
    )
    reference = "choi2024analyzing"
    order = 25

    def shapes(self) -> tuple[str, str]:
        return "gaussian", "25gaussians"


@DATASETS.register("circles")
class CirclesTo8Gaussians(Pair):
    """Two circles to eight Gaussians between them."""

    title = "Two circles to 8 Gaussians"
    summary = (
        "Eight blobs lie between an inner and an outer circle: the inner one must grow and the outer one shrink, each into eight pieces."
    )
    order = 26

    def shapes(self) -> tuple[str, str]:
        return "circles", "8gaussians"
