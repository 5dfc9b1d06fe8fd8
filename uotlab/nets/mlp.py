"""Plain multilayer perceptrons, and the standardisation that lets one architecture serve data of any scale."""

from typing import Literal

import torch
from torch import Tensor, nn

from uotlab.problem import Problem

Activation = Literal["silu", "relu", "gelu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
THIN = 16  #: dimensions up to which a layer is `Thin`
STANDARD_SAMPLE = 4096  #: points a side that measure the centre and spread of the data


def mlp(d_in: int, d_out: int, width: int, depth: int, rng: torch.Generator, activation: str = "silu") -> nn.Sequential:
    """`depth` hidden layers of `width`, (n, d_in) -> (n, d_out), initialised from `rng` alone."""
    layers: list[nn.Module] = []
    size = d_in
    for _ in range(depth):
        layers += [_linear(size, width, rng), ACTIVATIONS[activation]()]
        size = width
    return nn.Sequential(*layers, _linear(size, d_out, rng))


class Thin(nn.Linear):
    """A linear layer from few dimensions, whose weight's gradient, a product of few columns, is six times as quick the other way round."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight.t().contiguous()) if x.ndim == 2 else super().forward(x)


def _linear(d_in: int, d_out: int, rng: torch.Generator) -> nn.Linear:
    # torch's own initialisation, uniform in ±1/sqrt(d_in), but from a given generator
    layer = nn.utils.skip_init(Thin if d_in <= THIN else nn.Linear, d_in, d_out)
    bound = d_in**-0.5
    with torch.no_grad():
        for p in (layer.weight, layer.bias):
            p.copy_(torch.rand(p.shape, generator=rng) * 2 * bound - bound)
    return layer


class Standard(nn.Module):
    """(x - centre) / spread with one spread for all columns, so that distances keep their shape."""

    centre: Tensor
    spread: Tensor

    def __init__(self, centre: Tensor, spread: float) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("spread", torch.as_tensor(spread, dtype=centre.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.spread

    @classmethod
    def of(cls, *samples: Tensor) -> "Standard":
        """Centre and root mean squared spread (a column, pooled) of all samples together, (n, d) each."""
        x = torch.cat(samples)
        spread = float((x - x.mean(0)).square().mean().sqrt())
        return cls(x.mean(0), spread if spread > 0 else 1.0)

    @classmethod
    def of_problem(cls, problem: Problem) -> "Standard":
        """Measured on a fixed seeded batch of every marginal."""
        rng = torch.Generator().manual_seed(0)
        return cls.of(*(m.sample(min(m.n, STANDARD_SAMPLE), rng) for m in problem.marginals))
