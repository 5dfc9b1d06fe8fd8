"""Gallery: a recipe for each figure of the papers that runs here; one click trains it."""

import streamlit as st

from uotlab.ui.gallery import gallery

st.title("Gallery")
st.caption("The figures of the papers that run here. Each recipe takes seconds: press Run it, and watch it become the picture.")
gallery()
