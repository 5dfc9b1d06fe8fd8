"""What every method needs to train nets: an optimiser without Python loops, and an exponential moving average."""

import copy
from collections.abc import Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)
_walked: WeakKeyDictionary[nn.Module, list[Tensor]] = WeakKeyDictionary()


def parameters_of(net: nn.Module) -> list[Tensor]:
    """The parameters of a net, which must not be exchanged for others later. Walking its modules anew costs a step a few percent."""
    found = _walked.get(net)
    if found is None:
        found = _walked[net] = list(net.parameters())
    return found


def adam(
    net: nn.Module,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    shrink: float = 0.0,
    kind: type[torch.optim.Adam] = torch.optim.Adam,
) -> torch.optim.Adam:
    """Adam, or a `kind` of it, as one fused kernel where the device has it; a step also takes the share lr `shrink` off each parameter."""
    device = next(net.parameters()).device
    fused = device.type in ("cpu", "cuda")
    return kind(net.parameters(), lr=lr, betas=betas, weight_decay=shrink, decoupled_weight_decay=True, fused=fused)


def descend(loss: Tensor, net: nn.Module, optimiser: torch.optim.Optimizer, *, clip: float | None = None, keep_graph: bool = False) -> None:
    """One optimiser step on `net` alone: gradients of other nets in the graph are never formed."""
    set_grads(loss, net, keep_graph=keep_graph)
    if clip is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimiser.step()


def set_grads(loss: Tensor, net: nn.Module, *, keep_graph: bool = False) -> None:
    """The gradients of `net` alone, for players who move at the same time."""
    params = parameters_of(net)
    hand_over(params, torch.autograd.grad(loss, params, retain_graph=keep_graph))


def hand_over(params: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
    """Give parameters their gradients, laid out in memory as they are: fused Adam reads both in that order, whatever their strides."""
    for p, grad in zip(params, grads, strict=True):
        p.grad = None if grad is None else grad.contiguous()


def decayed(lr: float, step: int, half: int) -> float:
    """lr / sqrt(1 + step / half): falls without knowing the number of steps, so that a run can be extended."""
    return lr / (1 + step / half) ** 0.5


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of all parameters from now on."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def ema_copy(net: Net) -> Net:
    """A copy that holds the exponential moving average of the parameters of `net`."""
    return copy.deepcopy(net).requires_grad_(False)


@torch.no_grad()
def ema_update(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """average <- d average + (1-d) net with d = min(decay, (1 + step)/(6 + step)): at most the last fifth of the steps counts."""
    d = min(decay, (1 + step) / (6 + step))
    torch._foreach_lerp_(parameters_of(average), parameters_of(net), 1 - d)
