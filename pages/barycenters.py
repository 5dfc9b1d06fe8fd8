"""Barycenters: between measures, weighted by a point that is dragged; computed at once, or learned by networks."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import barycenters_neural, barycenters_neural_setup, barycenters_setup
from uotlab.ui import barycenters_neural_state as neural
from uotlab.ui import barycenters_state as discrete
from uotlab.ui.barycenters import show
from uotlab.ui.barycenters_half import half
from uotlab.ui.plain import plain

st.title("Barycenters")
st.caption("The measure that lies between others: mass is moved, not faded. Drag the point to change the weights.")
if half() == "discrete":
    setup = discrete.current()
    with st.sidebar:
        try:
            discrete.put(barycenters_setup.setup_of_widgets(setup))
        except InputError as error:
            st.error(plain(error))
    show()
else:
    neural.runs_of("job")  # a run opened by its link brings its settings
    spec = neural.current()
    with st.sidebar:
        try:
            spec = barycenters_neural_setup.configure(spec)
            neural.put(spec)
        except InputError as error:
            st.error(plain(error))
    barycenters_neural.show()
