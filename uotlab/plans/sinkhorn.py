"""Entropic unbalanced optimal transport by Sinkhorn's algorithm.

    min_{P >= 0}  <P, C> + rho1 KL(P 1 | a) + rho2 KL(P^T 1 | b) + eps KL(P | a b^T),   C the cost over its mean

rho = infinity holds a marginal. The plan is P = a b exp((f + g - C) / eps). Iterations run on an absorbed kernel
exp((alpha + beta - C) / eps), float32 by default with potentials in float64, after a few levels of eps annealing, with the
translation-invariant shift of sejourne2022faster. They stop on the certificate, never on the change of potentials.

Notation: `tau = rho / (rho + eps)` is the exponent of one update; potentials here are in units of eps.
Reference: chizat2018scaling, Algorithm 1; sejourne2022faster, Section 3.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from uotlab.arrays import as_tensor, like, masses
from uotlab.costs import Cost, make_cost
from uotlab.divergences import DIVERGENCES
from uotlab.errors import InputError
from uotlab.parameters import check_count, check_number
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan, kl, weighted_kl
from uotlab.plans.solver import SOLVERS, Cancel, Progress, Solver

MOST_PAIRS = 2**30  #: entries of a plan: 8 GB in float64, and several of that size are held
ABSORB = {torch.float32: 30.0, torch.float64: 200.0}  #: re-absorb when a potential has moved by this many eps
TINY = {torch.float32: 1e-30, torch.float64: 1e-290}  #: kernel sums below this are redone in the log domain


def sinkhorn(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    cost: str | Cost = "sqeuclidean",
    eps: float = 0.05,
    rho1: float = math.inf,
    rho2: float = math.inf,
    tol: float | None = None,
    *,
    scale_cost: bool = True,
    max_iter: int = 100_000,
    init: tuple[Any, Any] | None = None,
    divergence: str = "kl",
    divergence1: str | None = None,
    divergence2: str | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Plan:
    """The entropic unbalanced plan between weighted points.

    Args:
        x, y: points (n, d) and (m, d), numpy or torch; float64 in, float64 work.
        a, b: masses (n,), (m,), never normalised; None is equal weights of total 1.
        cost: a name of `uotlab.COSTS` or a Cost.
        eps, rho1, rho2: in units of the mean cost (of the cost itself when `scale_cost` is False).
        tol: relative certificate to reach; None is 1e-4, or 1e-6 in float64.
        init: potentials (f, g) of an earlier plan, in the cost's own units, to start from.
        divergence: what holds each marginal, of `uotlab.DIVERGENCES`; divergence1, divergence2: of one side only.
        progress, cancel: see `uotlab.plans.solver`.

    Returns:
        A Plan; value, parts and potentials in the cost's own units.

    Raises:
        InputError: bad points, weights or numbers; both sides hard with unequal masses.
    """
    names = [DIVERGENCES[d or divergence].name for d in (divergence1, divergence2)]
    if not set(names) <= {"kl", "balanced"}:
        from uotlab.plans.scaling import sinkhorn_scaling

        return sinkhorn_scaling(
            x, y, a, b, cost, eps, rho1, rho2, tol, divergence1=names[0], divergence2=names[1],
            scale_cost=scale_cost, max_iter=max_iter, init=init, progress=progress, cancel=cancel,
        )  # fmt: skip
    rho1, rho2 = (math.inf if name == "balanced" else rho for name, rho in zip(names, (rho1, rho2), strict=True))
    X, Y = as_tensor(x, "x", ndim=2), as_tensor(y, "y", ndim=2)
    if X.shape[1] != Y.shape[1]:
        raise InputError(
            f"x and y must have the same number of columns; x has {X.shape[1]} and y has {Y.shape[1]}. Keep the same columns in both."
        )
    if len(X) * len(Y) > MOST_PAIRS:
        raise InputError(
            f"x and y make {len(X) * len(Y):.2g} pairs; at most {MOST_PAIRS:.2g} fit into memory. Give a subsample of the points."
        )
    eps = check_number("eps", eps)
    if not (eps > 0 and math.isfinite(eps)):
        raise InputError(f"eps must be a positive number; it is {eps!r}. Small values such as 0.01 give sharp plans, 0.05 a quick one.")
    penalty = Penalty(check_number("rho1", rho1), check_number("rho2", rho2))
    double = X.dtype == torch.float64 or Y.dtype == torch.float64
    tol = (1e-6 if double else 1e-4) if tol is None else check_number("tol", tol)
    check_count("max_iter", max_iter, least=0, most=2**31)
    if not tol > 0:
        raise InputError(f"tol must be positive; it is {tol!r}. It bounds the relative error of the value.")
    A, B = masses(a, len(X), "a").to(X.device), masses(b, len(Y), "b").to(X.device)
    check_masses(A, B, penalty)
    ground = make_cost(cost).unscaled()
    X64, Y64 = X.double(), Y.double()
    s = 1.0
    if scale_cost and bool((X64[:1] != X64).any() | (Y64 != X64[:1]).any()):
        ground = ground.calibrated(X64, Y64, A, B)
        s = ground.scale
    C = ground.matrix(X64, Y64)
    unit = s  # what one unit of eps and rho stands for
    if not scale_cost:  # solved in mean-cost units all the same: annealing, tolerance and certificate count on them
        mean = float(A / A.sum() @ C @ (B / B.sum()))
        s, unit = (mean, 1.0) if 1e-300 < mean < math.inf else (1.0, 1.0)
        C, eps, penalty = C / s, eps / s, Penalty(penalty.rho1 / s, penalty.rho2 / s)
    start = None
    if init is not None:
        start = _potentials(init, len(X), len(Y), X.device, s)
    work = torch.float64 if double or tol < 1e-5 else torch.float32
    found = solve(C, A, B, eps, penalty, tol, max_iter=max_iter, init=start, dtype=work)
    P, certificate = _certified(C, A, B, found, eps, penalty)
    if certificate > tol and found.n_iter < max_iter:  # a float32 kernel could not resolve it: go on in float64
        more = solve(C, A, B, eps, penalty, tol / 2, max_iter=max_iter - found.n_iter, init=(found.f, found.g), dtype=torch.float64)
        found = replace(more, n_iter=found.n_iter + more.n_iter)
        P, certificate = _certified(C, A, B, found, eps, penalty)
    r1, r2 = P.sum(1), P.sum(0)
    parts = {
        "transport": s * float((P * C).sum()),
        "kl1": s * weighted_kl(penalty.rho1, r1, A),
        "kl2": s * weighted_kl(penalty.rho2, r2, B),
        "entropy": s * eps * float(kl(P, A[:, None] * B[None])),
    }
    out = X if isinstance(x, Tensor) else x
    return Plan(
        like(out, P), like(out, s * found.f), like(out, s * found.g), like(out, A), like(out, B), sum(parts.values()), parts,
        certificate, unit, found.n_iter, certificate <= tol, x, y,
    )  # fmt: skip


@SOLVERS.register("sinkhorn")
class Sinkhorn(Solver):
    """Entropic transport, balanced or unbalanced."""

    title, order, relaxed, entropic = "Sinkhorn", 1, True, True
    summary = "Entropic transport by Sinkhorn's iterations, each marginal held or relaxed. The quick one: it answers while a slider moves."
    equation = (
        r"\min_{P\ge0}\;\langle P,C\rangle+\rho_1\mathrm{KL}(P\mathbf 1|a)"
        r"+\rho_2\mathrm{KL}(P^\top\mathbf 1|b)+\varepsilon\,\mathrm{KL}(P|ab^\top)"
    )
    reference = "chizat2018scaling"

    eps: float = Field(0.05, gt=0, allow_inf_nan=False, description="Entropic temperature in mean-cost units; small is sharp and slow")
    rho1: float = Field(
        math.inf, gt=0, description="Weight of the source divergence in units of the mean cost; infinity holds the marginal"
    )
    rho2: float = Field(
        math.inf, gt=0, description="Weight of the target divergence in units of the mean cost; infinity holds the marginal"
    )
    tol: float | None = Field(None, gt=0, description="Relative certificate to reach; empty is 1e-4, or 1e-6 for float64 points")
    max_iter: int = Field(100_000, ge=0, description="Most iterations")

    def plan(self, x, y, a=None, b=None, *, init=None, progress=None, cancel=None):
        return sinkhorn(
            x, y, a, b, self.ground, self.eps, self.rho1, self.rho2, self.tol, max_iter=self.max_iter, init=init
        )  # fmt: skip


def _certified(C: Tensor, a: Tensor, b: Tensor, found: "Potentials", eps: float, penalty: Penalty) -> tuple[Tensor, float]:
    """The rounded plan of potentials and its relative certificate."""
    P = plan_matrix(C, a, b, found.f, found.g, eps)
    primal, dual, P = certify(C, a, b, P, found.f, found.g, eps, penalty)
    return P, max(primal - dual, 0.0) / max(abs(primal), float(P.sum()), 1e-12)


def _potentials(init: Any, n: int, m: int, device: torch.device, s: float) -> tuple[Tensor, Tensor]:
    """Given potentials (f, g) in units of the mean cost s."""
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise InputError(f"init must be a pair (f, g) of potentials, shapes ({n},) and ({m},); it is {type(init).__name__}.")
    f, g = (as_tensor(p, "init", ndim=1).double().to(device) / s for p in init)
    if len(f) != n or len(g) != m:
        raise InputError(f"init must be potentials (f, g) of shapes ({n},) and ({m},); they have ({len(f)},) and ({len(g)},).")
    return f, g


def check_masses(a: Tensor, b: Tensor, penalty: Penalty) -> None:
    """Raises InputError where both marginals are held but their masses differ."""
    A, B = float(a.sum()), float(b.sum())
    if penalty.balanced and abs(A - B) > 1e-6 * max(A, B):
        raise InputError(
            f"Both marginals are held (rho1 = rho2 = infinity) but their masses differ ({A:g} and {B:g}): no plan exists. "
            "Give one side a finite rho, or weights of equal total."
        )


@dataclass(frozen=True)
class Potentials:
    """f (n,), g (m,) float64 in mean-cost units, the iterations done and the last relative gap estimate."""

    f: Tensor
    g: Tensor
    n_iter: int
    gap: float


def solve(
    C: Tensor, a: Tensor, b: Tensor, eps: float, penalty: Penalty, tol: float, *,
    max_iter: int = 100_000, init: tuple[Tensor, Tensor] | None = None, dtype: torch.dtype = torch.float32, check: int = 4,
) -> Potentials:  # fmt: skip
    """Optimal potentials for a scaled cost matrix C (n, m), whose certificate is within `tol`."""
    if not bool((a > 0).all() and (b > 0).all()):
        return _solve_where_mass_is(C, a, b, eps, penalty, tol, max_iter=max_iter, init=init, dtype=dtype, check=check)
    la, lb = a.double().log(), b.double().log()
    if init is None:
        f, g = torch.zeros(len(a), dtype=torch.float64, device=C.device), torch.zeros(len(b), dtype=torch.float64, device=C.device)
        # measured: the more the marginals are held, the more annealing pays
        level, n_iter = max(eps, min(1.0, (eps * min(penalty.rho1, penalty.rho2)) ** 0.5)), 0
        while level > eps:  # coarse levels only bring the potentials near, three updates each
            run = _Run(C, la, lb, level, penalty, dtype, f, g)
            n_iter += run.iterate(3, 0.0, check)
            f, g = run.potentials()
            level = max(level / 4, eps) if level > 4 * eps else eps
    else:
        f, g = init
        n_iter = 0
    target = tol
    while True:
        run = _Run(C, la, lb, eps, penalty, dtype, f, g)
        n_iter += run.iterate(max_iter - n_iter, target, check)
        f, g = run.potentials()
        if n_iter >= max_iter or not (math.isinf(penalty.rho1) and math.isinf(penalty.rho2)):
            break
        # both hard: the cheap test bounds the marginals only, the certificate of the rounded plan decides
        P = plan_matrix(C, a, b, f, g, eps)
        primal, dual, _ = certify(C, a, b, P, f, g, eps, penalty)
        if (primal - dual) <= tol * max(abs(primal), float(P.sum()), 1e-12):
            break
        if dtype == torch.float32 and target < tol / 8:
            dtype = torch.float64  # float32 kernels cannot resolve the marginals any further
        target /= 4
    return Potentials(f, g, n_iter, run.gap)


def _solve_where_mass_is(
    C: Tensor, a: Tensor, b: Tensor, eps: float, penalty: Penalty, tol: float, *, init: tuple[Tensor, Tensor] | None, **how: Any
) -> Potentials:
    """`solve` without the points of mass 0, which slow the kernel down; their potentials by one update at the end."""
    i, j = a > 0, b > 0
    start = None if init is None else (init[0][i], init[1][j])
    found = solve(C[i][:, j], a[i], b[j], eps, penalty, tol, init=start, **how)
    f, g = a.new_zeros(len(a), dtype=torch.float64), b.new_zeros(len(b), dtype=torch.float64)
    f[i], g[j] = found.f, found.g
    tau1, tau2 = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (penalty.rho1, penalty.rho2))
    f[~i] = -tau1 * eps * torch.logsumexp((found.g - C[~i][:, j].double()) / eps + b[j].double().log(), 1)
    g[~j] = -tau2 * eps * torch.logsumexp((found.f - C[i][:, ~j].double().T) / eps + a[i].double().log(), 1)
    return Potentials(f, g, found.n_iter, found.gap)


class _Run:
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


def plan_matrix(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float) -> Tensor:
    """P = a b exp((f + g - C) / eps), (n, m), float64 where a is."""
    # masses go inside the exponential: points without mass may have potentials whose own factor overflows
    return ((f[:, None] + g[None] - C) / eps + (a.log()[:, None] + b.log()[None])).exp_()


def rough_plan(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The plan of `plan_matrix` over its largest entry, in the float type of C, and the logarithm of that entry, float64.

    A few times faster in float32, good to about 1e-5, and never all zero, however little mass is transported.
    """
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
