"""Marginal penalties by their proximal operators: what one update of Sinkhorn does to a potential, for every divergence.

A side with masses a and penalty F(r) = sum a rho psi(r / a) takes the softmin h = -eps log <b, exp((g - C) / eps)> to the f that
maximises the dual, the root of

    psi*'(-f / rho) = exp((f - h) / eps)

the factor by which that point's mass changes. Closed forms: a power for KL, a clip for total variation, soft thresholds for a range,
the Wright omega function (w + log w = z) for Pearson, reverse KL and Hellinger; a monotone Newton iteration for the other two.

Notation: t = -f / rho is the argument of psi*, s = psi*'(t) the factor.
Reference: sejourne2019sinkhorn, Section 2 (aprox); chizat2018scaling, Section 3.2 (proxdiv).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uotlab.divergences import DIVERGENCES, LOG2, Balanced, Divergence
from uotlab.errors import InputError, UnknownName, did_you_mean, short

INSIDE = 1 - 1e-12  #: open domains of psi* end here: a potential on the edge has an infinite dual


@dataclass(frozen=True)
class Range(Divergence):
    """A box: factors between lo and hi cost nothing, others are forbidden. For plans only, so it is in no registry."""

    name, title = "range", "Range (box)"
    psi_latex = r"\iota_{[\alpha,\beta]}(s)"
    star_latex = r"\max(\alpha t,\beta t)"
    lo: float = 0.8
    hi: float = 1.25

    def __post_init__(self) -> None:
        if not 0 <= self.lo <= self.hi < math.inf or self.hi == 0:
            raise InputError(
                f"lo and hi of the range must satisfy 0 <= lo <= hi, with hi above 0; they are {self.lo:g} and {self.hi:g}. "
                "Both at 1 hold the marginal."
            )

    def cap(self, s_max: float) -> float:
        return math.inf if s_max >= self.hi else 0.0

    def _psi(self, s: Tensor) -> Tensor:
        return torch.where((s >= self.lo) & (s <= self.hi), 0.0, math.inf).to(s)

    def _star(self, t: Tensor) -> Tensor:
        return torch.maximum(self.lo * t, self.hi * t)

    def _star_grad(self, t: Tensor) -> Tensor:
        return torch.where(t > 0, self.hi, self.lo).to(t)


@dataclass(frozen=True)
class Side:
    """One marginal's penalty rho psi; potentials and rho in the same unit."""

    psi: Divergence
    rho: float

    @property
    def hard(self) -> bool:
        """Whether the marginal is held exactly."""
        return isinstance(self.psi, Balanced)

    @property
    def kinked(self) -> bool:
        """Whether psi* has kinks, where the factor is not one number."""
        return self.psi.name in ("tv", "range")

    @property
    def bounds(self) -> tuple[float, float]:
        """(lo, hi): the factors that are allowed at all, the domain of psi."""
        if isinstance(self.psi, Range):
            return self.psi.lo, self.psi.hi
        return {"balanced": (1.0, 1.0), "softplus": (0.0, 2.0), "softplus-raw": (0.0, 1.0)}.get(self.psi.name, (0.0, math.inf))

    @property
    def least(self) -> float:
        """The least potential that is allowed, -rho psi'_inf."""
        return -self.rho * self.psi.recession * (1.0 if self.psi.closed else INSIDE) if self.psi.recession < math.inf else -math.inf

    def update(self, h: Tensor, eps: float) -> Tensor:
        """The potential (n,) that answers the softmin h (n,)."""
        return _UPDATES[self.psi.name](self, h, eps).clamp(min=self.least)

    def factor(self, f: Tensor) -> Tensor:
        """s = psi*'(-f / rho), (n,)."""
        return self.psi.star_grad(-f if self._free else -f / self.rho)

    def dual(self, a: Tensor, f: Tensor) -> float:
        """-sum a (rho psi)*(-f); points without mass do not count."""
        a, f = a[a > 0], f[a > 0]
        return float(a @ f) if self.hard else -float(a @ self._star(f))

    def value(self, a: Tensor, r: Tensor) -> float:
        """sum a rho psi(r / a), 0 for a constraint, whose marginal holds by construction."""
        if self._free:
            return 0.0
        a, r = a[a > 0], r[a > 0]
        lo, hi = self.bounds
        return self.rho * float(a @ self.psi.psi((r / a).clamp(lo, hi)))

    def gap(self, a: Tensor, f: Tensor, s: Tensor) -> float:
        """Fenchel gap sum a (rho psi(s) + (rho psi)*(-f) + s f) of factors s, moved into `bounds`, plus the mass that this moves."""
        lo, hi = self.bounds
        held = s.clamp(lo, hi)
        off = float(a @ (s - held).abs())
        if self.hard:
            return off
        cost = 0.0 if self._free else self.rho * self.psi.psi(held)
        return off + max(float(a @ (cost + self._star(f) + held * f)), 0.0)

    @property
    def _free(self) -> bool:
        """Whether rho plays no part."""
        return isinstance(self.psi, Balanced | Range)

    def _star(self, f: Tensor) -> Tensor:
        return self.psi.star(-f) if self._free else self.rho * self.psi.star(-f / self.rho)


def make_side(divergence: str | Divergence, rho: float, lo: float, hi: float) -> Side:
    """The Side of a divergence, by name or as it is; an infinite rho holds the marginal whatever the divergence, a range aside.

    Raises:
        InputError: an unknown divergence.
    """
    if isinstance(divergence, Divergence):
        psi = divergence
    elif str(divergence) == Range.name:
        psi = Range(lo, hi)
    elif divergence in DIVERGENCES:
        psi = DIVERGENCES[divergence]()
    else:
        names = [*DIVERGENCES, Range.name]
        raise UnknownName(f"There is no divergence named '{short(divergence)}'. {did_you_mean(str(divergence), names)}")
    if psi.name not in _UPDATES:
        raise InputError(f"The divergence '{psi.name}' has no proximal operator here. Choose one of: {', '.join(_UPDATES)}.")
    if math.isinf(rho) and not isinstance(psi, Range):
        psi = Balanced()
    return Side(psi, 1.0 if isinstance(psi, Balanced | Range) else rho)


# ---- one update each -----------------------------------------------------------------------------
def _balanced(side: Side, h: Tensor, eps: float) -> Tensor:
    return h


def _kl(side: Side, h: Tensor, eps: float) -> Tensor:
    return side.rho / (side.rho + eps) * h


def _tv(side: Side, h: Tensor, eps: float) -> Tensor:
    return h.clamp(-side.rho, side.rho)


def _range(side: Side, h: Tensor, eps: float) -> Tensor:
    assert isinstance(side.psi, Range)
    above = (h + eps * math.log(side.psi.lo)).clamp(min=0) if side.psi.lo > 0 else 0.0  # mass is held up to lo a
    return above + (h + eps * math.log(side.psi.hi)).clamp(max=0)


def _chi2(side: Side, h: Tensor, eps: float) -> Tensor:
    k = 2 * side.rho / eps  # log s + k s = k - h / eps
    return 2 * side.rho - eps * omega(k - h / eps + math.log(k))


def _reverse_kl(side: Side, h: Tensor, eps: float) -> Tensor:
    k = side.rho / eps  # with w = 1 - t: k w + log w = k + h / eps
    return eps * omega(k + h / eps + math.log(k)) - side.rho


def _hellinger(side: Side, h: Tensor, eps: float) -> Tensor:
    k = side.rho / eps / 2  # with w = 1 - t: k w + log w = k + h / (2 eps)
    return 2 * eps * omega(k + h / (2 * eps) + math.log(k)) - side.rho


def _js(side: Side, h: Tensor, eps: float) -> Tensor:
    k = side.rho / eps  # t = log 2 - softplus(-v) has the factor exp(v)
    v = _line_and_softplus(1.0, k, -h / eps - k * LOG2)
    return side.rho * (F.softplus(-v) - LOG2)


def _softplus(side: Side, h: Tensor, eps: float) -> Tensor:
    return -side.rho * _line_and_softplus(side.rho / eps, 1.0, -h / eps - LOG2)


def _softplus_raw(side: Side, h: Tensor, eps: float) -> Tensor:
    return -side.rho * _line_and_softplus(side.rho / eps, 1.0, -h / eps)


_UPDATES = {
    "balanced": _balanced, "kl": _kl, "tv": _tv, "range": _range, "chi2": _chi2, "reverse-kl": _reverse_kl,
    "hellinger": _hellinger, "js": _js, "softplus": _softplus, "softplus-raw": _softplus_raw,
}  # fmt: skip


def omega(z: Tensor) -> Tensor:
    """The Wright omega function: the w > 0 with w + log w = z."""
    from scipy.special import wrightomega

    return torch.from_numpy(wrightomega(z.detach().cpu().double().numpy())).to(z)


def _line_and_softplus(alpha: float, beta: float, r: Tensor) -> Tensor:
    """The root v of alpha v - beta softplus(-v) = r, alpha, beta > 0.

    The left side is concave and increasing, and below both of its asymptotes, whose roots are therefore to the left of the
    solution: from the greater of them Newton's iteration climbs to it without ever passing it.
    """
    v = torch.maximum(r / alpha, r / (alpha + beta))
    for _ in range(50):
        step = (r - alpha * v + beta * F.softplus(-v)) / (alpha + beta * torch.sigmoid(-v))
        v = v + step
        if bool((step.abs() <= 1e-14 * (1 + v.abs())).all()):
            break
    return v
