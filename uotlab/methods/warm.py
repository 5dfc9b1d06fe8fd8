"""Warm start: before training, a short regression of the networks on a discrete plan of a few points.

The plan's mean image of each point, sum_j P_ij y_j / sum_j P_ij, is what a map is to be; the plan's potentials are what potentials are to
be. A method names its networks (`pupils`) and ends its `init` by `return self.warm(state)`; averages and best copies begin there too.
What it is worth for each method is in benchmarks/quality.md.

Reference: seguy2018large, Section 4 (regression on the barycentric projection).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uotlab.methods.base import Method, State
from uotlab.nets.training import adam, hand_over, set_lr
from uotlab.plans.sinkhorn import sinkhorn

POINTS = 1000  #: points a side of the plan
EPS, TOL = 0.01, 1e-3  #: its temperature in mean costs, and its relative certificate
BATCH, LR = 256, 3e-3  #: of the regression; its learning rate falls to 0 in a straight line
COPIES = ("_ema", "_best", "_good")  #: fields of a State that hold copies of the network before the underscore

Lesson = Literal["map", "back", "f", "g"]  #: mean image of x, mean partner of y, potential of x, of y, the last two in mean costs
S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class Pupil:
    """A network, what is asked of it, (n, d) -> (n, d) or (n,), and what it is to answer."""

    net: nn.Module
    answer: Callable[[Tensor], Tensor]
    lesson: Lesson


class WarmStart(Method):
    """The field and the regression; put it before `Method` among the bases."""

    warm_start: int = Field(
        0, ge=0, le=100_000, description="Steps that first regress the networks on a plan of 1000 points; 0 starts near the identity"
    )

    def pupils(self, state: Any) -> list[Pupil]:
        """The networks to be taught: here the map T."""
        return [Pupil(state.T, state.T, "map")]

    def warm(self, state: S) -> S:
        """The State after `warm_start` steps of regression; as it came where that is 0."""
        if self.warm_start:
            taught = lessons(state)
            for pupil in self.pupils(state):
                teach(pupil, *taught[pupil.lesson], self.warm_start, state)
            copy_averages(state)
        return state


def lessons(state: State) -> dict[Lesson, tuple[Tensor, Tensor]]:
    """(points, answers) of each lesson, from the plan of fresh batches at the run's cost and rho; points that take no part are left out."""
    x, y = (state.batch(side, POINTS).cpu() for side in (0, 1))
    (m1, m2), s, rho = (m.mass for m in state.problem.marginals[:2]), state.cost.scale, state.penalty
    a, b = (torch.full((POINTS,), mass / POINTS, dtype=torch.float64) for mass in (m1, m2))
    plan = sinkhorn(x.double(), y.double(), a, b, state.cost, EPS * s, rho.rho1 * s, rho.rho2 * s, TOL, scale_cost=False)
    rows, columns = plan.P.sum(1), plan.P.sum(0)
    i, j = rows > 1e-6 * a, columns > 1e-6 * b
    image, partner = (plan.P @ y.double())[i] / rows[i, None], (plan.P.T @ x.double())[j] / columns[j, None]
    found: dict[Lesson, tuple[Tensor, Tensor]] = {
        "map": (x[i], image), "back": (y[j], partner), "f": (x[i], plan.f[i] / s), "g": (y[j], plan.g[j] / s)
    }  # fmt: skip
    return {lesson: (z.to(state.device), answer.float().to(state.device)) for lesson, (z, answer) in found.items()}


def teach(pupil: Pupil, z: Tensor, answer: Tensor, steps: int, state: State) -> None:
    """Least squares of the network on answers (n, d) or (n,) at points z (n, d); convex networks stay convex."""
    optimiser, size = adam(pupil.net, LR), answer.var(0).mean().clamp(min=1e-12)
    params = [p for p in pupil.net.parameters() if p.requires_grad]
    for k in range(steps):
        set_lr(optimiser, LR * (1 - k / steps))
        rows = torch.randint(len(z), (min(BATCH, len(z)),), generator=state.rng).to(z.device)
        loss = (pupil.answer(z[rows]) - answer[rows]).square().mean() / size
        hand_over(params, torch.autograd.grad(loss, params, allow_unused=True))
        optimiser.step()
        if hasattr(pupil.net, "clamp_"):
            pupil.net.clamp_()  # type: ignore[operator]


def copy_averages(state: State) -> None:
    """Moving averages and kept copies begin where the networks are now."""
    for f in fields(state):
        for end in COPIES:
            if f.name.endswith(end):
                getattr(state, f.name).load_state_dict(getattr(state, f.name.removesuffix(end)).state_dict())
