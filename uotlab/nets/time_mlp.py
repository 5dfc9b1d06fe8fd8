"""Velocity fields v(t, x) of flows."""

import math

import torch
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, mlp

FREQUENCIES = 4


class TimeMLP(nn.Module):
    """v(t, x) = spread · net(standardised x, t, sin and cos of 2^k pi t); (n,), (n, d) -> (n, d)."""

    omega: Tensor

    def __init__(self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, activation: str = "silu") -> None:
        super().__init__()
        self.standard = standard
        self.register_buffer("omega", math.pi * 2.0 ** torch.arange(FREQUENCIES), persistent=False)
        self.net = mlp(d + 1 + 2 * FREQUENCIES, d, width, depth, rng, activation)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        angle = t[:, None] * self.omega
        return self.standard.spread * self.net(torch.cat([self.standard(x), t[:, None], angle.sin(), angle.cos()], 1))
