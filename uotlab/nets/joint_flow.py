"""A generator of matched points that knows their density: a neural ODE on all parts at once, with its exact divergence.

    dz/dt = v(t, z),   d log p/dt = -div v(t, z) = -sum_k tr(dv_k/dz_k),   z(0) ~ N(0, I),   G(z) = z(1)

The divergence is carried forward through the layers as a Jacobian, one column for each coordinate: no differentiation inside a
differentiation, and no random estimate. It costs D times the network for D coordinates in all.

Reference: chen2018neural, Theorem 1; xie2019scalable, Proposition 1.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from uotlab.nets.mlp import Standard, mlp
from uotlab.nets.time_mlp import FREQUENCIES

STEPS = 8  #: of the midpoint rule from t = 0 to 1


class DivergenceNet(nn.Module):
    """v(t, z) and its divergence: t a 0-dim tensor, z (n, D) -> (n, D), (n,). Hidden layers of tanh, a small last layer."""

    omega: Tensor

    def __init__(self, d: int, width: int, depth: int, rng: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("omega", math.pi * 2.0 ** torch.arange(FREQUENCIES), persistent=False)
        self.d, self.net = d, mlp(d + 1 + 2 * FREQUENCIES, d, width, depth, rng, "tanh")
        with torch.no_grad():
            for p in self.net[-1].parameters():
                p.mul_(0.1)

    def velocity(self, t: Tensor, z: Tensor) -> Tensor:
        """v(t, z) alone, (n, D) -> (n, D)."""
        return self.net(self._inputs(t, z))

    def _inputs(self, t: Tensor, z: Tensor) -> Tensor:
        angle = t * self.omega
        return torch.cat([z, torch.cat([t[None], angle.sin(), angle.cos()]).expand(len(z), -1)], 1)

    def forward(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        layers: list[Any] = list(self.net)[::2]  # every other module is a tanh
        *inner, last = layers
        h = self._inputs(t, z)
        J: Tensor | None = None
        for layer in inner:
            h = torch.tanh(layer(h))
            slope = (1 - h.square())[:, None]  # (n, 1, width)
            J = slope * (layer.weight[:, : self.d].T if J is None else J @ layer.weight.T)  # (n, D, width)
        return last(h), torch.einsum("niw,iw->n", J, last.weight)


class JointFlow(nn.Module):
    """G(z) = (G_1(z), ..., G_m(z)), (n, m d) -> m tensors (n, d), and the density of all of them together.

    Each part is put to its marginal's centre and spread after the flow, so that training starts near independent Gaussians.
    """

    def __init__(self, standards: Sequence[Standard], d: int, width: int, depth: int, rng: torch.Generator, steps: int = STEPS) -> None:
        super().__init__()
        self.latent, self.d, self.steps = d * len(standards), d, steps
        self.standards = nn.ModuleList(standards)
        self.v = DivergenceNet(self.latent, width, depth, rng)

    def forward(self, z: Tensor) -> list[Tensor]:
        grid = torch.linspace(0, 1, self.steps + 1).to(z)
        options = {"grid_constructor": lambda *_: grid}
        end = odeint(self.v.velocity, z, grid[[0, -1]], method="midpoint", options=options)[-1]
        return self._parts(end)

    def with_density(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """Matched points for z (n, m d), and the log of their joint density, (n,)."""
        end, lost = self._integrate(z, forward=True)
        return self._parts(end), self._normal(z) - lost - self._volume()

    def log_density(self, points: Sequence[Tensor]) -> Tensor:
        """Log of the joint density at m given points, (n, d) each -> (n,): the flow run back to t = 0."""
        end = torch.cat([s(p) for s, p in zip(self.standards, points, strict=True)], 1)
        z, gained = self._integrate(end, forward=False)
        return self._normal(z) + gained - self._volume()

    def _integrate(self, z: Tensor, *, forward: bool) -> tuple[Tensor, Tensor]:
        """Where z ends, and the integral of the divergence on the way, with its sign turned on the way back."""
        sign = 1.0 if forward else -1.0

        def field(s: Tensor, held: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            v, div = self.v(s if forward else 1 - s, held[0])
            return sign * v, sign * div

        grid = torch.linspace(0, 1, self.steps + 1).to(z)
        options = {"grid_constructor": lambda *_: grid}
        path, total = odeint(field, (z, z.new_zeros(len(z))), grid[[0, -1]], method="midpoint", options=options)
        return path[-1], total[-1]

    def _parts(self, end: Tensor) -> list[Tensor]:
        """z(1) cut into the marginals' own coordinates."""
        standards: list[Any] = list(self.standards)
        return [s.centre + s.spread * part for s, part in zip(standards, end.split(self.d, 1), strict=True)]

    def _normal(self, z: Tensor) -> Tensor:
        return -z.square().sum(1) / 2 - z.shape[1] / 2 * math.log(2 * math.pi)

    def _volume(self) -> Tensor:
        standards: list[Any] = list(self.standards)
        return self.d * torch.stack([s.spread for s in standards]).log().sum()
