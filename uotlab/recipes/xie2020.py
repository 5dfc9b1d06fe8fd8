"""Figures of the proximal point chapter: convergence, sparse plans, sharp barycenters.

Reference: xie2020fast, Figures 2, 4 and 8 (in the thesis: 2.2, 2.4 and 2.8).
"""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.recipes.base import RECIPES, Recipe

SETTING: Mapping[str, str] = {"solver": "ipot", "data": "p-to-q", "n": "100"}


class Proximal(Recipe):
    """A figure of this chapter."""

    paper = "xie2020fast"
    page = "plans"
    topics: ClassVar[tuple[str, ...]] = ("discrete plans", "exactness")


@RECIPES.register("xie-2.2")
class Convergence(Proximal):
    """IPOT reaches the exact value, Sinkhorn does not."""

    title = "IPOT reaches the exact value"
    figure = "Thesis, Figure 2.2"
    picture = "Distance to the exact cost against iterations, both logarithmic, for IPOT with several inner steps L and for Sinkhorn."
    look = (
        "Sinkhorn's curves run level, at an error that only a smaller ε lowers. "
        "IPOT's goes on down in swings, although its β is as large as the largest ε."
    )
    query: ClassVar[Mapping[str, str]] = SETTING
    view = "plan-convergence"
    order = 50


@RECIPES.register("xie-2.4")
class Sparsity(Proximal):
    """IPOT's plans become sparse."""

    title = "Plans that become sparse"
    figure = "Thesis, Figure 2.4"
    picture = (
        "Rows of small red heat maps, Sinkhorn's and IPOT's plans after more and more iterations, over the black line of the exact plan."
    )
    look = (
        "From left to right more iterations: Sinkhorn's plans stay bands, as wide as ε makes them. "
        "IPOT's narrow to the exact plan's line, whatever β is."
    )
    query: ClassVar[Mapping[str, str]] = SETTING
    view = "plan-sparsity"
    order = 51


@RECIPES.register("xie-2.8")
class SharpDigits(Proximal):
    """Barycenters of digits, row by row."""

    title = "Digits, sharp and blurred"
    figure = "Thesis, Figure 2.8"
    page = "barycenters"
    picture = (
        "Columns of digits; the top row shows some of fifty scaled and shifted images of each, the rows below their barycenters by several "
        "methods: entropic ones are clouds, IPOT's in the last row is a clear digit. Here eight images of each of three digits."
    )
    look = (
        "Each row is a method's average of the images in the first row, from large ε to small. "
        "The last row, IPOT, has the thinnest strokes: its sharpness, written above, is the largest."
    )
    topics = ("barycenters", "digits", "exactness")
    query: ClassVar[Mapping[str, str]] = {"kind": "rows", "method": "ipot", "digits": "358", "p.iterations": "200"}
    starts = True
    order = 52
