"""From potentials to a certified plan: sweeps until the gap seems small enough, then the proof with exponents in float64."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from uotlab.plans.base import weighted_kl
from uotlab.plans.blocks import Sweep, Tick
from uotlab.plans.ground import mean_cost
from uotlab.plans.multiscale import Cancelled, Level, State
from uotlab.plans.solver import Cancel, Progress

GUESS = 6  #: sweeps that a solve is thought to take before its rate is known


@dataclass(frozen=True, eq=False)
class Found:
    """A plan in the order of the level's points, in units of the mean cost; see `lazy_plan.Kernel` for left and right."""

    f: Tensor
    g: Tensor
    left: Tensor
    right: Tensor
    r1: Tensor
    r2: Tensor
    parts: dict[str, float]
    certificate: float
    marginal_error: float = 0.0
    n_iter: int = 0
    cancelled: bool = False


class Watch:
    """Tells a person's `progress` how far it is, which never goes back, and asks their `cancel`."""

    def __init__(self, progress: Progress | None, cancel: Cancel | None, target: float) -> None:
        self.progress, self.cancel, self.target = progress, cancel, target
        self.shown, self.done, self.gaps = 0.0, 0, [math.inf]

    def sweep(self, gap: float) -> Tick:
        """What the next sweep is to tick; `gap` is that of the sweep before."""
        self.gaps.append(gap)
        before = self.done
        self.done += 1
        left = float(GUESS)
        if math.isfinite(self.gaps[-2]) and 0 < gap < self.gaps[-2]:
            left = max(0.0, math.log(gap / self.target)) / math.log(self.gaps[-2] / gap)

        def tick(share: float) -> None:
            self.ask()
            if self.progress is not None:
                self.shown = max(self.shown, min(0.99, (before + share) / (before + left + 2)))
                self.progress(self.shown)

        return tick

    def ask(self, share: float = 0.0) -> None:
        if self.cancel is not None and self.cancel():
            raise Cancelled

    def end(self) -> None:
        if self.progress is not None:
            self.progress(1.0)


def finish(level: Level, start: tuple[Tensor, Tensor] | None, tol: float, most: int, coarse: bool, watch: Watch) -> Found:
    """The plan whose certificate is at most tol, or the best one after `most` sweeps.

    Args:
        start: potentials (f, g) in the level's order; None starts from cell means where `coarse`, else from zero.
    """
    blocks, n_iter = level.blocks, 0
    phi, g = torch.zeros_like(blocks.a), torch.zeros_like(blocks.b)
    last = None
    try:
        if start is not None:
            phi, g = start[0] / blocks.tau1, start[1]
        elif coarse:
            phi, g = level.start(watch.ask)
        target = 2 * tol if level.penalty.balanced else tol  # the sweeps that certify go one step further
        while True:
            state = level.iterate(phi, g, target, most - n_iter, watch.sweep)
            last, n_iter = state.last, n_iter + state.n_iter
            if state.cancelled:
                break
            phi, g = state.phi, state.g
            found = _balanced(level, state, tol, watch) if level.penalty.balanced else _relaxed(level, state, watch)
            n_iter += found.n_iter
            if found.certificate <= tol or n_iter >= most:
                watch.end()
                return _counted(found, n_iter)
            if target < tol / 2 and blocks.dtype == torch.float32:
                blocks.dtype = torch.float64  # float32 cannot resolve it
            target /= 4
    except Cancelled:
        pass
    return _unproved(level, last, phi, g, n_iter)


def _counted(found: Found, n_iter: int) -> Found:
    return Found(**{**vars(found), "n_iter": n_iter})


def _relaxed(level: Level, state: State, watch: Watch) -> Found:
    """The certified plan where side 2 is not hard: after an update of f the gap is rho2 KL(P^T 1 | b e^{-g/rho2})."""
    blocks, rho1, rho2 = level.blocks, level.penalty.rho1, level.penalty.rho2
    at = blocks.sweep(state.phi, state.g, careful=True, transport=True, tick=watch.sweep(state.gap))
    r2, mass = at.log_r2.exp(), float(at.r1.sum())
    # the row sums are a exp(-f / rho1) to more digits than they were summed with, which a large rho1 brings out
    r1 = blocks.a if math.isinf(rho1) else blocks.a * (-at.f / rho1).exp()
    entropy = float(at.r1 @ at.f + r2 @ at.g) - at.transport - level.eps * (mass - float(blocks.a.sum() * blocks.b.sum()))
    parts = {"transport": at.transport, "kl1": weighted_kl(rho1, r1, blocks.a), "kl2": weighted_kl(rho2, r2, blocks.b), "entropy": entropy}
    gap = level.gap(at) * mass + level.eps * at.left_out
    none = torch.zeros_like(at.f), torch.zeros_like(at.g)
    return Found(at.f, at.g, *none, at.r1, r2, parts, gap / max(abs(sum(parts.values())), mass, 1e-12), n_iter=1)


def _balanced(level: Level, state: State, tol: float, watch: Watch) -> Found:
    """The certified plan with both marginals exact: columns scaled down to b, what is missing added as a product measure."""
    blocks, eps = level.blocks, level.eps
    a, b, sizes = blocks.a, blocks.b, float(blocks.a.sum() * blocks.b.sum())
    n_iter = 0
    for careful in (blocks.dtype == torch.float64 or blocks.exponents.plain is not None, True):  # where it costs little, at once
        one = blocks.sweep(state.phi, state.g, careful=careful, tick=watch.sweep(state.gap))
        g = one.g + eps * (blocks.lb - one.log_r2).clamp(max=0)
        two = blocks.sweep(one.f, g, careful=True, hold=True, transport=True, tick=watch.sweep(state.gap))
        n_iter += 2
        # rows and columns must not exceed a and b: what float32 let slip is scaled away, if it is little
        over = max(1.0, float((two.r1 / a).max()), float((two.log_r2 - blocks.lb).max().exp()))
        if over - 1 <= tol / 20:
            break
    two = Sweep(
        two.f - eps * math.log(over), g, two.r1 / over, two.log_r2 - math.log(over), two.coupled, two.transport / over, two.left_out
    )
    r2, mass = two.log_r2.exp(), float(two.r1.sum())
    left, right = (a - two.r1).clamp(min=0), (b - r2).clamp(min=0)
    transport, bound = two.transport, float(two.r1 @ two.f + r2 @ g) / eps - two.transport / eps - mass + sizes
    missing = float(left.sum())
    if missing > 0 and float(right.sum()) > 0:
        right = right * (missing / float(right.sum()))
        transport += missing * mean_cost(level.cost, blocks.x, blocks.y, left, right, level.pairs)
        added = float(torch.xlogy(left, left / a).sum() + torch.xlogy(right, right / b).sum()) - missing * math.log(missing)
        total = mass + missing  # KL(P + D | ab) <= KL(P | (1 - share) ab) + KL(D | share ab), least at share = missing / total
        bound += added - missing - mass * math.log(mass / total) - missing * math.log(missing / total)
    else:
        left, right, missing = torch.zeros_like(left), torch.zeros_like(right), 0.0
    parts = {"transport": transport, "kl1": 0.0, "kl2": 0.0, "entropy": eps * bound}
    gap = max(sum(parts.values()) - max(level.dual(one), level.dual(two)), 0.0)
    certificate = gap / max(abs(sum(parts.values())), mass + missing, 1e-12)
    error = float((one.log_r2.exp() - b).abs().sum() / b.sum())
    return Found(two.f, g, left, right, two.r1 + left, r2 + right, parts, certificate, error, n_iter)


def _unproved(level: Level, last: Sweep | None, phi: Tensor, g: Tensor, n_iter: int) -> Found:
    """What there is when the work is cancelled."""
    blocks, (rho1, rho2) = level.blocks, (level.penalty.rho1, level.penalty.rho2)
    f, g = (blocks.tau1 * phi, g) if last is None else (last.f, last.g)
    r1 = blocks.a * (-f / rho1).exp() if last is None else last.r1
    r2 = blocks.b * (-g / rho2).exp() if last is None else last.log_r2.exp()
    parts = dict.fromkeys(("transport", "kl1", "kl2", "entropy"), math.nan)
    return Found(f, g, torch.zeros_like(f), torch.zeros_like(g), r1, r2, parts, math.inf, n_iter=n_iter, cancelled=True)
