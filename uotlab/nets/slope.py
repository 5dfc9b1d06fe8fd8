"""Gradient penalties on the slope of a scalar net, at points between two batches."""

from typing import Literal

import torch
from torch import Tensor

from uotlab.nets.potential import ScalarNet

Sides = Literal["one", "two"]


def slope_penalty(net: ScalarNet, p: Tensor, q: Tensor, rng: torch.Generator, slope: float, sides: Sides) -> Tensor:
    """E(|∇net| - slope)² at random points between the rows of p and q, (n, d) each; a 0-dim tensor.

    Slopes are per standard deviation of the data. "two" pulls them towards `slope`, "one" only holds them below it.
    Reference: gulrajani2017improved, eq. (3).
    """
    t = torch.rand(len(p), 1, generator=rng).to(p)
    at = (t * p + (1 - t) * q).detach().requires_grad_(True)
    (grad,) = torch.autograd.grad(net(at).sum(), at, create_graph=True)
    # the root has no derivative at 0
    excess = net.standard.spread * (grad.square().sum(1) + 1e-12).sqrt() - slope
    return (excess.clamp(min=0) if sides == "one" else excess).square().mean()
