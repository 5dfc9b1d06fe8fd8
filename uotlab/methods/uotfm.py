"""UOT-FM: flow matching on pairs drawn from an unbalanced entropic plan of each mini-batch, with learned re-weightings.

Each step solves Sinkhorn between the batches, draws as many pairs from the normalised plan, with replacement, and regresses two
positive nets on the plan's marginals: u(x_i) on n (P 1)_i and w(y_j) on n (P^T 1)_j, so that the run has scaling factors.
Re-weightings from batches are biased towards flat ones; larger batches have less of it.

Notation: the paper's u, v re-weighting nets are `u`, `w` here, v being the velocity. Its tau is λ/(λ + eps), λ = rho.
Reference: eyring2024unbalancedness, Algorithm 1 (line 8) and Algorithm 2.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uotlab.arrays import masses
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.methods.fm import FM, FlowState, flow_matching_loss
from uotlab.nets.potential import ScalingNet
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.plans.base import Plan, sample_pairs
from uotlab.plans.sinkhorn import rough_plan, sinkhorn, solve
from uotlab.problem import Problem


def rescaling_loss(u_x: Tensor, w_y: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
    """E|u(x) - p1|² + E|w(y) - p2|²: u, w (n,) learn the plan's densities p1 = dP1/da, p2 = dP2/db at the batch.

    Reference: eyring2024unbalancedness, Algorithm 1, line 8.
    """
    return (u_x - p1).square().mean() + (w_y - p2).square().mean()


@dataclass(eq=False)
class CoupledState(FlowState):
    """A flow with its two re-weighting nets, "u" on the source and "w" on the target."""

    rescaling: nn.ModuleDict
    rescaling_ema: nn.ModuleDict
    rescaling_optimiser: torch.optim.Adam


@METHODS.register("uotfm")
class UOTFM(FM):
    """Unbalanced optimal transport flow matching."""

    title, order = "UOT-FM", 6
    summary = (
        "Flow matching whose pairs come from an unbalanced plan of each mini-batch: mass that would travel too far is made and "
        "destroyed instead. Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\min_v\; \mathbb E_{t,\,(x,y)\sim\hat P}\big\|v_t(x_t)-(y-x)\big\|^2,\quad "
        r"\hat P=\arg\min_P \langle P,C\rangle+\rho_1\mathrm{KL}(P\mathbf 1|a)+\rho_2\mathrm{KL}(P^{\!\top}\mathbf 1|b)"
        r"+\varepsilon\,\mathrm{KL}(P|ab^{\!\top})"
    )
    reference = "eyring2024unbalancedness"
    relaxed = (True, True)
    default_steps: ClassVar[int] = 3000
    losses: ClassVar[tuple[Any, ...]] = (flow_matching_loss, rescaling_loss)
    coupled_divergences: ClassVar[tuple[str, ...]] = ("kl", "balanced")

    eps: float = Field(0.05, ge=1e-4, le=10, description="Entropic temperature of the mini-batch plan, in units of the mean cost")
    plan_tol: float = Field(1e-3, ge=1e-8, le=0.1, description="Relative certificate at which the mini-batch plan is good enough")
    scaling_width: int = Field(64, ge=4, le=2048, description="Units in each hidden layer of the re-weighting nets")

    def model_post_init(self, context: object) -> None:
        for side in (1, 2):
            name = getattr(self, f"divergence{side}")
            if name not in self.coupled_divergences:
                raise InputError(
                    f"divergence{side} of {self.name} must be one of {', '.join(self.coupled_divergences)}, which its Sinkhorn plan "
                    f"solves; it is '{name}'. For other divergences use uotm."
                )

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> CoupledState:
        flow = super().init(problem, rng, device)
        nets = {k: ScalingNet(flow.v.standard, problem.d, self.scaling_width, 2, rng) for k in ("u", "w")}
        rescaling = nn.ModuleDict(nets).to(device)
        parts = {f.name: getattr(flow, f.name) for f in fields(flow) if f.init}
        return CoupledState(**parts, rescaling=rescaling, rescaling_ema=ema_copy(rescaling), rescaling_optimiser=adam(rescaling, self.lr))

    def pairs(self, state: CoupledState, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        a, b = (masses(None, len(z), "weights").to(z.device) * m.mass for z, m in zip((x, y), state.problem.marginals, strict=True))
        C = state.cost.matrix(x, y)
        work = torch.float64 if self.plan_tol < 1e-5 else torch.float32
        found = solve(C, a, b, self.eps, state.penalty, self.plan_tol, dtype=work)
        P, log_scale = rough_plan(C, a, b, found.f, found.g, self.eps)
        i, j = sample_pairs(P, len(x), state.rng)
        scale = log_scale.exp()
        loss = self._learn_rescaling(state, x, y, (scale * P.sum(1) / a).float(), (scale * P.sum(0) / b).float())
        return x[i], y[j], {"re-weighting loss": loss, "plan mass": scale * P.sum()}

    def _learn_rescaling(self, state: CoupledState, x: Tensor, y: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
        if state.penalty.balanced:
            return torch.zeros(())  # held marginals have density 1, nothing to learn
        set_lr(state.rescaling_optimiser, decayed(self.lr, state.step, self.lr_half))
        loss = rescaling_loss(state.rescaling["u"](x), state.rescaling["w"](y), p1, p2)
        descend(loss, state.rescaling, state.rescaling_optimiser)
        ema_update(state.rescaling_ema, state.rescaling, self.ema, state.step)
        return loss.detach()

    def scaling(self, state: CoupledState, x: Tensor) -> Tensor:
        """u(x), learned from the mini-batch plans' source marginals; 1 where that marginal is held."""
        return torch.ones_like(x[:, 0]) if math.isinf(state.penalty.rho1) else state.rescaling_ema["u"](x)

    def target_scaling(self, state: CoupledState, y: Tensor) -> Tensor:
        """w(y), learned from the mini-batch plans' target marginals; 1 where that marginal is held."""
        return torch.ones_like(y[:, 0]) if math.isinf(state.penalty.rho2) else state.rescaling_ema["w"](y)

    def plan(self, state: CoupledState, x: Tensor, y: Tensor) -> Plan:
        """The entropic plan between given points at the run's cost, eps and rho: what a batch of this size is trained on."""
        a, b = (masses(None, len(z), "weights") * m.mass for z, m in zip((x, y), state.problem.marginals, strict=True))
        s, rho = state.cost.scale, state.penalty
        return sinkhorn(x, y, a, b, state.cost, self.eps * s, rho.rho1 * s, rho.rho2 * s, scale_cost=False)
