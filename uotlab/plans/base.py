"""Plan: a coupling of weighted points, with the potentials and the certificate that prove how good it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from uotlab.arrays import as_tensor, like
from uotlab.errors import InputError
from uotlab.parameters import check_count

BLOCK = 2**22  #: entries of a plan looked at at a time


@dataclass(frozen=True, eq=False)
class Plan:
    """An (unbalanced) transport plan between points x (n, d) with masses a and y (m, d) with masses b.

    Args:
        P: the plan, (n, m); its entries are masses.
        f, g: potentials on source (n,) and target (m,), in the cost's own units; P = a b exp((f + g - C) / eps), or
            without an eps dual potentials, f + g <= C.
        a, b: masses, (n,) and (m,).
        value: the objective, the sum of `parts`, in the cost's own units.
        parts: "transport" <P, C>, "kl1" and "kl2" (weighted by rho), "entropy" (weighted by eps); with other divergences
            than KL "divergence1" and "divergence2" stand where "kl1" and "kl2" do.
        certificate: (primal - dual) / max(|primal|, mean cost * mass), the primal taken at the plan rounded to
            its hard marginals: an upper bound on the relative error of `value`.
        cost_scale: s, the mean cost that one unit of rho and eps stands for.
        n_iter: solver iterations.
        converged: whether `certificate` reached the tolerance.
        x, y: the points, for `barycentric_map`.
        marginal_error: what was left between the solver's marginals and the hard ones, in L1 relative to the mass,
            before the plan was rounded to them; 0 for solvers that hold them exactly or let them go.
    """

    P: Any
    f: Any
    g: Any
    a: Any
    b: Any
    value: float
    parts: Mapping[str, float]
    certificate: float
    cost_scale: float
    n_iter: int
    converged: bool
    x: Any = None
    y: Any = None
    marginal_error: float = 0.0

    @property
    def mass(self) -> float:
        """Total transported mass, sum of P."""
        return float(self.P.sum())

    @property
    def unregularised(self) -> float:
        """`value` without the entropy part: what tends to the unregularised optimum as eps goes to 0."""
        return self.value - self.parts["entropy"]

    def like(self, reference: Any) -> "Plan":
        """The same plan with its arrays of the kind of `reference`, numpy or torch."""
        held = {k: like(reference, as_tensor(getattr(self, k), k)) for k in ("P", "f", "g", "a", "b", "x", "y")}
        return replace(self, **held)

    def scaling(self) -> Any:
        """xi = d pi_1 / d mu at the source points, (n,): above 1 mass grows, below 1 it shrinks. NaN where a = 0."""
        return self.P.sum(1) / self.a

    def target_scaling(self) -> Any:
        """d pi_2 / d nu at the target points, (m,). NaN where b = 0."""
        return self.P.sum(0) / self.b

    def barycentric_map(self) -> Any:
        """E[y | x] under the plan, (n, d). Rows without any mass map to their point of greatest conditional weight in the limit: NaN."""
        P = as_tensor(self.P, "P")
        rows = P.sum(1, keepdim=True)
        return like(self.P, P @ as_tensor(self.y, "y").to(P) / rows)

    def rows(self, i: Any) -> Any:
        """Rows of the plan by their numbers (k,), dense, (k, m)."""
        return self.P[i]

    def strongest(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Row numbers, column numbers and masses of the k heaviest pairs, heaviest first; pairs without mass are left out."""
        check_count("k", k, least=1, most=100_000_000)
        n, m = len(self.a), len(self.b)
        block = max(BLOCK // m, 1)
        place, mass = torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.float64)
        for start in range(0, n, block):  # a lazy plan has no matrix
            part = as_tensor(self.rows(torch.arange(start, min(start + block, n))), "P").double().cpu().reshape(-1)
            top = part.topk(min(k, len(part)))
            mass, place = torch.cat([mass, top.values]), torch.cat([place, top.indices + start * m])
            if len(mass) > k:
                mass, kept = mass.topk(k)
                place = place[kept]
        order = mass.argsort(descending=True, stable=True)
        order = order[mass[order] > 0]
        return place[order] // m, place[order] % m, mass[order]

    def changes(self) -> dict[str, float]:
        """Masses by the names "destroyed source", "created source", "destroyed target" and "created target".

        A source point that sends less than its mass destroys the rest; one that sends more creates it. A target point that gets
        less than its mass has the rest created there, one that gets more destroys it. All are 0 where the marginals are held.
        """
        found: dict[str, float] = {}
        for side, weights, factor in (("source", self.a, self.scaling()), ("target", self.b, self.target_scaling())):
            w = as_tensor(weights, "weights").double()
            more = w * (torch.nan_to_num(torch.as_tensor(factor).double(), nan=1.0) - 1)  # NaN where there is no mass to change
            added, taken = float(more.clamp(min=0).sum()), float((-more).clamp(min=0).sum())
            found |= {f"destroyed {side}": taken, f"created {side}": added} if side == "source" else {
                f"destroyed {side}": added, f"created {side}": taken
            }  # fmt: skip
        return found

    def sample_pairs(self, n: int, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Row and column numbers of n pairs drawn from the normalised plan with replacement, two int tensors (n,)."""
        check_count("n", n, least=0, most=100_000_000)
        if rng is not None and not isinstance(rng, torch.Generator):
            raise InputError(f"rng must be a torch.Generator, such as torch.Generator().manual_seed(0); it is {type(rng).__name__}.")
        return sample_pairs(as_tensor(self.P, "P"), n, rng)


def sample_pairs(P: Tensor, n: int, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """n index pairs (i, j) with replacement, proportional to P; by inversion of the cumulative sum in float64."""
    cumulative = P.reshape(-1).double().cumsum(0)
    u = torch.rand(n, generator=rng, dtype=torch.float64).to(P.device)
    flat = torch.searchsorted(cumulative, u * cumulative[-1]).clamp(max=P.numel() - 1)
    return flat // P.shape[1], flat % P.shape[1]


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Generalised KL(p|q) = sum p log(p/q) - p + q, with 0 log 0 = 0; infinite where p has mass and q has none."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q) - p + q).sum()


def weighted_kl(rho: float, p: Tensor, q: Tensor) -> float:
    """rho KL(p|q); 0 for a hard constraint, whose marginal holds by construction.

    Where p is close to q, log1p keeps the digits that a large rho brings out.
    """
    if math.isinf(rho):
        return 0.0
    more = p - q
    close = more.abs() < q / 2
    near = torch.where(close, p * torch.log1p(torch.where(close, more / q, 0.0)) - more, 0.0).sum()
    return rho * float(near + kl(p[~close], q[~close]))
