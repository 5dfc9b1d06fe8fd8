"""Networks whose slope never exceeds 1, by dividing every weight matrix by its largest singular value.

The singular value comes from one power iteration a step (`refresh_`), whose vectors are kept: it follows the weights as they move.
Between two steps the network is a plain function of its weights. A unit slope is reached everywhere only where activations keep the
length of gradients: "maxmin" sorts neighbouring units in pairs and does; "leaky_relu" loses some at every layer.

Reference: miyato2018spectral, Algorithm 1; anil2019sorting, Section 4.1.
"""

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, _linear

Lipschitz = Literal["maxmin", "leaky_relu"]
SLOPE = 0.2  #: of leaky_relu below 0
START = 20  #: power iterations before training


class SpectralLinear(nn.Module):
    """x W^T / sigma(W) + b, sigma the largest singular value of W as the kept vectors give it; (n, d_in) -> (n, d_out)."""

    left: Tensor
    right: Tensor

    def __init__(self, d_in: int, d_out: int, rng: torch.Generator) -> None:
        super().__init__()
        self.linear = _linear(d_in, d_out, rng)
        self.register_buffer("left", F.normalize(torch.randn(d_out, generator=rng), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(d_in, generator=rng), dim=0))
        for _ in range(START):
            self.refresh_()

    def forward(self, x: Tensor) -> Tensor:
        W = self.linear.weight
        return F.linear(x, W / (self.left @ W @ self.right), self.linear.bias)

    @torch.no_grad()
    def refresh_(self) -> None:
        """One power iteration."""
        W = self.linear.weight
        self.right.copy_(F.normalize(self.left @ W, dim=0))
        self.left.copy_(F.normalize(W @ self.right, dim=0))


class LipschitzNet(nn.Module):
    """phi, (n, d) -> (n,), with |phi(x) - phi(y)| <= |x - y| / spread: a unit slope in standardised coordinates."""

    def __init__(self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, activation: Lipschitz = "maxmin") -> None:
        super().__init__()
        self.standard, self.activation = standard, activation
        sizes = [d, *[width + width % 2] * depth, 1]  # maxmin takes units in pairs
        self.layers = nn.ModuleList(SpectralLinear(a, b, rng) for a, b in itertools.pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        h = self.standard(x)
        *inner, last = self.layers
        for layer in inner:
            h = maxmin(layer(h)) if self.activation == "maxmin" else F.leaky_relu(layer(h), SLOPE)
        return last(h).squeeze(1)

    def refresh_(self) -> None:
        """One power iteration in every layer: to be called after each step."""
        for layer in self.layers:
            layer.refresh_()  # type: ignore[operator]  # every layer is a SpectralLinear


def maxmin(h: Tensor) -> Tensor:
    """The larger and then the smaller of each pair of units, (n, k) -> (n, k) with k even."""
    a, b = h.chunk(2, dim=1)
    more = F.relu(a - b)  # the gradients of torch.maximum and torch.minimum take twice the time
    return torch.cat([b + more, a - more], 1)
