"""Ascent of the dual by updates of f and g in turn, on a kernel that holds the potentials.

Two things make it quicker than plain updates: a constant moved from g to f, which mends a mass that is off in one step, and every few
updates a try at what a combination of the last ones would give (Anderson's acceleration), kept only where the dual is greater for it.

Reference: chizat2018scaling, Algorithm 2; sejourne2022faster, Section 3; walker2011anderson.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from uotlab.plans.proximal import Side

MOVED = {torch.float32: 30.0, torch.float64: 200.0}  #: re-absorb when a potential has moved by this many eps
TINY = {torch.float32: 1e-30, torch.float64: 1e-290}  #: kernel sums below this are redone in the log domain
CHECK = 4  #: iterations between looks at the gap
DEPTH, LEAP = 6, 8  #: updates that are combined, and iterations between two tries


class Run:
    """Iterations at one eps on one absorbed kernel; f, g are float64 in the unit of C."""

    def __init__(
        self, C: Tensor, a: Tensor, b: Tensor, eps: float, one: Side, two: Side, dtype: torch.dtype, f: Tensor, g: Tensor
    ) -> None:  # fmt: skip
        self.a, self.b, self.la, self.lb = a, b, a.log(), b.log()
        self.eps, self.one, self.two, self.dtype = eps, one, two, dtype
        self.Ce = (C / eps).to(dtype)
        self.f, self.g, self.gap = f, g, math.inf
        self._absorb()

    def _absorb(self) -> None:
        # alpha makes every row of the kernel sum to 1 under b exp(g): no row can vanish, whatever the masses
        self.beta = self.g / self.eps
        weights = self.beta + self.lb
        common = weights.max()
        self.K = (weights - common).to(self.dtype)[None] - self.Ce
        top = self.K.amax(1, keepdim=True)
        self.K.sub_(top).exp_()
        rows = self.K.sum(1)
        self.K.div_(rows[:, None])
        self.alpha = -(common + top[:, 0].double() + rows.double().log())

    def soft_f(self) -> Tensor:
        """The softmin over y, (n,)."""
        sums = torch.mv(self.K, (self.g / self.eps - self.beta).exp().to(self.dtype))
        if self._lost(sums):
            return -self.eps * torch.logsumexp((self.g / self.eps + self.lb)[None] - self.Ce.double(), 1)
        return -self.eps * (sums.double().log() - self.alpha)

    def soft_g(self) -> Tensor:
        """The softmin over x, (m,)."""
        sums = torch.mv(self.K.t(), (self.f / self.eps - self.alpha + self.la).exp().to(self.dtype))
        if self._lost(sums):
            return -self.eps * torch.logsumexp((self.f / self.eps + self.la)[:, None] - self.Ce.double(), 0)
        return -self.eps * (sums.double().log() - self.beta - self.lb)

    def iterate(self, most: int, target: float) -> int:
        """Up to `most` updates of f and g, fewer when the relative gap falls to `target`; returns how many."""
        past: list[tuple[Tensor, Tensor]] = []
        for i in range(1, most + 1):
            before = self.g
            self.f = self.one.update(self.soft_f(), self.eps)
            h = self.soft_g()
            if target > 0 and (i % CHECK == 0 or i == most):
                # f answers g exactly, so that the whole gap is that of the target's side
                s = ((self.g - h) / self.eps).clamp(max=300).exp()
                self.gap = self.two.gap(self.b, self.g, s) / max(float(self.b @ s), 1e-12)
                if self.gap <= target:
                    return i
            self.g = self.two.update(h, self.eps)
            kinked = self.one.kinked or self.two.kinked
            if i <= 2 or i % (16 if kinked else CHECK) == 0:
                self._shift()
            past = [*past[1 - DEPTH :], (self.g, self.g - before)]
            if i % LEAP == 0 and self._leap(past):
                past = []
            if i % CHECK == 0 and float((self.g / self.eps - self.beta).abs().max()) > MOVED[self.dtype]:
                self._absorb()
        return most

    def _leap(self, past: list[tuple[Tensor, Tensor]]) -> bool:
        """Try the combination of the last g whose changes cancel best; whether it was kept."""
        D = torch.stack([change for _, change in past], 1)
        D = D[:, 1:] - D[:, :1]
        small = 1e-12 * float(D.square().sum()) + 1e-300
        gram = D.T @ D + small * torch.eye(D.shape[1], dtype=D.dtype, device=D.device)
        weights = torch.linalg.solve(gram, -(D.T @ past[0][1]))
        if not bool(torch.isfinite(weights).all()):
            return False
        plain = self.g
        leap = past[0][0] + torch.stack([g for g, _ in past[1:]], 1).sub(past[0][0][:, None]) @ weights
        value, self.g = self._value(), leap.clamp(min=self.two.least)
        if self._value() > value:
            return True
        self.g = plain
        return False

    def _value(self) -> float:
        """The dual at g and the f that answers it, but for a constant."""
        h = self.soft_f()
        f = self.one.update(h, self.eps)
        found = self.one.dual(self.a, f) + self.two.dual(self.b, self.g) - self.eps * float(self.a @ ((f - h) / self.eps).exp())
        return found if math.isfinite(found) else -math.inf

    def _shift(self) -> None:
        """Move a constant from g to f, towards the greatest dual: where it has no slope, both sides agree on the mass."""
        if self.one.hard and self.two.hard:
            return
        low, high = self.one.least - float(self.f.min()), float(self.g.min()) - self.two.least

        def slope(c: float) -> float:
            masses = [
                float(w @ s.clamp(max=1e30)) for w, s in ((self.a, self.one.factor(self.f + c)), (self.b, self.two.factor(self.g - c)))
            ]
            return math.log(max(masses[0], 1e-300) / max(masses[1], 1e-300))

        c = crossing(slope, low, high, self.eps) if self.one.kinked or self.two.kinked else secant(slope, low, high, self.one, self.two)
        if c != 0 and self._dual(c) > self._dual(0.0):
            self.f, self.g = self.f + c, self.g - c

    def _dual(self, c: float) -> float:
        """The part of the dual that a constant changes."""
        return self.one.dual(self.a, self.f + c) + self.two.dual(self.b, self.g - c)

    def _lost(self, sums: Tensor) -> bool:
        low, high = torch.aminmax(sums)
        return not (float(low) > TINY[self.dtype] and float(high) < math.inf)


def secant(slope: Callable[[float], float], low: float, high: float, one: Side, two: Side) -> float:
    """A few steps towards the root of a smooth decreasing slope, from 0; the first is exact for KL on both sides."""
    best = c = 0.0
    at = least = slope(0.0)
    step = at / sum(1 / side.rho for side in (one, two) if not side.hard)
    for _ in range(4):
        if abs(least) < 1e-9 or step == 0:
            break
        c, before, last = min(max(c + step, low), high), at, c
        at = slope(c)
        if abs(at) < abs(least):
            best, least = c, at
        change = (at - before) / (c - last) if c != last else 0.0
        step = -at / change if change < 0 else 0.0
    return best


def crossing(slope: Callable[[float], float], low: float, high: float, eps: float) -> float:
    """Where a decreasing slope with jumps changes its sign, by doubling and bisection from 0."""
    at = slope(0.0)
    if at == 0:
        return 0.0
    near, far = 0.0, math.copysign(eps, at)
    while slope(min(max(far, low), high)) * at > 0 and abs(far) < 1e6:
        if not low < far < high:
            return min(max(far, low), high)
        near, far = far, 2 * far
    far = min(max(far, low), high)
    for _ in range(20):
        middle = (near + far) / 2
        near, far = (middle, far) if slope(middle) * at > 0 else (near, middle)
    return near
