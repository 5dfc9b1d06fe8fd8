"""Plans: two clouds, dials that answer while they are dragged, and the plan between them in many pictures."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import plans_spec
from uotlab.ui.plain import plain
from uotlab.ui.plans import plans
from uotlab.ui.plans_setup import configure

spec = plans_spec.current()
with st.sidebar:
    try:
        spec = configure(spec)
        plans_spec.put(spec)
    except InputError as error:
        st.error(plain(error))
plans(spec)
