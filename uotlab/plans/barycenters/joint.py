"""The discrete barycenter of two or three clouds by one plan that joins them all, each held or let go in part, of total mass 1.

    min_{pi >= 0, |pi| = 1}  <pi, C> + sum_k lam_k rho_k D_k(pi_k | p_k) + eps KL(pi | ⊗_k p_k),
    C(x_1, ..., x_K) = min_y sum_k lam_k |x_k - y|²/s = sum_{j<k} lam_j lam_k |x_j - x_k|²/s,   at y = sum_k lam_k x_k

A barycenter has one mass whoever gives it, so pi has mass 1 by its own multiplier m, and every potential its own level: that of phi_k is
the root of E_{p_k}[psi_k*'(-phi_k / (lam_k rho_k))] = 1, found at each update, without which large rho would converge at a crawl. C is a
sum over pairs, so that for three clouds sums over n³ entries are products of n x n matrices.

Reference: agueh2011barycenters, Section 4; benamou2015iterative, Section 4; gazdieva2025robust, eq. (7) for the penalties.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor

from uotlab.plans.proximal import Side
from uotlab.plans.solver import Cancel

MOST_EXPONENT = 1500.0  #: eps is raised until C/eps stays below: products of three kernels must not vanish in float64
MOST_SHIFT = 1e6  #: of a potential at once, over rho
WARM, LOOK = 15, 5  #: sweeps at each coarser eps, and between two looks at the error
ROWS = 16  #: of the n² sums at a time in c-transforms of three


@dataclass
class Joint:
    """Potentials phi_k (n_k,) of clouds x_k (n_k, d) with masses p_k (n_k,), and the multiplier m, in units of the mean cost `scale`."""

    x: Sequence[Tensor]
    p: Sequence[Tensor]
    lam: Sequence[float]
    sides: Sequence[Side]
    scale: float
    phi: list[Tensor] = field(default_factory=list)
    m: float = 0.0
    eps: float = 1.0
    n_iter: int = 0
    error: float = math.inf

    def __post_init__(self) -> None:
        self.phi = [torch.zeros_like(p) for p in self.p]
        self.log_w = [(p / p.sum()).log() for p in self.p]
        self.C = {(j, k): self.pair(j, k, self.x[j]) for j, k in combinations(range(len(self.x)), 2)}

    def pair(self, j: int, k: int, x: Tensor) -> Tensor:
        """lam_j lam_k |x - x_k|²/s, (n, n_k), of points of cloud j."""
        return torch.cdist(x, self.x[k]).square() * (self.lam[j] * self.lam[k] / self.scale)

    def between(self, j: int, k: int) -> Tensor:
        return self.C[j, k] if j < k else self.C[k, j].T

    # ---- sums over all partners ------------------------------------------------------------------
    def partners(self, k: int, x: Tensor | None = None, *, means: bool = False) -> tuple[Tensor, dict[int, Tensor]]:
        """h (n,), the softmin over partners of points of cloud k, and their mean partners (n, d) in the other clouds.

        h = -eps log sum over the others of w exp((sum_j phi_j + m - C)/eps).
        """
        others = [j for j in range(len(self.x)) if j != k]
        share = 1 / len(others)  # of a potential, in each of the kernels that it is part of
        v = {j: share * (self.phi[j] / self.eps + self.log_w[j]) for j in others}
        A: dict[int, Tensor] = {}
        top: Tensor | float = 0.0
        for j in others:
            E = v[j] - (self.between(k, j) if x is None else self.pair(k, j, x)) / self.eps
            peak = E.amax(1, keepdim=True)
            A[j], top = (E - peak).exp(), top + peak[:, 0]
        if len(others) == 1:
            P = A
        else:
            i, j = others
            E = v[i][:, None] + v[j][None] - self.between(i, j) / self.eps
            peak = E.max()
            B, top = (E - peak).exp(), top + peak
            P = {i: A[i] * (A[j] @ B.T)}
            if means:
                P[j] = A[j] * (A[i] @ B)
        rows = P[others[0]].sum(1).clamp(min=1e-300)
        h = -self.eps * (rows.log() + top) - self.m
        return h, {j: (Q @ self.x[j]) / rows[:, None] for j, Q in P.items()} if means else {}

    # ---- iterations ------------------------------------------------------------------------------
    def solve(self, eps: float, tol: float, most: int, cancel: Cancel | None = None) -> "Joint":
        """Sweeps at falling eps, then until all marginals are right to `tol` of the mass, at most `most` of them."""
        largest = sum(float(C.max()) for C in self.C.values())
        eps, level = max(eps, largest / MOST_EXPONENT), largest / 4
        while level > eps:
            self.eps = level
            for _ in range(WARM):
                self.sweep()
            level /= 2
        self.eps = eps
        for self.n_iter in range(1, most + 1):
            self.error = self.sweep()
            if self.error <= tol or (self.n_iter % LOOK == 0 and cancel is not None and cancel()):
                break
        return self

    def sweep(self) -> float:
        """One update of every potential; returns how far the marginals were from what the potentials say, in mass."""
        error = 0.0
        for k, (side, p) in enumerate(zip(self.sides, self.p, strict=True)):
            h, _ = self.partners(k)
            h = h + self.eps * p.sum().log()  # so that exp((phi - h)/eps) is the factor on p, whose sum need not be 1
            error = max(error, float(p @ (((self.phi[k] - h) / self.eps).exp() - side.factor(self.phi[k])).abs()))
            phi = side.update(h, self.eps)
            phi = phi + level(side, p, phi)
            self.m -= self.eps * float(torch.logsumexp((phi - h) / self.eps + p.log(), 0))
            self.phi[k] = phi
        return error

    # ---- what holds without entropy ----------------------------------------------------------------
    def factors(self, k: int) -> Tensor:
        """How much of each point takes part, (n_k,): d pi_k / d p_k."""
        side = self.sides[k]
        if side.kinked:
            return ((self.phi[k] - self.partners(k)[0]) / self.eps).exp() / self.p[k].sum()
        return side.factor(self.phi[k])

    def values(self) -> tuple[float, float]:
        """(primal of the plan, dual of potentials made feasible by a c-transform); a held marginal counts as kept."""
        taken = [((phi - self.partners(k)[0]) / self.eps + w).exp() for k, (phi, w) in enumerate(zip(self.phi, self.log_w, strict=True))]
        primal = sum(side.value(p, r) for side, p, r in zip(self.sides, self.p, taken, strict=True) if not side.hard)
        for j, k in self.C:
            primal += float((self._pair_plan(j, k) * self.C[j, k]).sum())
        first = self.c_transform() - self.m
        first = first + level(self.sides[0], self.p[0], first)
        lowered = float((self.c_transform() - first).min())  # m + sum phi <= C with the level moved into m
        dual = lowered + self.sides[0].dual(self.p[0], first)
        dual += sum(side.dual(p, phi) for side, p, phi in list(zip(self.sides, self.p, self.phi, strict=True))[1:])
        return primal, dual if math.isfinite(dual) else -math.inf

    def _pair_plan(self, j: int, k: int) -> Tensor:
        """The plan between clouds j and k, (n_j, n_k)."""
        share = 1 / (len(self.x) - 1)
        v = [share * (phi / self.eps + w) for phi, w in zip(self.phi, self.log_w, strict=True)]
        E = {(a, b): v[a][:, None] + v[b][None] - self.between(a, b) / self.eps for a in range(len(v)) for b in range(len(v)) if a != b}
        if len(v) == 2:
            return (E[j, k] + self.m / self.eps).exp()
        (i,) = {0, 1, 2} - {j, k}
        one, two = E[j, i].amax(1, keepdim=True), E[i, k].amax(0, keepdim=True)
        through = (E[j, i] - one).exp() @ (E[i, k] - two).exp()
        return (E[j, k] + one + two + through.clamp(min=1e-300).log() + self.m / self.eps).exp()

    def c_transform(self) -> Tensor:
        """min over partners of C - sum of their potentials, (n_1,), for points of the first cloud."""
        low = {k: self.C[0, k] - self.phi[k] for k in range(1, len(self.x))}
        if len(low) == 1:
            return low[1].amin(1)
        found = []
        for one, two in zip(low[1].split(ROWS), low[2].split(ROWS), strict=True):
            found.append((one[:, :, None] + (self.C[1, 2] + two[:, None, :])).amin((1, 2)))
        return torch.cat(found)


def level(side: Side, p: Tensor, phi: Tensor) -> float:
    """The constant that phi gains so that the mass that it lets take part is 1; 0 where it is held, or psi* has kinks."""
    if side.hard or side.kinked:
        return 0.0
    from scipy.optimize import brentq

    def over(t: float) -> float:
        return float(p @ side.factor(phi + t)) - 1

    edge = side.least - float(phi.min())  # potentials go no lower
    low, high = -side.rho / 1024, side.rho / 1024
    while low > edge and over(low) < 0 and low > -MOST_SHIFT * side.rho:
        low *= 4
    while over(high) > 0 and high < MOST_SHIFT * side.rho:
        high *= 4
    low = max(low, edge)
    return float(brentq(over, low, high, xtol=1e-14 * side.rho)) if over(low) > 0 > over(high) else 0.0
