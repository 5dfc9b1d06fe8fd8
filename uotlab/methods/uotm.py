"""UOTM: unbalanced optimal transport by its semi-dual, a map and a potential trained against each other.

    min_g max_T  E_mu[ (rho1 psi1)*( g(T(x)) - c(x, T(x)) ) ] + E_nu[ (rho2 psi2)*( -g(y) ) ]

Notation: the paper's v is g here; its tau weights the cost, so rho = 1/(tau s). Masses multiply the two means.
Differs from the authors' code: potentials are (n,) (theirs broadcast to (n, n)), one cost factor in both losses, the
conjugate is capped at a mass factor of 100, T is detached in the potential step and its forward pass is used again.
Differs in default, so that the map is optimal and not only pushes forward well: the batch's target points are searched (`search.py`), and
the map takes two steps for each of the potential. GELU does not learn the tails of a few thousand points by heart, as ReLU does, which
comes nearer to maps with tears. As coded for the paper's toys: search=False, map_steps=1, potential_steps=5, activation="silu", lr=1e-4,
beta1=.9, beta2=.999, ema=0.
Reference: choi2023generative, Algorithm 1; the schedule of rho: choi2024analyzing, Section 5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.divergences import weighted_star, weighted_star_grad
from uotlab.methods.base import METHODS, State
from uotlab.methods.schedules import GameOptions
from uotlab.methods.search import pull, searched
from uotlab.methods.warm import Pupil, WarmStart
from uotlab.nets.mlp import Activation, Standard
from uotlab.nets.optimistic import end_turn, game_adam
from uotlab.nets.potential import ScalarNet
from uotlab.nets.training import decayed, descend, ema_copy, ema_update, set_lr
from uotlab.nets.transport_map import TransportMap
from uotlab.penalty import Penalty
from uotlab.problem import Problem


def potential_loss(g_Tx: Tensor, g_y: Tensor, c: Tensor | float, psi1, psi2, penalty: Penalty, masses=(1.0, 1.0)) -> Tensor:
    """a E[(rho1 psi1)*(g(Tx) - c)] + b E[(rho2 psi2)*(-g(y))], minimised over g; all arguments (n,).

    Reference: choi2023generative, eq. (10), its L_v.
    """
    source = weighted_star(psi1, penalty.rho1, g_Tx - c).mean()
    target = weighted_star(psi2, penalty.rho2, -g_y).mean()
    return masses[0] * source + masses[1] * target


def map_loss(g_Tx: Tensor, c: Tensor) -> Tensor:
    """E[c(x, Tx) - g(Tx)], minimised over T: T(x) tends to argmin_y c(x, y) - g(y).

    Reference: choi2023generative, Algorithm 1, its L_T.
    """
    return (c - g_Tx).mean()


@dataclass(eq=False)
class SemiDualState(State):
    """Map T and potential g, their moving averages and optimisers."""

    T: TransportMap
    T_ema: TransportMap
    g: ScalarNet
    g_ema: ScalarNet
    T_optimiser: torch.optim.Adam
    g_optimiser: torch.optim.Adam


@METHODS.register("uotm")
class UOTM(GameOptions, WarmStart):
    """Unbalanced optimal transport map (semi-dual)."""

    title, family, order = "UOTM", "semi-dual", 1
    summary = (
        "Learns a map and a potential against each other; both marginals may be relaxed by any divergence. "
        "The potential gives the scaling factor of every point for free."
    )
    equation = (
        r"\inf_g \sup_T\; \mathbb E_{\mu}\big[(\rho_1\psi_1)^*\big(g(T x)-c(x,Tx)\big)\big]"
        r"+\mathbb E_{\nu}\big[(\rho_2\psi_2)^*\big(-g(y)\big)\big]"
    )
    reference = "choi2023generative"
    convention = "cost-weight"
    default_steps: ClassVar[int] = 2000
    #: as measured on cells (`benchmarks/README.md`): without R1 the mass falls to .9, with 10 and no search maps stay short of the target
    held_target: ClassVar = MappingProxyType({"steps": 2000, "r1": 1.0, "activation": "relu", "lr": 1e-3, "potential_share": 0.5})
    losses = (potential_loss, map_loss)

    width: int = Field(128, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(3, ge=1, le=12, description="Hidden layers")
    activation: Activation = Field("gelu", description="Activation of hidden layers")
    noise: int = Field(0, ge=0, le=256, description="Dimensions of the noise z of a stochastic map T(x, z); 0 is deterministic")
    lr: float = Field(2e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(1000, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first moment decay")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second moment decay")
    potential_steps: int = Field(1, ge=1, le=50, description="Potential steps for each map step")
    potential_share: float = Field(1.0, gt=0, le=100, description="Learning rate of the potential as a share of that of the map")
    map_steps: int = Field(2, ge=1, le=50, description="Map steps for each potential step, on the same batch")
    search: bool = Field(True, description="Look for each point's best target among the batch's too, not only at its image and nearby")
    r1: float = Field(0.0, ge=0, description="Weight of the gradient penalty E|∇g(y)|² on target points (R1), in standardised units")
    r1_half: int = Field(0, ge=0, description="Steps after which R1 has fallen to half (as 1/(1 + step/steps)); 0 keeps it")
    ema: float = Field(0.9995, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="Schedule of rho (UOTM-SD): rho is multiplied by alpha"
    )
    alpha_min: float = Field(0.2, gt=0, description="alpha at the start of the schedule")
    alpha_max: float = Field(5.0, gt=0, description="alpha at the end of the schedule")
    alpha_steps: int = Field(3000, ge=1, description="Steps of the schedule")

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> SemiDualState:
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        standard, d = Standard.of_problem(problem), problem.d
        T = TransportMap(standard, d, self.width, self.depth, rng, self.noise, self.activation).to(device)
        g = ScalarNet(standard, d, self.width, self.depth, rng, self.activation).to(device)
        optimisers = (game_adam(net, self.lr, (self.beta1, self.beta2), self.dynamics) for net in (T, g))
        return self.warm(SemiDualState(problem, device, rng, cost, penalty, T, ema_copy(T), g, ema_copy(g), *optimisers))

    def pupils(self, state: SemiDualState) -> list[Pupil]:
        T = Pupil(state.T, lambda x: state.T(x, self.draw_noise(state, len(x))), "map")
        return [T, Pupil(state.g, lambda y: self._g(state.g, y, self.scheduled(state)), "g")]

    def step(self, state: SemiDualState) -> dict[str, Tensor]:
        masses = (state.problem.source.mass, state.problem.target.mass)
        n = self.points(state.step)
        x = state.batch(0, n)
        return self.play(state, x, lambda: state.batch(1, n), self.psi(1), self.psi(2), self.scheduled(state), masses)

    def play(
        self, state: SemiDualState, x: Tensor, draw: Callable[[], Tensor], psi1, psi2, penalty: Penalty, masses=(1.0, 1.0)
    ) -> dict[str, Tensor]:
        """One turn of both players between source points x (n, d) and target points that `draw` gives anew for each potential step."""
        lr = decayed(self.lr, state.step, self.lr_half)
        set_lr(state.T_optimiser, lr)
        set_lr(state.g_optimiser, lr * self.potential_share)
        Tx = state.T(x, self.draw_noise(state, len(x)))  # one forward pass serves both players
        c = state.cost(x, Tx)
        for _ in range(self.opponent_steps(state.step, self.potential_steps)):
            y = draw()
            g_Tx, g_y = self._g(state.g, torch.cat([Tx.detach(), y]), penalty).split([len(x), len(y)])
            gain, found = g_Tx - c.detach(), None
            if self.search:
                gain, found = searched(gain, state.cost.matrix(x, y), g_y)
            loss_g = potential_loss(gain, g_y, 0.0, psi1, psi2, penalty, masses)
            descend(loss_g + self._gradient_penalty(state, y, penalty), state.g, state.g_optimiser)

        for k in range(self.map_steps):
            if k:
                Tx = state.T(x, self.draw_noise(state, len(x)))
                c = state.cost(x, Tx)
            loss_T = map_loss(self._g(state.g, Tx, penalty), c)
            if found is not None:
                loss_T = loss_T + pull(Tx, y, found, state.g.standard.spread)
            descend(loss_T, state.T, state.T_optimiser)
        end_turn(state.T_optimiser, state.g_optimiser)
        state.step += 1
        ema_update(state.T_ema, state.T, self.ema, state.step)
        ema_update(state.g_ema, state.g, self.ema, state.step)
        return {"potential loss": loss_g.detach(), "map loss": loss_T.detach()}

    def transport(self, state: SemiDualState, x: Tensor, z: Tensor | None = None) -> Tensor:
        return state.T_ema(x, self.draw_noise(state, len(x), fixed=True) if z is None else z)

    def potential(self, state: SemiDualState, y: Tensor) -> Tensor:
        return self._g(state.g_ema, y, self.scheduled(state))

    def scaling(self, state: SemiDualState, x: Tensor) -> Tensor:
        """xi(x) = psi1*'((g(Tx) - c(x, Tx)) / rho1), the source mass factor."""
        Tx = self.transport(state, x)
        gap = self.potential(state, Tx) - state.cost(x, Tx)
        return weighted_star_grad(self.psi(1), self.scheduled(state).rho1, gap)

    def target_scaling(self, state: SemiDualState, y: Tensor) -> Tensor:
        """psi2*'(-g(y) / rho2), the target mass factor."""
        return weighted_star_grad(self.psi(2), self.scheduled(state).rho2, -self.potential(state, y))

    @property
    def stochastic(self) -> bool:
        return self.noise > 0

    def draw_noise(self, state: SemiDualState, n: int, *, fixed: bool = False) -> Tensor | None:
        """z ~ N(0, I), (n, noise); `fixed` draws the same numbers at each call for one seed of `state.rng`: pictures do not flicker."""
        if not self.noise:
            return None
        rng = torch.Generator().manual_seed(state.rng.initial_seed()) if fixed else state.rng
        return torch.randn(n, self.noise, generator=rng).to(state.device)

    def scheduled(self, state: SemiDualState) -> Penalty:
        """rho at this step: constant, or alpha rho with alpha from alpha_min to alpha_max (choi2024analyzing)."""
        if self.schedule == "constant":
            return state.penalty
        done = min(state.step / self.alpha_steps, 1.0)
        share = done if self.schedule == "linear" else (1 - math.cos(math.pi * done)) / 2
        alpha = self.alpha_min + (self.alpha_max - self.alpha_min) * share
        return Penalty(state.penalty.rho1 * alpha, state.penalty.rho2 * alpha)

    def settled(self, state: State) -> Penalty:
        """rho at the schedule's end."""
        alpha = 1.0 if self.schedule == "constant" else self.alpha_max
        return Penalty(state.penalty.rho1 * alpha, state.penalty.rho2 * alpha)

    def _g(self, net: ScalarNet, y: Tensor, penalty: Penalty) -> Tensor:
        """g(y) with -g(y)/rho2 kept inside the domain of psi2*."""
        h = net(y)
        return h if math.isinf(penalty.rho2) else -penalty.rho2 * self.psi(2).activation(-h / penalty.rho2)

    def _gradient_penalty(self, state: SemiDualState, y: Tensor, penalty: Penalty) -> Tensor | float:
        if not self.r1:
            return 0.0
        y = y.detach().requires_grad_(True)
        (grad,) = torch.autograd.grad(self._g(state.g, y, penalty).sum(), y, create_graph=True)
        weight = self.r1 / (1 + state.step / self.r1_half) if self.r1_half else self.r1
        # times spread² and the target's mass, the weight means the same in any unit of the data and of mass
        return weight * state.problem.target.mass * state.g.standard.spread.square() * grad.square().sum(1).mean()
