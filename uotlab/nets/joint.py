"""A generator of matched points: one latent z, and for each marginal a network of its own that makes a point of it."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, mlp

Start = Literal["gaussian", "random"]


class JointGenerator(nn.Module):
    """G(z) = (G_1(z), ..., G_m(z)), (n, k) -> m tensors (n, d).

    G_i(z) = centre_i + spread_i (L_i z + net_i(z)). Start "gaussian": L_i is the identity and net_i small, so that each part begins
    as a Gaussian of its marginal's centre and spread; "random": L_i = 0, plain networks.

    Args:
        standards: centre and spread of each marginal.
    """

    def __init__(
        self, standards: Sequence[Standard], d: int, latent: int, width: int, depth: int, rng: torch.Generator,
        activation: str = "silu", start: Start = "gaussian",
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent = latent
        self.standards = nn.ModuleList(standards)
        self.nets = nn.ModuleList(mlp(latent, d, width, depth, rng, activation) for _ in standards)
        self.linear = nn.ParameterList()
        if start == "gaussian":
            self.linear.extend(nn.Parameter(torch.eye(d, latent)) for _ in standards)
            with torch.no_grad():
                for net in self.nets:
                    for p in net[-1].parameters():  # type: ignore[index,union-attr]  # a Sequential
                        p.mul_(0.1)

    def forward(self, z: Tensor) -> list[Tensor]:
        out = [net(z) for net in self.nets]
        if len(self.linear):
            out = [h + z @ L.T for h, L in zip(out, self.linear, strict=True)]
        standards: list[Any] = list(self.standards)
        return [s.centre + s.spread * h for s, h in zip(standards, out, strict=True)]
