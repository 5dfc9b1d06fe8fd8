"""The sweeps of the lazy Sinkhorn by KeOps, where a person has it: one compiled reduction a side, all pairs, no memory.

    f_i = -tau1 eps log sum_j b_j exp((g_j - C_ij) / eps),   log r2_j = log b_j + g_j / eps + log sum_i a_i exp((f_i - C_ij) / eps)

On a GPU no block passes through memory; on a CPU it was slower than `blocks` (benchmarks/README.md), so there it is for the asking.
Between sweeps potentials are shifted by one number a side instead of by cell: KeOps does not give the plan summed over pairs of cells.
The proof is that of `blocks`, in float64, so that certificates mean the same. pykeops is imported in functions only.

Reference: charlier2021kernel; sejourne2022faster, Section 3.
"""

import math
import subprocess
import sys
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from uotlab.costs import Cost, SquaredEuclidean
from uotlab.errors import InputError, short
from uotlab.plans.blocks import Blocks, Sweep, Tick

Backend = Literal["auto", "blocks", "keops"]
PATIENCE = 120.0  #: seconds for the first compilation
PROBE = """
import torch
from pykeops.torch import LazyTensor
x, y = torch.rand(5, 1, 3, device="cuda"), torch.rand(1, 7, 3, device="cuda")
found = -((LazyTensor(x) - LazyTensor(y)) ** 2).sum(-1)
wanted = -((x - y) ** 2).sum(-1)
assert torch.allclose(found.logsumexp(1).reshape(-1), wanted.logsumexp(1), atol=1e-4)
"""
MOST_DIMENSIONS = 100  #: above it, a GPU's matrix products are left to `blocks` unless KeOps is asked for


def blocks_for(backend: str, cost: Cost, device: torch.device, d: int) -> type[Blocks]:
    """What sweeps over points in d dimensions on a device; costs other than squared distances are never KeOps'.

    Raises:
        InputError: an unknown backend, or KeOps asked for and not installed.
    """
    if backend not in get_args(Backend):
        raise InputError(f"backend must be 'auto', 'blocks' or 'keops'; it is {short(repr(backend))}. 'auto' suits any device.")
    if backend == "keops" and not installed():
        raise InputError("backend 'keops' needs pykeops, which is not installed. Install it by `pip install pykeops`, or choose 'auto'.")
    if not isinstance(cost, SquaredEuclidean) or backend == "blocks":
        return Blocks
    if backend == "keops":
        return KeopsBlocks
    return KeopsBlocks if device.type == "cuda" and d <= MOST_DIMENSIONS and installed(gpu=True) else Blocks


def installed(gpu: bool = False) -> bool:
    """Whether pykeops imports, and with `gpu` whether it found CUDA and works there."""
    try:
        import pykeops
    except ImportError:
        return False
    return not gpu or (bool(pykeops.config.gpu_available) and works_on_gpu())


@cache
def works_on_gpu() -> bool:
    """Whether one sum of KeOps comes out right on the GPU, asked in a process of its own: where its compiler and the driver do not go
    together (KeOps 2.3 with CUDA 13, say) it ends the process that calls it. Takes seconds the first time, while it compiles."""
    try:
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class KeopsBlocks(Blocks):
    """`Blocks` whose plain sweeps are KeOps'; those that prove or hold f stay blockwise."""

    by_cell = False

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        root, centre = math.sqrt(2 * self.cost.factor / self.eps), (self.x.mean(0) + self.y.mean(0)) / 2
        self.z, self.w = root * (self.x - centre), root * (self.y - centre)  # C / eps = |z - w|² / 2

    def sweep(
        self, phi: Tensor, g: Tensor, *, careful: bool = False, first: bool = False, hold: bool = False, transport: bool = False,
        tick: Tick | None = None,
    ) -> Sweep:  # fmt: skip
        """As `Blocks.sweep`; `coupled` is the whole mass, (1, 1)."""
        if careful or hold or transport:
            return super().sweep(phi, g, careful=careful, first=first, hold=hold, transport=transport, tick=tick)
        log_k = self._log_sums(self.z, self.w, g / self.eps + self.lb)
        f = -self.tau1 * self.eps * log_k
        r1 = (self.la + f / self.eps + log_k).exp()
        if tick is not None:
            tick(0.5)
        log_r2 = self.lb + g / self.eps + self._log_sums(self.w, self.z, f / self.eps + self.la)
        if tick is not None:
            tick(1.0)
        return Sweep(f, g, r1, log_r2, r1.sum().view(1, 1), math.nan, 0.0)

    def _log_sums(self, z: Tensor, w: Tensor, h: Tensor) -> Tensor:
        """log sum_j exp(h_j - |z_i - w_j|² / 2) of each row of z (n, d) against w (m, d), h (m,): (n,)."""
        from pykeops.torch import Vi, Vj

        middle = h.mean()  # a large constant must not reach float32
        left, right = (points.to(self.dtype).contiguous() for points in (z, w))
        exponents = Vj((h - middle).to(self.dtype)[:, None].contiguous()) - Vi(left).sqdist(Vj(right)) / 2
        return exponents.logsumexp(dim=1)[:, 0].double() + middle
