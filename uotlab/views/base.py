"""View: named arrays -> plotly traces; one file in this package = one figure. Imports numpy and plotly only, never torch.

A view is one pure function `traces` and one `layout`. The live component draws the figure once and then
replaces only the numeric arrays of the traces (`frame`), so zoom and legend clicks survive.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from uotlab.registry import Registry

VIEWS: Registry = Registry("view", "uotlab.views")
Arrays = Mapping[str, np.ndarray]

# Okabe-Ito, then distinct colours for many cell types
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F", "#8C564B", "#17BECF",
    "#BCBD22", "#9467BD", "#1F77B4", "#FF9896", "#98DF8A", "#C49C94", "#DBDB8D", "#9EDAE5", "#AEC7E8", "#FFBB78",
    "#C5B0D5", "#F7B6D2", "#393B79", "#637939",
)  # fmt: skip
SOURCE, TARGET, MAPPED = "#2583C5", "#E69F00", "#009E73"  # the blue a little lighter than the palette's, for dark pages


class View(ABC):
    """A figure of named arrays: pure, and the same while training, in the export and in a notebook."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]  #: one sentence for the tooltip and the alt text
    needs: ClassVar[frozenset[str]]  #: names of arrays; the page offers the view when the snapshot has them all
    order: ClassVar[int] = 100
    #: option name -> default (bool: toggle; tuple of str: choice, first is default; float: slider [0, 1])
    options: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def traces(self, arrays: Arrays, **options: Any) -> list[dict[str, Any]]:
        """Plotly traces as plain dicts; numeric data as float32 numpy arrays.

        `"meta": "static"` marks a trace whose arrays never change during a run.
        """

    def layout(self, arrays: Arrays, **options: Any) -> dict[str, Any]:
        """Plotly layout as a plain dict: axis titles with units, aspect, legend."""
        return {}

    def applies(self, arrays: Arrays) -> bool:
        return self.needs <= set(arrays)

    def figure(self, arrays: Arrays, **options: Any) -> Any:
        """The finished plotly Figure, for export, notebooks and tests."""
        import plotly.graph_objects as go

        return go.Figure({"data": self.traces(arrays, **options), "layout": self.layout(arrays, **options)})


def numeric_leaves(trace: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """("x", array), ("marker.color", array), ... of one trace: what a live frame replaces."""
    for key, value in trace.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield prefix + key, value
        elif isinstance(value, Mapping):
            yield from numeric_leaves(value, f"{prefix}{key}.")


def frame(traces: list[dict[str, Any]]) -> list[tuple[int, str, np.ndarray]]:
    """(trace number, attribute path, float32 array) of every array that may have changed."""
    return [(i, path, a) for i, t in enumerate(traces) if t.get("meta") != "static" for path, a in numeric_leaves(t)]
