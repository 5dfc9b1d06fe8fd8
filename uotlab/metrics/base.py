"""Metric: named numbers from one Evaluation; one file in this package = one metric."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.penalty import Penalty
from uotlab.registry import Registry

METRICS: Registry = Registry("metric", "uotlab.metrics")


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

    @property
    def weights(self) -> Tensor:
        """xi, or ones where the method has no scaling, (n,)."""
        return torch.ones(len(self.x), dtype=self.x.dtype) if self.xi is None else self.xi


class Metric(ABC):
    """A metric gives no value where it does not apply: an empty dict, never a made-up number."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = ""
    better: ClassVar[Literal["lower", "higher", "neither"]] = "lower"
    summary: ClassVar[str]
    live: ClassVar[bool] = False  #: cheap enough (a few ms at 1000 points) to follow while training
    order: ClassVar[int] = 100

    @abstractmethod
    def __call__(self, e: Evaluation) -> dict[str, float]:
        """Named values; names start with the metric's own (or are it)."""


def evaluate(e: Evaluation, *, live: bool = False) -> dict[str, float]:
    """All metrics that apply, in registry order; only the cheap ones when `live`."""
    values: dict[str, float] = {}
    for _, cls in METRICS.items():
        if cls.live or not live:
            values.update(cls()(e))
    return values
