"""Transport maps T(x) or T(x, z): within one space, starting near the identity, and from one space into another."""

from collections.abc import Callable

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

    @property
    def spread(self) -> Tensor:
        """The unit of length of images."""
        return self.standard.spread

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.standard(x)
        if self.noise:
            if z is None:
                raise ValueError("a stochastic map needs z of shape (n, noise)")
            h = torch.cat([h, z], 1)
        return x + self.standard.spread * self.net(h)


class MapBetween(nn.Module):
    """T(x, z) = centre + spread · net(standardised x, z), from (n, d) and (n, k) to (n, e): no point to start from, so no residual.

    `inside` brings what comes out onto a space that is not all of R^e.
    """

    def __init__(
        self, source: Standard, target: Standard, width: int, depth: int, rng: torch.Generator, noise: int = 0, activation: str = "silu",
        inside: Callable[[Tensor], Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.source, self.target, self.noise, self.inside = source, target, noise, inside
        self.net = mlp(len(source.centre) + noise, len(target.centre), width, depth, rng, activation)

    @property
    def spread(self) -> Tensor:
        """The unit of length of images."""
        return self.target.spread

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.source(x)
        if self.noise:
            if z is None:
                raise ValueError("a stochastic map needs z of shape (n, noise)")
            h = torch.cat([h, z], 1)
        out = self.target.centre + self.target.spread * self.net(h)
        return out if self.inside is None else self.inside(out)
