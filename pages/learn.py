"""Learn: divergences, the one τ, a card a method, and the smallest unbalanced problem."""

import streamlit as st

from uotlab.ui import learn

SECTIONS = {
    "Divergences": learn.divergences,
    "One τ": learn.one_tau,
    "Methods": learn.methods,
    "Two points": learn.two_points,
}

st.title("Learn")
st.caption("The few ideas behind every picture in the lab.")
section = st.segmented_control(
    "Lesson", list(SECTIONS), default="Divergences", required=True, key="lesson", label_visibility="collapsed", bind="query-params"
)
SECTIONS[section]()
