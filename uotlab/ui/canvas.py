"""A sheet to draw points on, as an own component: nothing is remounted, so every click shows at once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = '<div class="uot-canvas"><svg role="img" aria-label="Sheet: click to add points, drag to move, double click to remove"></svg></div>'


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component("uotlab_canvas", html=HTML, css=_text("canvas.css"), js=_text("canvas.js"), isolate_styles=False)


def canvas(
    source: Sequence[Sequence[float]],
    target: Sequence[Sequence[float]],
    *,
    side: str,
    mass: float,
    key: str,
    on_event: Callable[[Mapping[str, Any]], None],
    width: float = 4.0,
    height: float = 2.5,
) -> None:
    """The sheet from -width to width and -height to height with points (x, y, mass) of both sides.

    Args:
        side, mass: what a click adds.
        on_event: called with {"act": "add" | "move" | "remove", "side", "i", "x", "y", "mass"} before the script runs again.
    """
    data = {"source": [list(p) for p in source], "target": [list(p) for p in target], "side": side, "mass": mass}

    def answer() -> None:
        event = getattr(st.session_state.get(key), "event", None)
        if isinstance(event, Mapping):
            on_event(event)

    _component(key=key, data={**data, "width": width, "height": height}, height="content", on_event_change=answer)
