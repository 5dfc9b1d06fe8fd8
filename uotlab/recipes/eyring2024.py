"""Figures of the paper on unbalanced neural Monge maps: four squares, digits, and every estimator that it makes unbalanced.

Reference: eyring2024unbalancedness, Figures 1 to 4, 6 and 7, Table 11; lubeck2022neural.
"""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe

SQUARES = (
    "Eight panels on four squares, of which bottom left and top right hold three fifths: the data, discrete plans balanced and at two τ, "
    "and flows with independent, balanced and unbalanced couplings at the same τ."
)
CELLS = "Theirs is on the developing pancreas; two classes whose shares differ stand in for its cell types. "


class Eyring(Recipe):
    """A figure of this paper."""

    paper = "eyring2024unbalancedness"


class Discrete(Eyring):
    """A discrete panel of Figure 2."""

    page = "plans"
    picture = SQUARES
    topics = ("discrete plans", "class shares")
    view = "plan-lines"


@RECIPES.register("eyring-1")
class DigitClasses(Eyring):
    """A shift of classes without muddling them."""

    title = "Digits whose shares shift: no digit becomes another"
    figure = "Figures 1 and 6"
    picture = (
        "Digits 0, 1, 8 are translated to the letters O, I, B, of which there are other shares: balanced maps turn some 8s into Os. "
        "EMNIST is not here; MNIST's own digits with shifted shares stand in."
    )
    look = (
        "Pairs of a digit and its image: each should be the same digit, although the target has ten times as many 0s as 9s. "
        "Train otfm with the same settings for comparison: it must turn 9s into 0s."
    )
    topics = ("digits", "images", "class shares", "flows")
    run = RunSpec(method="uotfm", dataset="mnist-imbalance", params={"rho1": 0.3, "rho2": 0.3}, steps=1500)
    view = "images"
    order = 30


@RECIPES.register("eyring-2b")
class SquaresBalanced(Discrete):
    """Discrete, balanced."""

    title = "Four squares, discrete: balanced"
    figure = "Figure 2b"
    look = (
        "A fifth of the mass has to cross from left to right, as the left has too much below and too little above. "
        "The long lines are what unbalanced plans do without."
    )
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "two-squares", "n": "300", "p.eps": "0.01"}
    order = 31


@RECIPES.register("eyring-2c")
class SquaresBit(Discrete):
    """Discrete, a bit unbalanced."""

    title = "Four squares, discrete: a little unbalanced"
    figure = "Figure 2c"
    look = (
        "With ρ = 3 destroying and making mass costs about as much as crossing, so only some still crosses. "
        "Move the dial of ρ to see the long lines come and go."
    )
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn", "data": "two-squares", "n": "300", "p.eps": "0.01", "p.rho1": "3", "p.rho2": "3",
    }  # fmt: skip
    order = 32


@RECIPES.register("eyring-2d")
class SquaresMuch(Discrete):
    """Discrete, more unbalanced."""

    title = "Four squares, discrete: more unbalanced"
    figure = "Figure 2d"
    look = (
        "With ρ = 0.5 no line crosses: each square goes to the square above it. "
        "Open the picture Scaling: on the left mass is destroyed below, on the right it is made."
    )
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn", "data": "two-squares", "n": "300", "p.eps": "0.01", "p.rho1": "0.5", "p.rho2": "0.5",
    }  # fmt: skip
    order = 33


class Flow(Eyring):
    """A flow panel of Figure 2."""

    picture = SQUARES
    topics = ("flows", "class shares")
    view = "trajectories"


@RECIPES.register("eyring-2e")
class SquaresFM(Flow):
    """Flow matching, pairs at random."""

    title = "Four squares, flow matching: pairs at random"
    figure = "Figure 2e"
    look = (
        "Pairs are drawn at random, so the flow has to bend: paths first run to the middle and then part. "
        "Points of both squares end up on both sides."
    )
    run = RunSpec(method="fm", dataset="two-squares", steps=1500)
    order = 34


@RECIPES.register("eyring-2f")
class SquaresOTFM(Flow):
    """Flow matching with optimal mini-batch pairs."""

    title = "Four squares, OT-FM: straight, but across"
    figure = "Figure 2f"
    look = "Optimal pairs make the paths straight and short. Still a third of the left square crosses, since all mass must be served."
    run = RunSpec(method="otfm", dataset="two-squares", steps=1000)
    order = 35


@RECIPES.register("eyring-2g")
class SquaresUOTFM(Flow):
    """Flow matching with unbalanced mini-batch pairs."""

    title = "Four squares, UOT-FM: nobody crosses"
    figure = "Figures 2g and 2h"
    look = (
        "With unbalanced pairs at ρ = 0.2 every path goes straight up. "
        "Open the picture Map: colour and size show that the left shrinks and the right grows instead."
    )
    run = RunSpec(method="uotfm", dataset="two-squares", params={"rho1": 0.2, "rho2": 0.2}, steps=1000)
    order = 36


@RECIPES.register("eyring-3a")
class ICNNBalanced(Eyring):
    """A balanced convex map mixes what it should not."""

    title = "A convex map, balanced: classes get mixed"
    figure = "after Figure 3, top"
    picture = CELLS + "Streams of cells, where Ngn3 cells move to the wrong lineage because that one has grown."
    look = (
        "The upper class would have to fill three quarters of the target with a quarter of the mass, so the lower class is pulled up "
        "out of its place. That is the error that the paper's biologists saw: cells of one lineage appear in another."
    )
    topics = ("class shares", "convex networks")
    run = RunSpec(method="oticnn", dataset="class-imbalance", steps=1500)
    view = "map"
    order = 37


@RECIPES.register("eyring-3b")
class ICNNUnbalanced(Eyring):
    """An unbalanced convex map keeps classes."""

    title = "A convex map, unbalanced: classes stay"
    figure = "after Figure 3, bottom"
    picture = CELLS + "The same streams with the unbalanced map: Ngn3 cells now move to their own lineage."
    look = (
        "Batches re-weighted by an unbalanced plan leave most of the lower class where it belongs, and violet: it shrinks. "
        "A smooth convex map still has a few strays between the classes; the balanced one pulls the whole class up."
    )
    topics = ("class shares", "convex networks", "growth")
    run = RunSpec(method="uoticnn", dataset="class-imbalance", params={"rho1": 0.3, "rho2": 0.3}, steps=1500)
    view = "map"
    order = 38


@RECIPES.register("eyring-4a")
class MongeGapBalanced(Eyring):
    """The Monge gap, balanced."""

    title = "The Monge gap, balanced: outliers are dragged along"
    figure = "after Figure 4"
    picture = (
        "Scatter plots of errors, unbalanced below balanced, for responses of cells to drugs. "
        "A mixture with outliers stands in for the cells."
    )
    look = (
        "Four modes go to four modes, but small groups far out on either side have to be served as well. "
        "On the left a mode is smeared out towards far targets, on the right far points are dragged in and displace their neighbours."
    )
    topics = ("outliers", "Monge gap")
    run = RunSpec(method="otmg", dataset="outlier-mixture", params={"gap_weight": 0.1}, steps=500)
    view = "map"
    order = 39


@RECIPES.register("eyring-4b")
class MongeGapUnbalanced(Eyring):
    """The Monge gap, unbalanced."""

    title = "The Monge gap, unbalanced: outliers are scaled down"
    figure = "after Figure 4"
    picture = MongeGapBalanced.picture
    look = (
        "The same map with re-weighted batches: points of the far group turn violet and tiny, so they hardly count. "
        "The four modes stay whole and go to their neighbours, undisturbed."
    )
    topics = ("outliers", "Monge gap")
    run = RunSpec(method="uotmg", dataset="outlier-mixture", params={"gap_weight": 0.1, "rho1": 0.1, "rho2": 0.1}, steps=500)
    view = "map"
    order = 40


@RECIPES.register("eyring-7b")
class LargeEpsilon(Eyring):
    """A blurred coupling is an independent one."""

    title = "A blurred coupling is no coupling: large ε"
    figure = "Figure 7b"
    picture = "Transport cost and image quality of UOT-FM against ε: below 0.01 nothing changes, and towards large ε it becomes plain FM."
    look = (
        "UOT-FM with ε = 3 mean costs: pairs are as good as random, and paths bend as those of FM do. "
        "Set ε to 0.05 and train again: they become straight."
    )
    topics = ("flows",)
    run = RunSpec(method="uotfm", dataset="8gaussians-to-moons", params={"eps": 3.0}, steps=1500)
    view = "trajectories"
    order = 41


@RECIPES.register("eyring-t11")
class Competitor(Eyring):
    """NubOT."""

    title = "NubOT, the competitor"
    figure = "Table 11"
    picture = (
        "A table of errors for several τ: NubOT's grow from 26 to over a thousand where the mass is freer, while UOT-ICNN's stay small."
    )
    look = (
        "NubOT weighs carried points against the target, without a price for the way: classes may mix although the scaling is learned. "
        "Compare with the unbalanced convex map on the same data."
    )
    topics = ("class shares", "convex networks", "growth")
    run = RunSpec(method="nubot", dataset="class-imbalance", params={"rho1": 0.3, "rho2": 0.3}, steps=800)
    view = "map"
    order = 42


@RECIPES.register("eyring-12")
class Unbalancedness(Eyring):
    """How unbalanced is right."""

    title = "How unbalanced should it be? A sweep over τ"
    figure = "Figure 12"
    page = "sweep"
    picture = (
        "Share of correct transitions of cells against τ, for several lineages: it rises as τ falls from 1, and drops again when too much "
        "is let go. Two toy classes stand in for the lineages, and the axis is ρ."
    )
    look = (
        "UOT-FM keeps nearly all points in their class while ρ is small, and loses them as ρ grows towards the level of balanced OT-FM. "
        "The star marks the best ρ."
    )
    topics = ("class shares", "flows", "sweeps")
    query: ClassVar[Mapping[str, str]] = {
        "methods": "uotfm,otfm", "data": "class-imbalance", "grid.rho": "0.03,0.1,0.3,1,3,30", "seeds": "0,1", "steps": "300",
        "metric": "label kept",
    }  # fmt: skip
    view = "sweep"
    starts = True
    order = 43
