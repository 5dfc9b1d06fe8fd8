"""A bar that follows a task over our own route, and asks the page to look again only when there is something new to draw."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st

from uotlab.ui.barycenters_work import Task

HERE = Path(__file__).parent
HTML = """
<div class="uot-task" hidden>
  <div class="uot-task-words" role="status" aria-live="polite"></div>
  <div class="uot-task-track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><div></div></div>
  <button type="button">Cancel</button>
</div>
"""


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "uotlab_task", html=HTML, css=_text("barycenters_progress.css"), js=_text("barycenters_progress.js"), isolate_styles=False
)


def progress(task: Task, *, key: str, on_news: Callable[[], None] | None = None) -> None:
    """The bar of a task; nothing is seen of one that has ended."""
    data = {"id": task.id, "known": f"{task.finished} {task.active}", "active": task.active}
    _component(key=key, data=data, height="content", on_news_change=on_news or _nothing)


def _nothing() -> None:
    """The rerun itself is the answer."""
