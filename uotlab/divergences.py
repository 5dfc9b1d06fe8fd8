"""Entropy functions psi and their Csiszar divergences D_psi(P|Q) = ∫ psi(dP/dQ) dQ + psi'_inf P_perp.

Each has the exact conjugate `star` (with its domain), its derivative `star_grad` (the mass factor), the
recession constant psi'_inf, an output activation for a potential f <= psi'_inf, and `star_capped`, what
losses call: the exact conjugate of psi restricted to s <= s_max, finite everywhere.

A Divergence carries no weight: (rho psi)*(t) = rho psi*(t / rho) is `weighted_star`.

Reference: yang2019scalable, Table 1 (with the corrections of its constants, see each class); choi2023generative, eq. (14).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from uotlab.registry import Registry

DIVERGENCES: Registry = Registry("divergence", "uotlab.divergences")
LOG2 = math.log(2.0)


@dataclass(frozen=True)
class Divergence(ABC):
    """One entropy function; all methods take and return tensors of any shape."""

    name: ClassVar[str]
    title: ClassVar[str]
    psi_latex: ClassVar[str]
    star_latex: ClassVar[str]
    recession: ClassVar[float] = math.inf  #: psi'_inf = lim psi(s)/s, also the right end of the domain of star
    closed: ClassVar[bool] = False  #: whether star is finite at t = recession

    def psi(self, s: Tensor) -> Tensor:
        """psi(s); infinite where s < 0 or outside the domain."""
        s = torch.as_tensor(s, dtype=None if isinstance(s, Tensor) else torch.float64)
        value = self._psi(s.clamp(min=0))
        return torch.where(s < 0, torch.full_like(value, math.inf), value)

    def star(self, t: Tensor) -> Tensor:
        """psi*(t) = sup_{s>=0} s t - psi(s), exact: infinite outside its domain."""
        t = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
        inside = self._inside(t)
        value = self._star(torch.where(inside, t, torch.zeros_like(t)))
        return torch.where(inside, value, torch.full_like(value, math.inf))

    def star_grad(self, t: Tensor) -> Tensor:
        """psi*'(t), the factor dP/dQ by which mass grows or shrinks where the potential is -t."""
        t = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
        inside = self._inside(t)
        value = self._star_grad(torch.where(inside, t, torch.zeros_like(t)))
        return torch.where(inside, value, torch.full_like(value, math.inf))

    def star_capped(self, t: Tensor, s_max: float = 100.0) -> Tensor:
        """The conjugate of psi restricted to s <= s_max: psi* up to t0 with psi*'(t0) = s_max, its tangent beyond."""
        t0 = self.cap(s_max)
        if t0 == math.inf:
            return self._star(t)
        return self._star(t.clamp(max=t0)) + s_max * F.relu(t - t0)

    def star_capped_grad(self, t: Tensor, s_max: float = 100.0) -> Tensor:
        """Derivative of `star_capped`: the mass factor, at most s_max."""
        t0 = self.cap(s_max)
        if t0 == math.inf:
            return self._star_grad(t)
        return torch.where(t >= t0, torch.full_like(t, s_max), self._star_grad(t.clamp(max=t0)))

    def activation(self, v: Tensor) -> Tensor:
        """An increasing map of all reals onto the potentials f allowed by the divergence, (-inf, psi'_inf)."""
        return v

    @abstractmethod
    def cap(self, s_max: float) -> float:
        """t0 with psi*'(t0) = s_max; infinity where psi*' never reaches it."""

    @abstractmethod
    def _psi(self, s: Tensor) -> Tensor: ...

    @abstractmethod
    def _star(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _star_grad(self, t: Tensor) -> Tensor: ...

    def _inside(self, t: Tensor) -> Tensor:
        return t <= self.recession if self.closed else t < self.recession


@DIVERGENCES.register("kl")
class KL(Divergence):
    """Kullback-Leibler. The conjugate is e^t - 1 (yang2019scalable prints e^t: a constant off)."""

    title, order = "Kullback-Leibler", 1
    psi_latex = r"s\log s-s+1"
    star_latex = r"e^{t}-1"

    def cap(self, s_max):
        return math.log(s_max)

    def _psi(self, s):
        return torch.xlogy(s, s) - s + 1

    def _star(self, t):
        return torch.expm1(t)

    def _star_grad(self, t):
        return torch.exp(t)


@DIVERGENCES.register("reverse-kl")
class ReverseKL(Divergence):
    """Reverse Kullback-Leibler (Burg entropy)."""

    title, order = "Reverse KL", 2
    psi_latex = r"s-1-\log s"
    star_latex = r"-\log(1-t),\ t<1"
    recession = 1.0

    def cap(self, s_max):
        return 1 - 1 / s_max

    def _psi(self, s):
        return s - 1 - torch.log(s)

    def _star(self, t):
        return -torch.log1p(-t)

    def _star_grad(self, t):
        return 1 / (1 - t)

    def activation(self, v):
        # 1 - exp(-v) for v > 0, continued by the line v below: no overflow, slope 1 at 0
        return -F.elu(-v)


@DIVERGENCES.register("chi2")
class PearsonChi2(Divergence):
    """Pearson chi-squared, with the branch psi* = -1 below t = -2 that yang2019scalable omits (psi* is not monotone without it)."""

    title, order = "Pearson χ²", 3
    psi_latex = r"(s-1)^2"
    star_latex = r"t^2/4+t\ (t\ge-2),\ -1\ (t<-2)"

    def cap(self, s_max):
        return 2 * (s_max - 1)

    def _psi(self, s):
        return (s - 1) ** 2

    def _star(self, t):
        t = t.clamp(min=-2)
        return t * (1 + t / 4)  # relu(t + 2)²/4 - 1 would lose the digits of a small t

    def _star_grad(self, t):
        return F.relu(t / 2 + 1)


@DIVERGENCES.register("hellinger")
class Hellinger(Divergence):
    """Squared Hellinger distance."""

    title, order = "Hellinger", 4
    psi_latex = r"(\sqrt{s}-1)^2"
    star_latex = r"t/(1-t),\ t<1"
    recession = 1.0

    def cap(self, s_max):
        return 1 - s_max**-0.5

    def _psi(self, s):
        return (s.sqrt() - 1) ** 2

    def _star(self, t):
        return t / (1 - t)

    def _star_grad(self, t):
        return (1 - t) ** -2

    def activation(self, v):
        return -F.elu(-v)


@DIVERGENCES.register("js")
class JensenShannon(Divergence):
    """Jensen-Shannon: D = KL(P|M) + KL(Q|M) with M = (P+Q)/2 and no factor 1/2 (yang2019scalable, Table 1, prints one)."""

    title, order = "Jensen-Shannon", 5
    psi_latex = r"s\log s-(s+1)\log\tfrac{s+1}{2}"
    star_latex = r"-\log(2-e^{t}),\ t<\log 2"
    recession = LOG2

    def cap(self, s_max):
        return math.log(2 * s_max / (1 + s_max))

    def _psi(self, s):
        return torch.xlogy(s, s) - (s + 1) * torch.log((s + 1) / 2)

    def _star(self, t):
        return -torch.log1p(-torch.expm1(t))

    def _star_grad(self, t):
        return torch.exp(t) / (1 - torch.expm1(t))

    def activation(self, v):
        return LOG2 - F.softplus(-v)


@DIVERGENCES.register("tv")
class TotalVariation(Divergence):
    """Total variation. psi*' is 0 or 1, so neural scaling factors are all-or-nothing; best with discrete solvers."""

    title, order = "Total variation", 6
    psi_latex = r"|s-1|"
    star_latex = r"\max(t,-1),\ t\le1"
    recession = 1.0
    closed = True

    def cap(self, s_max):
        return 1.0

    def _psi(self, s):
        return (s - 1).abs()

    def _star(self, t):
        return t.clamp(min=-1)

    def _star_grad(self, t):
        return (t > -1).to(t.dtype)

    def star_capped_grad(self, t, s_max=100.0):
        return torch.where(t > 1, torch.full_like(t, s_max), self._star_grad(t))

    def activation(self, v):
        return torch.tanh(v)


@DIVERGENCES.register("softplus")
class Softplus(Divergence):
    """Softplus, normalised so that psi is least at s = 1: psi*(0) = 0 and psi*'(0) = 1.

    Reference: choi2024analyzing, Section 4 (2 softplus(t) - 2 log 2).
    """

    title, order = "Softplus (normalised)", 7
    psi_latex = r"s\log s+(2-s)\log(2-s),\ s\le2"
    star_latex = r"2\,\mathrm{softplus}(t)-2\log 2"

    def cap(self, s_max):
        return math.inf if s_max >= 2 else math.log(s_max / (2 - s_max))

    def _psi(self, s):
        rest = 2 - s.clamp(max=2)
        return torch.where(s > 2, math.inf, torch.xlogy(s, s) + torch.xlogy(rest, rest))

    def _star(self, t):
        size = t.abs()  # = 2 softplus(t) - 2 log 2, with the digits of a small t
        return t + size + 2 * torch.log1p(torch.expm1(-size) / 2)

    def _star_grad(self, t):
        return 2 * torch.sigmoid(t)


@DIVERGENCES.register("softplus-raw")
class SoftplusRaw(Divergence):
    """Plain softplus as coded for choi2023generative, Table 4: a paper ablation.

    psi*'(0) = 1/2 and psi is least at s = 1/2: scaling factors come out around one half.
    """

    title, order = "Softplus (raw, paper ablation)", 8
    psi_latex = r"s\log s+(1-s)\log(1-s),\ s\le1"
    star_latex = r"\log(1+e^{t})"

    def cap(self, s_max):
        return math.inf if s_max >= 1 else math.log(s_max / (1 - s_max))

    def _psi(self, s):
        rest = 1 - s.clamp(max=1)
        return torch.where(s > 1, math.inf, torch.xlogy(s, s) + torch.xlogy(rest, rest))

    def _star(self, t):
        return F.softplus(t)

    def _star_grad(self, t):
        return torch.sigmoid(t)


@DIVERGENCES.register("balanced")
class Balanced(Divergence):
    """The hard constraint: this marginal is kept exactly, classical optimal transport."""

    title, order = "Balanced (hard constraint)", 9
    psi_latex = r"\iota_{\{1\}}(s)"
    star_latex = r"t"

    def cap(self, s_max):
        return math.inf

    def _psi(self, s):
        return torch.where(s == 1, torch.zeros_like(s), torch.full_like(s, math.inf))

    def _star(self, t):
        return t

    def _star_grad(self, t):
        return torch.ones_like(t)


def weighted_star(psi: Divergence, rho: float, t: Tensor, s_max: float = 100.0) -> Tensor:
    """(rho psi)*(t) = rho psi*(t / rho), capped; rho = infinity is the hard constraint, whose conjugate is t."""
    return t if math.isinf(rho) or isinstance(psi, Balanced) else rho * psi.star_capped(t / rho, s_max)


def weighted_star_grad(psi: Divergence, rho: float, t: Tensor, s_max: float = 100.0) -> Tensor:
    """((rho psi)*)'(t) = psi*'(t / rho), the mass factor, capped at s_max."""
    return torch.ones_like(t) if math.isinf(rho) or isinstance(psi, Balanced) else psi.star_capped_grad(t / rho, s_max)
