"""Section: a part of the page of cells, one file in `uotlab/ui/cells_sections`."""

from abc import ABC, abstractmethod
from typing import ClassVar

from uotlab.registry import Registry
from uotlab.ui.cells_scene import Scene

SECTIONS: Registry = Registry("section", "uotlab.ui.cells_sections")


class Section(ABC):
    """One of the pictures and tables between which a person chooses; only the chosen one is drawn."""

    name: ClassVar[str]
    title: ClassVar[str]  #: on the button
    order: ClassVar[int] = 100
    keeps: ClassVar[tuple[str, ...]] = ()  #: keys of widgets whose choices stay while another section is drawn
    live: ClassVar[bool] = False  #: whether it follows a training run by itself; beside others the page tells how far the run is

    @abstractmethod
    def show(self, scene: Scene) -> None:
        """Draw it."""
