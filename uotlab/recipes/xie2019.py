"""Figures of the SPOT chapter: a distance that converges, joint densities, matched pairs, more than two marginals.

Reference: xie2019scalable, Figures 2 to 6 (in the thesis: 3.2, 3.4 and 3.6).
"""

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe


class Spot(Recipe):
    """A figure of this chapter."""

    paper = "xie2019scalable"


@RECIPES.register("xie-3.2")
class Distance(Spot):
    """W1 between two Gaussians."""

    title = "A distance that is known: 5"
    figure = "Thesis, Figure 3.2"
    picture = "Estimated distance against epochs for three learning rates: SPOT's curves settle at 5 within 0.6%, those of a rival drift."
    look = (
        "Two equal Gaussians lie 5 apart, and for the cost |x-y| every optimal plan costs exactly that. "
        "Watch the relative error of the generated pairs' cost fall below one percent."
    )
    topics = ("exactness", "matched pairs")
    run = RunSpec(method="spot", dataset="shifted-gaussians", params={"cost": "euclidean"}, steps=3000)
    view = "metrics"
    order = 60


@RECIPES.register("xie-3.4a")
class DensityGaussians(Spot):
    """A joint density of two Gaussians."""

    title = "The plan as a density: two Gaussians"
    figure = "Thesis, Figure 3.4, left"
    picture = "Heat maps of joint densities between their two marginals: for a small entropy a thin ridge, for a larger one a broad one."
    look = (
        "The heat map is a formula, not a histogram: a flow makes the pairs and tells how dense they are. "
        "It is a slanted ridge; raise eps and it becomes broader."
    )
    topics = ("matched pairs", "maps on a line")
    run = RunSpec(method="spotflow", dataset="line-densities", steps=1000)
    view = "joint-density"
    order = 61


@RECIPES.register("xie-3.4b")
class DensityMixtures(Spot):
    """A joint density of two mixtures."""

    title = "The plan as a density: two bumps to two"
    figure = "Thesis, Figure 3.4, right"
    picture = DensityGaussians.picture
    look = (
        "Each bump of the source is matched with the bump on its own side, so the density has two islands. "
        "With larger eps a bridge grows between them."
    )
    topics = ("matched pairs", "maps on a line")
    run = RunSpec(method="spotflow", dataset="line-densities", data={"law": "mixtures"}, steps=1500)
    view = "joint-density"
    order = 62


@RECIPES.register("xie-3.6a")
class PairsGaussians(Spot):
    """Matched pairs of two Gaussians."""

    title = "Matched pairs: two Gaussians"
    figure = "Thesis, Figure 3.6, top"
    picture = "Input clouds on the left, generated clouds on the right, with thin lines between the two parts of some pairs."
    look = (
        "Nobody showed the generator a pair, yet its two parts look like the two clouds and each line is parallel to the others. "
        "With the squared cost the best match is the shift."
    )
    topics = ("matched pairs",)
    run = RunSpec(method="spot", dataset="shifted-gaussians", steps=2000)
    view = "matches"
    order = 63


@RECIPES.register("xie-3.6b")
class PairsCurve(Spot):
    """Matched pairs of a Gaussian and a bent band."""

    title = "Matched pairs: a Gaussian and a bent band"
    figure = "Thesis, Figure 3.6, bottom"
    picture = PairsGaussians.picture
    look = (
        "The round cloud is matched with a bent band: what is high goes high, what is low goes low. "
        "Lines do not cross, and both parts of the pairs have the shape of their data."
    )
    topics = ("matched pairs", "shapes")
    run = RunSpec(method="spot", dataset="gaussian-to-curve", steps=2000)
    view = "matches"
    order = 64


@RECIPES.register("xie-3.m")
class Three(Spot):
    """Three marginals at once."""

    title = "Three marginals at once"
    figure = "Thesis, Section 3.3"
    picture = "No picture, a formula: one generator with a part for each marginal, and the sum of costs over all pairs of parts."
    look = (
        "One generator makes triples, a point for each of three Gaussians of different spread, and the cost couples all pairs. "
        "Thin lines join the triples; switch the mean on: the means of the triples are the three clouds' barycenter."
    )
    topics = ("matched pairs", "barycenters")
    run = RunSpec(method="spot", dataset="three-gaussians", steps=2000)
    view = "matches"
    order = 65
