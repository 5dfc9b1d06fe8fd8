"""Sinkhorn's iterations on B absorbed kernels at once, by batched products: for devices where one small problem leaves most units idle.

All potentials are float64, in units of each problem's own eps; kernels float32. Converged problems drop out.
Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from uotlab.penalty import Penalty

REACH = 30.0  #: a potential is absorbed anew when it has moved by this many eps
TINY = 1e-30  #: kernel sums below this are redone in the log domain
CHECK = 4  #: iterations between looks at the gaps
WARMUP = 4  #: iterations at each coarser temperature


class Task(Protocol):
    """One problem: C / mean is its cost in units of the mean, eps and penalty too."""

    @property
    def C(self) -> Tensor: ...
    @property
    def mean(self) -> float: ...
    @property
    def a(self) -> Tensor: ...
    @property
    def b(self) -> Tensor: ...
    @property
    def eps(self) -> float: ...
    @property
    def penalty(self) -> Penalty: ...


def together(tasks: Sequence[Task], tol: float, max_iter: int) -> list[tuple[Tensor, Tensor]]:
    """Potentials (f, g) of each task in units of its mean cost, good to a relative gap of about tol as far as float32 goes."""
    f, g = (torch.stack([torch.zeros_like(getattr(t, side)) for t in tasks]) for side in ("a", "b"))
    todo, done, tol = torch.arange(len(tasks), device=f.device), 0, max(tol, 1e-6)
    for times in (64.0, 16.0, 4.0, 1.0):  # coarser temperatures only bring the potentials near
        most = max_iter - done if times == 1.0 else WARMUP
        run = Together([tasks[int(k)] for k in todo], times, f, g)
        while most > 0 and len(todo):
            steps = min(most, CHECK)
            gaps = run.iterate(steps)
            most, done = most - steps, done + steps
            f[todo], g[todo] = run.potentials()
            if times == 1.0 and bool((left := gaps > tol).logical_not().any()):
                todo = todo[left]
                run = run.only(left)
    return list(zip(f, g, strict=True))


class Together:
    """Iterations of some tasks, each at `times` its eps."""

    def __init__(self, tasks: Sequence[Task], times: float, f: Tensor, g: Tensor) -> None:
        column = lambda values: torch.tensor(values, dtype=torch.float64, device=f.device)[:, None]  # noqa: E731
        self.eps = column([min(times * t.eps, max(t.eps, 1.0)) for t in tasks])
        self.r1, self.r2 = (column([getattr(t.penalty, side) for t in tasks]) / self.eps for side in ("rho1", "rho2"))
        self.a, self.b = torch.stack([t.a for t in tasks]), torch.stack([t.b for t in tasks])
        scale = column([t.mean for t in tasks]) * self.eps
        self.Ce = torch.stack([t.C for t in tasks]).float() / scale.float()[:, :, None]
        self.f, self.g = f / self.eps, g / self.eps
        self._absorb()

    def only(self, left: Tensor) -> "Together":
        """The same iterations of the tasks still left, a mask (B,)."""
        kept = object.__new__(Together)
        for name, value in vars(self).items():
            setattr(kept, name, value[left])
        return kept

    def potentials(self) -> tuple[Tensor, Tensor]:
        return self.f * self.eps, self.g * self.eps

    def iterate(self, most: int) -> Tensor:
        """`most` updates of f and g; returns the relative gaps (B,) before the last of g; for a held side 2, L1 errors."""
        tau1, tau2 = (torch.where(r.isinf(), 1.0, r / (1 + r)) for r in (self.r1, self.r2))
        for _ in range(most):
            if not float((self.g - self.beta).abs().max()) < REACH:
                self._absorb()
            sums = torch.bmm(self.K, (self.g - self.beta).exp_().float()[:, :, None])[:, :, 0].double()
            self.f = -tau1 * torch.where(_kept(sums), sums.log() - self.alpha, self._log_rows(sums))
            log_u = self.f - self.alpha + self.la
            top = log_u.amax(1, keepdim=True)
            sums = torch.bmm((log_u - top).exp_().float()[:, None], self.K)[:, 0].double()
            log_r2 = torch.where(_kept(sums), sums.log() + top - self.beta - self.lb, self._log_columns(sums))
            new = -tau2 * log_r2
            gaps = self._gaps(new, tau2)
            shift = self._shifts(new)
            self.f, self.g = self.f + shift, new - shift
        return gaps

    def _absorb(self) -> None:
        self.la, self.lb = self.a.log(), self.b.log()
        self.beta = self.g.clone()
        weights = self.beta + self.lb
        common = weights.amax(1, keepdim=True)
        self.K = (weights - common).float()[:, None] - self.Ce
        top = self.K.amax(2, keepdim=True)
        self.K.sub_(top).exp_()
        rows = self.K.sum(2)
        self.alpha = -(common + top[:, :, 0].double() + rows.double().log())
        self.K.div_(rows[:, :, None])

    def _log_rows(self, sums: Tensor) -> Tensor:
        return sums if bool(_kept(sums).all()) else torch.logsumexp((self.g + self.lb)[:, None] - self.Ce, 2)

    def _log_columns(self, sums: Tensor) -> Tensor:
        return sums if bool(_kept(sums).all()) else torch.logsumexp((self.f + self.la)[:, :, None] - self.Ce, 1)

    def _gaps(self, new: Tensor, tau2: Tensor) -> Tensor:
        log_r = (self.g - new) / tau2
        held = self.r2.isinf()[:, 0]
        wanted = self.b * (-self.g / self.r2).exp()
        r, more = log_r.exp(), log_r.expm1()
        kl = torch.where(held[:, None], 0.0, self.r2 * self.eps).double() * (wanted * (r * log_r - more))
        return torch.where(held, (self.b * more.abs()).sum(1) / self.b.sum(1), kl.sum(1) / (wanted * r).sum(1))

    def _shifts(self, new: Tensor) -> Tensor:
        """The constants moved from g to f that maximise each dual, (B, 1)."""
        log_a = torch.logsumexp(self.la - self.f / self.r1, 1, keepdim=True)
        log_b = torch.logsumexp(self.lb - new / self.r2, 1, keepdim=True)
        weight = 1 / (1 / self.r1 + 1 / self.r2)
        return torch.where(weight.isinf(), 0.0, weight * (log_a - log_b))


def _kept(sums: Tensor) -> Tensor:
    return (sums > TINY) & (sums < math.inf)
