"""LazyPlan: a plan known by its potentials. What a matrix would give is computed from blocks of it, a few megabytes at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uotlab.arrays import as_tensor, like
from uotlab.errors import InputError
from uotlab.parameters import check_count
from uotlab.plans.base import Plan
from uotlab.plans.blocks import Blocks

MOST_DENSE = 2**27  #: entries up to which `P` is built: 1 GB of float64


@dataclass(frozen=True, eq=False)
class Kernel:
    """P = a b exp((f + g - C) / eps) + left right^T / total: potentials, and what rounding to two hard marginals adds.

    Args:
        blocks: the points of positive mass, sorted; f, g, left, right: in their order and in units of the mean cost.
        x_numbers, y_numbers: the person's row and column of each.
        n, m: rows and columns of the plan; r1, r2: its marginals, in the person's order.
    """

    blocks: Blocks
    f: Tensor
    g: Tensor
    left: Tensor
    right: Tensor
    x_numbers: Tensor
    y_numbers: Tensor
    r1: Tensor
    r2: Tensor

    def rows(self, wanted: Tensor) -> Tensor:
        """Rows of P, wanted (k,) -> (k, m), float64."""
        blocks, out = self.blocks, self.r1.new_zeros(len(wanted), len(self.r2))
        place = torch.full((len(self.r1),), -1, dtype=torch.long, device=out.device)
        place[self.x_numbers] = torch.arange(len(self.x_numbers), device=out.device)
        held = (place[wanted] >= 0).nonzero()[:, 0]
        i, total = place[wanted[held]], float(self.right.sum())
        E = blocks.cost.matrix(blocks.x[i], blocks.y).neg_().add_(self.f[i][:, None]).add_(self.g[None]).div_(blocks.eps)
        P = E.add_(blocks.la[i][:, None]).add_(blocks.lb[None]).exp_()
        if total > 0:
            P.addmm_(self.left[i][:, None], self.right[None] / total)
        out[held[:, None], self.y_numbers[None]] = P
        return out

    def means(self, y: Tensor) -> Tensor:
        """sum_j P_ij y_j / sum_j P_ij, y (m, d) -> (n, d); NaN in rows without mass."""
        y = y[self.y_numbers].to(self.f)
        out = y.new_full((len(self.r1), y.shape[1]), torch.nan)
        added = self.right @ y / self.right.sum() if float(self.right.sum()) > 0 else 0.0
        for i, numbers, K in self.blocks.conditionals(self.f, self.g):
            held = self.r1[self.x_numbers[i]]
            share = (self.left[i] / held)[:, None]
            mean = (K @ y[numbers].to(K)).to(y) / K.sum(1, keepdim=True)
            out[self.x_numbers[i]] = torch.where(held[:, None] > 0, (1 - share) * mean + share * added, torch.nan)
        return out

    def draw(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """n pairs of row and column numbers, with replacement: rows by inversion of their sums, then columns in each row."""
        device = self.f.device
        u, v, w = (torch.rand(n, generator=rng, dtype=torch.float64).to(device) for _ in range(3))
        r1 = self.r1[self.x_numbers]
        i = _invert(r1.cumsum(0), u).sort().values
        added = w * r1[i] < self.left[i]  # these come from the share that rounding has added
        j = torch.zeros_like(i)
        if bool(added.any()):
            j[added] = _invert(self.right.cumsum(0), v[added])
        counts = torch.bincount(i[~added], minlength=len(r1))
        first, drawn, v = counts.cumsum(0) - counts, torch.empty(int(counts.sum()), dtype=torch.long, device=device), v[~added]
        for rows, numbers, K in self.blocks.conditionals(self.f, self.g, counts > 0):
            whole = K.double().flatten().cumsum(0)  # a row is found in the cumulative sum of all rows
            end = whole[len(numbers) - 1 :: len(numbers)]
            start = torch.cat([end.new_zeros(1), end[:-1]])
            which = torch.repeat_interleave(torch.arange(len(rows), device=device), counts[rows])
            at = first[rows[0]] + torch.arange(len(which), device=device)
            found = torch.searchsorted(whole, start[which] + v[at] * (end - start)[which])
            drawn[at] = numbers[(found - which * len(numbers)).clamp(0, len(numbers) - 1)]
        j[~added] = drawn
        mixed = torch.randperm(n, generator=rng).to(device)  # rows came sorted
        return self.x_numbers[i][mixed], self.y_numbers[j][mixed]


def _invert(cumulative: Tensor, u: Tensor) -> Tensor:
    return torch.searchsorted(cumulative, u * cumulative[-1]).clamp(max=len(cumulative) - 1)


class LazyPlan(Plan):
    """A `Plan` without its matrix: the same attributes and methods, `P` built only when asked for, and only if it fits."""

    kernel: Kernel

    def __init__(self, kernel: Kernel, **fields: Any) -> None:
        for name, value in {"marginal_error": 0.0, **fields, "kernel": kernel}.items():
            object.__setattr__(self, name, value)

    @property
    def P(self) -> Any:  # type: ignore[override]
        """The dense plan (n, m).

        Raises:
            InputError: more than 2^27 entries.
        """
        n, m = len(self.kernel.r1), len(self.kernel.r2)
        if n * m > MOST_DENSE:
            raise InputError(
                f"P has {n} x {m} entries; at most {MOST_DENSE:.2g} are built. "
                "Use rows(i), barycentric_map(), sample_pairs(n), scaling() or target_scaling(), which need no matrix."
            )
        return self.rows(torch.arange(n))

    @property
    def mass(self) -> float:
        """Total transported mass."""
        return float(self.kernel.r1.sum())

    def rows(self, i: Any) -> Any:
        """Rows of the plan by their numbers (k,), dense, (k, m)."""
        wanted = as_tensor(i, "i", ndim=1).long().to(self.kernel.r1.device)
        n = len(self.kernel.r1)
        if bool((wanted < -n).any() | (wanted >= n).any()):
            raise InputError(f"i must be row numbers from 0 to {n - 1}; it has {int(wanted.min())} to {int(wanted.max())}.")
        return like(self.f, self.kernel.rows(wanted % n))

    def like(self, reference: Any) -> "LazyPlan":
        """The same plan with its arrays of the kind of `reference`, numpy or torch."""
        fields = {k: v for k, v in vars(self).items() if k != "kernel"}
        return LazyPlan(self.kernel, **{**fields, **{k: like(reference, as_tensor(fields[k], k)) for k in ("f", "g", "a", "b", "x", "y")}})

    def scaling(self) -> Any:
        """xi = d pi_1 / d mu at the source points, (n,). NaN where a = 0."""
        return like(self.f, self.kernel.r1) / self.a

    def target_scaling(self) -> Any:
        """d pi_2 / d nu at the target points, (m,). NaN where b = 0."""
        return like(self.f, self.kernel.r2) / self.b

    def barycentric_map(self) -> Any:
        """E[y | x] under the plan, (n, d). NaN in rows without mass."""
        return like(self.f, self.kernel.means(as_tensor(self.y, "y").to(self.kernel.f.device)))

    def sample_pairs(self, n: int, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Row and column numbers of n pairs drawn from the normalised plan with replacement, two int tensors (n,)."""
        check_count("n", n, least=0, most=100_000_000)
        if rng is not None and not isinstance(rng, torch.Generator):
            raise InputError(f"rng must be a torch.Generator, such as torch.Generator().manual_seed(0); it is {type(rng).__name__}.")
        return self.kernel.draw(n, rng)
