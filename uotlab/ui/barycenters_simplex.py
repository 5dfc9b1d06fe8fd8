"""Weights on the simplex as one point that is dragged or moved with the arrow keys, as an own component."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = (
    '<div class="uot-simplex"><svg role="slider" tabindex="0" aria-label="Weights of the measures: drag the point, or use the arrow keys; '
    'Home is equal weights, 1 to 5 all weight on one" aria-valuemin="0" aria-valuemax="100"></svg>'
    '<div class="uot-simplex-numbers"></div>'
    '<button type="button" class="uot-simplex-equal" title="All weights alike (Home). Drag the point, or use the arrow keys">'
    "Equal weights</button></div>"
)


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "uotlab_simplex", html=HTML, css=_text("barycenters_simplex.css"), js=_text("barycenters_simplex.js"), isolate_styles=False
)


def simplex(
    names: Sequence[str], colors: Sequence[str], weights: Sequence[float], *, key: str, on_weights: Callable[[list[float]], None]
) -> None:
    """The point for weights (K,), K from 2 to 5, between corners that bear the names and colours of the measures.

    Args:
        on_weights: called with the new weights before the script runs again, also while the point is dragged.
    """

    def answer() -> None:
        event = getattr(st.session_state.get(key), "event", None)
        given = clean(event.get("weights"), len(names)) if isinstance(event, Mapping) else None
        if given is not None:
            on_weights(given)

    data: dict[str, Any] = {"names": list(names), "colors": list(colors), "weights": [float(w) for w in weights]}
    _component(key=key, data=data, height="content", on_event_change=answer)


def clean(given: Any, k: int) -> list[float] | None:
    """Weights from a browser: k numbers of at least 0 with sum 1, else None."""
    if not isinstance(given, list | tuple) or len(given) != k:
        return None
    if not all(isinstance(w, int | float) and not isinstance(w, bool) and math.isfinite(w) and w >= 0 for w in given):
        return None
    total = math.fsum(given)
    return [float(w) for w in given] if abs(total - 1) < 1e-6 else None
