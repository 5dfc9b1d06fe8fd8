"""Shapes in the plane: functions that draw fresh points with their labels, in the sizes that the papers use.

Every shape has the signature `shape(n, rng, size, noise) -> Draw`; `size` and `noise` are lengths in data units
(size: radius, scale or half width; noise: standard deviation around the shape).

Reference: choi2024analyzing, Appendix B; gazdieva2025robust, Appendix C (sizes and noise levels).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uotlab.problem import Draw


def choose_modes(n: int, shares: Tensor, rng: torch.Generator) -> Tensor:
    """n mode numbers in random order, (n,) int64; each mode gets its share of n exactly, up to rounding.

    Systematic sampling: one uniform shift of a regular grid, so that counts differ from n * share by less than 1
    and every single draw still has the law `shares`.
    """
    edges = (shares.double().cumsum(0) / shares.double().sum())[:-1]
    grid = (torch.arange(n, dtype=torch.float64) + torch.rand(1, generator=rng, dtype=torch.float64)) / n
    return torch.searchsorted(edges, grid, right=True)[torch.randperm(n, generator=rng)]


def gaussian_mixture(
    n: int, rng: torch.Generator, means: Tensor, sd: Tensor | float, shares: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(points (n, d), modes (n,)) of a mixture of round Gaussians with means (k, d), deviations sd and the given shares."""
    k, d = means.shape
    modes = choose_modes(n, torch.ones(k) if shares is None else shares, rng)
    sds = torch.as_tensor(sd, dtype=torch.float32).expand(k)
    return means[modes] + sds[modes, None] * torch.randn(n, d, generator=rng), modes


def _noisy(points: Tensor, noise: float, rng: torch.Generator) -> Tensor:
    return points + noise * torch.randn(points.shape, generator=rng)


def _uniform(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng)


def gaussian(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """N(0, size² + noise²) in each coordinate."""
    return Draw(math.hypot(size, noise) * torch.randn(n, 2, generator=rng), {})


def eight_gaussians(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """Eight equal Gaussians on a circle of radius `size`; label: the mode, counted anticlockwise from the right."""
    angles = torch.arange(8) * (math.pi / 4)
    points, modes = gaussian_mixture(n, rng, size * torch.stack([angles.cos(), angles.sin()], 1), noise)
    return Draw(points, {"mode": modes.numpy()})


def twentyfive_gaussians(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """A 5 x 5 grid of Gaussians in [-size, size]²; label: the mode, row by row from below."""
    line = torch.linspace(-size, size, 5)
    points, modes = gaussian_mixture(n, rng, torch.cartesian_prod(line, line).flip(1), noise)
    return Draw(points, {"mode": modes.numpy()})


def moons(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """Two interleaved half circles of radius `size`; label: "lower" or "upper"."""
    upper = choose_modes(n, torch.ones(2), rng).bool()
    angle = math.pi * _uniform(n, rng)
    sign = torch.where(upper, -1.0, 1.0)
    points = size * torch.stack([angle.cos() + sign / 2, sign * (0.2 - angle.sin())], 1)
    return Draw(_noisy(points, noise, rng), {"moon": np.where(upper.numpy(), "upper", "lower")})


def spiral(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """One arm of a turn and a half, radius size·π/2 to size·7π/2; label: the quarter along the arm."""
    along = _uniform(n, rng).sqrt()
    angle = along * 3 * math.pi - math.pi / 2
    radius = size * (angle + math.pi)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return Draw(_noisy(points, noise, rng), {"quarter": (4 * along).long().clamp(max=3).numpy()})


def checkerboard(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """The eight dark squares of a 4 x 4 board on [-size, size]²; label: the square."""
    cell = choose_modes(n, torch.ones(8), rng)
    row = cell // 2
    corner = torch.stack([2 * (cell % 2) + row % 2, row], 1) - 2  # lower left, in squares from the centre
    points = (corner + torch.rand(n, 2, generator=rng)) * (size / 2)
    return Draw(_noisy(points, noise, rng), {"square": cell.numpy()})


def circles(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """Two circles of radius `size` and size / 2, half of the points each; label: "inner" or "outer"."""
    outer = choose_modes(n, torch.ones(2), rng).bool()
    angle = 2 * math.pi * _uniform(n, rng)
    radius = torch.where(outer, size, size / 2)
    points = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return Draw(_noisy(points, noise, rng), {"circle": np.where(outer.numpy(), "outer", "inner")})


def square(n: int, rng: torch.Generator, size: float, noise: float) -> Draw:
    """Uniform on [-size, size]²."""
    return Draw(_noisy(size * (2 * torch.rand(n, 2, generator=rng) - 1), noise, rng), {})


class Shape(NamedTuple):
    """A drawing function with the size and the noise that the papers give it."""

    draw: Callable[[int, torch.Generator, float, float], Draw]
    size: float
    noise: float


SHAPES: dict[str, Shape] = {
    "moons": Shape(moons, 12.0, 0.5),
    "spiral": Shape(spiral, 1.0, 0.25),
    "8gaussians": Shape(eight_gaussians, 12.0, math.sqrt(0.4)),
    "25gaussians": Shape(twentyfive_gaussians, 4.0, math.sqrt(0.02)),
    "checkerboard": Shape(checkerboard, 2 * math.pi / 3, 0.0),
    "circles": Shape(circles, 16.0, 0.2),
    "gaussian": Shape(gaussian, 1.0, 0.0),
    "square": Shape(square, 1.0, 0.0),
}
