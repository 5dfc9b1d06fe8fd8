"""The pieces that all methods train with."""

import pytest
import torch
from torch import nn

from uotlab.nets.mlp import THIN, Thin, mlp
from uotlab.nets.training import adam, descend


@pytest.mark.parametrize("d", [1, 2, 5, THIN, THIN + 1])
def test_a_step_is_that_of_the_plain_layers(d):
    """The gradient of a thin layer lies transposed in memory, and fused Adam does not look at strides."""
    rng = torch.Generator().manual_seed(0)
    net = mlp(d, 3, 16, 2, rng)
    assert isinstance(net[0], Thin) == (d <= THIN)
    plain = nn.Sequential(nn.Linear(d, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 3))
    plain.load_state_dict(net.state_dict())
    ours, theirs = adam(net, 1e-2), torch.optim.Adam(plain.parameters(), lr=1e-2, foreach=False)
    for _ in range(5):
        x = torch.randn(20, d, generator=rng)
        descend(net(x).square().mean(), net, ours)
        theirs.zero_grad()
        plain(x).square().mean().backward()
        theirs.step()
    for (name, p), q in zip(net.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    x = torch.randn(4, 6, d, generator=rng)
    torch.testing.assert_close(net(x), plain(x), rtol=1e-3, atol=1e-3)
