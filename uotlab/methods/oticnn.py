"""OT-ICNN: the Monge map for the squared Euclidean cost as the gradient of a convex network, against a second one.

    sup_g inf_f  E_mu[ g(∇f(x)) - <x, ∇f(x)> ] - E_nu[ g(y) ],   f, g convex,   T = ∇f

Notation: the paper's φ, η are f, g here; all in standardised coordinates. Batches carry shares, so that `rebalance` can weight them.
Differs from the authors' code: ∇f is written out instead of differentiated twice; a learned quadratic term stands beside the layers;
the best model is chosen on points that training never sees, by the debiased Sinkhorn divergence between what the run wants to match.
Reference: makkuva2020optimal, eq. (9) and Algorithm 1; eyring2024unbalancedness, eq. (3) and Section F.5.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import SquaredEuclidean
from uotlab.errors import InputError
from uotlab.methods.base import METHODS, State
from uotlab.methods.rebalance import Batch
from uotlab.methods.warm import Pupil, WarmStart
from uotlab.nets.icnn import ICNN, Convex, First
from uotlab.nets.mlp import Standard
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.plans.debiased import sinkhorn_divergence
from uotlab.problem import Problem

HELD = 400  #: points a side that choose the best model
SELECT_EPS = 0.01  #: temperature of the divergence that chooses, in units of the run's mean cost


def conjugate_loss(g_Tx: Tensor, x: Tensor, Tx: Tensor, a: Tensor) -> Tensor:
    """sum a (g(T x) - <x, T x>), minimised over f with T = ∇f: then T(x) attains the conjugate g*(x) = sup_y <x, y> - g(y).

    Reference: makkuva2020optimal, eq. (9), its inner problem.
    """
    return a @ (g_Tx - (x * Tx).sum(1))


def dual_loss(g_y: Tensor, g_Tx: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """sum b g(y) - sum a g(T x), minimised over g, T held: 0 in the mean where T carries the source onto the target.

    Reference: makkuva2020optimal, eq. (9), its outer problem.
    """
    return b @ g_y - a @ g_Tx


@dataclass(eq=False)
class ConvexState(State):
    """Both convex nets, their moving averages and optimisers; the best f so far, its score, and the points that choose it."""

    f: ICNN
    f_ema: ICNN
    f_best: ICNN
    g: ICNN
    g_ema: ICNN
    f_optimiser: torch.optim.Adam
    g_optimiser: torch.optim.Adam
    best: Tensor
    held_x: Tensor
    held_y: Tensor


@METHODS.register("oticnn")
class OTICNN(WarmStart):
    """Optimal transport by a pair of input-convex networks."""

    title, family, order = "OT-ICNN", "convex", 20
    summary = (
        "Learns a convex potential whose gradient is the map, so that no two paths ever cross; squared Euclidean cost only. "
        "Smooth and monotone, at its best where the true map has no tears; every point keeps its mass."
    )
    equation = (
        r"\sup_{g\text{ convex}}\inf_{f\text{ convex}}\;\mathbb E_\mu\big[g(\nabla f(x))-\langle x,\nabla f(x)\rangle\big]"
        r"-\mathbb E_\nu\big[g(y)\big],\quad T=\nabla f"
    )
    reference = "makkuva2020optimal"
    convention = "sinkhorn"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 3000
    losses: ClassVar[tuple[Any, ...]] = (conjugate_loss, dual_loss)

    width: int = Field(64, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(3, ge=1, le=12, description="Hidden layers")
    activation: Convex = Field("softplus", description="Convex activation; the paper's is leaky_relu")
    first: First = Field("square", description="First layer: the square of an affine map, or of its activation (the paper's equation)")
    quadratic: bool = Field(True, description="Add a learned convex quadratic, which holds linear maps exactly")
    convex: Literal["clamp", "penalty", "mixed"] = Field(
        "clamp", description="Weights kept from below 0: clamped in f and g, penalised in both, or (the paper) penalised in f, clamped in g"
    )
    penalty_weight: float = Field(1.0, ge=0, description="Weight of the penalty on the squared negative weights")
    pretrain: int = Field(200, ge=0, le=100_000, description="Steps that first bring ∇f to the identity on N(0, 3)")
    inner_steps: int = Field(2, ge=1, le=100, description="Steps of f for each step of g")
    lr: float = Field(1e-2, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(1000, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first moment decay")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second moment decay")
    clip: float = Field(1.0, gt=0, description="Gradients are clipped to this norm, in standardised units")
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average; 0 is none")
    select_every: int = Field(
        100, ge=0, description="Steps between looks at held-out points, of which the best f is kept and shown at rest; 0 keeps the last"
    )

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> ConvexState:
        cost = self.calibrated_cost(problem)
        if not isinstance(cost, SquaredEuclidean):
            raise InputError(
                f"{self.name} works for the squared Euclidean cost only, whose maps are gradients of convex functions; "
                f"the cost is '{cost.name}'. For other costs use otmg or uotmg."
            )
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        problem, (x, y) = self.hold_out(problem)
        standard, d = Standard.of_problem(problem), problem.d
        f = ICNN(standard, d, self.width, self.depth, rng, self.activation, self.first, self.quadratic).to(device)
        self.pretrain_identity(f, d, rng, device)
        g = ICNN(standard, d, self.width, self.depth, torch.Generator(), self.activation, self.first, self.quadratic).to(device)
        g.load_state_dict(f.state_dict())
        betas = (self.beta1, self.beta2)
        state = ConvexState(
            problem, device, rng, cost, penalty, f, ema_copy(f), ema_copy(f), g, ema_copy(g), adam(f, self.lr, betas),
            adam(g, self.lr, betas), torch.tensor(math.inf, device=device), x.to(device), y.to(device),
        )  # fmt: skip
        return self.warm(state)

    def pupils(self, state: ConvexState) -> list[Pupil]:
        return [Pupil(state.f, state.f.map, "map"), Pupil(state.g, state.g.map, "back")]

    def hold_out(self, problem: Problem) -> tuple[Problem, tuple[Tensor, Tensor]]:
        """The problem without the points that choose the best model, and those points: fresh ones of a known law, else one in five."""
        rng = torch.Generator().manual_seed(1)
        train, held = problem.split(1) if self.select_every else (problem, problem)
        x, y = (m.fresh(min(HELD, m.n), rng).points for m in held.marginals[:2])
        return train, (x, y)

    def pretrain_identity(self, f: ICNN, d: int, rng: torch.Generator, device: torch.device) -> None:
        """∇f(x) = x on N(0, 3 I): f and g then begin as inverse maps of one another. Reference: eyring2024unbalancedness, Section F.5.3."""
        optimiser = adam(f, 1e-2)
        for k in range(self.pretrain):
            set_lr(optimiser, 1e-2 * (1 - k / self.pretrain))
            x = 3**0.5 * torch.randn(self.batch_size, d, generator=rng).to(device)
            descend((f.gradient(x) - x).square().sum(1).mean(), f, optimiser)
            f.clamp_()

    def rates(self, state: ConvexState) -> tuple[float, float]:
        """The learning rates of f and g in this step."""
        rate = decayed(self.lr, state.step, self.lr_half)
        return rate, rate

    def draw(self, state: ConvexState) -> tuple[Batch, dict[str, Tensor]]:
        """A batch of both sides, and losses to report; `rebalance` stands in for it."""
        return Batch.plain(state.batch(0, self.batch_size), state.batch(1, self.batch_size)), {}

    def step(self, state: ConvexState) -> dict[str, Tensor]:
        for optimiser, rate in zip((state.f_optimiser, state.g_optimiser), self.rates(state), strict=True):
            set_lr(optimiser, rate)
        batch, extra = self.draw(state)
        x, y = state.f.standard(batch.x), state.f.standard(batch.y)
        for _ in range(self.inner_steps):
            Tx = state.f.gradient(x)
            loss_f = conjugate_loss(state.g(Tx), x, Tx, batch.a)
            self._descend(loss_f, state.f, state.f_optimiser, clamp=self.convex == "clamp")
        with torch.no_grad():
            Tx = state.f.gradient(x)
        g_y, g_Tx = state.g(torch.cat([y, Tx])).split([len(y), len(Tx)])
        loss_g = dual_loss(g_y, g_Tx, batch.b, batch.a)
        self._descend(loss_g, state.g, state.g_optimiser, clamp=self.convex != "penalty")
        state.step += 1
        ema_update(state.f_ema, state.f, self.ema, state.step)
        ema_update(state.g_ema, state.g, self.ema, state.step)
        if self.select_every and state.step % self.select_every == 0:
            self.select(state)
        return {"conjugate loss": loss_f.detach(), "dual loss": loss_g.detach(), **extra}

    def _descend(self, loss: Tensor, net: ICNN, optimiser: torch.optim.Adam, *, clamp: bool) -> None:
        descend(loss if clamp else loss + self.penalty_weight * net.negativity(), net, optimiser, clip=self.clip)
        if clamp:
            net.clamp_()

    @torch.no_grad()
    def select(self, state: ConvexState) -> None:
        """Keep the averaged f where it has the least Sinkhorn divergence so far between T(held x) and held y."""
        held = self.held_batch(state)
        a, b = (p.double() / p.double().sum() for p in (held.a, held.b))
        eps = SELECT_EPS * state.cost.scale
        try:
            score = sinkhorn_divergence(state.f_ema.map(held.x), held.y, a, b, eps, tol=1e-3, scale_cost=False)
        except InputError:  # images so far away that eps is nothing against their costs: no candidate
            return
        if score < float(state.best):
            state.best = state.best.new_tensor(score)
            state.f_best.load_state_dict(state.f_ema.state_dict())

    def held_batch(self, state: ConvexState) -> Batch:
        return Batch.plain(state.held_x, state.held_y)

    def transport(self, state: ConvexState, x: Tensor) -> Tensor:
        return (state.f_ema if math.isinf(state.best) else state.f_best).map(x)

    def potential(self, state: ConvexState, y: Tensor) -> Tensor:
        """|y|² - 2 g(y) in calibrated cost units, up to a constant: for the cost |x - y|² convex g and its conjugate are potentials."""
        z = state.g_ema.standard(y)
        return state.cost.factor * state.g_ema.standard.spread.square() * (z.square().sum(1) - 2 * state.g_ema(z))

    def preview(self, state: ConvexState, x: Tensor) -> Tensor:
        """The map as it is now, for pictures while training; `transport` is the best one so far."""
        return state.f_ema.map(x)
