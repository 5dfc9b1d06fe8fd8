"""USPOT: SPOT between batches that an unbalanced plan re-weights, with learned re-weightings.

Reference: xie2019scalable, Algorithm 1; eyring2024unbalancedness, Algorithm 1, which makes any estimator unbalanced.
"""

from typing import Any, ClassVar

import torch

from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.methods.rebalance import Rebalanced, rescaling_loss
from uotlab.methods.spot import SPOT, critic_loss, generator_loss, matched_cost, projection_loss
from uotlab.problem import Problem


@METHODS.register("uspot")
class USPOT(Rebalanced, SPOT):
    """Unbalanced SPOT: matched pairs of the re-weighted marginals."""

    title, order = "USPOT", 32
    summary = (
        "SPOT whose critics see batches re-weighted by an unbalanced plan: mass that would travel too far is made and destroyed. "
        "Two small nets learn who grows and who shrinks."
    )
    equation = (
        r"\min_G\max_{\varphi_k\in\mathrm{Lip}_1}\;\tfrac1\eta\,\mathbb E_z\,c(G(z))+\mathbb E_z\big[\varphi_1(G_1)+\varphi_2(G_2)\big]"
        r"-\mathbb E_{u\mu}\varphi_1-\mathbb E_{w\nu}\varphi_2,"
        r"\quad u=\tfrac{\mathrm d\hat P_1}{\mathrm d\mu},\;w=\tfrac{\mathrm d\hat P_2}{\mathrm d\nu}"
    )
    reference = "eyring2024unbalancedness"
    relaxed = (True, True)
    losses: ClassVar[tuple[Any, ...]] = (critic_loss, generator_loss, matched_cost, projection_loss, rescaling_loss)

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> Any:
        if len(problem.marginals) > 2:
            raise InputError(f"{self.name} re-weights two marginals by a plan; this problem has {len(problem.marginals)}. Use spot.")
        return super().init(problem, rng, device)
