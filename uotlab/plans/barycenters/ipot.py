"""The barycenter by the inexact proximal point method: as sharp as its inputs, since no entropy is left at the end.

    H_k = G * Gamma_k, G = exp(-C / beta);   q = prod_k (H_k b_k)^{lam_k};   a_k = q / (H_k b_k);
    b_k = p_k / (H_k^T a_k);                 Gamma_k = diag(a_k) H_k diag(b_k)

with q taken anew as prod_k (H_k b_k)^{lam_k} at the start of each round, and b_k carried over. The paper carries q over (and leaves the
first one open): prod_k a_k^{lam_k} is then stuck at a value other than 1, and the rounds end at another, blurred point (on its demo
at .02500 where the optimum, which is reached here, is .02335).

After t rounds Gamma_k = exp(A_k + B_k - t C / beta), so the log domain keeps two vectors a measure instead of a plan, on grids of
pixels with kernel sums along rows and columns: memory of n numbers a measure where the paper stores n^2.
Notation: rows of a plan belong to q, columns to p_k.
Reference: xie2020fast, Algorithm 2.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.plans.barycenters.base import BARYCENTERS, FixedSupport, Found
from uotlab.plans.barycenters.given import Given
from uotlab.plans.solver import Cancel, Progress

UNDERFLOW = 300.0  #: largest C / beta that the exp domain takes in float64
MOST_DENSE = 2**24  #: K n^2 up to which plans are kept
LOOK = 5  #: rounds between two looks at the marginal error


@BARYCENTERS.register("ipot")
class Ipot(FixedSupport):
    """Fixed support, proximal point."""

    title, order, reference = "IPOT", 1, "xie2020fast"
    summary = "Sharp barycenters by proximal steps: each step is as quick as a Sinkhorn step, and their blur goes away with the rounds."
    equation = r"\min_q \sum_k \lambda_k\,\mathrm{OT}(p_k,q)"

    beta: float = Field(
        0.5, gt=0, allow_inf_nan=False, title="Step β", json_schema_extra={"basic": True},
        description="Proximal step in mean-cost units; after t rounds the blur is that of Sinkhorn at ε = β/t",
    )  # fmt: skip
    iterations: int = Field(100, ge=1, le=100_000, title="Rounds", description="Proximal rounds", json_schema_extra={"basic": True})
    inner: int = Field(1, ge=1, le=1000, title="Inner updates L", description="L, scaling updates in each round; 1 is enough in practice")
    tol: float = Field(
        5e-3, gt=0, title="Tolerance", description="Marginal error, as a share of the mass, below which the answer counts as converged"
    )
    domain: Literal["auto", "exp", "log"] = Field("auto", description="exp keeps whole plans and is quick; log suits any beta and any grid")

    def solve(self, given: Given, progress: Progress | None, cancel: Cancel | None) -> Found:
        if self.domain == "log":
            return log_domain(given, self, progress, cancel)
        small = not given.separable and float(given.C.max()) / given.scale / self.beta < UNDERFLOW
        if self.domain == "exp" or (small and given.p.numel() * given.p.shape[1] <= MOST_DENSE):
            return exp_domain(given, self, progress, cancel)
        return log_domain(given, self, progress, cancel)


def exp_domain(given: Given, how: Ipot, progress: Progress | None = None, cancel: Cancel | None = None) -> Found:
    """As printed, on whole plans (K, n, n)."""
    lam, p = given.weights[:, None], given.p
    G = torch.exp(given.C / (-given.scale * how.beta))
    plans, b = torch.ones(len(p), *G.shape, dtype=p.dtype), torch.ones_like(p)
    found = Found(p[0], 0, False)
    for t in range(1, how.iterations + 1):
        plans *= G
        for _ in range(how.inner):
            rows = _rows(plans, b)
            a = _over(_geometric(rows, lam), rows)
            b = _over(p, torch.einsum("kij,ki->kj", plans, a))
        plans *= a[:, :, None] * b[:, None]
        if _looks(t, how, cancel):
            rows = plans.sum(2)
            if _ends(found, t, rows, _geometric(rows, lam), given, how, progress, cancel):
                break
    found.plans = list(plans.numpy())
    return found


def log_domain(given: Given, how: Ipot, progress: Progress | None = None, cancel: Cancel | None = None) -> Found:
    """The same on potentials A, B (K, n): log Gamma_k = A_k + B_k - t C / beta."""
    lam, lp, held = given.weights[:, None], given.p.log(), given.p > 0
    none = torch.tensor(-torch.inf, dtype=lp.dtype)
    A = B = torch.zeros_like(lp)
    lb = torch.zeros_like(lp)
    found = Found(given.p[0], 0, False)
    for t in range(1, how.iterations + 1):
        blur = how.beta / t
        for _ in range(how.inner):
            log_rows = A + given.log_sums(B + lb, blur)
            la = _log_mean(log_rows, lam) - log_rows
            # points without mass in p_k leave its plan for good
            lb = torch.where(held, lp - (B + given.log_sums(A + la, blur)), none)
        A, B = A + la, torch.where(held, B + torch.where(held, lb, 0.0), none)
        lb = torch.where(held, lb, 0.0)
        if _looks(t, how, cancel):
            log_rows = A + given.log_sums(B, blur)
            if _ends(found, t, log_rows.exp(), _log_mean(log_rows, lam).exp(), given, how, progress, cancel):
                break
    if given.p.numel() * given.p.shape[1] <= MOST_DENSE // 8:
        D = given.C / (given.scale * how.beta / found.n_iter)
        found.plans = [torch.exp(x[:, None] + y[None] - D).numpy() for x, y in zip(A, B, strict=True)]
    return found


def _looks(t: int, how: Ipot, cancel: Cancel | None) -> bool:
    return t % LOOK == 0 or t == how.iterations or (cancel is not None and cancel())


def _ends(
    found: Found, t: int, rows: Tensor, q: Tensor, given: Given, how: Ipot, progress: Progress | None, cancel: Cancel | None
) -> bool:  # fmt: skip
    """Note how round t went, by the plans' first marginals (K, n) and their mean; whether to end."""
    counts = given.weights > 0
    error = float((rows[counts] - q).abs().sum(1).max()) / given.mass
    found.q, found.n_iter = q * (given.mass / q.sum()), t
    found.errors.append(error)
    found.iterations.append(t)
    if progress is not None:
        progress(t / how.iterations)
    stop = cancel is not None and cancel()
    found.converged = error <= how.tol and not stop
    return stop


def _rows(plans: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("kij,kj->ki", plans, b)


def _over(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below > 0, above / below, 0.0)


def _geometric(rows: Tensor, lam: Tensor) -> Tensor:
    """prod_k rows_k^{lam_k}, (K, n) -> (n,)."""
    return _log_mean(rows.log(), lam).exp()


def _log_mean(log_rows: Tensor, lam: Tensor) -> Tensor:
    return torch.where(lam > 0, lam * log_rows, 0.0).sum(0)  # not 0 * log 0
