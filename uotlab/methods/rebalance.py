"""Make any balanced estimator unbalanced: couple each batch by an unbalanced plan, train on its marginals, and learn them.

The optimal unbalanced plan is the balanced one between its own marginals u·mu and w·nu, so an estimator needs no change but of what
it draws. Each step solves Sinkhorn between the batches; two positive nets are regressed on the plan's marginals, u(x_i) on n (P 1)_i
and w(y_j) on n (P^T 1)_j, which gives the run its scaling factors. `class UOTX(Rebalanced, OTX)` is all it takes, where OTX asks
`self.draw(state)` for its weighted batch (or `self.pairs`, for flows, whose pairs come from the plan as well).

Notation: the paper's re-weighting nets u, v are `u`, `w` here. Its tau is λ/(λ + eps), λ = rho.
Differs from the paper: a batch keeps its points and is weighted by the marginals (`Batch.resampled` draws as printed): the same mean
with less variance. And a plan of few points at an eps costs more than the optimum, so that it lets go of too much mass: each side's
densities are divided by those of a plan between two batches of that side, which should be 1 (`debias`, as a Sinkhorn divergence is).
Measured on Gaussians of masses 1 and 1.4, rho = 1, batches of 256: mass .87 becomes .91 in 2-D (exact: .909), .84 becomes 1.02 in
16-D (1.007), where batches of 1024 leave it at .84 and eps = .02 at .87.
Reference: eyring2024unbalancedness, Proposition 3.1 and Algorithm 1; sejourne2019sinkhorn, Section 4 (the divergence).
"""

import math
from dataclasses import dataclass, fields, make_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uotlab.arrays import masses
from uotlab.errors import InputError
from uotlab.methods.base import Method, State
from uotlab.nets.mlp import Standard
from uotlab.nets.potential import ScalingNet
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan
from uotlab.plans.sinkhorn import rough_plan, sinkhorn, solve
from uotlab.problem import Problem


def rescaling_loss(u_x: Tensor, w_y: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
    """E|u(x) - p1|² + E|w(y) - p2|²: u, w (n,) learn the plan's densities p1 = dP1/da, p2 = dP2/db at the batch.

    Reference: eyring2024unbalancedness, Algorithm 1, line 8.
    """
    return (u_x - p1).square().mean() + (w_y - p2).square().mean()


@dataclass(frozen=True)
class Batch:
    """Points x (n, d), y (m, d) and their shares a (n,), b (m,), which sum to 1."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor

    @classmethod
    def plain(cls, x: Tensor, y: Tensor) -> "Batch":
        return cls(x, y, x.new_full((len(x),), 1 / len(x)), y.new_full((len(y),), 1 / len(y)))

    @classmethod
    def weighted(cls, x: Tensor, y: Tensor, p1: Tensor, p2: Tensor) -> "Batch":
        """Points with shares in proportion to the densities p1 (n,), p2 (m,)."""
        return cls(x, y, _shares(p1), _shares(p2))

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two independent batches of half the points."""
        n, m = len(self.x) // 2, len(self.y) // 2
        parts = [(self.x[:n], self.y[:m], self.a[:n], self.b[:m]), (self.x[n:], self.y[m:], self.a[n:], self.b[m:])]
        first, second = (Batch(x, y, _shares(a), _shares(b)) for x, y, a, b in parts)
        return first, second

    def resampled(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """As many points a side, drawn by their shares with replacement: Algorithm 1, line 4, for estimators that take no weights."""
        i, j = (torch.multinomial(p.cpu(), len(p), True, generator=rng).to(p.device) for p in (self.a, self.b))
        return self.x[i], self.y[j]


def _shares(p: Tensor) -> Tensor:
    """Weights over their sum; equal ones where all are 0."""
    return p / p.sum() if bool(p.sum() > 0) else torch.full_like(p, 1 / len(p))


@dataclass(frozen=True)
class Coupling:
    """The plan exp(log_scale) P between batches, and its densities p1 (n,), p2 (m,) with respect to both batches."""

    P: Tensor
    log_scale: Tensor
    p1: Tensor
    p2: Tensor

    def debiased(self, own1: Tensor, own2: Tensor) -> "Coupling":
        """With both densities over those of a side's plan to itself, own1 (n,), own2 (m,): those count as no less than half of the mean."""
        p1, p2 = (p / own.clamp(min=0.5 * float(own.mean())) for p, own in ((self.p1, own1), (self.p2, own2)))
        return replace(self, p1=p1, p2=p2)

    @property
    def mass(self) -> Tensor:
        return self.log_scale.exp() * self.P.sum()

    def batch(self, x: Tensor, y: Tensor) -> Batch:
        """The coupled points with the shares that the plan gives them."""
        return Batch.weighted(x, y, self.p1, self.p2)


@dataclass(eq=False)
class RebalancedState(State):
    """What re-balancing adds to an estimator's State: the two re-weighting nets, "u" on the source and "w" on the target."""

    rescaling: nn.ModuleDict
    rescaling_ema: nn.ModuleDict
    rescaling_optimiser: torch.optim.Adam


@cache
def state_type(base: Any) -> Any:
    """The State class of an estimator with the fields of `RebalancedState` added."""
    return make_dataclass(f"Rebalanced{base.__name__}", [], bases=(base, RebalancedState), eq=False)


class Rebalanced(Method):
    """The wrapper: put it before a balanced estimator among the bases."""

    coupled_divergences: ClassVar[tuple[str, ...]] = ("kl", "balanced")
    if TYPE_CHECKING:  # the estimator's own fields, which the re-weighting nets follow too
        lr_half: int
        ema: float

    eps: float = Field(0.05, ge=1e-4, le=10, description="Entropic temperature of the mini-batch plan, in units of the mean cost")
    plan_tol: float = Field(1e-3, ge=1e-8, le=0.1, description="Relative certificate at which the mini-batch plan is good enough")
    debias: bool = Field(
        True, description="Take from the densities the mass that plans of few points at this eps lose (both sides relaxed)"
    )
    scaling_lr: float = Field(2e-3, gt=0, le=1, description="Learning rate of the re-weighting nets at the start; it falls as the method's")
    scaling_width: int = Field(64, ge=4, le=2048, description="Units in each hidden layer of the re-weighting nets")

    def model_post_init(self, context: object) -> None:
        for side in (1, 2):
            name = getattr(self, f"divergence{side}")
            if name not in self.coupled_divergences:
                raise InputError(
                    f"divergence{side} of {self.name} must be one of {', '.join(self.coupled_divergences)}, which its Sinkhorn plan "
                    f"solves; it is '{name}'. For other divergences use uotm."
                )

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> Any:
        base = super().init(problem, rng, device)  # type: ignore[safe-super]  # the estimator's own
        standard = Standard.of_problem(problem).to(device)
        nets = {k: ScalingNet(standard, problem.d, self.scaling_width, 2, rng) for k in ("u", "w")}
        rescaling = nn.ModuleDict(nets).to(device)
        parts = {f.name: getattr(base, f.name) for f in fields(base) if f.init}
        added = {"rescaling": rescaling, "rescaling_ema": ema_copy(rescaling), "rescaling_optimiser": adam(rescaling, self.scaling_lr)}
        kind: Any = type(base)
        return state_type(kind)(**parts, **added)

    def couple(self, state: State, x: Tensor, y: Tensor) -> Coupling:
        """The mini-batch plan, at the run's cost, eps and rho."""
        a, b = (masses(None, len(z), "weights").to(z.device) * m.mass for z, m in zip((x, y), state.problem.marginals[:2], strict=True))
        C = state.cost.matrix(x, y)
        work = torch.float64 if self.plan_tol < 1e-5 else torch.float32
        found = solve(C, a, b, self.eps, state.penalty, self.plan_tol, dtype=work)
        P, log_scale = rough_plan(C, a, b, found.f, found.g, self.eps)
        scale = log_scale.exp()
        return Coupling(P, log_scale, (scale * P.sum(1) / a).float(), (scale * P.sum(0) / b).float())

    def draw(self, state: Any) -> tuple[Batch, dict[str, Tensor]]:
        """A batch weighted by the marginals of its plan, and losses to report; plain where both marginals are held."""
        x, y = (state.batch(side, self.points(state.step)) for side in (0, 1))
        if state.penalty.balanced:
            return Batch.plain(x, y), {}
        found = self.coupled(state, x, y)
        return found.batch(x, y), {"re-weighting loss": self.learn_rescaling(state, x, y, found), "plan mass": found.mass}

    def coupled(self, state: State, x: Tensor, y: Tensor) -> Coupling:
        """`couple`, with densities free of the bias that a side's plan to another batch of its own shows."""
        found, rho = self.couple(state, x, y), state.penalty
        if not self.debias or math.isinf(rho.rho1) or math.isinf(rho.rho2):  # a held side fixes the mass
            return found
        own = []
        for side, z in enumerate((x, y)):
            again, one = state.batch(side, len(z)), (rho.rho1, rho.rho2)[side]
            w = masses(None, len(z), "weights").to(z.device) * state.problem.marginals[side].mass
            own.append(torch.exp(-solve(state.cost.matrix(z, again), w, w, self.eps, Penalty(one, one), self.plan_tol).f / one).float())
        return found.debiased(*own)

    def learn_rescaling(self, state: Any, x: Tensor, y: Tensor, found: Coupling) -> Tensor:
        """One step of the two nets towards the plan's densities."""
        if state.penalty.balanced:
            return torch.zeros(())  # held marginals have density 1, nothing to learn
        set_lr(state.rescaling_optimiser, decayed(self.scaling_lr, state.step, self.lr_half))
        loss = rescaling_loss(state.rescaling["u"](x), state.rescaling["w"](y), found.p1, found.p2)
        descend(loss, state.rescaling, state.rescaling_optimiser)
        ema_update(state.rescaling_ema, state.rescaling, self.ema, state.step)
        return loss.detach()

    def scaling(self, state: Any, x: Tensor) -> Tensor:
        """u(x), learned from the mini-batch plans' source marginals; 1 where that marginal is held."""
        return torch.ones_like(x[:, 0]) if math.isinf(state.penalty.rho1) else state.rescaling_ema["u"](x)

    def target_scaling(self, state: Any, y: Tensor) -> Tensor:
        """w(y), learned from the mini-batch plans' target marginals; 1 where that marginal is held."""
        return torch.ones_like(y[:, 0]) if math.isinf(state.penalty.rho2) else state.rescaling_ema["w"](y)

    def plan(self, state: State, x: Tensor, y: Tensor) -> Plan:
        """The entropic plan between given points at the run's cost, eps and rho: what a batch of this size is trained on."""
        a, b = (masses(None, len(z), "weights") * m.mass for z, m in zip((x, y), state.problem.marginals[:2], strict=True))
        s, rho = state.cost.scale, state.penalty
        return sinkhorn(x, y, a, b, state.cost, self.eps * s, rho.rho1 * s, rho.rho2 * s, scale_cost=False)
