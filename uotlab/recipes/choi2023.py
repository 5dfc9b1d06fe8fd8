"""Figures of the semi-dual paper: an outlier on a line, the map on clean data, conjugates.

Reference: choi2023generative, Figures 2, 4 and 8. Its other figures are of CIFAR-10 and CelebA.
"""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe

OUTLIER = (
    "The target's density under the image's, and the map beside it; the outlier is 1% at -1. "
    "There the exact unbalanced optimum serves the outlier too, so here it lies at -8, where the optimum does let go of it."
)
CLEAN = "Three scatter plots of x against T(x) from p to q: OTM's is ragged, Fixed-μ's and UOTM's lie on an increasing curve with a jump."


class Choi(Recipe):
    """A figure of this paper."""

    paper = "choi2023generative"


@RECIPES.register("choi-2a")
class OutlierBalanced(Choi):
    """Balanced transport serves the outlier."""

    title = "An outlier, balanced: mass must go there"
    figure = "Figure 2a"
    picture = OUTLIER
    look = (
        "The target has one percent of its points at -8 and a sharp peak at 1. "
        "Balanced transport stretches its image towards the outlier: some mass lands where there is no target at all."
    )
    topics = ("outliers",)
    run = RunSpec(method="otm", dataset="outliers-1d", steps=3000)
    view = "map1d"
    order = 20


@RECIPES.register("choi-2b")
class OutlierUnbalanced(Choi):
    """Unbalanced transport lets go of it."""

    title = "An outlier, unbalanced: it is let go"
    figure = "Figure 2b"
    picture = OUTLIER
    look = (
        "The same data with UOTM at ρ = 0.3: the image stays at the bulk. "
        "Where a point would have to serve the outlier its colour turns violet, since its mass is given up instead."
    )
    topics = ("outliers",)
    run = RunSpec(method="uotm", dataset="outliers-1d", params={"rho1": 0.3, "rho2": 0.3}, steps=4000)
    view = "map1d"
    order = 21


@RECIPES.register("choi-4a")
class CleanOTM(Choi):
    """OTM on clean data."""

    title = "The map on clean data: OTM"
    figure = "Figure 4, left"
    picture = CLEAN
    look = (
        "Two bumps go to two bumps of unequal weight, and the optimal map increases with one jump (orange line). "
        "With both marginals held, the potential is hardest to learn: watch how long the curve takes to settle."
    )
    topics = ("maps on a line",)
    run = RunSpec(method="otm", dataset="p-to-q", steps=3000)
    view = "map1d"
    order = 22


@RECIPES.register("choi-4b")
class CleanFixed(Choi):
    """Fixed-μ on clean data."""

    title = "The map on clean data: Fixed-μ"
    figure = "Figure 4, middle"
    picture = CLEAN
    look = (
        "Only the target may be missed: every source point keeps its mass, all are grey. "
        "The curve increases and jumps where the target has its gap."
    )
    topics = ("maps on a line",)
    run = RunSpec(method="fixedmu", dataset="p-to-q", params={"rho2": 2.2}, steps=3000)
    view = "map1d"
    order = 23


@RECIPES.register("choi-4c")
class CleanUOTM(Choi):
    """UOTM on clean data."""

    title = "The map on clean data: UOTM"
    figure = "Figure 4, right"
    picture = CLEAN
    look = (
        "Both sides may be missed at a price, which is τ = 0.1 of the paper (ρ = 2.2). "
        "Colours show who grows and who shrinks: the left bump has too much mass and turns violet, so that the jump moves."
    )
    topics = ("maps on a line", "growth")
    run = RunSpec(method="uotm", dataset="p-to-q", params={"rho1": 2.2, "rho2": 2.2}, steps=3000)
    view = "map1d"
    order = 24


@RECIPES.register("choi-8")
class Conjugates(Choi):
    """Conjugates of the divergences."""

    title = "Why the potential stays calm: conjugates"
    figure = "Figure 8"
    page = "learn"
    picture = (
        "Curves of the conjugates Ψ\\* for the identity, KL, χ² and softplus: all increase; all but the identity level off to the left."
    )
    look = (
        "Balanced transport's conjugate is a straight line that pushes for ever. The others flatten on the left: a point that is "
        "too dear stops pushing, and its mass factor, the slope, falls to zero."
    )
    topics = ("divergences",)
    query: ClassVar[Mapping[str, str]] = {"lesson": "Divergences"}
    order = 26


@RECIPES.register("choi-7")
class Weights(Choi):
    """How well the target is met, against the weight of the cost."""

    title = "How dear may it be? A sweep over τ"
    figure = "Figure 7"
    page = "sweep"
    picture = (
        "FID of CIFAR-10 samples against τ, the weight of the cost: good in a middle range, worse on either side. "
        "Here it is the KL divergence of the image from the target on a line; large τ is small ρ, on the left."
    )
    look = (
        "Five runs, from cheap changes of mass on the left to dear ones on the right. "
        "The smaller ρ, the farther the image stays from the target: it saves its way, as the optimum does too."
    )
    topics = ("maps on a line", "sweeps")
    query: ClassVar[Mapping[str, str]] = {
        "methods": "uotm", "data": "p-to-q", "grid.rho": "0.3,1,3,10,30", "seeds": "0", "steps": "1500", "metric": "kl",
    }  # fmt: skip
    view = "sweep"
    starts = True
    order = 25
