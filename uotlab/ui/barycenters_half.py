"""The two halves of the page of barycenters, and which is open: computed at once on a grid, or trained as networks."""

from typing import Literal

import streamlit as st

from uotlab.ui import barycenters_neural_state as neural
from uotlab.ui import barycenters_state as discrete
from uotlab.ui.barycenters_link import KIND

Half = Literal["discrete", "neural"]
HALVES: dict[Half, str] = {"discrete": "Discrete, at once", "neural": "Neural, trained"}


def half() -> Half:
    """The choice, which the address's `kind` decides; an address without one opens what was open last."""
    kind = st.query_params.get("kind")
    now: Half = st.session_state.get("b_half", "discrete") if kind is None else "neural" if kind == KIND else "discrete"
    st.session_state["b_half"] = st.session_state["b_half_menu"] = now
    st.segmented_control(
        "How", list(HALVES), format_func=HALVES.__getitem__, key="b_half_menu", required=True, label_visibility="collapsed",
        on_change=_changed,
    )  # fmt: skip
    return now


def _changed() -> None:
    """The address of one half means nothing to the other."""
    chosen: Half = "neural" if st.session_state["b_half_menu"] == "neural" else "discrete"
    st.session_state["b_half"] = chosen
    held = st.query_params.to_dict()
    gone = {*discrete.ours(held), *neural.ours(held)}
    st.query_params.from_dict({k: v for k, v in held.items() if k not in gone})
    if chosen == "neural":
        neural.put(neural.current())
    else:
        discrete.put(discrete.current())
