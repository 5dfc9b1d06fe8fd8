"""The live component: one plotly graph that is drawn once and then fed by our own route, without script reruns."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.ui.routes import PLOTLY_URL
from uotlab.ui.wire import clean_options, summary_of

HERE = Path(__file__).parent
HTML = """
<div class="uot-live">
  <div class="uot-bar" hidden>
    <span class="uot-badge" role="status" aria-live="polite"></span>
    <span class="uot-step"></span><span class="uot-rate"></span>
    <span class="uot-numbers"></span>
  </div>
  <div class="uot-progress" role="progressbar" aria-label="Training progress" aria-valuemin="0" aria-valuemax="100" hidden>
    <div class="uot-fill"></div>
  </div>
  <div class="uot-graph" role="img"></div>
  <div class="uot-note" role="note" hidden></div>
</div>
"""


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component("uotlab_live", html=HTML, css=_text("live.css"), js=_text("live.js"), isolate_styles=False)


def live(
    source: str,
    view: str,
    options: Mapping[str, Any] | None = None,
    *,
    key: str,
    height: int = 520,
    state: str = "",
    views: Sequence[str] = (),
    metrics: Mapping[str, str] | None = None,
    on_changed: Callable[[], None] | None = None,
    select: str = "",
    on_selected: Callable[[], None] | None = None,
) -> None:
    """Draw one view of a job or of a held picture, and keep it up to date.

    Args:
        source: a job's id, or an id from `sources.hold`.
        view: a key of VIEWS; options: its options.
        key: of the widget; one key is one graph that is never remounted.
        height: of the graph, px.
        state, views: what the page knows already; when they change the component asks for a rerun.
        metrics: names of metrics to show in the status line, and how to call them.
        select: name of the trace whose points may be taken with a lasso or a box; `on_selected` is called then, and the session's
            value under `key` has their numbers, a JSON list, as `selected`.
    """
    data = {
        "job": source,
        "view": view,
        "options": clean_options(view, options or {}),
        "height": height,
        "state": state,
        "views": list(views),
        "metrics": dict(metrics or {}),
        "select": select,
        "plotly": PLOTLY_URL,
        "alt": summary_of(view),
    }
    more: dict[str, Any] = {"on_selected_change": on_selected or _nothing} if select else {}
    _component(key=key, data=data, height="content", on_changed_change=on_changed or _nothing, **more)


def _nothing() -> None:
    """The rerun itself is the answer."""
