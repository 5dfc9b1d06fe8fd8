"""Data: look at any dataset, upload your own, or draw it."""

import streamlit as st

from uotlab.ui.data_draw import draw
from uotlab.ui.data_look import look
from uotlab.ui.data_upload import upload

PARTS = {"Look": look, "Upload": upload, "Draw": draw}

st.title("Data")
st.caption("What is matched with what. Look at the data that are here, bring your own, or draw some.")
part = st.segmented_control(
    "Part", list(PARTS), default="Look", required=True, key="part", label_visibility="collapsed", bind="query-params"
)
PARTS[part]()
