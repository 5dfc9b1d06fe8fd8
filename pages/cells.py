"""Cells: from two time points to growth, fates and genes, while a method learns to map the one onto the other."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import cells_page, cells_setup, state
from uotlab.ui.plain import plain

spec = cells_page.opened()
with st.sidebar:
    try:
        state.put(cells_setup.setup(spec))
    except InputError as error:
        st.error(plain(error))
cells_page.show()
