"""Plans: two clouds, dials that answer while they are dragged, and the plan between them in many pictures."""

import streamlit as st

from uotlab.errors import InputError
from uotlab.ui import plans_spec
from uotlab.ui.plans import plans
from uotlab.ui.plans_setup import configure

spec = plans_spec.current()
wrong = None
with st.sidebar:
    try:
        wanted = configure(spec)
        plans_spec.check(wanted)
        plans_spec.put(spec := wanted)
    except InputError as error:
        wrong = str(error)  # the last settings that made sense stay
plans(spec, wrong)
