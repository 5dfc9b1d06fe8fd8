"""Play, pause and a slider for the time of a displacement interpolation: all in the browser, no request a frame."""

from functools import cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
HTML = """
<div class="uot-play">
  <button type="button" aria-label="Play">▶</button>
  <input type="range" min="0" max="1000" value="0" step="1" aria-label="Time t">
  <output>t = 0.00</output>
</div>
"""


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "uotlab_play", html=HTML, css=_text("plans_play.css"), js=_text("plans_play.js"), isolate_styles=False
)


def play(key: str) -> None:
    """The player of the live graph on this page: it moves every trace that carries `customdata` (see `views/plan_path.py`)."""
    _component(key=key, data={}, height="content")
