"""Anderson acceleration of a fixed-point iteration z <- G(z).

    z' = G(z) - sum_k gamma_k (G_k+1 - G_k),   gamma the least squares fit of r = G(z) - z by the differences r_k+1 - r_k

Reference: walker2011anderson, Section 2.
"""

import torch
from torch import Tensor

DEPTH = 6
WORSE = 3.0  #: the residual may grow so much before the memory is dropped


class Anderson:
    """Memory of the last steps; `weights` (len(z),) say how much each residual counts."""

    def __init__(self, weights: Tensor) -> None:
        self.root = weights.sqrt()
        self.zs: list[Tensor] = []  # images G(z)
        self.rs: list[Tensor] = []  # weighted residuals
        self.least = float("inf")

    def step(self, z: Tensor, image: Tensor) -> Tensor:
        """The next point to try, of z and G(z)."""
        r = (image - z) * self.root
        size = float(r.norm())
        if not size <= WORSE * self.least:
            self.zs, self.rs, self.least = [], [], float("inf")
        self.least = min(self.least, size)
        self.zs, self.rs = [*self.zs[-DEPTH:], image], [*self.rs[-DEPTH:], r]
        if len(self.rs) < 2 or not size > 0:
            return image
        R = torch.stack([after - before for before, after in zip(self.rs, self.rs[1:])], 1)
        Z = torch.stack([after - before for before, after in zip(self.zs, self.zs[1:])], 1)
        normal = R.T @ R
        gamma, failed = torch.linalg.solve_ex(normal + 1e-10 * normal.diagonal().sum() * torch.eye(len(normal)).to(R), R.T @ r)
        return image if int(failed) or not bool(gamma.isfinite().all()) else image - Z @ gamma
