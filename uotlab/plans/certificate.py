"""What proves a plan: its primal objective at the plan rounded to hard marginals, its dual at the potentials, and their gap.

    dual = -rho1 <a, e^{-f/rho1} - 1> - rho2 <b, e^{-g/rho2} - 1> - eps <a b, e^{(f+g-C)/eps} - 1>      (<a, f> where rho1 is infinite)

Everything is summed in float64, whatever the float type of C and P.
Reference: sejourne2022faster, Section 2; altschuler2017near, Algorithm 2 (rounding).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from uotlab.penalty import Penalty
from uotlab.plans.base import kl, weighted_kl
from uotlab.plans.passes import passes


@dataclass(frozen=True)
class Certified:
    """A rounded plan P (n, m), its potentials f, g and the parts of its objective, in units of the mean cost; its certificate."""

    P: Tensor
    f: Tensor
    g: Tensor
    parts: Mapping[str, float]
    certificate: float


def certified(
    C: Tensor, unit: float, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float, penalty: Penalty, into: Tensor | None = None
) -> Certified:
    """The plan of potentials f (n,), g (m,), in two or three passes; C / unit is the cost, masses positive, `into` is overwritten."""
    if C.device.type != "cpu":
        P = plan_matrix(C.double() / unit, a, b, f, g, eps)
        return _certified_anywhere(C.double() / unit, a, b, P, f, g, eps, penalty)
    run = passes()
    hold1, hold2 = math.isinf(penalty.rho1), math.isinf(penalty.rho2)
    P = torch.empty_like(C) if into is None else into
    rows, costs, columns = a.new_empty(len(a)), a.new_empty(len(a)), b.new_empty(len(b))
    u, v = f / eps, g / eps
    scale = 1.0 / (eps * unit)
    arrays = [t.numpy() for t in (C, a, b, u, v, P, rows, columns, costs)]
    c_, a_, b_, u_, v_, p_, rows_, columns_, costs_ = arrays
    run.plan_sums(c_, scale, a_, b_, u_, v_, hold1, p_, rows_, columns_, costs_)
    both = float(a.sum() * b.sum())
    if hold2 and not hold1:
        ratio = b / columns
        run.scale_columns(c_, ratio.numpy(), p_, rows_, costs_)
        v += ratio.log()
        columns = b.clone()
    mass = float(columns.sum())
    f, g = eps * u, eps * v
    transport = float(costs.sum()) / unit
    # log P / (a b) = (f + g - C) / eps: the entropy needs no pass of its own
    entropy = float(rows @ f + columns @ g) - transport - eps * (mass - both)
    if hold1 and hold2:
        down, right = (b / columns).clamp(max=1), (b - columns).clamp(min=0)
        total = float(right.sum())
        right = right / total if total > 0 else right
        logs = run.fill(c_, a_, b_, down.numpy(), right.numpy(), p_, rows_, columns_, costs_)
        transport = float(costs.sum()) / unit
        entropy = eps * (logs - float(rows.sum()) + both)
    kl1, dual1 = (0.0, float(a @ f)) if hold1 else _relaxed(rows, a, f, penalty.rho1)
    kl2, dual2 = (0.0, float(b @ g)) if hold2 else _relaxed(columns, b, g, penalty.rho2)
    parts = {"transport": transport, "kl1": kl1, "kl2": kl2, "entropy": entropy}
    primal, dual = sum(parts.values()), dual1 + dual2 - eps * (mass - both)
    return Certified(P, f, g, parts, max(primal - dual, 0.0) / max(abs(primal), float(rows.sum()), 1e-12))


def _relaxed(p: Tensor, q: Tensor, f: Tensor, rho: float) -> tuple[float, float]:
    """rho KL(p | q) and the dual's part of a relaxed marginal."""
    primal, dual = passes().side(p.numpy(), q.numpy(), f.numpy(), rho)
    return rho * primal, rho * dual


def _certified_anywhere(C: Tensor, a: Tensor, b: Tensor, P: Tensor, f: Tensor, g: Tensor, eps: float, penalty: Penalty) -> Certified:
    """The same by torch, for plans on other devices."""
    primal, dual, P = certify(C, a, b, P, f, g, eps, penalty)
    parts = {
        "transport": float((P * C).sum()),
        "kl1": weighted_kl(penalty.rho1, P.sum(1), a),
        "kl2": weighted_kl(penalty.rho2, P.sum(0), b),
        "entropy": eps * float(kl(P, a[:, None] * b[None])),
    }
    return Certified(P, f, g, parts, max(primal - dual, 0.0) / max(abs(primal), float(P.sum()), 1e-12))


def plan_matrix(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float) -> Tensor:
    """P = a b exp((f + g - C) / eps), (n, m), float64 where a is."""
    # masses go inside the exponential: points without mass may have potentials whose own factor overflows
    return ((f[:, None] + g[None] - C) / eps + (a.log()[:, None] + b.log()[None])).exp_()


def rough_plan(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The plan of `plan_matrix` over its largest entry, in the float type of C, and the logarithm of that entry, float64.

    A few times faster in float32, good to about 1e-5, and never all zero, however little mass is transported.
    """
    if C.device.type == "cpu":
        C = C.detach()
        P = torch.empty_like(C, memory_format=torch.contiguous_format)
        u, v = (f / eps + a.log()).double(), (g / eps + b.log()).double()
        top = passes().rough(C.contiguous().numpy(), 1.0 / eps, u.numpy(), v.numpy(), P.numpy())
        if not bool((a > 0).all() and (b > 0).all()):  # the exponential stops short of zero
            P[a == 0], P[:, b == 0] = 0, 0
        return P, torch.tensor(top, dtype=torch.float64)
    E = (f / eps + a.log()).to(C)[:, None] + (g / eps + b.log()).to(C)[None] - C / eps
    top = E.max()
    return E.sub_(top).exp_(), top.double()


def certify(C: Tensor, a: Tensor, b: Tensor, P: Tensor, f: Tensor, g: Tensor, eps: float, penalty: Penalty) -> tuple[float, float, Tensor]:
    """(primal, dual, plan): the plan rounded to its hard marginals, its primal objective and the dual at f, g.

    The dual is sup-free: -rho1 <a, e^{-f/rho1} - 1> - rho2 <b, e^{-g/rho2} - 1> - eps <a b, e^{(f+g-C)/eps} - 1>.
    """
    mass = float(P.sum())
    dual = _dual_side(a, f, penalty.rho1) + _dual_side(b, g, penalty.rho2) - eps * (mass - float(a.sum() * b.sum()))
    P = round_plan(P, a if math.isinf(penalty.rho1) else None, b if math.isinf(penalty.rho2) else None)
    primal = float((P * C).sum()) + weighted_kl(penalty.rho1, P.sum(1), a) + weighted_kl(penalty.rho2, P.sum(0), b)
    return primal + eps * float(kl(P, a[:, None] * b[None])), dual, P


def _dual_side(a: Tensor, f: Tensor, rho: float) -> float:
    held = a > 0  # points without mass do not count, whatever their potential
    a, f = a[held], f[held]
    return float(a @ f) if math.isinf(rho) else -rho * float(a @ torch.expm1(-f / rho))


def round_plan(P: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    """The nearest plan, in the sense of altschuler2017near Algorithm 2, whose hard marginals (those not None) hold exactly."""
    if a is None and b is None:
        return P
    if b is None:
        return P * _ratio(a, P.sum(1))[:, None]
    if a is None:
        return P * _ratio(b, P.sum(0))[None]
    P = P * _ratio(a, P.sum(1)).clamp(max=1)[:, None]
    P = P * _ratio(b, P.sum(0)).clamp(max=1)[None]
    left, right = (a - P.sum(1)).clamp(min=0), (b - P.sum(0)).clamp(min=0)  # rounding may leave -1e-17
    total = float(left.sum())
    return P + left[:, None] * right[None] / total if total > 0 else P


def _ratio(wanted: Tensor | None, given: Tensor) -> Tensor:
    assert wanted is not None
    return torch.where(given > 0, wanted / given, torch.zeros_like(given))
