"""Your own measures, two to five: shapes, drawn points and uploaded files, as short texts, so that all of them live in a link."""

import hashlib
import re
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, field_validator

from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.data.drawn import measure_of_points, points_from_text
from uotlab.data.files import Table
from uotlab.data.npz import read_arrays
from uotlab.data.shapes import SHAPES
from uotlab.data.upload import checked_content, pack_arrays, uploads_dir, write_atomically
from uotlab.errors import InputError, did_you_mean, short
from uotlab.problem import Draw, Measure, Problem, constant_columns, kind_of

FEWEST, MOST = 2, 5
POINTS, FILE = "points:", "file:"
DIGEST = re.compile(r"[0-9a-f]{64}")


def store_measure(table: Table) -> str:
    """Keep one checked table; returns the text that names it, "file:<sha256>". Equal tables give equal texts."""
    arrays = {"x": table.points, "names": np.array(table.names)}
    arrays |= {"a": table.weights.astype(np.float32)} if table.weights is not None else {}
    arrays |= {"x_labels": table.labels.astype(str)} if table.labels is not None else {}
    content = pack_arrays(arrays)
    digest = hashlib.sha256(content).hexdigest()
    path = uploads_dir() / f"{digest}.npz"
    if not path.exists():
        write_atomically(path, content)
    return f"{FILE}{digest}"


def texts_of(text: str) -> list[str]:
    """The texts of the measures, which a bar separates.

    Raises:
        InputError: too few or too many, or one that is no measure.
    """
    texts = [part.strip() for part in text.split("|")]
    if not FEWEST <= len(texts) <= MOST:
        raise InputError(f"Give {FEWEST} to {MOST} measures with | between them; there are {len(texts)}.")
    for k, part in enumerate(texts):
        if part.startswith(POINTS):
            points_from_text(part.removeprefix(POINTS), f"measure {k + 1}")
        elif part.startswith(FILE):
            if not DIGEST.fullmatch(part.removeprefix(FILE)):
                raise InputError(f"Measure {k + 1} names no uploaded file; upload it on the page of barycenters.")
        else:
            shape_from_text(part)
    return texts


def shape_from_text(text: str) -> tuple[str, tuple[float, float], float]:
    """(name, centre, size) of "moons,-2,0,1.5".

    Raises:
        InputError: not of that form.
    """
    name, *numbers = (part.strip() for part in text.split(","))
    try:
        x, y, size = (float(v) for v in numbers)
        good = size > 0 and max(abs(x), abs(y), size) < 1e6
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"A measure is a shape as name,x,y,size such as moons,-2,0,1.5, or {POINTS}x,y;x,y, or {FILE}<digest>; it is '{short(text)}'."
        )
    if name not in SHAPES:
        raise InputError(f"There is no shape named '{short(name)}'. {did_you_mean(name, SHAPES)}")
    return name, (x, y), size


def _draw(n: int, rng: torch.Generator, *, name: str, centre: tuple[float, float], size: float) -> Draw:
    shape = SHAPES[name]
    points, labels = shape.draw(n, rng, size, shape.noise * size / shape.size)
    return Draw(points + torch.tensor(centre), labels)


@DATASETS.register("measures")
class Measures(Dataset):
    """Measures that a person chose, drew or uploaded."""

    title: ClassVar[str] = "Your own measures"
    group: ClassVar[str] = "Your own"
    kind = "plane"
    summary = "Two to five measures of your own: shapes, points that you draw, or files. Methods for two take the first two."
    default_n = 2000
    order = 92
    measures: str = Field(
        "moons,-4,0,2|gaussian,4,2,1|square,2,-4,1.5", max_length=60_000,
        description="Measures with | between them: a shape as name,x,y,size, drawn points as points:x,y;x,y, an upload as file:<digest>",
    )  # fmt: skip
    jitter: float = Field(0.1, ge=0, le=100, description="Standard deviation of the cloud around each drawn point, in data units")

    @field_validator("measures")
    @classmethod
    def _readable(cls, text: str) -> str:
        texts_of(text)
        return text

    def problem(self, n: int, seed: int) -> Problem:
        rng = data_rng(seed)
        marginals = tuple(self._measure(k, text, n, seed, rng) for k, text in enumerate(texts_of(self.measures)))
        constant = constant_columns(*marginals) if len({m.d for m in marginals}) == 1 else ""  # Problem says what is wrong with d
        return Problem(marginals, kind_of(marginals[0].d), self.name, notes=(constant,) if constant else ())

    def _measure(self, k: int, text: str, n: int, seed: int, rng: torch.Generator) -> Measure:
        if text.startswith(POINTS):
            return measure_of_points(text.removeprefix(POINTS), f"measure {k + 1}", self.jitter, n, rng)
        if text.startswith(FILE):
            return _uploaded(text.removeprefix(FILE)).subsample(n, seed)
        name, centre, size = shape_from_text(text)
        return measure_of(partial(_draw, name=name, centre=centre, size=size), n, rng)


def _uploaded(digest: str) -> Measure:
    arrays = read_arrays(checked_content(digest), "the stored upload")
    weights = arrays["a"].astype(np.float64) if "a" in arrays else None
    labels = {"label": arrays["x_labels"]} if "x_labels" in arrays else {}
    return Measure(arrays["x"], weights, labels, tuple(str(v) for v in arrays["names"]))
