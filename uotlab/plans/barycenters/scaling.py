"""Scaling iterations for entropic barycenters in the log domain, each marginal held or relaxed, on any support.

    min_{q, P_k >= 0} sum_k lam_k [ <P_k, C> + rho1 KL(P_k 1 | p_k) + rho2 KL(P_k^T 1 | q) + eps KL(P_k | p_k u^T) ]

u is the uniform measure of mass 1 on the support, so that q scales with the measures and its mass does not depend on the grid.
The optimal q is the mean of the plans' second marginals where rho2 is finite, their common value where it is infinite:

    q = ( sum_k lam_k T_k^(1 - tau2) )^(1 / (1 - tau2)),  tau2 = rho2 / (rho2 + eps);   q = prod_k T_k^{lam_k} for rho2 = infinity

With both infinite it is the entropic barycenter, whose q does not depend on u. Rows of a plan belong to p_k, columns to q.
Reference: chizat2018scaling, Section 5.2; benamou2015iterative, Section 3.2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from uotlab.plans.barycenters.base import Found
from uotlab.plans.barycenters.given import Given
from uotlab.plans.solver import Cancel, Progress

WARM = 10  #: rounds at each coarser eps
LOOK = 10  #: rounds between two looks at the error
CORRECTIONS = 10  #: updates of the debiasing potential in one round, as janati2020debiased do


@dataclass
class Scaling:
    """Potentials f, g (K, n) and d (n,), the debiasing one, in mean-cost units, with log q (n,) of the last round."""

    given: Given
    rho1: float = math.inf
    rho2: float = math.inf
    debias: bool = False

    def __post_init__(self) -> None:
        p = self.given.p
        self.f, self.g, self.d = torch.zeros_like(p), torch.zeros_like(p), torch.zeros_like(p[0])
        self.log_p, self.log_u = p.log(), -math.log(p.shape[1])
        self.T, self.log_q = torch.zeros_like(p), torch.zeros_like(p[0])

    def round(self, eps: float) -> None:
        """One update of all f, of q and of all g."""
        tau1, tau2 = _tau(self.rho1, eps), _tau(self.rho2, eps)
        self.f = -tau1 * eps * (self.given.log_sums(self.g / eps, eps) + self.log_u)
        self.T = self.given.log_sums(self.f / eps + self.log_p, eps) + self.log_u  # log of the second marginals at g = 0
        lam = self.given.weights[:, None]
        if tau2 == 1.0:
            self.log_q = (lam * self.T).sum(0)
        else:
            self.log_q = torch.logsumexp(lam.log() + (1 - tau2) * self.T, 0) / (1 - tau2)
        if self.debias:
            self._correct(eps)
        self.g = tau2 * eps * (self.log_q - self.T)

    def _correct(self, eps: float) -> None:
        """q times exp(d / eps), the scaling of the entropic plan of q with itself."""
        self.log_q = self.log_q + self.d / eps
        for _ in range(CORRECTIONS):
            blurred = self.given.log_sums(self.d[None] / eps, eps)[0] + self.log_u
            self.d = 0.5 * (self.d + eps * (self.log_q - blurred))

    def carried(self, eps: float) -> tuple[float, Tensor]:
        """sum_k lam_k <P_k, C> in the cost's own units, and the first marginals (K, n): what is carried of each measure."""
        given, total, rows_of = self.given, 0.0, torch.zeros_like(self.given.p)
        n = given.p.shape[1]
        for k, lam in enumerate(given.weights.tolist()):
            for part in torch.nonzero(given.p[k] > 0)[:, 0].split(max(1, 2**22 // n)):
                C = given.cost.matrix(given.support[part], given.support)
                P = torch.exp((self.f[k, part, None] + self.g[k][None] - C / given.scale) / eps) * (given.p[k, part, None] / n)
                rows_of[k, part] = P.sum(1)
                total += lam * float((P * C).sum())
        return total, rows_of


def rounds(work: Scaling, eps: float, most: int, tol: float, progress: Progress | None = None, cancel: Cancel | None = None) -> Found:
    """Rounds at eps, after a few at each coarser level, until q changes by at most `tol` of its mass in a round."""
    level = 1.0
    while level > eps:
        for _ in range(WARM):
            work.round(level)
        level /= 4
    found, before = Found(work.log_q, 0, False), work.log_q
    for t in range(1, most + 1):
        before = work.log_q
        work.round(eps)
        stop = cancel is not None and cancel()
        if t % LOOK and t != most and not stop:
            continue
        q = work.log_q.exp()
        error = float((q - before.exp()).abs().sum() / q.sum())
        held = math.isinf(work.rho1) and math.isinf(work.rho2)  # all mass is carried, to the last digit
        found.q, found.n_iter, found.converged = q * (work.given.mass / q.sum()) if held else q, t, error <= tol
        found.errors.append(error)
        found.iterations.append(t)
        if progress is not None:
            progress(t / most)
        if found.converged or stop:
            break
    return found


def _tau(rho: float, eps: float) -> float:
    return 1.0 if math.isinf(rho) else rho / (rho + eps)
