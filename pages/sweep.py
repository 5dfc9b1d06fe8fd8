"""Sweep: the same training over a grid of τ (or any setting), methods and seeds; results are drawn as they come."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import sweep_state as kept
from uotlab.ui.plain import plain
from uotlab.ui.sweep_page import show
from uotlab.ui.sweep_setup import configure

st.title("Sweep")
st.caption("How much does the price of changing mass matter? Train over a grid of it, for several methods and seeds, and see.")
spec = kept.current()
with st.sidebar:
    try:
        spec = configure(spec)
        kept.put(spec)
    except InputError as error:
        st.error(plain(error))  # the last settings that made sense stay
show(spec)
