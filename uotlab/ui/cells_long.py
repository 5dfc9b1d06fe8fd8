"""Computations of minutes on the page of cells: begun by a button, shown as they grow, cancelled by another button."""

from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from uotlab.ui.cells_part import part
from uotlab.ui.cells_scene import Scene
from uotlab.ui.later import LOOK_SECONDS, Later, forget, known, later, shown


def long_work(
    scene: Scene, name: str, choice: Hashable, make: Callable[[Later], Any], draw: Callable[[Any], None], words: str, label: str
) -> None:
    """The button, then how far the newest computation is and what there is of it.

    Args:
        name: of this kind of computation, also of its widgets.
        choice: what it depends on beside the data.
        make: sets `partial` of the result it is given as often as there is more to see, and returns the whole.
        draw: draws a whole or partial result; it is called in a fragment.
        words: what is done; label: of the button.
    """
    held, key = f"{name}_asked", (name, scene.data, choice)
    asked = st.session_state.get(held)
    if asked is not None and asked[1] != scene.data:
        asked = None  # of other cells
    found = None if asked is None else known(asked)

    def begin() -> None:
        forget(asked)
        forget(key)
        later(key, make, words, "long")
        st.session_state[held] = key

    busy = found is not None and not found.done
    st.button(label, key=f"{name}_start", icon=":material/play_arrow:", on_click=begin, disabled=busy)
    if found is None:
        return
    if not busy and asked != key:
        st.caption("The settings have changed since; start again to follow them.")

    def look() -> None:
        if busy and found.done:
            st.rerun()
        result = shown(found, f"{name}_cancel")
        if found.cancelled and found.done:
            st.caption("Cancelled; here is what was done till then.")
        if result is None:
            result = found.partial
        if result is not None:
            draw(result)

    part(look, LOOK_SECONDS if busy else None)
