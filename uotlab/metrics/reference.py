"""Reference: the optimum that a learned map is measured by, at the run's own cost, divergences and rho.

Where a closed form exists (Gaussians) it is that; else the entropic plan of up to 4000 points at a small eps, whose potentials, made
feasible without entropy by c-transforms, bracket the value: dual <= optimum <= primal. The map is then the barycentric projection. What
sampling alone does to it is measured too: two halves of the points are solved apart, and where they differ no method can be told from it.

Notation: f, g, value in the cost's own units; xi = d pi_1/d mu, zeta = d pi_2/d nu.
Reference: pooladian2021entropic (the map); peyre2019computational, Section 5 (c-transforms).
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.costs import Cost, SquaredEuclidean
from uotlab.data.gaussians import gaussian_optimum
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan
from uotlab.plans.proximal import Side, make_side
from uotlab.plans.sinkhorn import sinkhorn
from uotlab.plans.solver import Cancel

EPS, TOL = 2e-3, 1e-5  #: temperature in mean-cost units, and relative certificate, for KL and held marginals
EPS_ANY, TOL_ANY = 5e-3, 1e-4  #: of other divergences, whose solver is slower
OF_RHO, LEAST_EPS = 0.02, 1e-4  #: eps is at most this share of rho, where mass is let go easily, and no less than that
MOST, MOST_ANY = 4000, 2000  #: points a side
LEAST_HALF = 50  #: points in a half below which sampling errors are not measured
ROWS = 512  #: rows of a cost matrix held at a time


@dataclass(frozen=True, eq=False)
class Question:
    """A transport problem between weighted points: x (n, d), y (m, d), masses a (n,), b (m,), float64; the rest is the run's own."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    cost: Cost
    divergences: tuple[str, str]
    penalty: Penalty
    truth: Mapping[str, Any] = field(default_factory=dict)
    trained: tuple[int, int] = (0, 0)  #: points of each side that the run learns from; 0 where unknown

    @property
    def plain(self) -> bool:
        """Whether both divergences are KL or held, which the quick solver takes."""
        return all(math.isinf(rho) or name in ("kl", "balanced") for name, rho in zip(self.divergences, self.rho))

    @property
    def rho(self) -> tuple[float, float]:
        return self.penalty.rho1, self.penalty.rho2

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both marginals' penalties in the cost's own units."""
        s = self.cost.scale
        one, two = (make_side("balanced" if math.isinf(r) else k, r * s, 1.0, 1.0) for k, r in zip(self.divergences, self.rho))
        return one, two

    def part(self, i: Tensor, j: Tensor) -> "Question":
        """The problem of some of the points, with the same total masses."""
        a, b = (w[k] * (w.sum() / w[k].sum()) for w, k in ((self.a, i), (self.b, j)))
        return replace(self, x=self.x[i], y=self.y[j], a=a, b=b)


@dataclass(frozen=True, eq=False)
class Reference:
    """The optimum at given points.

    Args:
        x, y: points (n, d), (m, d), float32; in no order, so that the first ones are a sample of all.
        a, b: their masses, (n,) and (m,).
        Tx: the optimal image of x, (n, d): the exact map, or the plan's mean image. NaN where a point takes no part.
        xi, zeta: the optimal scalings, (n,) and (m,).
        f, g: potentials, (n,) and (m,), in the cost's own units.
        mass: of the plan.
        value: of the problem, in the cost's own units; of a discrete one the dual, which no plan of these points goes below.
        divergences: D1(P1 | a), D2(P2 | b), without rho.
        exact: whether it is a closed form.
        certificate: (primal - dual) / primal without entropy: a bound on the relative error of `value` for these points; 0 if exact.
        noise: errors by sampling alone, by name: "map" (share of the spread), "scaling" (of log xi), "value", "mass" (relative); of a
            closed form "trained", the gap (relative) that the points it is learned from leave to the best of learners.
    """

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    Tx: Tensor
    xi: Tensor
    zeta: Tensor
    f: Tensor
    g: Tensor
    mass: float
    value: float
    divergences: tuple[float, float]
    exact: bool
    certificate: float
    noise: Mapping[str, float]

    @property
    def spread(self) -> float:
        """sqrt(trace Cov) of the image of the source."""
        there = torch.isfinite(self.Tx).all(1)
        w, Tx = self.a[there].double(), self.Tx[there].double()
        mean = (w @ Tx) / w.sum()
        return float((w @ (Tx - mean).square().sum(1) / w.sum()).sqrt())

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.exact:
            return "Errors are against the closed form."
        sampling = f"; sampling alone moves its map by {self.noise['map']:.1%} of the spread" if "map" in self.noise else ""
        size = f"{len(self.x)} × {len(self.y)} points"
        return f"Errors are against the discrete optimum of {size}, certified to {self.certificate:.1%}{sampling}."

    def head(self, k: int) -> "Reference":
        """The same at the first k points of each side, whose masses sum to the whole."""
        cut = {name: getattr(self, name)[:k] for name in ("x", "y", "a", "b", "Tx", "xi", "zeta", "f", "g")}
        for name in ("a", "b"):
            cut[name] = cut[name] * (getattr(self, name).sum() / cut[name].sum())
        return replace(self, **cut)


# ---- closed forms --------------------------------------------------------------------------------
def closed_form(q: Question) -> Reference | None:
    """The exact optimum at the question's points, or None where none is known: Gaussians under the squared Euclidean cost and KL."""
    if "source_cov" not in q.truth or not q.plain or not isinstance(q.cost, SquaredEuclidean):
        return None
    s, t = q.cost.scale, q.truth
    m1, S1, m2, S2 = (np.asarray(t[k]) for k in ("source_mean", "source_cov", "target_mean", "target_cov"))
    rho1, rho2 = (r * s for r in q.rho)
    a, b = float(t["source_mass"]), float(t["target_mass"])
    best = gaussian_optimum(m1, S1, m2, S2, a=a, b=b, rho1=rho1, rho2=rho2)
    x, y = q.x.numpy(), q.y.numpy()
    inverse = np.linalg.inv(best.A)
    xi = np.ones(len(x)) if math.isinf(rho1) else best.mass / a * _ratio(x, best.mean, best.cov, m1, S1)
    zeta = np.ones(len(y)) if math.isinf(rho2) else best.mass / b * _ratio(y, best.target_mean, best.target_cov, m2, S2)
    # grad f = 2 (x - Tx) and grad g = 2 (y - T^-1 y); the scalings, where there are any, give the constants
    f = ((x - x @ best.A) * x).sum(1) - 2 * x @ best.shift
    g = ((y - y @ inverse) * y).sum(1) + 2 * y @ (inverse @ best.shift)
    both = -float(best.shift @ inverse @ best.shift)
    if math.isfinite(rho1):
        up = float(np.mean(-rho1 * np.log(xi) - f))
    else:
        up = both - float(np.mean(-rho2 * np.log(zeta) - g)) if math.isfinite(rho2) else 0.0
    f, g = f + up, g + both - up
    # a held marginal costs nothing; the others' share of the value comes from the masses and Gaussians
    kl1 = 0.0 if math.isinf(rho1) else _general_kl(best.mass, best.mean, best.cov, a, m1, S1)
    kl2 = 0.0 if math.isinf(rho2) else _general_kl(best.mass, best.target_mean, best.target_cov, b, m2, S2)
    arrays = {"Tx": x @ best.A.T + best.shift, "xi": xi, "zeta": zeta, "f": f, "g": g}
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return Reference(
        q.x.float(), q.y.float(), q.a, q.b, **tensors, mass=best.mass, value=best.value, divergences=(kl1, kl2), exact=True,
        certificate=0.0, noise=_trained(q, best.mass, best.value),
    )  # fmt: skip


def _trained(q: Question, mass: float, value: float) -> dict[str, float]:
    """What the optimum of the training points' own Gaussians pays too much of the law's: rho2 p k/2 (1/n + 1/m), k moments of a Gaussian.

    The image's moments have the errors of both samples, and a KL of k moments off by 1/sqrt(n) is k / (2 n). Within a sixth of the mean
    over samples for rho 0.3 to 10 mean costs in 2 and 16 dimensions.
    """
    if min(q.trained) < 1 or math.isinf(q.rho[1]) or not value > 0:
        return {}
    d = q.x.shape[1]
    k = d + d * (d + 1) / 2
    return {"trained": q.cost.scale * q.rho[1] * mass * k / 2 * sum(1 / n for n in q.trained) / value}


def gaussian_kl(m: np.ndarray, S: np.ndarray, m0: np.ndarray, S0: np.ndarray) -> float:
    """KL(N(m, S) | N(m0, S0))."""
    ratio = np.linalg.solve(S0, S)
    return float((np.trace(ratio) - len(m) - np.linalg.slogdet(ratio)[1] + (m - m0) @ np.linalg.solve(S0, m - m0)) / 2)


def _general_kl(p: float, m: np.ndarray, S: np.ndarray, q: float, m0: np.ndarray, S0: np.ndarray) -> float:
    """KL(p N(m, S) | q N(m0, S0)) of unequal masses."""
    return p * gaussian_kl(m, S, m0, S0) + p * math.log(p / q) - p + q


def _ratio(z: np.ndarray, m: np.ndarray, S: np.ndarray, m0: np.ndarray, S0: np.ndarray) -> np.ndarray:
    """Density of N(m, S) over that of N(m0, S0) at z (n, d)."""

    def log_density(mean: np.ndarray, cov: np.ndarray) -> Any:
        L = np.linalg.cholesky(cov)
        return -0.5 * (np.linalg.solve(L, (z - mean).T) ** 2).sum(0) - np.log(np.diag(L)).sum()

    return np.exp(log_density(m, S) - log_density(m0, S0))


# ---- the discrete optimum ------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Solved:
    """An entropic plan, and what holds without entropy: feasible potentials f (n,), g (m,), their scalings, both values, the mass."""

    plan: Plan
    eps: float
    f: Tensor
    g: Tensor
    xi: Tensor
    zeta: Tensor
    mass: float
    dual: float
    primal: float


def discrete(q: Question, cancel: Cancel | None = None) -> Reference:
    """The optimum of the question's points, and its errors by sampling from two halves of them."""
    own = solved(q, cancel)
    rows = own.plan.P.sum(1)
    Tx = (own.plan.P @ q.y) / torch.where(rows > 0, rows, math.nan)[:, None]
    found = Reference(
        q.x.float(), q.y.float(), q.a, q.b, Tx.float(), own.xi, own.zeta, own.f, own.g, own.mass, own.dual,
        (divergence(q, 1, own.xi, q.a), divergence(q, 2, own.zeta, q.b)), exact=False,
        certificate=max(own.primal - own.dual, 0.0) / max(abs(own.primal), 1e-300), noise={},
    )  # fmt: skip
    return replace(found, noise=sampling_noise(q, found, cancel))


def solved(q: Question, cancel: Cancel | None = None) -> Solved:
    """The plan at a small eps, its potentials c-transformed, and the scalings that these prove: an entropic plan itself loses mass."""
    s, quick = q.cost.scale, q.plain
    eps = s * min(EPS if quick else EPS_ANY, max(OF_RHO * min(q.rho), LEAST_EPS))
    one, two = ("balanced" if math.isinf(r) else k for k, r in zip(q.divergences, q.rho))
    with warnings.catch_warnings():  # the bracket of the value says how good it is
        warnings.simplefilter("ignore", UserWarning)
        plan = sinkhorn(
            q.x, q.y, q.a, q.b, q.cost.unscaled(), eps, q.rho[0] * s, q.rho[1] * s, TOL if quick else TOL_ANY,
            divergence1=one, divergence2=two, scale_cost=False, cancel=cancel,
        )  # fmt: skip
    primal = plan.unregularised
    side1, side2 = q.sides
    g = plan.g
    if math.isfinite(side1.least):  # lowered where f could not answer it from inside its own domain
        g = torch.minimum(g, c_transform(q.cost, q.y, q.x, torch.full_like(q.a, side1.least)))
    f = c_transform(q.cost, q.x, q.y, g)
    g = c_transform(q.cost, q.y, q.x, f)
    shift = level(side1, side2, q.a, q.b, f, g)
    f, g = f + shift, g - shift
    dual = side1.dual(q.a, f) + side2.dual(q.b, g)
    if not (math.isfinite(dual) and dual <= primal):
        dual = primal
    # where psi* has kinks the factor is not one number: the plan's marginals are then what there is
    xi = plan.P.sum(1) / q.a if side1.kinked else side1.factor(f)
    zeta = plan.P.sum(0) / q.b if side2.kinked else side2.factor(g)
    mass = float(q.a @ xi + q.b @ zeta) / 2
    return Solved(plan, eps, f, g, xi, zeta, mass, dual, primal)


def level(one: Side, two: Side, a: Tensor, b: Tensor, f: Tensor, g: Tensor) -> float:
    """The constant that f gains and g loses so that both scalings give one mass, as at the optimum: the best dual of all constants."""
    if one.kinked or two.kinked or (one.hard and two.hard):
        return 0.0
    width = max(min(side.rho for side in (one, two) if not side.hard), 1e-300)
    low, high = -width, width  # inside the domains of both psi*
    low, high = max(low, float((one.least - f).max())), min(high, float((g - two.least).min()))
    for _ in range(60):
        middle = (low + high) / 2
        more = float(a @ one.factor(f + middle) - b @ two.factor(g - middle))
        low, high = (middle, high) if more > 0 else (low, middle)
    return (low + high) / 2


def divergence(q: Question, side: int, factor: Tensor, w: Tensor) -> float:
    """D(factor w | w) without rho; 0 for a held marginal."""
    penalty, held = q.sides[side - 1], w > 0
    return 0.0 if penalty.hard else float(w[held] @ penalty.psi.psi(factor[held]))


def sampling_noise(q: Question, whole: Reference, cancel: Cancel | None = None) -> dict[str, float]:
    """Errors that sampling alone makes, as two disjoint halves of the points show them, carried over to all points by the usual rates.

    Those are n^(-1 / max(d, 2)) for the map and n^(-min(1, 2/d)) for the bias of the value; data of lower inner dimension do better.
    """
    n, m = len(q.x), len(q.y)
    if min(n, m) < 2 * LEAST_HALF or (cancel is not None and cancel()):
        return {}
    halves = [q.part(torch.arange(k, n, 2), torch.arange(k, m, 2)) for k in (0, 1)]
    side = q.sides[0]
    maps, logs, values, masses = [], [], [], []
    for half in halves:
        own = solved(half, cancel)
        Tx, h = _extended(half, own.plan, q.x, own.eps)
        maps.append(Tx)
        logs.append(side.factor(side.update(h, own.eps)).clamp(min=1e-3).log())
        values.append(own.dual)
        masses.append(own.mass)
    there = torch.isfinite(whole.Tx).all(1)
    gap = float((q.a[there] @ (maps[0] - maps[1])[there].square().sum(1) / q.a[there].sum() / 2).sqrt())
    d = q.x.shape[1]
    noise = {"map": gap / max(whole.spread, 1e-300) / 2 ** (1 / max(d, 2))}
    if not side.hard:
        noise["scaling"] = float((q.a @ (logs[0] - logs[1]).square() / q.a.sum() / 4).sqrt())
    for name, pair, all_of_them in (("value", values, whole.value), ("mass", masses, whole.mass)):
        bias = ((pair[0] + pair[1]) / 2 - all_of_them) / (2 ** min(1.0, 2 / d) - 1)
        noise[name] = math.hypot(bias, (pair[0] - pair[1]) / 2) / max(abs(all_of_them), 1e-300)
    return noise


def _extended(q: Question, plan: Plan, x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(map, softmin of g) of a plan at points x (k, d) that it has not seen: weights b exp((g - c) / eps)."""
    maps, mins = [], []
    for rows in x.split(ROWS):
        E = (plan.g - q.cost.matrix(rows, q.y) * q.cost.scale) / eps + q.b.log()
        mins.append(-eps * torch.logsumexp(E, 1))
        maps.append(E.softmax(1) @ q.y)
    return torch.cat(maps), torch.cat(mins)


def c_transform(cost: Cost, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
    """min_j c(x, y_j) - g_j, (n,), in the cost's own units."""
    return torch.cat([(cost.matrix(rows, y) * cost.scale - g).amin(1) for rows in x.split(ROWS)])
