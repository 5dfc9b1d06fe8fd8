"""Examples of our own: what the lab opens with, and the first things to try on the pages of plans and barycenters."""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe


@RECIPES.register("moons-to-spiral")
class MoonsToSpiral(Recipe):
    """What the lab opens with."""

    title = "Moons to spiral, while it learns"
    look = (
        "Two half circles become one spiral arm: watch the map tear the moons and bend them. Few points stay between the turns at the end."
    )
    topics = ("shapes",)
    run = RunSpec(method="uotm", dataset="moons-to-spiral", params={"rho1": 10.0, "rho2": 10.0})
    view = "map"
    order = 900


class PlanExample(Recipe):
    """An example of the page of plans."""

    page = "plans"
    topics: ClassVar[tuple[str, ...]] = ("discrete plans",)


@RECIPES.register("plan-squares")
class Squares(PlanExample):
    """Balanced against unbalanced in one drag; what the page of plans opens with."""

    title = "Two squares, unequal shares"
    look = "Balanced transport must carry mass across the gap. Move ρ to the left until nobody crosses."
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "two-squares", "p.eps": "0.01", "p.rho1": "1", "p.rho2": "1"}
    view = "plan-lines"
    order = 910


@RECIPES.register("plan-line")
class OnALine(PlanExample):
    """The classical picture."""

    title = "On a line: p to q"
    look = "The classical picture of a plan between its two marginals. Small ε makes it a curve, small ρ leaves mass behind."
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "p-to-q", "p.eps": "0.01", "p.rho1": "1", "p.rho2": "1"}
    view = "plan"
    order = 911


@RECIPES.register("plan-outlier")
class OneOutlier(PlanExample):
    """A price at which an outlier is let go."""

    title = "One outlier in a hundred"
    look = "A far outlier must be served while ρ is large. Let it go by moving ρ to the left, on the target side alone."
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "outliers-1d", "p.eps": "0.02", "p.rho1": "3", "p.rho2": "3"}
    view = "plan-scaling"
    topics = ("discrete plans", "outliers")
    order = 912


@RECIPES.register("plan-growth")
class TwiceTheMass(PlanExample):
    """Unequal masses."""

    title = "Twice the mass"
    look = "The target has twice the mass of the source, so no balanced plan exists. Watch where the missing mass appears."
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn",
        "data": "gaussians",
        "d.target_mass": "2",
        "p.eps": "0.02",
        "p.rho1": "1",
        "p.rho2": "1",
    }
    view = "plan-path"
    topics = ("discrete plans", "growth")
    order = 913


@RECIPES.register("plan-moons")
class MoonsPlan(PlanExample):
    """Mass on its way."""

    title = "Moons to a spiral"
    look = "Press Play to see the mass on its way. With ρ = ∞ all of it goes; move ρ to the left to leave the far ends alone."
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "moons-to-spiral", "p.eps": "0.01"}
    view = "plan-path"
    topics = ("discrete plans", "shapes")
    order = 914


class BarycenterExample(Recipe):
    """An example of the page of barycenters."""

    page = "barycenters"
    topics: ClassVar[tuple[str, ...]] = ("barycenters",)


@RECIPES.register("bary-line")
class TwoBumpsAndABox(BarycenterExample):
    """What the page of barycenters opens with."""

    title = "Two bumps and a box"
    look = (
        "Drag the point in the triangle: the average changes its place and its shape together. Beside IPOT's sharp one stand blurred ones."
    )
    query: ClassVar[Mapping[str, str]] = {"kind": "densities", "method": "ipot"}
    order = 920


@RECIPES.register("bary-demo")
class TwoBumpsToOne(BarycenterExample):
    """The thesis author's own demonstration."""

    title = "The thesis' demo: two bumps to one"
    look = "Half way between two bumps and one lie two bumps, closer together. Move the point to see them merge."
    query: ClassVar[Mapping[str, str]] = {
        "kind": "densities",
        "method": "ipot",
        "m": "two-bumps,-2,1.2;gaussian,2.5,0.7",
        "p.beta": "0.15",
        "p.iterations": "200",
    }
    order = 921


@RECIPES.register("bary-outlier")
class OutlierMass(BarycenterExample):
    """Unbalanced averaging."""

    title = "Outlier mass, unbalanced"
    look = (
        "One of three inputs has 15% of its mass far to the right. The unbalanced average lets it go, the balanced one keeps a bump there."
    )
    query: ClassVar[Mapping[str, str]] = {
        "kind": "densities", "method": "unbalanced", "m": "gaussian,-1,0.4,1,0.15;gaussian,0,0.5;gaussian,1,0.4",
        "p.rho1": "0.2", "p.eps": "0.005",
    }  # fmt: skip
    topics = ("barycenters", "outliers")
    order = 922


@RECIPES.register("bary-masses")
class UnequalMasses(BarycenterExample):
    """Inputs of unequal masses."""

    title = "Unequal masses"
    look = (
        "One input has four times the mass of the other, which balanced averaging cannot take. "
        "The average lies between, in place and in mass."
    )
    query: ClassVar[Mapping[str, str]] = {
        "kind": "densities",
        "method": "unbalanced",
        "m": "gaussian,-1.5,0.5,2;gaussian,1.5,0.5,0.5",
        "p.rho1": "1",
    }
    topics = ("barycenters", "growth")
    order = 923


@RECIPES.register("bary-image")
class OneThreeToAnother(BarycenterExample):
    """Images."""

    title = "One 3 to another"
    look = (
        "Three handwritten 3s, scaled and shifted at random, have one average. IPOT's stays a 3 with thin strokes, the entropic ones blur."
    )
    query: ClassVar[Mapping[str, str]] = {"kind": "images", "method": "ipot", "p.iterations": "200"}
    topics = ("barycenters", "digits")
    order = 924


@RECIPES.register("bary-cloud")
class FreeSupport(BarycenterExample):
    """Points that move."""

    title = "Free support of three clouds"
    look = (
        "The average of a ring, a cross and a heart is a cloud whose points move to where they belong. Drag the point towards one of them."
    )
    query: ClassVar[Mapping[str, str]] = {"kind": "clouds", "method": "free-support", "m": "ring,-2,0,1.2;cross,2,0,1.2;heart,0,2.4,1.2"}
    order = 925


@RECIPES.register("bary-hands")
class ThreeHands(Recipe):
    """Digits of three collections, learned."""

    title = "One digit, three hands"
    look = (
        "The 0s, 3s and 8s of three collections meet in the middle, and stay what they are. "
        "A few of the first are negatives: they are crossed out, and hardly any is accepted."
    )
    topics = ("barycenters", "digits", "outliers")
    run = RunSpec(
        method="unotb", dataset="digit-hands", steps=800,
        params={
            "tau": 8.0, "divergence": "softplus", "batch_size": 128, "map_steps": 1, "search": False, "potential_share": 1.0, "lr": 1e-3,
        },
    )  # fmt: skip
    view = "barycenter-digits"
    order = 926
