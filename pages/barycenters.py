"""Barycenters: between measures, weighted by a point that is dragged; sharp, blurred, unbalanced, on free points."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import barycenters_state as kept
from uotlab.ui.barycenters import show
from uotlab.ui.barycenters_setup import setup_of_widgets
from uotlab.ui.plain import plain

st.title("Barycenters")
st.caption("The measure that lies between others: mass is moved, not faded. Drag the point to change the weights.")
setup = kept.current()
with st.sidebar:
    try:
        kept.put(setup_of_widgets(setup))
    except InputError as error:
        st.error(plain(error))
show()
