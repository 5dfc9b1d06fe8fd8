"""Stochastic dual of entropic unbalanced transport, and the map learned from it.

    max_{u, v}  -a E_mu[(rho1 psi1)*(-u(x))] - b E_nu[(rho2 psi2)*(-v(y))] - eps a b E_{mu x nu}[ exp((u(x) + v(y) - c(x, y)) / eps) - 1 ]

u, v are networks and P = a b exp((u + v - C) / eps) is the plan, of any points. A map T is regressed on it at the same time
(Algorithm 3); for squared costs the same map has the closed form E[y | x], `projection="closed-form"`.

Notation: u, v are the potentials f, g of a Plan. a, b are the total masses; eps and rho are in units of the mean cost.
Differs from the paper: all n² pairs of a batch are used, which cuts the variance of its n pairs; the exponent is capped, exp going on
along its tangent from exp(12); the cost of the projection is d(y, T(x)), where Algorithm 3 prints d(x, T(y)) for a map from x.
With too few steps the potentials are still too low, the plan has too little mass, and its `certificate` says so.
Reference: yang2019scalable, Algorithms 2 and 3; seguy2018large, Algorithms 1 and 2.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from uotlab.arrays import masses
from uotlab.costs import Cost, SquaredEuclidean
from uotlab.divergences import DIVERGENCES, Divergence, weighted_star, weighted_star_grad
from uotlab.errors import InputError
from uotlab.methods.base import METHODS, State
from uotlab.methods.warm import Pupil, WarmStart
from uotlab.nets.mlp import Activation, Standard
from uotlab.nets.potential import ScalarNet
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.nets.transport_map import TransportMap
from uotlab.penalty import Penalty
from uotlab.plans.base import Plan
from uotlab.plans.proximal import make_side
from uotlab.plans.rounding import certify_sides
from uotlab.problem import Problem

LARGEST = math.exp(12.0)  #: density of the plan beyond which its exponential is continued by a line
ATOMS = 2048  #: target points of the closed form


def dual_loss(
    u: Tensor, v: Tensor, C: Tensor, eps: float, psi1: Divergence, psi2: Divergence, penalty: Penalty, masses=(1.0, 1.0)
) -> Tensor:
    """Minus the dual objective on all pairs: u (n,), v (m,), C (n, m); its least value is minus that of the entropic problem.

    Reference: yang2019scalable, eq. (11) and Algorithm 2, there without the constant eps a b.
    """
    a, b = masses
    density = DIVERGENCES["kl"]().star_capped((u[:, None] + v[None] - C) / eps, LARGEST)  # exp - 1
    source, target = weighted_star(psi1, penalty.rho1, -u).mean(), weighted_star(psi2, penalty.rho2, -v).mean()
    return a * source + b * target + eps * a * b * density.mean()


def projection_loss(Tx: Tensor, y: Tensor, u: Tensor, v: Tensor, C: Tensor, eps: float, d: Cost) -> Tensor:
    """sum_ij w_ij d(y_j, T(x_i)), w the plan's density exp((u + v - C) / eps) over its sum on the batch: minimised over T.

    For squared d every row depends on its mean alone, so that n distances do instead of n m: equal but for a constant.
    Reference: yang2019scalable, Algorithm 3, with x and y in their places; seguy2018large, eq. (9).
    """
    n, m = C.shape
    w = ((u[:, None] + v[None] - C) / eps).flatten().softmax(0).view(n, m)
    if isinstance(d, SquaredEuclidean):
        rows = w.sum(1)
        return (rows * d(Tx, w @ y / rows.clamp(min=1e-30)[:, None])).sum()
    return (w * d.matrix(Tx, y)).sum()


def closed_form(x: Tensor, y: Tensor, v: Tensor, eps: float, cost: Cost) -> Tensor:
    """E[y | x] under the plan, (n, d): weights exp((v(y) - c(x, y)) / eps) over given target points y (m, d) with v (m,)."""
    return ((v[None] - cost.matrix(x, y)) / eps).softmax(1) @ y


@dataclass(eq=False)
class DualState(State):
    """Potentials "u", "v" and map T, their moving averages and optimisers, and the target points of the closed form."""

    dual: nn.ModuleDict
    dual_ema: nn.ModuleDict
    T: TransportMap
    T_ema: TransportMap
    dual_optimiser: torch.optim.Adam
    T_optimiser: torch.optim.Adam
    atoms: Tensor


@METHODS.register("ubdual")
class UBDual(WarmStart):
    """Neural potentials of the entropic dual, with a barycentric map."""

    title, family, order = "UB-dual", "dual", 11
    summary = (
        "Two potentials climb the smooth dual of entropic transport: no adversary, any divergence, and a plan between any points. "
        "The map is the plan's average image of a point, learned beside it; eps blurs both."
    )
    equation = (
        r"\sup_{u,v}\; -\mathbb E_{\mu}\big[(\rho_1\psi_1)^*(-u)\big]-\mathbb E_{\nu}\big[(\rho_2\psi_2)^*(-v)\big]"
        r"-\varepsilon\,\mathbb E_{\mu\otimes\nu}\big[e^{(u\oplus v-c)/\varepsilon}-1\big]"
    )
    reference = "yang2019scalable"
    convention = "sinkhorn"
    default_steps: ClassVar[int] = 3000
    losses = (dual_loss, projection_loss)

    eps: float = Field(0.05, ge=1e-3, le=10, description="Entropic temperature in units of the mean cost; below 0.02 training is slow")
    projection: Literal["learned", "closed-form"] = Field(
        "learned", description="Map shown: a network, or the plan's mean over target points (squared costs)"
    )
    width: int = Field(128, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(3, ge=1, le=12, description="Hidden layers")
    activation: Activation = Field("relu", description="Activation of hidden layers")
    lr: float = Field(2e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(300, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    clip: float = Field(1.0, gt=0, description="Gradients of the potentials are clipped to this norm")
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> DualState:
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        if self.projection == "closed-form" and not isinstance(cost, SquaredEuclidean):
            raise InputError(f"projection 'closed-form' is for squared Euclidean costs; the cost is '{cost.name}'. Choose 'learned'.")
        standard, d, form = Standard.of_problem(problem), problem.d, (self.width, self.depth, rng)
        dual = nn.ModuleDict({k: ScalarNet(standard, d, *form, self.activation) for k in ("u", "v")}).to(device)
        T = TransportMap(standard, d, *form, activation=self.activation).to(device)
        target = problem.target.subsample(ATOMS)  # of equal weights where it had to be drawn
        atoms = (
            target.sample(ATOMS, torch.Generator().manual_seed(0)) if target.weights is not None else target.take(torch.arange(target.n))
        )
        state = DualState(
            problem, device, rng, cost, penalty, dual, ema_copy(dual), T, ema_copy(T),
            adam(dual, self.lr), adam(T, self.lr), atoms.to(device),
        )  # fmt: skip
        return self.warm(state)

    def pupils(self, state: DualState) -> list[Pupil]:
        u, v = (partial(self._potential, state, state.dual, side) for side in (1, 2))
        return [Pupil(state.T, state.T, "map"), Pupil(state.dual["u"], u, "f"), Pupil(state.dual["v"], v, "g")]

    def step(self, state: DualState) -> dict[str, Tensor]:
        for optimiser in (state.dual_optimiser, state.T_optimiser):
            set_lr(optimiser, decayed(self.lr, state.step, self.lr_half))
        totals = (state.problem.source.mass, state.problem.target.mass)
        x, y = state.batch(0, self.batch_size), state.batch(1, self.batch_size)
        C = state.cost.matrix(x, y)
        u, v = self._potential(state, state.dual, 1, x), self._potential(state, state.dual, 2, y)
        loss = dual_loss(u, v, C, self.eps, self.psi(1), self.psi(2), state.penalty, totals)
        descend(loss, state.dual, state.dual_optimiser, clip=self.clip)
        u, v = u.detach(), v.detach()
        found = {"dual loss": loss.detach()}
        if self.projection == "learned":
            loss_T = projection_loss(state.T(x), y, u, v, C, self.eps, state.cost)
            descend(loss_T, state.T, state.T_optimiser)
            found["projection loss"] = loss_T.detach()
        state.step += 1
        ema_update(state.dual_ema, state.dual, self.ema, state.step)
        ema_update(state.T_ema, state.T, self.ema, state.step)
        return found

    def transport(self, state: DualState, x: Tensor) -> Tensor:
        return self.barycentric(state, x) if self.projection == "closed-form" else state.T_ema(x)

    def barycentric(self, state: DualState, x: Tensor) -> Tensor:
        """E[y | x] under the plan over at most 2048 target points, (n, d): what the learned map tends to for squared costs."""
        return closed_form(x, state.atoms, self.potential(state, state.atoms), self.eps, state.cost)

    def potential(self, state: DualState, y: Tensor) -> Tensor:
        """v, the potential g on the target."""
        return self._potential(state, state.dual_ema, 2, y)

    def scaling(self, state: DualState, x: Tensor) -> Tensor:
        """psi1*'(-u(x) / rho1), the source mass factor; 1 where the source is held."""
        return weighted_star_grad(self.psi(1), state.penalty.rho1, -self._potential(state, state.dual_ema, 1, x))

    def target_scaling(self, state: DualState, y: Tensor) -> Tensor:
        """psi2*'(-v(y) / rho2), the target mass factor; 1 where the target is held."""
        return weighted_star_grad(self.psi(2), state.penalty.rho2, -self.potential(state, y))

    def plan(self, state: DualState, x: Tensor, y: Tensor) -> Plan:
        """P = a b exp((u + v - C) / eps) between given points, rounded to held marginals, with its certificate; equal weights."""
        a, b = (masses(None, len(z), "weights") * m.mass for z, m in zip((x, y), state.problem.marginals[:2], strict=True))
        s, penalty = state.cost.scale, state.penalty
        u, v = (self._potential(state, state.dual_ema, side, z).detach().cpu().double() for side, z in ((1, x), (2, y)))
        C = state.cost.matrix(x.double(), y.double()).cpu()
        names = [getattr(self, f"divergence{side}") for side in (1, 2)]
        sides = [make_side(name, rho, 0.0, 1.0) for name, rho in zip(names, (penalty.rho1, penalty.rho2), strict=True)]
        P, parts, certificate = certify_sides(C, a, b, u, v, self.eps, *sides)
        word = "kl" if set(names) <= {"kl", "balanced"} else "divergence"
        own = dict(zip(("transport", f"{word}1", f"{word}2", "entropy"), (s * part for part in parts), strict=True))
        tolerance = 1e-2  # what a network may be expected to reach
        return Plan(P, s * u, s * v, a, b, sum(own.values()), own, certificate, s, state.step, certificate <= tolerance, x, y)

    def _potential(self, state: DualState, nets: nn.ModuleDict, side: int, z: Tensor) -> Tensor:
        """u(x) or v(y), with -u/rho1 or -v/rho2 kept inside the domain of psi*."""
        h, rho = nets["uv"[side - 1]](z), (state.penalty.rho1, state.penalty.rho2)[side - 1]
        return h if math.isinf(rho) else -rho * self.psi(side).activation(-h / rho)
