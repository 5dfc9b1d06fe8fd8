"""Sinkhorn's iterations by torch on one absorbed kernel: the loop for other devices than the CPU, whose loop is compiled.

Potentials here are float64, in units of eps.
Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3.
"""

import math

import torch
from torch import Tensor

from uotlab.penalty import Penalty

ABSORB = {torch.float32: 30.0, torch.float64: 200.0}  #: re-absorb when a potential has moved by this many eps
TINY = {torch.float32: 1e-30, torch.float64: 1e-290}  #: kernel sums below this are redone in the log domain


class Absorbed:
    """Iterations at one eps on one absorbed kernel; potentials f, g are float64 in units of eps."""

    def __init__(self, C: Tensor, la: Tensor, lb: Tensor, eps: float, penalty: Penalty, dtype: torch.dtype, f: Tensor, g: Tensor) -> None:
        self.eps, self.dtype, self.la, self.lb = eps, dtype, la, lb
        self.Ce = (C / eps).to(dtype)
        self.r1, self.r2 = penalty.rho1 / eps, penalty.rho2 / eps  # rho in units of eps
        self.tau1 = 1.0 if math.isinf(self.r1) else self.r1 / (1 + self.r1)
        self.tau2 = 1.0 if math.isinf(self.r2) else self.r2 / (1 + self.r2)
        self.a, self.b = la.exp(), lb.exp()
        self.f, self.g = f / eps, g / eps
        self.gap = math.inf
        self._absorb()

    def potentials(self) -> tuple[Tensor, Tensor]:
        return self.f * self.eps, self.g * self.eps

    def _absorb(self) -> None:
        # alpha makes every row of the kernel sum to 1 under b exp(g): no row can vanish, whatever the masses
        self.beta = self.g.clone()
        weights = self.beta + self.lb
        common = weights.max()  # unequal masses at a large rho make it huge: out before float32
        self.K = (weights - common).to(self.dtype)[None] - self.Ce
        top = self.K.amax(1, keepdim=True)
        self.K.sub_(top).exp_()
        rows = self.K.sum(1)
        self.alpha = -(common + top[:, 0].double() + rows.double().log())
        self.K.div_(rows[:, None])  # = exp(alpha + beta + log b - C/eps), rows sum to 1

    def _log_rows(self) -> Tensor:
        return torch.logsumexp((self.g + self.lb)[None] - self.Ce.double(), 1)

    def _log_columns(self) -> Tensor:
        return torch.logsumexp((self.f + self.la)[:, None] - self.Ce.double(), 0)

    def _update_f(self) -> None:
        sums = torch.mv(self.K, (self.g - self.beta).exp_().to(self.dtype))
        if _lost(sums):
            self.f = -self.tau1 * self._log_rows()
        else:
            self.f = -self.tau1 * (sums.double().log_() - self.alpha)

    def _new_g(self) -> Tensor:
        weights = (self.f - self.alpha + self.la).exp_()
        sums = torch.mv(self.K.t(), weights.to(self.dtype))
        if _lost(sums):
            return -self.tau2 * self._log_columns()
        return -self.tau2 * (sums.double().log_() - self.beta - self.lb)

    def iterate(self, most: int, target: float, check: int) -> int:
        """Up to `most` updates of f and g; stops when the relative gap is at most `target`. Returns the updates done."""
        for i in range(1, most + 1):
            self._update_f()
            g = self._new_g()
            if target > 0 and (i % check == 0 or i == most):
                self.gap = self._gap(g)
                if self.gap <= target:
                    return i
            shift = self._shift(g)
            self.f, self.g = self.f + shift, g - shift
            if i % check == 0 and float((self.g - self.beta).abs().max()) > ABSORB[self.dtype]:
                self._absorb()
        self._update_f()
        return most

    def _gap(self, g: Tensor) -> float:
        """Relative primal - dual at (f, self.g), from what the update to `g` has computed anyway.

        After an update of f the source marginal is exact and the gap is rho2 KL(P^T 1 | b e^{-g/rho2}), whose
        density ratio is r = exp((g - g_new)/tau2). Where side 2 is hard it is the L1 error of the marginal.
        """
        log_r = (self.g - g) / self.tau2
        excess = log_r.expm1()  # r - 1
        r = excess + 1
        if math.isinf(self.r2):
            return float((self.b * excess.abs()).sum() / self.b.sum())
        wanted = self.b * (-self.g / self.r2).exp()
        gap = self.r2 * self.eps * float((wanted * (r * log_r - excess)).sum())
        return gap / max(float((wanted * r).sum()), 1e-12)

    def _shift(self, g: Tensor) -> float:
        """The constant moved from g to f that maximises the dual (0 when both sides are hard)."""
        r1, r2 = self.r1, self.r2
        if math.isinf(r1) and math.isinf(r2):
            return 0.0
        left = float(self.a.sum()) if math.isinf(r1) else None
        log_a = math.log(left) if left is not None else float(torch.logsumexp(self.la - self.f / r1, 0))
        log_b = math.log(float(self.b.sum())) if math.isinf(r2) else float(torch.logsumexp(self.lb - g / r2, 0))
        weight = r2 if math.isinf(r1) else r1 if math.isinf(r2) else r1 * r2 / (r1 + r2)
        return weight * (log_a - log_b)


def _lost(sums: Tensor) -> bool:
    """Whether kernel sums are too small for their float type, or not finite (NaN too)."""
    low, high = torch.aminmax(sums)
    return not (float(low) > TINY[sums.dtype] and float(high) < math.inf)
