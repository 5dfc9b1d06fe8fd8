"""Lab: choose data, method and balance, press Play, and watch the map learn."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import state
from uotlab.ui.config import configure
from uotlab.ui.controls import current_job
from uotlab.ui.panel import panel
from uotlab.ui.plain import plain

current_job()  # a run opened by its link brings its settings
spec = state.current()
with st.sidebar:
    try:
        state.put(configure(spec))
    except InputError as error:
        st.error(plain(error))
panel()
