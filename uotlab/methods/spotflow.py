"""SPOT with its density: the generator is a neural ODE, whose exact divergence gives the joint density, and an entropy smooths it.

    min_G max_phi  { E c(G(z)) + eps E log p(G(z)) } / eta + sum_k { E phi_k(G_k(z)) - E phi_k(X_k) }

Without the entropy the best plan of a strictly convex cost lies on the graph of a map and has no density: eps > 0 is required, and a
larger one gives a wider band. With exact marginals the optimum is the entropic plan of Sinkhorn at the same eps.

Notation: eps is in units of the mean cost, as everywhere here; the thesis' H = E log p is the negative entropy.
Differs from the thesis: gradients go through the midpoint steps themselves instead of an adjoint equation solved backwards, which is
exact for the steps taken and costs memory that toys have; 8 steps instead of an adaptive solver.
Reference: xie2019scalable, Section 3.4 of the thesis, eq. (3.10), (3.11), Proposition 1; chen2018neural, Theorem 1.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.methods.spot import SPOT, JointState, critic_loss, generator_loss, marginal_standards, matched_cost, projection_loss
from uotlab.nets.joint_flow import JointFlow
from uotlab.problem import Problem

MOST = 64  #: coordinates of all parts together: the exact divergence takes as many columns


def entropy_term(log_p: Tensor, eps: float, eta: float) -> Tensor:
    """eps E log p / eta, (n,) -> 0-dim: minus the entropy of the generated pairs, added to the generator's loss.

    Reference: xie2019scalable, Section 3.4 of the thesis.
    """
    return eps * log_p.mean() / eta


@METHODS.register("spotflow")
class SPOTFlow(SPOT):
    """SPOT whose generator is a flow with a known density."""

    title, order = "SPOT density", 31
    summary = (
        "The joint density of an entropic plan as a formula: a flow makes the pairs and its divergence tells how dense they are. "
        "For a few dimensions; on a line the density is drawn as a heat map."
    )
    equation = (
        r"\min_G\max_{\varphi_k\in\mathrm{Lip}_1}\;\tfrac1\eta\,\mathbb E_z\big[c(G(z))+\varepsilon\log p(G(z))\big]"
        r"+\sum_k\Big\{\mathbb E_z\,\varphi_k(G_k(z))-\mathbb E\,\varphi_k(X_k)\Big\},\quad \tfrac{d}{dt}\log p=-\operatorname{div}v"
    )
    default_steps: ClassVar[int] = 3000
    losses: ClassVar[tuple[Any, ...]] = (critic_loss, generator_loss, entropy_term, matched_cost, projection_loss)

    latent: ClassVar[int] = 0  # type: ignore[misc]  # no settings of a flow: z has as many dimensions as all parts together,
    start: ClassVar[str] = "gaussian"  # type: ignore[misc]  # and a flow that does not move is a Gaussian

    depth: int = Field(3, ge=1, le=12, description="Hidden layers of the velocity, which are of tanh, and of the map")
    eps: float = Field(0.05, ge=1e-4, le=10, description="Weight of the entropy, in units of the mean cost: larger is smoother")
    ode_steps: int = Field(8, ge=1, le=200, description="Midpoint steps of the flow from t = 0 to 1")

    def generator(self, problem: Problem, rng: torch.Generator) -> JointFlow:
        size = problem.d * len(problem.marginals)
        if size > MOST:
            raise InputError(
                f"{self.name} computes an exact divergence, for at most {MOST} coordinates of all marginals together; here are {size}. "
                "Use spot."
            )
        return JointFlow(marginal_standards(problem), problem.d, self.width, self.depth, rng, self.ode_steps)

    def generate(self, state: JointState) -> tuple[list[Tensor], Tensor, dict[str, Tensor]]:
        points, log_p = state.G.with_density(self.draw_latent(state, self.batch_size))  # type: ignore[operator]  # a JointFlow
        return points, entropy_term(log_p, self.eps, self.eta * (len(points) - 1)), {"entropy": -log_p.detach().mean()}

    def log_density(self, state: JointState, points: Sequence[Tensor]) -> Tensor:
        """log p of the joint density at matched points, m tensors (n, d) -> (n,)."""
        return state.G_ema.log_density(points)  # type: ignore[operator]  # a JointFlow
