"""Positive functions for scaling factors: in the log domain or by softplus, never 0, and inside a bounded domain where one is needed."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from uotlab.nets.mlp import Standard
from uotlab.nets.potential import ScalarNet

Positive = Literal["log", "softplus"]
FLOOR = 1e-6  #: least value, so that logarithms of the factor stay finite
LARGEST = math.log(100.0)  #: exp goes on along its tangent from here
ONE = 0.5413  #: softplus(ONE) = 1


class PositiveNet(ScalarNet):
    """xi(x) > 0, (n, d) -> (n,), near 1 at the start.

    "log" is exp(h), linear beyond 100; "softplus" is log(1 + e^h). A finite `bound` makes it bound·sigmoid(h) instead, for
    entropies that are infinite from there on.
    """

    def __init__(
        self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, activation: str = "silu",
        form: Positive = "log", bound: float = math.inf,
    ) -> None:  # fmt: skip
        super().__init__(standard, d, width, depth, rng, activation)
        self.form, self.bound = form, bound

    def forward(self, x: Tensor) -> Tensor:
        h = super().forward(x)
        if math.isfinite(self.bound):
            return FLOOR + (self.bound - 2 * FLOOR) * torch.sigmoid(h)
        if self.form == "softplus":
            return FLOOR + F.softplus(h + ONE)
        return FLOOR + h.clamp(max=LARGEST).exp() + math.exp(LARGEST) * F.relu(h - LARGEST)
