"""Potentials f_1, ..., f_K with sum_k lam_k f_k = m at every point, by construction."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from uotlab.nets.mlp import Standard, mlp

SPEED = 10.0  #: m moves this much faster than a weight: a number, it has far to go and nothing to hold


class CongruentPotentials(nn.Module):
    """f_k = g_k - sum_{n != k} lam_n g_n / (lam_k (K-1)) + m / (K lam_k), (n, d) -> (n, K); the g_k are outputs of one net.

    gazdieva2025robust prints m / lam_k, with which the sum would be K m. Two potentials are ±u / lam_k for one function u, whatever
    the weights; the authors' code drops the lam_k, which is right for equal ones only.

    Args:
        lam: weights on the simplex, (K,).
        free: whether m is learned; where a marginal is held it is 0.
        features: what the net sees of a point, (n, d) -> (n, e) for a net of d = e; None is the point itself.
    """

    lam: Tensor
    level: Tensor
    shift: Tensor  #: (K,), what is added to the f_k and, weighted, to m; training leaves it 0
    mix: Tensor

    def __init__(
        self, standard: Standard, lam: Tensor, d: int, width: int, depth: int, rng: torch.Generator, activation: str, *, free: bool,
        features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.standard, self.free, self.features = standard, free, features
        K = len(lam)
        self.net = mlp(d, K, width, depth, rng, activation)
        if free:
            self.level = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("level", torch.zeros(()))
        self.register_buffer("lam", lam)
        self.register_buffer("shift", torch.zeros(K))
        self.register_buffer("mix", torch.eye(K) - (1 - torch.eye(K)) * lam[:, None] / (lam[None, :] * (K - 1)), persistent=False)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state_dict.setdefault(f"{prefix}shift", torch.zeros_like(self.shift))  # of runs from before there was one
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def m(self) -> Tensor:
        """The sum of all lam_k f_k."""
        return SPEED * self.level + self.lam @ self.shift

    def forward(self, y: Tensor) -> Tensor:
        f = self.net(self.standard(y if self.features is None else self.features(y))) @ self.mix
        return f + (SPEED * self.level / (len(self.lam) * self.lam) + self.shift) if self.free else f + self.shift
