"""Scalar networks: potentials and positive scaling factors, both of shape (n,), never (n, 1).

(n, 1) minus (n,) broadcasts to (n, n) and trains on silently, as the published UOTM code does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, mlp


class ScalarNet(nn.Module):
    """An MLP on standardised points, (n, d) -> (n,)."""

    def __init__(self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, activation: str = "silu") -> None:
        super().__init__()
        self.standard = standard
        self.net = mlp(d, 1, width, depth, rng, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.standard(x)).squeeze(1)


class ScalingNet(ScalarNet):
    """A positive function by softplus, (n, d) -> (n,), near 1 at the start."""

    START = 0.5413  #: softplus(START) = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(super().forward(x) + self.START)
