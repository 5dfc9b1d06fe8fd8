"""Runs: what this session has trained, to be opened again, resumed, renamed, taken away or deleted."""

import streamlit as st

from uotlab.ui.runs import runs

st.title("Runs")
st.caption("Everything that was trained here, with its settings, its numbers and its weights.")
runs()
