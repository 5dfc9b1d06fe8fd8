"""Parts of the page of cells that look again by themselves, each in the place of its own section.

Streamlit may run such a part once more, or every second, after another section was chosen: those that were first drawn in a run of the
whole page outlive the section. So every section has a place of its own, and a part of one that is not shown any more draws nothing.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import streamlit as st

SHOWN = "cells_shown"  #: the section that the page shows now, empty where it shows none


def place(shown: str, names: Iterable[str]) -> AbstractContextManager[Any]:
    """The place on the page of the section that is shown; those of the others are there, hidden with what may be left in them."""
    st.session_state[SHOWN] = shown
    places = {name: st.container(key=f"{'section' if name == shown else 'away'}-{name}") for name in names}
    return places.get(shown, nullcontext())


def part(draw: Callable[[], None], every: float | None = None) -> None:
    """Draw a part of the section that is shown now, again every so many seconds where they are given."""
    section = st.session_state.get(SHOWN)

    def now() -> None:
        if st.session_state.get(SHOWN) == section:
            draw()

    st.fragment(now, run_every=every)()
