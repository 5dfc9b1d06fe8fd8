"""Compare: runs beside each other, what differs in their settings, their numbers, curves and maps; live while they train."""

import streamlit as st

from uotlab.ui.compare_page import show

st.title("Compare")
st.caption("Runs beside each other: where their settings differ, what came out, how they got there.")
show()
