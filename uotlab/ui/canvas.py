"""A sheet to draw points on, as an own component: nothing is remounted, so every click shows at once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.views.base import SOURCE, TARGET

HERE = Path(__file__).parent
COLORS = {"source": SOURCE, "target": TARGET}
HTML = '<div class="uot-canvas"><svg role="img" aria-label="Sheet: click to add points, drag to move, double click to remove"></svg></div>'


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component("uotlab_canvas", html=HTML, css=_text("canvas.css"), js=_text("canvas.js"), isolate_styles=False)


def canvas(
    sides: Mapping[str, Sequence[Sequence[float]]],
    *,
    side: str,
    mass: float,
    key: str,
    on_event: Callable[[Mapping[str, Any]], None],
    colors: Mapping[str, str] = COLORS,
    width: float = 4.0,
    height: float = 2.5,
) -> None:
    """The sheet from -width to width and -height to height with the points (x, y, mass) of each side, in its colour.

    Args:
        side, mass: what a click adds.
        on_event: called with {"act": "add" | "move" | "remove", "side", "i", "x", "y", "mass"} before the script runs again.
    """
    data = {"sides": [{"name": name, "color": colors[name], "points": [list(p) for p in rows]} for name, rows in sides.items()]}

    def answer() -> None:
        event = getattr(st.session_state.get(key), "event", None)
        if isinstance(event, Mapping):
            on_event(event)

    _component(
        key=key, data={**data, "side": side, "mass": mass, "width": width, "height": height}, height="content", on_event_change=answer
    )
