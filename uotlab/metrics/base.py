"""Metric: named numbers from one Evaluation; one file in this package = one metric.

A metric that does not apply gives nothing. One that applies but cannot be resolved at this sample size, or in this dimension, gives
a sentence instead of, or beside, its number: `Scores` carries both.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.divergences import DIVERGENCES, Divergence
from uotlab.errors import InputError
from uotlab.metrics.reference import Reference
from uotlab.penalty import Penalty
from uotlab.registry import Registry

METRICS: Registry = Registry("metric", "uotlab.metrics")
Pace = Literal["live", "slow", "all"]


class Scores(dict[str, float]):
    """Named numbers, and `notes`: sentences by metric name on what a number cannot tell, or why it is not there."""

    def __init__(self, values: Mapping[str, float] | None = None, notes: Mapping[str, str] | None = None) -> None:
        super().__init__(values or {})
        self.notes: dict[str, str] = dict(notes or {})

    def take(self, other: Mapping[str, float]) -> None:
        """Add another's numbers and, where it has them, notes."""
        self.update(other)
        self.notes.update(getattr(other, "notes", {}))


@dataclass(frozen=True)
class Answers:
    """What the method makes of the reference's points: `Tx` (n, d), and if it has them `xi` (n,), `zeta` (m,), `g_Tx` (n,), `g_y` (m,)."""

    Tx: Tensor
    xi: Tensor | None = None
    zeta: Tensor | None = None
    g_Tx: Tensor | None = None
    g_y: Tensor | None = None


@dataclass(frozen=True)
class Barycenter:
    """What a method makes of points of all K marginals on their way to a barycenter; lists have one entry a marginal.

    Args:
        weights: lambda, (K,).
        x, images: points of each marginal and where they go, (n_k, d).
        taken: how much of each point takes part, (n_k,), in units of the barycenter's mass: 1 in the mean at the optimum.
        labels: first label column of each, or None.
        residual: sum_k lambda_k f_k - m at the images, (n,).
        balanced: whether every marginal is held.
    """

    weights: Tensor
    x: tuple[Tensor, ...]
    images: tuple[Tensor, ...]
    taken: tuple[Tensor, ...]
    labels: tuple[np.ndarray | None, ...]
    residual: Tensor
    balanced: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Fresh (or held-out) samples and what the method makes of them; all that a metric may look at.

    Args:
        x, y: source and target points (n, d), (m, d), drawn under the normalised weights.
        Tx: images T(x), (n, d).
        xi: source scaling d pi_1/d mu at x, (n,); None where the method has none.
        zeta: target scaling d pi_2/d nu at y, (m,); or None.
        masses: total masses of source and target.
        cost: the run's cost, calibrated.
        penalty: rho1, rho2.
        x_labels, y_labels: the first label column of each side, or None.
        truth: the problem's exact answers.
        kind: the problem's kind.
        rng: for metrics that draw.
        path: trajectory points (k, t, d) for flows, or None.
        pairs: matches drawn from a learned coupling, (k, d) for each marginal, or None.
        divergences: names of the divergences of source and target.
        reference: the optimum of the run's own problem, exact or of a subsample; None while there is none.
        answers: what the method makes of the reference's points; there whenever `reference` is.
        barycenter: of a method that learns one, what it makes of all marginals; else None.
        waiting: why there is no reference, a sentence; empty where none was asked for.
    """

    x: Tensor
    y: Tensor
    Tx: Tensor
    xi: Tensor | None
    zeta: Tensor | None
    masses: tuple[float, float]
    cost: Cost
    penalty: Penalty
    x_labels: np.ndarray | None = None
    y_labels: np.ndarray | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "table"
    rng: torch.Generator = field(default_factory=torch.Generator)
    path: Tensor | None = None
    pairs: tuple[Tensor, ...] | None = None
    divergences: tuple[str, str] = ("kl", "kl")
    reference: Reference | None = None
    answers: Answers | None = None
    barycenter: Barycenter | None = None
    waiting: str = ""

    @property
    def weights(self) -> Tensor:
        """xi, or ones where the method has no scaling, (n,)."""
        return torch.ones(len(self.x), dtype=self.x.dtype) if self.xi is None else self.xi

    @property
    def target_weights(self) -> Tensor:
        """zeta, or ones where the method has no target scaling, (m,)."""
        return torch.ones(len(self.y), dtype=self.y.dtype) if self.zeta is None else self.zeta

    def psi(self, side: int) -> Divergence:
        """The divergence of marginal 1 or 2."""
        return DIVERGENCES[self.divergences[side - 1]]()


class Metric(ABC):
    """A metric gives no value where it does not apply: an empty dict, never a made-up number."""

    name: ClassVar[str]
    title: ClassVar[str]
    begins: ClassVar[tuple[str, ...]] = ()  #: how its numbers' names begin where that is not its own name
    unit: ClassVar[str] = ""
    better: ClassVar[Literal["lower", "higher", "neither"]] = "lower"
    summary: ClassVar[str]
    of: ClassVar[Literal["map", "barycenter"]] = "map"  #: what is scored: a map to the target, or one to a barycenter
    live: ClassVar[bool] = False  #: cheap enough (a few ms at 1000 points) to follow while training
    order: ClassVar[int] = 100

    @abstractmethod
    def __call__(self, e: Evaluation) -> dict[str, float]:
        """Named values; names start with the metric's own (or are it). `Scores` where there is something to say beside them."""


def evaluate(e: Evaluation, pace: Pace = "all") -> Scores:
    """All metrics that apply, in registry order; only the cheap ones ("live"), or only the others ("slow")."""
    scores, of = Scores(), "map" if e.barycenter is None else "barycenter"
    for _, cls in METRICS.items():
        if cls.of != of:
            continue
        if pace == "all" or cls.live == (pace == "live"):
            try:
                scores.take(cls()(e))
            except InputError as error:  # such as images so far away that a solver refuses their costs
                scores.notes[cls.name] = f"No {cls.title}: {error}"
    if pace != "slow" and (e.waiting or e.reference is not None):
        scores.notes["reference"] = e.waiting if e.reference is None else e.reference.words
    return scores
