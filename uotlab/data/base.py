"""Dataset: a frozen model whose fields are a generator's parameters; one file in this package = one dataset family."""

import zlib
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from uotlab.parameters import Settings, check_count, make_model
from uotlab.problem import Kind, Measure, Problem, Sampler
from uotlab.registry import Registry

# cells need what lies above this layer (scanpy, prepared files): their plug-ins are found there by name
DATASETS: Registry = Registry("dataset", "uotlab.data", "uotlab.cells.datasets")


class Dataset(Settings, ABC):
    """Fields become the form, the command line's `--set` and the docs: give each a description, a range and a unit."""

    name: ClassVar[str]
    title: ClassVar[str]  #: a few words for menus
    group: ClassVar[str]  #: "1-D toys", "2-D toys", "Digits", "Cells", "Your own", ...
    kind: ClassVar[Kind]
    summary: ClassVar[str]  #: one or two sentences: what is matched with what, and what to look for
    reference: ClassVar[str] = ""  #: key in assets/references.bib
    default_n: ClassVar[int] = 4000
    order: ClassVar[int] = 100

    @abstractmethod
    def problem(self, n: int, seed: int) -> Problem:
        """n points a side (or fewer where the data are finite), drawn with `seed`.

        A Problem with `sampler`s where the law is known, and `origin` set so that it can be made again.
        """


def data_rng(seed: int, salt: str = "data") -> torch.Generator:
    """The generator of a dataset's points. Salted, so that training or evaluating with the same seed draws other points."""
    state = np.random.SeedSequence([seed, zlib.crc32(salt.encode())]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def measure_of(sampler: Sampler, n: int, rng: torch.Generator, mass: float = 1.0, names: tuple[str, ...] = ()) -> Measure:
    """A Measure of n points drawn by a sampler, which it keeps for fresh draws; total mass `mass`."""
    points, labels = sampler(n, rng)
    weights = None if mass == 1.0 else np.full(n, mass / n)
    return Measure(points.numpy(), weights, labels, names, sampler)


def load(name: str, n: int | None = None, seed: int = 0, **params: object) -> Problem:
    """Make a dataset's Problem: `load("moons-to-spiral", n=4000, seed=0)`.

    Args:
        name: a key of `uotlab.DATASETS`.
        n: points a side; None is the dataset's default.
        params: fields of the dataset.
    """
    cls = DATASETS[name]
    n = cls.default_n if n is None else check_count("n", n, least=2, most=10_000_000)
    seed = check_count("seed", seed, least=0, most=2**31 - 1)
    made = make_model(cls, params)
    problem = made.problem(n, seed)
    return replace(problem, origin={"dataset": cls.name, "n": n, "seed": seed, "params": made.model_dump(exclude_defaults=True)})
