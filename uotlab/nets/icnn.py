"""Input-convex networks whose gradient, the transport map, is written out: no second differentiation, and it works without autograd.

    z_0 = act(A_0 x + b_0)²,  z_k = act(W_k z_{k-1} + A_k x + b_k),  f(x) = <w, z_K> + <a, x> + ½|L x|²,   W, w >= 0

Reference: amos2017input, eq. (2); makkuva2020optimal, Remark 3.3; eyring2024unbalancedness, eq. (14), (15); the quadratic last term:
bunne2022supervised, Section 3.2.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, _linear

Convex = Literal["leaky_relu", "softplus"]
First = Literal["square", "activated"]
#: over the dimension, and at least 1: what later layers' affine parts begin at, in torch's own size. Sharper bends, and bends all over the
#: data, without which maps with tears are learned several times slower; in many dimensions points are too few to place them
SHARP = 8.0
SLOPE = 0.01  #: of leaky_relu below 0


def convex(h: Tensor, name: str) -> Tensor:
    """A convex increasing function."""
    return F.softplus(h) if name == "softplus" else F.leaky_relu(h, SLOPE)


def slope_of(h: Tensor, name: str) -> Tensor:
    """Its derivative."""
    # 0 h: the last bias does not move the slope, yet an optimiser that asks for its gradient gets one, of 0
    return torch.sigmoid(h) if name == "softplus" else torch.where(h > 0, 1.0, SLOPE) + 0 * h


class ICNN(nn.Module):
    """f convex, (n, d) -> (n,), in standardised coordinates; `map` is x -> centre + spread ∇f((x - centre) / spread).

    Args:
        first: "square" takes z_0 = (A_0 x + b_0)², as the papers' code does; "activated" squares the activation, as eq. (15) prints.
        quadratic: adds ½|L x|², which holds linear maps exactly; it starts at the identity.
    """

    def __init__(
        self, standard: Standard, d: int, width: int, depth: int, rng: torch.Generator, activation: Convex = "softplus",
        first: First = "square", quadratic: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.standard, self.activation, self.first = standard, activation, first
        self.A = nn.ModuleList(_linear(d, width, rng) for _ in range(depth))
        with torch.no_grad():
            for layer in list(self.A)[1:]:
                for p in layer.parameters():
                    p.mul_(max(SHARP / d, 1.0))
        # positive entries of mean 1/width keep the size of z from layer to layer
        self.W = nn.ParameterList(nn.Parameter(2 / width * torch.rand(width, width, generator=rng)) for _ in range(depth - 1))
        self.w = nn.Parameter(0.2 / width * torch.rand(width, generator=rng))
        self.a = nn.Parameter(torch.zeros(d))
        self.L = nn.Parameter(torch.eye(d)) if quadratic else None

    def forward(self, x: Tensor) -> Tensor:
        """f at standardised points, (n, d) -> (n,)."""
        first, *later = self._affine(x, self._thin())
        z = (first if self.first == "square" else convex(first, self.activation)).square()
        for own, W in zip(later, self.W, strict=True):
            z = convex(torch.addmm(own, z, W.T), self.activation)
        f = z @ self.w + x @ self.a
        return f if self.L is None else f + (x @ self.L.T).square().sum(1) / 2

    def gradient(self, x: Tensor) -> Tensor:
        """∇f at standardised points, (n, d) -> (n, d), by the chain rule from the last layer to the first."""
        thin = self._thin()
        slopes = self._slopes(x, thin)
        back: Tensor = self.w
        out = self.a if self.L is None else self.a + x @ (self.L.T @ self.L)
        for k in reversed(range(len(slopes))):
            back = back * slopes[k]  # (n, width)
            out = out + F.linear(back, thin[k])
            if k:
                back = back @ self.W[k - 1]
        return out

    def map(self, x: Tensor) -> Tensor:
        """T(x) in the data's own units, (n, d) -> (n, d)."""
        return self.standard.centre + self.standard.spread * self.gradient(self.standard(x))

    def _thin(self) -> list[Tensor]:
        """The weights of each A transposed in memory, (d, width). With so few rows in them, products that have the points as
        their long side, those of gradients included, take a sixth of the time that the other order takes."""
        layers: list[Any] = list(self.A)
        return [A.weight.t().contiguous() for A in layers]

    def _affine(self, x: Tensor, thin: list[Tensor]) -> list[Tensor]:
        """A_k x + b_k of every layer, (n, width) each."""
        layers: list[Any] = list(self.A)
        return [torch.addmm(A.bias, x, weight) for A, weight in zip(layers, thin, strict=True)]

    def _slopes(self, x: Tensor, thin: list[Tensor]) -> list[Tensor]:
        """The slope dz/dh of every layer, (n, width) each."""
        h, *later = self._affine(x, thin)
        z, slope = (h, None) if self.first == "square" else (convex(h, self.activation), slope_of(h, self.activation))
        slopes = [2 * z if slope is None else 2 * z * slope]
        z = z.square()
        for own, W in zip(later, self.W, strict=True):
            h = torch.addmm(own, z, W.T)
            slopes.append(slope_of(h, self.activation))
            if len(slopes) < len(self.A):  # nobody asks for the last z
                z = convex(h, self.activation)
        return slopes

    def negativity(self) -> Tensor:
        """Sum of the squared negative parts of the weights that must not be negative; f is convex where it is 0."""
        return torch.stack([F.relu(-p).square().sum() for p in (*self.W, self.w)]).sum()

    @torch.no_grad()
    def clamp_(self) -> None:
        """Put those weights to at least 0."""
        for p in (*self.W, self.w):
            p.clamp_(min=0)
