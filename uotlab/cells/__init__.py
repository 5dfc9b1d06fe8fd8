"""Cells: from a file of expression to growth, fates and genes. Imports of scanpy and its kin wait until they are needed."""

from typing import Any

from uotlab.cells.bundle import export, moved
from uotlab.cells.enriched import analyse
from uotlab.cells.fates import accuracy, pull, push, transition
from uotlab.cells.gmt import read_gmt
from uotlab.cells.growth import growth_by_type
from uotlab.cells.kept import keep
from uotlab.cells.outcome import Outcome
from uotlab.cells.perturbation import held_out, perturb
from uotlab.cells.preparation import Preparation, prepare
from uotlab.cells.reading import join, read
from uotlab.cells.running import run
from uotlab.cells.study import Study
from uotlab.cells.sweeping import tau_sweep
from uotlab.cells.writing import cells_table, write_h5ad
from uotlab.data.base import DATASETS
from uotlab.errors import InputError
from uotlab.parameters import check_count, make_model
from uotlab.problem import Problem

__all__ = [
    "Outcome",
    "Preparation",
    "Study",
    "accuracy",
    "analyse",
    "cells_table",
    "export",
    "growth_by_type",
    "held_out",
    "join",
    "keep",
    "load",
    "moved",
    "perturb",
    "prepare",
    "pull",
    "push",
    "read",
    "read_gmt",
    "run",
    "study_of",
    "tau_sweep",
    "transition",
    "write_h5ad",
]


def load(name: str, n: int | None = None, seed: int = 0, **params: Any) -> Study:
    """The Study of a dataset of cells: `load("zebrafish-simulated", n=1500)`. Its problem is that of `uotlab.load`.

    Raises:
        InputError: a dataset of another kind, or a bad parameter.
    """
    cls = DATASETS[name]
    if not hasattr(cls, "study"):
        raise InputError(f"{cls.name} holds no cells. Choose one of: {', '.join(k for k in DATASETS if hasattr(DATASETS[k], 'study'))}.")
    n = cls.default_n if n is None else check_count("n", n, least=2, most=10_000_000)
    seed = check_count("seed", seed, least=0, most=2**31 - 1)
    study: Study = make_model(cls, params).study(n, seed)
    return study


def study_of(problem: Problem) -> Study:
    """The Study behind a problem that was loaded by name, such as a run's.

    Raises:
        InputError: a problem of arrays, or of other data than cells.
    """
    if problem.origin is None:
        raise InputError("This problem was made from arrays, which know nothing of cells: give its Study instead.")
    origin = problem.origin
    return load(origin["dataset"], origin["n"], origin["seed"], **origin["params"])
