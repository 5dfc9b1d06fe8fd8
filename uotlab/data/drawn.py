"""Draw your own: clicked points and weights in two compact strings, so that the whole problem lives in a link."""

import math
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, field_validator

from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.data.shapes import gaussian_mixture
from uotlab.errors import InputError
from uotlab.problem import Draw, Measure, Problem

MOST_POINTS = 500  #: a link much longer than that is cut by browsers and proxies
FARTHEST = 1e4


def points_from_text(text: str, side: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (k, 2) and weights (k,) of "x,y,w;x,y,w;..."; weights None where no point has one, 1 where a point lacks it.

    Raises:
        InputError: not two or three numbers a point, too far out, a negative weight, no mass, fewer than 2 points or too many.
    """
    rows = [part for part in text.replace("\n", ";").split(";") if part.strip()]
    if not 2 <= len(rows) <= MOST_POINTS:
        raise InputError(
            f"{side} must have 2 to {MOST_POINTS} points; it has {len(rows)}. Write each as x,y or x,y,weight and put ; between them."
        )
    points, weights = np.empty((len(rows), 2)), np.ones(len(rows))
    for i, row in enumerate(rows):
        try:
            numbers = [float(v) for v in row.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in (2, 3) or not all(math.isfinite(v) and abs(v) <= FARTHEST for v in numbers):
            raise InputError(
                f"Point {i + 1} of {side} must be x,y or x,y,weight with numbers up to {FARTHEST:g}; it is '{row.strip()[:40]}'."
            )
        points[i] = numbers[:2]
        weights[i] = numbers[2] if len(numbers) == 3 else 1.0
    if (weights < 0).any():
        first = int(np.argmax(weights < 0))
        raise InputError(f"Weights of {side} must not be negative; point {first + 1} has {weights[first]:g}.")
    if not weights.sum() > 0:
        raise InputError(f"{side} must have some mass; all its {len(rows)} weights are zero.")
    return points.astype(np.float32), weights if any(r.count(",") == 2 for r in rows) else None


def text_from_points(points: np.ndarray, weights: np.ndarray | None = None, digits: int = 3) -> str:
    """The compact string of points (k, 2) and weights (k,): what `points_from_text` reads."""

    def number(v: float) -> str:
        return f"{round(float(v), digits) + 0.0:g}"

    columns = points if weights is None else np.column_stack([points, weights])
    return ";".join(",".join(number(v) for v in row) for row in columns)


def _cloud(n: int, rng: torch.Generator, *, points: torch.Tensor, weights: torch.Tensor, jitter: float) -> Draw:
    drawn, which = gaussian_mixture(n, rng, points, jitter, weights)
    return Draw(drawn, {"point": which.numpy()})


@DATASETS.register("drawn")
class Drawn(Dataset):
    """Points that a person clicked; with jitter each becomes a small cloud that a network can be trained on.

    Weights are masses. A side where no point has a weight has total mass 1; else its mass is the sum of its weights.
    """

    title: ClassVar[str] = "Draw your own"
    group: ClassVar[str] = "Your own"
    kind = "plane"
    summary = (
        "Click source and target points on a canvas and give them weights. Each point becomes a small cloud, "
        "so that every method can be trained on it."
    )
    order = 90
    source: str = Field("-2,1;-2,0;-2,-1", max_length=20_000, description="Source points as x,y;x,y;... or with masses as x,y,mass;...")
    target: str = Field("2,1.5;2,0.5;2,-0.5;2,-1.5", max_length=20_000, description="Target points, written in the same way")
    jitter: float = Field(
        0.1, ge=0, le=100, description="Standard deviation of the cloud around each point, in data units; 0 keeps the points as they are"
    )

    @field_validator("source", "target")
    @classmethod
    def _readable(cls, text: str, info) -> str:
        points_from_text(text, info.field_name)
        return text

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        source, target = (
            measure_of_points(text, side, self.jitter, n, rng) for side, text in (("source", self.source), ("target", self.target))
        )
        return Problem((source, target), "plane", self.name)


def measure_of_points(text: str, side: str, jitter: float, n: int, rng: torch.Generator) -> Measure:
    """Clicked points as a measure: n points of the clouds around them, or without jitter the points themselves."""
    points, weights = points_from_text(text, side)
    if jitter == 0:
        return Measure(points, weights, {"point": np.arange(len(points))}, ("x", "y"))
    shares = torch.ones(len(points)) if weights is None else torch.from_numpy(weights)
    sampler = partial(_cloud, points=torch.from_numpy(points), weights=shares, jitter=jitter)
    return measure_of(sampler, n, rng, 1.0 if weights is None else float(weights.sum()), ("x", "y"))
