"""A tiny method for engine tests: an affine map pulled towards the target's mean, with a scaling and a path."""

import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from uotlab.methods.base import METHODS, Method, State


@dataclass(eq=False)
class ToyState(State):
    net: nn.Module = None
    optimizer: torch.optim.Optimizer = None


class Toy(Method):
    title, family, summary, equation, reference, convention = "Toy", "toy", "For tests.", "T(x)=Ax+b", "none", "cost-weight"
    default_steps = 30
    lr: float = Field(0.01, gt=0, description="Learning rate")
    fail_at: int = Field(0, ge=0, description="Step that raises")
    nan_at: int = Field(0, ge=0, description="Step whose loss is NaN")
    poison_at: int = Field(0, ge=0, description="Step after which a parameter is infinite")
    nap: float = Field(0.0, ge=0, description="Seconds a step sleeps")
    stochastic: ClassVar[bool] = False

    def init(self, problem, rng, device):
        net = nn.Linear(problem.d, problem.d)
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(torch.randn(p.shape, generator=rng))
        cost = self.calibrated_cost(problem)
        return ToyState(
            problem, device, rng, cost, self.penalty_at(cost.scale), net=net, optimizer=torch.optim.Adam(net.parameters(), lr=self.lr)
        )

    def step(self, state):
        state.step += 1
        if self.nap:
            time.sleep(self.nap)
        if state.step == self.fail_at:
            raise RuntimeError("the toy broke")
        x, y = state.batch(0, 32), state.batch(1, 32)
        loss = (state.net(x) - y).square().sum(1).mean()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        if state.step == self.poison_at:
            state.net.bias.data[0] = float("inf")
        return {"loss": loss.detach() * (float("nan") if state.step == self.nan_at else 1.0)}

    def transport(self, state, x):
        return state.net(x)

    def scaling(self, state, x):
        return torch.ones(len(x), device=x.device)

    def path(self, state, x, ts):
        return x[:, None] + ts[None, :, None] * (state.net(x) - x)[:, None]


METHODS.register("toy")(Toy)


def forget() -> None:
    METHODS._classes.pop("toy", None)


def remember() -> None:
    METHODS._classes["toy"] = Toy
