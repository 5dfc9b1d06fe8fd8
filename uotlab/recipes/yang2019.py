"""Yang and Uhler's figures: maps that may split, prices of growth, classes re-weighted.

Reference: yang2019scalable, Figures 1 to 4. Figures 5 and 6 need faces and cells,
3c coordinates in which dimmed digits keep their class.
"""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe


class Yang(Recipe):
    """A figure of this paper."""

    paper = "yang2019scalable"


@RECIPES.register("yang-1b")
class Stochastic(Yang):
    """One point, several children."""

    title = "A map that splits: one point becomes several"
    figure = "Figure 1b"
    picture = (
        "Two schematic rows: a deterministic map sends each point to one place and scales it; a stochastic one sends one point to several. "
        "This is the second row, trained."
    )
    look = (
        "Two source blobs face four target blobs, and with its noise z the map draws every source point out into a line through the two "
        "opposite, stragglers between them included; small green points are several images of one point. "
        "Give the critic one step a turn and no gradient penalty: z is then all but ignored."
    )
    topics = ("growth", "stochastic maps")
    run = RunSpec(
        method="ubgan",
        dataset="drawn",
        data={"source": "-2,1;-2,-1"},
        params={  # with one critic step and no penalty the map learns to ignore z
            "noise": 2,
            "search": False,
            "map_steps": 1,
            "critic_steps": 3,
            "critic_share": 1.0,
            "critic_penalty": 10.0,
            "slope": 1.0,
            "activation": "silu",
            "width": 64,
            "depth": 2,
            "lr": 1e-3,
        },
        steps=2000,
    )
    view = "map"
    order = 10


@RECIPES.register("yang-2a")
class Prices(Yang):
    """Prices of transport against prices of growth."""

    title = "Move it, or grow it? The price decides"
    figure = "Figure 2a"
    page = "plans"
    picture = (
        "Column 1 shows a population, column 2 the same later, columns 3 to 6 different answers: where growth is dear mass travels, "
        "where travel is dear points grow and die in place."
    )
    look = (
        "Eight plans of the same two populations, from balanced to very unbalanced, each with the share of mass that still moves. "
        "While ρ is large mass crosses to the row where it is missing; when it is small each blob serves its own row, and grows or dies."
    )
    topics = ("discrete plans", "growth")
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn", "data": "drawn", "n": "400", "d.source": "-1,1.5,2;-1,0,2;-1,-1.5,2", "d.target": "1,1.5,4;1,0,1;1,-1.5,1",
        "p.eps": "0.01", "p.rho1": "1", "p.rho2": "1",
    }  # fmt: skip
    view = "plan-strip"
    order = 11


@RECIPES.register("yang-2b")
class Classes(Yang):
    """Classes stay themselves, and are scaled."""

    title = "Two classes, unequal shares: scaled, not mixed"
    figure = "Figure 2b"
    picture = (
        "Coloured source points of several classes beside grey targets; a pure map muddles the classes, an unbalanced one keeps them, "
        "and a third panel shows the scaling that makes up for the imbalance."
    )
    look = (
        "A quarter of the source lies above, but three quarters of the target do: still hardly an arrow crosses between the classes. "
        "Both pay for the way, and the upper class keeps three times the share of the lower one: it is paler and larger."
    )
    topics = ("class shares", "growth")
    run = RunSpec(method="ubgan", dataset="class-imbalance", params={"rho1": 0.2, "rho2": 0.2}, steps=2000)
    view = "map"
    order = 12


@RECIPES.register("yang-3b")
class Digits(Yang):
    """The scaling recovers the class ratios of digits."""

    title = "MNIST to imbalanced MNIST: the scaling finds the classes"
    figure = "Figure 3b"
    picture = (
        "Box plots of the scaling factor by digit: about 1.5 for digits 0 to 3, which become more frequent, about 1 for 4 and 5, "
        "and below 1 for 6 to 9. Theirs works on pixels, this on 16 coordinates of the images' neighbour graph."
    )
    look = (
        "A bar for each digit and a mark at its true ratio: nobody told the method the classes, yet the bars rise and fall with them, "
        "about half as far. "
        "Open the picture Images to see that each digit stays what it is."
    )
    topics = ("class shares", "digits", "growth")
    run = RunSpec(method="ubgan", dataset="mnist-imbalance", data={"scheme": "three-level"}, params={"rho1": 0.3, "rho2": 0.3}, steps=3000)
    view = "scaling"
    order = 13


@RECIPES.register("yang-4")
class Domains(Yang):
    """From one collection of digits to another."""

    title = "From one collection of digits to another"
    figure = "Figure 4"
    picture = (
        "Arrows from MNIST digits to their USPS counterparts, sized by their scaling: bright, broad digits grow. "
        "USPS may not be passed on, so bold digits from Dutch utility maps stand in; put a copy of USPS into UOTLAB_DATA for theirs."
    )
    look = (
        "Pairs of a digit and its image: most keep their likeness and become bold and coarse. "
        "Their size shows the scaling: broad and bright digits grow, thin ones shrink."
    )
    topics = ("digits", "images")
    run = RunSpec(method="ubgan", dataset="mnist-to-mfeat", params={"rho1": 1.0, "rho2": 1.0}, steps=3000)
    view = "images"
    order = 15
