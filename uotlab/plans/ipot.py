"""IPOT, the inexact proximal point method: Sinkhorn's cheap steps, but towards the exact, sparse plan.

    P_{t+1} = argmin <P, C> + beta KL(P | P_t)   over plans with marginals a and b, each solved by `inner` Sinkhorn steps

The temperature beta need not be small: the steps add up, and after t of them the plan is as sharp as one of Sinkhorn at eps = beta / t.
Since one inner step leaves the marginals off and <P, C> may then lie below the optimum, a plan is brought to its marginals before any
cost is quoted: by default it becomes the best plan on the pairs that still carry mass (`uotlab.plans.crossover`), else the nearest one.

Differs from the thesis: n and m may differ, masses may be unequal, and iterations stop on a certificate: the cost of that plan minus
a dual bound, the c-transform of the mean step beta/t sum log v.

Notation: u, v are the thesis' a, b of one step; F, H their summed logarithms, so that log P_t = F + H - t C / beta.
Reference: xie2020fast, Algorithm 1.
"""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import Cost
from uotlab.errors import InputError, short
from uotlab.parameters import check_count
from uotlab.plans.base import Plan
from uotlab.plans.certificate import round_plan
from uotlab.plans.crossover import best_plan, column_minima, row_minima, support
from uotlab.plans.setting import check_calls, check_equal, positive, setting, sharp
from uotlab.plans.solver import SOLVERS, Cancel, Progress, Solver

Domain = Literal["auto", "log", "exp"]
FIRST, LATER = 8, 1.5  #: the iteration of the first look at the certificate, and the factor to the next
CACHE = 2**18  #: numbers worked on at a time, so that they stay near the processor
LEAST = {torch.float32: -80.0, torch.float64: -700.0}  #: exponents below give numbers with which a processor is slow
FAR = 60.0  #: a step of a logarithm beyond this is too far for float32 kernels


def ipot(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    cost: str | Cost = "sqeuclidean",
    beta: float = 0.1,
    inner: int = 1,
    max_iter: int = 5000,
    tol: float | None = None,
    *,
    domain: Domain = "auto",
    warm: bool = True,
    finish: bool = True,
    init: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Plan:
    """The exact balanced plan by inexact proximal point iterations.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch.
        a, b: masses (n,), (m,) of equal total, never normalised; None is equal weights of total 1.
        beta: proximal temperature in units of the mean cost.
        inner: Sinkhorn steps in each proximal step, the thesis' L.
        tol: relative certificate to reach; None is 1e-4, or 1e-6 in float64.
        domain: "log", which never underflows, or "exp", quicker and as printed (it goes on in "log" where a sum vanishes);
            "auto" takes "exp" where beta is large enough for it.
        warm: keep u and v from one proximal step to the next.
        finish: end with the best plan on the pairs that still carry mass; without, with the nearest plan that has the marginals.
        init: potentials (f, g) of an earlier plan, in the cost's own units; they count as one proximal step.

    Returns:
        A Plan with exact marginals; `marginal_error` is that of the iterations before, f and g are dual potentials, f + g <= C.

    Raises:
        InputError: bad points, weights or numbers; unequal masses.
    """
    check_calls(progress, cancel)
    beta = positive("beta", beta, "It is in units of the mean cost; 0.1 suits most data, smaller is sharper sooner but less steady.")
    check_count("inner", inner, least=1, most=10_000)
    check_count("max_iter", max_iter, least=1, most=2**31)
    if domain not in ("auto", "log", "exp"):
        raise InputError(f"domain must be 'auto', 'log' or 'exp'; it is {short(repr(domain))}. 'log' never underflows.")
    at = setting(x, y, a, b, cost)
    sharp(beta, name="beta", remedy="0.1 suits most data.")
    check_equal(at.a, at.b, "IPOT", "Give weights of equal total, or use sinkhorn with a finite rho.")
    tol = (1e-6 if at.double else 1e-4) if tol is None else positive("tol", tol, "It bounds the relative error of the value.")
    found = proximal_points(
        at.C, at.a, at.b, beta, tol, inner=inner, max_iter=max_iter, domain=domain, warm=warm, finish=finish,
        init=at.potentials(init), progress=progress, cancel=cancel,
    )  # fmt: skip
    if not found.certificate <= tol and not (cancel is not None and cancel()):
        warnings.warn(
            f"IPOT stopped after {found.n_iter} iterations at a certificate of {found.certificate:.1e}, above {tol:.0e}. "
            "Give more max_iter, or another beta.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    parts = {"transport": float((found.P * at.C).sum()), "kl1": 0.0, "kl2": 0.0, "entropy": 0.0}
    return at.plan(
        found.P, found.f, found.g, parts, certificate=found.certificate, n_iter=found.n_iter,
        converged=found.certificate <= tol, marginal_error=found.marginal_error,
    )  # fmt: skip


@SOLVERS.register("ipot")
class IPOT(Solver):
    """Exact balanced transport by proximal points."""

    title, order, relaxed, most_pairs = "IPOT (proximal point)", 4, False, 2**24
    summary = "Sinkhorn's cheap steps towards the exact, sparse plan, without a small temperature. Classical transport of many points."
    equation = r"P_{t+1}=\arg\min_{P\mathbf 1=a,\,P^\top\mathbf 1=b}\;\langle P,C\rangle+\beta\,\mathrm{KL}(P|P_t)"
    reference = "xie2020fast"

    beta: float = Field(0.1, gt=0, allow_inf_nan=False, description="Proximal temperature in mean-cost units; need not be small")
    inner: int = Field(1, ge=1, le=10_000, description="Sinkhorn steps in each proximal step (L)")
    domain: Domain = Field("auto", description="`log` never underflows, `exp` is quicker and as printed; `auto` takes what beta allows")
    warm: bool = Field(True, description="Keep the scaling vectors from one proximal step to the next")
    finish: bool = Field(True, description="End with the best plan on the pairs that still carry mass")
    tol: float | None = Field(None, gt=0, description="Relative certificate to reach; empty is 1e-4, or 1e-6 for float64 points")
    max_iter: int = Field(5000, ge=1, le=2**31, description="Most iterations")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return ipot(
            x, y, a, b, self.ground, self.beta, self.inner, self.max_iter, self.tol, domain=self.domain, warm=self.warm,
            finish=self.finish, init=init, progress=progress, cancel=cancel,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Found:
    """A plan with its marginals, dual potentials f + g <= C, all float64, and how it came about."""

    P: Tensor
    f: Tensor
    g: Tensor
    certificate: float
    n_iter: int
    marginal_error: float


def proximal_points(
    C: Tensor, a: Tensor, b: Tensor, beta: float, tol: float, *, inner: int = 1, max_iter: int = 5000, domain: Domain = "auto",
    warm: bool = True, finish: bool = True, init: tuple[Tensor, Tensor] | None = None,
    progress: Progress | None = None, cancel: Cancel | None = None,
) -> Found:  # fmt: skip
    """IPOT on a cost matrix C (n, m) in mean-cost units, float64, with masses a, b of equal total, until the certificate is within tol."""
    i, j = a > 0, b > 0
    if not bool(i.all() and j.all()):
        start = None if init is None else (init[0][i], init[1][j])
        found = proximal_points(
            C[i][:, j], a[i], b[j], beta, tol, inner=inner, max_iter=max_iter, domain=domain, warm=warm, finish=finish, init=start,
            progress=progress, cancel=cancel,
        )  # fmt: skip
        P, g = torch.zeros_like(C), torch.zeros_like(b)
        P[i.nonzero(), j.nonzero()[:, 0]] = found.P
        f = (C[:, j] - found.g).amin(1)
        g[j], g[~j] = found.g, (C[:, ~j] - f[:, None]).amin(0)
        return Found(P, f, g, found.certificate, found.n_iter, found.marginal_error)
    # float32 says which pairs matter; steps that are not finished go on for long, and entries that vanish are lost for good
    steps = Steps(C, a, b, beta, torch.float32 if finish else torch.float64, inner=inner, domain=domain, warm=warm, init=init)
    best: Found | None = None
    look = min(FIRST, max_iter)
    while True:
        steps.advance(look - steps.t)
        last = look == max_iter or (cancel is not None and cancel())
        new = _look(C, a, b, steps, finish, last, tol)
        best = new if best is None or (new is not None and new.certificate < best.certificate) else best
        if progress is not None:
            progress(look / max_iter)
        if best is not None and (last or best.certificate <= tol):
            return replace(best, n_iter=steps.t)
        look = min(max(math.ceil(LATER * look), look + 1), max_iter)


def _look(C: Tensor, a: Tensor, b: Tensor, steps: "Steps", finish: bool, last: bool, tol: float) -> Found | None:
    """The plan with its marginals that the steps stand for, and its certificate; None while it is too blurred to be finished."""
    P = steps.plan()
    error = float((P.sum(1) - a).abs().sum() + (P.sum(0) - b).abs().sum()) / float(a.sum())
    done = None
    if finish and (held := support(P, a, b)) is not None:
        done = best_plan(C.cpu(), a.cpu(), b.cpu(), held.cpu(), tol / 2)
    if done is not None:
        Q, f, g, primal = done[0].to(C), done[1].to(C), done[2].to(C), done[3]
    elif finish and not last:
        return None
    else:
        Q = round_plan(P.double(), a, b)
        f, g = max((dual_pair(C, g) for g in steps.duals()), key=lambda pair: float(a @ pair[0] + b @ pair[1]))
        primal = float((Q * C).sum())
    dual = float(a @ f + b @ g)
    shift = float((a @ f - b @ g) / (2 * a.sum()))  # equal means under the masses
    return Found(Q, f - shift, g + shift, max(primal - dual, 0.0) / max(abs(primal), float(a.sum()), 1e-12), steps.t, error)


def dual_pair(C: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """(f, g) with f + g <= C, the c-transforms of g and then of f."""
    f = row_minima(C, g)
    return f, column_minima(C, f)


class Steps:
    """The iterations alone: `advance(k)` does k of them, `plan()` is P_t, `duals()` what it says of the potentials."""

    def __init__(
        self, C: Tensor, a: Tensor, b: Tensor, beta: float, dtype: torch.dtype = torch.float64, *,
        inner: int = 1, domain: Domain = "auto", warm: bool = True, init: tuple[Tensor, Tensor] | None = None,
    ) -> None:  # fmt: skip
        n, m = C.shape
        self.C, self.a, self.b, self.la, self.lb = C.to(dtype), a, b, a.log(), b.log()
        self.beta, self.inner, self.warm, self.t = beta, inner, warm, 0
        self.F, self.H = torch.full_like(a, -math.log(n)), torch.full_like(b, -math.log(m))  # log of P_1 = 1/(n m)
        self.lu, self.lv = torch.zeros_like(a), torch.full_like(b, -math.log(m))
        if init is not None:
            self.F, self.H, self.t = init[0] / beta + self.la, init[1] / beta + self.lb, 1
            self.lu, self.lv = init[0] / beta, init[1] / beta
        self.G: Tensor | None = None
        self.P = self.C
        if domain == "exp" or (domain == "auto" and float(self.C.max()) < FAR * beta):
            self.G, self.P = torch.exp(self.C / -beta), self._log_plan(self.F, self.H, self.t)

    def advance(self, k: int) -> None:
        for _ in range(k):
            self.t += 1
            if self.G is None:
                self._log_step()
            else:
                self._exp_step()

    def plan(self) -> Tensor:
        """P_t, (n, m)."""
        return self.P if self.G is not None else self._log_plan(self.F, self.H, self.t)

    def duals(self) -> tuple[Tensor, Tensor]:
        """Candidates for g in units of C: the mean step, good early, and the last one, good late."""
        return self.beta / max(self.t, 1) * self.H, self.beta * self.lv

    def _log_plan(self, F: Tensor, H: Tensor, t: int, out: Tensor | None = None) -> Tensor:
        return _exponents(self.C, F.to(self.C), H.to(self.C), t / self.beta, out).exp_()

    def _log_step(self) -> None:
        # with the last u and v inside, all sums are near the masses: nothing can vanish as a rule, and float32 is enough
        start = self.lv if self.warm else torch.full_like(self.lv, -math.log(len(self.lv)))
        F, H = self.F + self.lu, self.H + start
        du, dv = self._one_pass(F, H) if self.inner == 1 else self._passes(self._log_plan(F, H, self.t))
        if float(du.abs().max()) < FAR and float(dv.abs().max()) < FAR:  # False for NaN too
            self.lu, self.lv = self.lu + du, start + dv
        else:
            E = self.F[:, None] - self.t / self.beta * self.C.double() + self.H[None]
            self.lv = start
            for _ in range(self.inner):
                self.lu = self.la - torch.logsumexp(E + self.lv, 1)
                self.lv = self.lb - torch.logsumexp(E + self.lu[:, None], 0)
        self.F, self.H = self.F + self.lu, self.H + self.lv

    def _one_pass(self, F: Tensor, H: Tensor) -> tuple[Tensor, Tensor]:
        """One step on exp(F + H - t C / beta), a few rows at a time: the kernel is never held."""
        rows = max(CACHE // self.C.shape[1], 1)
        f, h = F.to(self.C), H.to(self.C)
        out, columns, du = torch.empty_like(self.C[:rows]), torch.zeros_like(h), []
        for k in range(0, len(f), rows):
            K = _exponents(self.C[k : k + rows], f[k : k + rows], h, self.t / self.beta, out[: len(f) - k]).exp_()
            ratio = self.a[k : k + rows] / K.sum(1)
            du.append(ratio.log())
            columns.addmv_(K.t(), ratio.to(K))
        return torch.cat(du), self.lb - columns.double().log()

    def _passes(self, K: Tensor) -> tuple[Tensor, Tensor]:
        du, dv = torch.zeros_like(self.lu), torch.zeros_like(self.lv)
        for _ in range(self.inner):
            du = self.la - torch.mv(K, dv.exp().to(K)).double().log()
            dv = self.lb - torch.mv(K.t(), du.exp().to(K)).double().log()
        return du, dv

    def _exp_step(self) -> None:
        assert self.G is not None
        Q = self.P.mul_(self.G)
        a, b = self.a.to(Q), self.b.to(Q)
        v = self.lv.exp().to(Q) if self.warm else torch.full_like(b, 1 / len(b))
        u = a
        for _ in range(self.inner):
            u = a / torch.mv(Q, v)
            v = b / torch.mv(Q.t(), u)
        lu, lv = u.double().log(), v.double().log()
        if not math.isfinite(float(lu.sum() + lv.sum())):
            self.G = None  # a whole row or column has vanished: F and H still know the way
            return self._log_step()
        self.lu, self.lv = lu, lv
        self.F, self.H = self.F + lu, self.H + lv
        self.P = Q.mul_(u[:, None]).mul_(v[None])


def _exponents(C: Tensor, f: Tensor, h: Tensor, rate: float, out: Tensor | None = None) -> Tensor:
    """f + h - rate C, not below what a processor is quick with, (n, m)."""
    out = torch.add(h[None], C, alpha=-rate, out=out) if out is not None else torch.add(h[None], C, alpha=-rate)
    return out.add_(f[:, None]).clamp_(min=LEAST[out.dtype])
