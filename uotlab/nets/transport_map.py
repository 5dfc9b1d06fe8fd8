"""Transport maps T(x) or T(x, z), starting near the identity."""

import torch
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, mlp


class TransportMap(nn.Module):
    """T(x, z) = x + spread · net(standardised x, z): a residual map, (n, d), (n, k) -> (n, d)."""

    def __init__(
        self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, noise: int = 0, activation: str = "silu"
    ) -> None:
        super().__init__()
        self.standard, self.noise = standard, noise
        self.net = mlp(d + noise, d, width, depth, rng, activation)
        with torch.no_grad():
            for p in self.net[-1].parameters():  # a small last layer: training starts from the identity
                p.mul_(0.1)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.standard(x)
        if self.noise:
            if z is None:
                raise ValueError("a stochastic map needs z of shape (n, noise)")
            h = torch.cat([h, z], 1)
        return x + self.standard.spread * self.net(h)
