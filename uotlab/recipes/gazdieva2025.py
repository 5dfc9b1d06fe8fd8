"""Panels of the robust barycenter paper: its barycenters, its reference, its baseline, its data.

For two measures the barycenter lies half way along the unbalanced plan between them.
Reference: gazdieva2025robust, Figures 1 to 3.
"""

from collections.abc import Mapping
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import RECIPES, Recipe


class Gazdieva(Recipe):
    """A figure of this paper."""

    paper = "gazdieva2025robust"


@RECIPES.register("gazdieva-1b")
class Reference(Gazdieva):
    """The discrete answer."""

    title = "A spiral and eight blobs: the discrete answer"
    figure = "Figure 1b"
    page = "plans"
    picture = (
        "A spiral, its barycenter with a mixture of Gaussians, and the lines between: "
        "the discrete solution that the others are held against."
    )
    look = (
        "Set the time to one half: the cloud is then the barycenter of the spiral and the eight blobs. "
        "Mass that would have to travel too far fades on its way."
    )
    topics = ("barycenters", "discrete plans", "shapes")
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn", "data": "spiral-to-8gaussians", "n": "500", "p.eps": "0.01", "p.rho2": "0.5",
    }  # fmt: skip
    view = "plan-path"
    order = 70


@RECIPES.register("gazdieva-1c")
class Baseline(Gazdieva):
    """UOTM as baseline."""

    title = "A spiral and eight blobs: UOTM"
    figure = "Figure 1c"
    picture = "The same picture learned by UOTM: points half way along its map, near the discrete answer but with strays between the blobs."
    look = (
        "A connected arm has to break into eight blobs, which a network can only do with a steep slope: look for threads between them. "
        "Arrows show which turn of the arm feeds which blob."
    )
    topics = ("barycenters", "shapes")
    run = RunSpec(method="uotm", dataset="spiral-to-8gaussians", steps=3000)
    view = "map"
    order = 71


@RECIPES.register("gazdieva-2a")
class ClassesBalanced(Gazdieva):
    """Class imbalance, balanced."""

    title = "Unequal classes, balanced: a mode in between"
    figure = "Figure 2a"
    page = "plans"
    picture = (
        "Two classes in unequal shares and their barycenters at several τ: the balanced one has a mode in the middle, where no class is."
    )
    look = (
        "Set the time to one half: besides a mode above and one below, a third appears in the middle. "
        "It is the mass that changes its class on the way, half of all."
    )
    topics = ("barycenters", "class shares", "discrete plans")
    query: ClassVar[Mapping[str, str]] = {"solver": "sinkhorn", "data": "class-imbalance", "n": "500", "p.eps": "0.01"}
    view = "plan-path"
    order = 72


@RECIPES.register("gazdieva-2b")
class ClassesUnbalanced(Gazdieva):
    """Class imbalance, unbalanced."""

    title = "Unequal classes, unbalanced: classes stay"
    figure = "Figure 2b"
    page = "plans"
    picture = (
        "The same barycenters at small τ: modes only between classes that belong together, and samples of the too large class rejected."
    )
    look = "At ρ = 0.25 the mode in the middle is almost gone: above goes to above, below to below. Move ρ to the right and it comes back."
    topics = ("barycenters", "class shares", "discrete plans")
    query: ClassVar[Mapping[str, str]] = {
        "solver": "sinkhorn", "data": "class-imbalance", "n": "500", "p.eps": "0.01", "p.rho1": "0.25", "p.rho2": "0.25",
    }  # fmt: skip
    view = "plan-path"
    order = 73


@RECIPES.register("gazdieva-3")
class Outliers(Gazdieva):
    """Outliers are rejected."""

    title = "Outliers on both sides: who is rejected"
    figure = "Figure 3"
    picture = (
        "Three clouds with 5% outliers and their barycenters: at small τ the outliers are rejected, at large τ they take part. "
        "Two of the three clouds are matched here."
    )
    look = (
        "Both sides have four small groups far away, to the right and to the left. "
        "UOTM colours them violet and draws them as specks: their mass is given up rather than dragged across."
    )
    topics = ("outliers", "barycenters")
    run = RunSpec(method="uotm", dataset="outlier-mixture", params={"rho1": 0.2, "rho2": 0.2}, steps=2500)
    view = "map"
    order = 74


@RECIPES.register("gazdieva-1e")
class Learned(Gazdieva):
    """U-NOTB on the spiral."""

    title = "A spiral and eight blobs: the learned barycenter"
    figure = "Figure 1e"
    picture = "The barycenter of the spiral, which is kept whole, and the eight blobs, which may be left in part, as U-NOTB learns it."
    look = (
        "The barycenter is a spiral torn into pieces, each half way to a blob. "
        "Compare it with the discrete answer: the error against it is among the numbers."
    )
    topics = ("barycenters", "shapes")
    run = RunSpec(method="unotb", dataset="spiral-to-8gaussians", params={"divergence1": "balanced", "tau2": 5.0}, steps=1500)
    view = "barycenter-samples"
    order = 75


@RECIPES.register("gazdieva-2c")
class ClassesLearned(Gazdieva):
    """U-NOTB on unequal classes."""

    title = "Unequal classes: the learned robust barycenter"
    figure = "Figure 2b"
    picture = "At τ = 1 the barycenter has a mode between the two upper classes and one between the two lower ones, and none in the middle."
    look = (
        "Two modes, one above and one below, and none in the middle, where no class is. "
        "Raise τ to 200 and a third appears there, as in the balanced barycenter."
    )
    topics = ("barycenters", "class shares")
    run = RunSpec(method="unotb", dataset="class-imbalance", params={"tau": 1.0}, steps=1000)
    view = "barycenter-samples"
    order = 76


@RECIPES.register("gazdieva-3b")
class OutliersLearned(Gazdieva):
    """U-NOTB on three clouds with outliers."""

    title = "Three clouds with outliers: the learned robust barycenter"
    figure = "Figure 3"
    picture = (
        "Three clouds of four blobs, two of them with 5% outliers: at τ = 1 the barycenter has four blobs, "
        "and none of the strays that the balanced one has."
    )
    look = (
        "The groups far to the right and to the left are grey: they are rejected, and no line leads from them. "
        "Beside it on the page of barycenters the balanced one carries them along."
    )
    topics = ("outliers", "barycenters")
    run = RunSpec(method="unotb", dataset="outlier-mixture", data={"marginals": 3}, params={"tau": 1.0}, steps=1500)
    view = "barycenter-plans"
    order = 77


@RECIPES.register("gazdieva-4")
class ShapesAndColours(Gazdieva):
    """U-NOTB between two spaces, on a learned manifold."""

    title = "Shapes and colours: digits that borrow a colour"
    figure = "Figure 4"
    picture = (
        "Grey 2s and 3s, and red and green, each above its place among coloured 2s and 3s; few 7s and little white are accepted. "
        "Here a small variational autoencoder stands for the StyleGAN, and τ is 2."
    )
    look = (
        "A digit keeps its shape and is painted red or green; a colour finds digits to paint. "
        "The bars show it: a 7 is accepted about a quarter as often as a 2 or a 3, white hardly ever."
    )
    topics = ("outliers", "barycenters", "digits")
    run = RunSpec(
        method="unotb", dataset="shape-colour", steps=2500,
        params={"tau": 2.0, "divergence": "softplus", "batch_size": 64, "map_steps": 1, "potential_share": 1.0, "lr": 1e-3},
    )  # fmt: skip
    view = "barycenter-digits"
    order = 78
