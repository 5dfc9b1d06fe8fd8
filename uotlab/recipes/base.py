"""Recipe: one figure of a paper that runs here, in strings and numbers. One file of this package holds the recipes of one paper.

A recipe names a page and fills it in: a RunSpec for the lab, the words of the address for any other page. Pages offer the recipes that
are theirs as ready examples; the gallery shows them all, with a thumbnail of a real run from `assets/gallery`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from uotlab.engine.spec import RunSpec
from uotlab.paths import ASSETS
from uotlab.registry import Registry

RECIPES: Registry = Registry("recipe", "uotlab.recipes")
THUMBNAILS = ASSETS / "gallery"  #: made by make.py there


class Recipe:
    """What to run, where, and what to look for."""

    name: ClassVar[str]
    title: ClassVar[str]
    look: ClassVar[str]  #: two sentences: what to look for
    picture: ClassVar[str] = ""  #: the paper's picture described, and what differs here
    paper: ClassVar[str] = ""  #: key in assets/references.bib; empty for an example of our own
    figure: ClassVar[str] = ""  #: its number in the paper
    topics: ClassVar[tuple[str, ...]] = ()
    page: ClassVar[str] = "lab"
    run: ClassVar[RunSpec | None] = None  #: for the lab
    query: ClassVar[Mapping[str, str]] = {}  #: for other pages: the words of their address, the picture apart
    view: ClassVar[str] = ""  #: the picture that shows it; empty where the page chooses it
    starts: ClassVar[bool] = False  #: whether a page other than the lab waits for a click before it computes
    order: ClassVar[int] = 100

    @classmethod
    def thumbnail(cls) -> Path:
        """The picture of a real run."""
        return THUMBNAILS / f"{cls.name}.webp"


def recipes_of(page: str) -> list[type[Recipe]]:
    """The recipes of one page, our own examples first."""
    found = [cls for _, cls in RECIPES.items() if cls.page == page]
    return sorted(found, key=lambda cls: bool(cls.paper))
