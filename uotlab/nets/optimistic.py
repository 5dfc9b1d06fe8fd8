"""Adam for two players who move against each other: steps that look ahead, so that they spiral in where plain ones circle.

Optimistic: twice Adam's present step less its former one, 2 s_t - s_{t-1}, at one gradient a step as before.
Extragradient: every second turn of the game begins anew from where the turn before it began, with gradients taken where that ended; both
feed Adam's moments, so that two turns are one step. What is carried from step to step lies in the optimisers' `state_dict`.

Differs: the players of a turn move one after the other, and a former step keeps the learning rate that it was taken with.
Reference: daskalakis2018training, Algorithm 1; gidel2019variational, Algorithm 4.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from uotlab.nets.training import adam

Dynamics = Literal["plain", "optimistic", "extragradient"]


def game_adam(net: nn.Module, lr: float, betas: tuple[float, float], dynamics: Dynamics) -> torch.optim.Adam:
    """The optimiser of one player; "plain" is `adam`."""
    kinds = {"plain": torch.optim.Adam, "optimistic": OptimisticAdam, "extragradient": ExtragradientAdam}
    return adam(net, lr, betas, kind=kinds[dynamics])


@torch.no_grad()
def end_turn(*players: torch.optim.Adam) -> None:
    """After both players' steps of one turn, however many: where the turn looked ahead its end is kept, else it counts from its start."""
    for player in players:
        if isinstance(player, ExtragradientAdam):
            player.end_turn()


class OptimisticAdam(torch.optim.Adam):
    """w <- w + 2 s_t - s_{t-1} with s_t the step that Adam would take and s_0 = 0."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        moving = _moving(self)
        before = [p.clone() for p in moving]
        loss = super().step(closure)
        taken = torch._foreach_sub(moving, before)
        torch._foreach_add_(moving, taken)
        former = [(p, self.state[p]["taken"]) for p in moving if "taken" in self.state[p]]
        if former:
            torch._foreach_sub_([p for p, _ in former], [s for _, s in former])
        for p, s in zip(moving, taken, strict=True):
            self.state[p]["taken"] = s
        return loss


class ExtragradientAdam(torch.optim.Adam):
    """Adam whose turns, closed by `end_turn`, are by turns a look ahead and a step from where the look began."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        moving = _moving(self)
        start = [(p, p.clone()) for p in moving if "start" not in self.state[p]]  # Adam wants its state empty at first
        loss = super().step(closure)
        for p, value in start:
            self.state[p]["start"] = value
        return loss

    def end_turn(self) -> None:
        """Keep the end of a look ahead; after a step, put it where the look began."""
        for p, kept in self.state.items():
            if "ahead" in kept:
                p.add_(kept.pop("start") - kept.pop("ahead"))
            elif "start" in kept:
                kept["ahead"] = p.clone()


def _moving(optimiser: torch.optim.Adam) -> list[Tensor]:
    """The parameters that have a gradient."""
    return [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
