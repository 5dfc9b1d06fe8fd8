"""Flow matching: a velocity field whose flow carries the source to the target along straight lines between paired points.

    min_v E_{t, (x, y) ~ pairs, e} | v(t, x_t) - (y - x) |²,   x_t = (1 - t) x + t y + sigma e

FM pairs points at random; OT-FM and UOT-FM choose the pairs by a plan (`pairs` is what they replace).
Notation: t is drawn with low discrepancy, t_k = (k + U_k) / B.
Reference: lipman2023flow, eq. (23); eyring2024unbalancedness, Algorithm 2.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torchdiffeq import odeint

from uotlab.methods.base import METHODS, Method, State
from uotlab.nets.mlp import Activation, Standard
from uotlab.nets.time_mlp import TimeMLP
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.penalty import Penalty
from uotlab.problem import Problem

EVALUATIONS = {"euler": 1, "midpoint": 2, "rk4": 4}  #: velocity evaluations in one step of each fixed-step solver
PREVIEW_STEPS = 6
MOST_SHRINK = 0.3


def flow_matching_loss(v: Any, x: Tensor, y: Tensor, t: Tensor, e: Tensor, sigma: float) -> Tensor:
    """E|v(t, x_t) - (y - x)|² over pairs x, y (n, d), times t (n,), noise e (n, d); a mean over points of the squared norm.

    Reference: lipman2023flow, eq. (23); tong2024improving, Section 3.
    """
    t_ = t[:, None]
    x_t = (1 - t_) * x + t_ * y + sigma * e
    return (v(t, x_t) - (y - x)).square().sum(1).mean()


@dataclass(eq=False)
class FlowState(State):
    """The velocity net, its moving average and its optimiser."""

    v: TimeMLP
    v_ema: TimeMLP
    v_optimiser: torch.optim.Adam


@METHODS.register("fm")
class FM(Method):
    """Flow matching with independent pairs."""

    title, family, order = "FM", "flow", 4
    summary = (
        "Regresses a velocity field on straight lines between randomly paired points; simple and stable. "
        "It generates the target well, but the pairing, so the map, is not optimal transport."
    )
    equation = r"\min_v\; \mathbb E_{t,\,x\sim\mu,\,y\sim\nu}\big\|v_t(x_t)-(y-x)\big\|^2,\quad x_t=(1-t)x+ty+\sigma e"
    reference = "lipman2023flow"
    convention = "sinkhorn"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 5000
    losses: ClassVar[tuple[Any, ...]] = (flow_matching_loss,)

    width: int = Field(128, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(3, ge=1, le=12, description="Hidden layers")
    activation: Activation = Field("silu", description="Activation of hidden layers")
    lr: float = Field(6e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(1000, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    sigma: float = Field(0.0, ge=0, description="Standard deviation of the noise around the line, in the data's units")
    clip: float = Field(1.0, gt=0, description="Gradients are clipped to this norm, in standardised units")
    shrink: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Shrinkage of the weights for each dimension of the data, 0.3 at most, as a share of the learning rate",
    )
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")
    solver: Literal["midpoint", "euler", "rk4", "dopri5"] = Field("midpoint", description="ODE solver of the flow; dopri5 adapts its steps")
    nfe: int = Field(16, ge=1, le=1000, description="Most velocity evaluations from t = 0 to 1, at least one step (fixed-step solvers)")
    tolerance: float = Field(1e-5, gt=0, le=0.1, description="Relative and absolute tolerance of dopri5")

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> FlowState:
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_masses(problem, penalty)
        v = TimeMLP(Standard.of_problem(problem), problem.d, self.width, self.depth, rng, self.activation).to(device)
        shrink = min(self.shrink * problem.d, MOST_SHRINK)  # points thin out in many dimensions, and fields fold between them
        return FlowState(problem, device, rng, cost, penalty, v, ema_copy(v), adam(v, self.lr, shrink=shrink))

    def check_masses(self, problem: Problem, penalty: Penalty) -> None:
        self.check_feasible(problem, penalty)

    def pairs(self, state: FlowState, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The batch re-paired, and losses of the coupling to report. Here: as drawn, independent."""
        return x, y, {}

    def step(self, state: FlowState) -> dict[str, Tensor]:
        set_lr(state.v_optimiser, decayed(self.lr, state.step, self.lr_half))
        n = self.batch_size
        x, y, extra = self.pairs(state, state.batch(0, n), state.batch(1, n))
        n = len(x)
        t = ((torch.arange(n) + torch.rand(n, generator=state.rng)) / n).to(state.device)
        e = torch.randn(x.shape, generator=state.rng).to(state.device) if self.sigma else torch.zeros_like(x)
        # divided by the data's variance, so that learning rates and clipping mean the same at any scale
        loss = flow_matching_loss(state.v, x, y, t, e, self.sigma) / state.v.standard.spread.square()
        descend(loss, state.v, state.v_optimiser, clip=self.clip)
        state.step += 1
        ema_update(state.v_ema, state.v, self.ema, state.step)
        return {"flow loss": loss.detach(), **extra}

    def transport(self, state: FlowState, x: Tensor) -> Tensor:
        return self.path(state, x, torch.tensor([0.0, 1.0]))[:, -1]

    def preview(self, state: FlowState, x: Tensor) -> Tensor:
        """T(x) by few Euler steps, for pictures while training; `transport` is what counts."""
        for k in range(PREVIEW_STEPS):
            x = x + state.v_ema(x.new_full((len(x),), k / PREVIEW_STEPS), x) / PREVIEW_STEPS
        return x

    def path(self, state: FlowState, x: Tensor, ts: Tensor) -> Tensor:
        """Positions at increasing times ts (t,), the flow started at t = 0: (n, d) -> (n, t, d)."""

        def velocity(t: Tensor, x_t: Tensor) -> Tensor:
            return state.v_ema(t.expand(len(x_t)), x_t)

        ts = ts.to(x)
        begins = bool(ts[0] > 0)
        times = torch.cat([ts.new_zeros(1), ts]) if begins else ts
        if self.solver == "dopri5":
            out = odeint(velocity, x, times, method="dopri5", rtol=self.tolerance, atol=self.tolerance * float(state.v.standard.spread))
        else:
            steps = max(1, self.nfe // EVALUATIONS[self.solver])
            grid = torch.linspace(0, 1, steps + 1).to(x)  # a step size in float32 would now and then make one step more
            grid = torch.cat([grid[grid < times[-1] - 1e-6], times[-1:]])
            out = odeint(velocity, x, times, method=self.solver, options={"grid_constructor": lambda *_: grid})
        return out[1:].transpose(0, 1) if begins else out.transpose(0, 1)
