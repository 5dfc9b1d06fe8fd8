"""SPOT: a generator of matched points, each part of which is to look like its marginal while the points of a match cost little.

    min_G max_{phi_k 1-Lipschitz}  E_z c(G_1(z), ..., G_m(z)) / eta + sum_k { E_z phi_k(G_k(z)) - E phi_k(X_k) }

With two marginals c is any cost; with more it is the sum over pairs, which for |x - y|² is the cost of Gangbo and Swiech, under which
the mean of a match is a point of the marginals' barycenter. What is learned is a coupling, sampled by G, and not a map: `transport` is
its barycentric projection E[G_2(z) | G_1(z) = x], a third network regressed on the generated pairs while they are made.

Notation: eta weighs the marginals against the mean cost, in units of the data's spread, as the thesis' eta does at c = |x-y|; the whole
loss is divided by it, so that learning rates mean the same for all eta. Where c has slope L in each point, eta > L is exact: W1 charges
more for a point misplaced than the cost can save.
Differs from the thesis: eta is kept for m > 2 (its display drops it), and counts each point's m - 1 pairs. Critics sort pairs of units
(maxmin) instead of leaking, which loses slope. So a small eta holds the marginals, and the cost is felt: with the thesis' 1e4 parts
are right long before they are matched. As there: eta=1e4, critic_activation="leaky_relu", width=8, critic_width=8, critic_depth=1,
beta2=.999, batch_size=100, ema=0.
Measured: between the thesis' Gaussians, W1 = 5, from a random start at the defaults over seeds 0, 1, 2 the matches cost 4.990, 4.996,
4.993, within .2% (thesis: .6 to .3%); at eta = 30, 3000 steps, 5.05 and 5.34. The least cost of three Gaussians is met within .3%.
Reference: xie2019scalable, eq. (6), Algorithm 1; gangbo1998optimal, eq. (1.3), for the cost of more than two.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uotlab.costs import Cost
from uotlab.errors import InputError
from uotlab.methods.base import METHODS, Method, State
from uotlab.methods.rebalance import Batch
from uotlab.nets.joint import JointGenerator, Start
from uotlab.nets.lipschitz import Lipschitz, LipschitzNet
from uotlab.nets.mlp import STANDARD_SAMPLE, Activation, Standard
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.nets.transport_map import TransportMap
from uotlab.problem import Problem


def matched_cost(cost: Cost, points: Sequence[Tensor]) -> Tensor:
    """sum_{i<j} c(x_i, x_j) of matched points, m tensors (n, d) -> (n,)."""
    return torch.stack([cost(x, y) for x, y in itertools.combinations(points, 2)]).sum(0)


def critic_loss(phi_G: Tensor, phi_x: Tensor, a: Tensor) -> Tensor:
    """sum a phi(x) - E phi(G(z)), minimised over 1-Lipschitz phi: minus the distance W1 between G(z) and the marginal at its best.

    Reference: xie2019scalable, eq. (5); phi_G, phi_x and the shares a are (n,).
    """
    return a @ phi_x - phi_G.mean()


def generator_loss(c: Tensor, phis: Sequence[Tensor], eta: float) -> Tensor:
    """E c / eta + sum_k E phi_k(G_k(z)), minimised over G; c and each phi_k(G_k(z)) are (n,).

    Reference: xie2019scalable, eq. (6), divided by eta.
    """
    return c.mean() / eta + torch.stack([phi.mean() for phi in phis]).sum()


def projection_loss(Tx: Tensor, y: Tensor) -> Tensor:
    """E|T(x) - y|² over generated pairs, (n, d) each: its best T is the mean of y given x."""
    return (Tx - y).square().sum(1).mean()


def marginal_standards(problem: Problem) -> list[Standard]:
    """Centre and spread of each marginal, measured on a fixed seeded batch."""
    fixed = torch.Generator().manual_seed(0)
    return [Standard.of(m.sample(min(m.n, STANDARD_SAMPLE), fixed)) for m in problem.marginals]


@dataclass(eq=False)
class JointState(State):
    """The generator and the map of its averages, their moving averages, a critic for each marginal, and the optimisers."""

    G: nn.Module
    G_ema: nn.Module
    critics: nn.ModuleList
    T: TransportMap
    T_ema: TransportMap
    G_optimiser: torch.optim.Adam
    critics_optimiser: torch.optim.Adam
    T_optimiser: torch.optim.Adam


@METHODS.register("spot")
class SPOT(Method):
    """Scalable push-forward of optimal transport: a generator of matched points."""

    title, family, order = "SPOT", "joint generator", 30
    summary = (
        "Generates matched pairs (or triples and more) whose parts look like their marginals and whose cost is small, for any "
        "differentiable cost. It learns a coupling; the map shown is the mean partner of each point."
    )
    equation = (
        r"\min_G\max_{\varphi_k\in\mathrm{Lip}_1}\;\tfrac1\eta\,\mathbb E_z\,c\big(G_1(z),\dots,G_m(z)\big)"
        r"+\sum_k\Big\{\mathbb E_z\,\varphi_k(G_k(z))-\mathbb E\,\varphi_k(X_k)\Big\}"
    )
    reference = "xie2019scalable"
    convention = "sinkhorn"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 4000
    losses: ClassVar[tuple[Any, ...]] = (critic_loss, generator_loss, matched_cost, projection_loss)

    width: int = Field(64, ge=4, le=2048, description="Units in each hidden layer of the generator and of the map")
    depth: int = Field(2, ge=1, le=12, description="Hidden layers of the generator and of the map")
    activation: Activation = Field("silu", description="Activation of their hidden layers")
    critic_width: int = Field(64, ge=4, le=2048, description="Units in each hidden layer of the critics")
    critic_depth: int = Field(2, ge=1, le=12, description="Hidden layers of the critics")
    critic_activation: Lipschitz = Field("maxmin", description="Activation of the critics; the thesis' is leaky_relu")
    latent: int = Field(0, ge=0, le=1024, description="Dimensions of the latent z; 0 takes as many as the data have, at least 2")
    start: Start = Field("random", description="Parts begin at random, or each as a Gaussian of its marginal's centre and spread")
    eta: float = Field(4.0, gt=0, description="Weight of the marginals against the mean cost, in units of the data's spread")
    critic_steps: int = Field(2, ge=1, le=50, description="Critic steps for each step of the generator")
    lr: float = Field(1e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(500, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first moment decay")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second moment decay")
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> JointState:
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        both, d = Standard.of_problem(problem), problem.d
        G = self.generator(problem, rng).to(device)
        sizes = (self.critic_width, self.critic_depth)
        critics = nn.ModuleList(LipschitzNet(both, d, *sizes, rng, self.critic_activation) for _ in problem.marginals).to(device)
        T = TransportMap(both, d, self.width, self.depth, rng, activation=self.activation).to(device)
        optimisers = (adam(net, self.lr, (self.beta1, self.beta2)) for net in (G, critics, T))
        return JointState(problem, device, rng, cost, penalty, G, ema_copy(G), critics, T, ema_copy(T), *optimisers)

    def generator(self, problem: Problem, rng: torch.Generator) -> nn.Module:
        """z (n, latent) -> m tensors (n, d)."""
        latent = self.latent or max(problem.d, 2)
        return JointGenerator(marginal_standards(problem), problem.d, latent, self.width, self.depth, rng, self.activation, self.start)

    def generate(self, state: JointState) -> tuple[list[Tensor], Tensor | float, dict[str, Tensor]]:
        """A batch of matched points, what else their making adds to the generator's loss, and losses to report."""
        return state.G(self.draw_latent(state, self.batch_size)), 0.0, {}

    def draw(self, state: JointState) -> tuple[Batch, dict[str, Tensor]]:
        """A batch of the first two marginals, and losses to report; `rebalance` stands in for it."""
        return Batch.plain(state.batch(0, self.batch_size), state.batch(1, self.batch_size)), {}

    def step(self, state: JointState) -> dict[str, Tensor]:
        for optimiser in (state.G_optimiser, state.critics_optimiser, state.T_optimiser):
            set_lr(optimiser, decayed(self.lr, state.step, self.lr_half))
        points, more, found = self.generate(state)  # one forward pass serves all players
        held = [p.detach() for p in points]
        for _ in range(self.critic_steps):
            loss_phi, extra = self.critic_step(state, held)

        c = matched_cost(state.cost, points)
        phis = [phi(p) for phi, p in zip(state.critics, points, strict=True)]
        # a point of m marginals is in m - 1 pairs: eta then means the same for all m
        loss_G = generator_loss(c, phis, self.eta * (len(points) - 1))
        descend(loss_G + more, state.G, state.G_optimiser)
        spread = state.T.standard.spread
        loss_T = projection_loss(state.T(held[0]), held[1]) / spread.square()
        descend(loss_T, state.T, state.T_optimiser)
        state.step += 1
        ema_update(state.G_ema, state.G, self.ema, state.step)
        ema_update(state.T_ema, state.T, self.ema, state.step)
        cost = c.detach().mean() * state.cost.scale
        return {"marginal distance": -loss_phi, "cost of pairs": cost, "projection loss": loss_T.detach(), **found, **extra}

    def critic_step(self, state: JointState, held: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """One step of all critics on a new batch of data; their summed loss."""
        batch, extra = self.draw(state)
        real = [(batch.x, batch.a), (batch.y, batch.b)]
        for side in range(2, len(held)):
            x = state.batch(side, self.batch_size)
            real.append((x, x.new_full((len(x),), 1 / len(x))))
        losses = []
        for phi, G_z, (x, a) in zip(state.critics, held, real, strict=True):
            phi_G, phi_x = phi(torch.cat([G_z, x])).split([len(G_z), len(x)])
            losses.append(critic_loss(phi_G, phi_x, a))
        loss = torch.stack(losses).sum()
        descend(loss, state.critics, state.critics_optimiser)
        for phi in state.critics:
            phi.refresh_()  # type: ignore[operator]  # every critic is a LipschitzNet
        return loss.detach(), extra

    def draw_latent(self, state: JointState, n: int) -> Tensor:
        """z ~ N(0, I), (n, latent)."""
        return torch.randn(n, int(state.G.latent), generator=state.rng).to(state.device)  # type: ignore[arg-type]

    def sample_pairs(self, state: JointState, n: int) -> tuple[Tensor, ...]:
        """n matches drawn from the learned coupling: as many tensors (n, d) as there are marginals."""
        return tuple(state.G_ema(self.draw_latent(state, n)))

    def transport(self, state: JointState, x: Tensor) -> Tensor:
        """The mean partner E[G_2(z) | G_1(z) = x] of a point, a barycentric projection: a map only where the coupling is one."""
        return state.T_ema(x)

    def check_feasible(self, problem: Problem, penalty: Any) -> None:
        super().check_feasible(problem, penalty)
        masses = [m.mass for m in problem.marginals]
        if len(masses) > 2 and max(masses) - min(masses) > 1e-6 * max(masses):
            shown = ", ".join(f"{m:g}" for m in masses)
            raise InputError(f"{self.name} keeps all marginals, but their masses differ ({shown}): give them weights of equal total.")
