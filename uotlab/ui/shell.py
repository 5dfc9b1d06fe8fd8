"""The app's frame: which pages there are, the look, and the session's token. Every page runs inside it."""

from pathlib import Path

import streamlit as st

from uotlab.paths import ASSETS, ROOT
from uotlab.ui.state import owner

PAGES = {
    "lab": ("Lab", ":material/science:"),
    "cells": ("Cells", ":material/biotech:"),
    "gallery": ("Gallery", ":material/photo_library:"),
    "plans": ("Plans", ":material/hub:"),
    "barycenters": ("Barycenters", ":material/join_inner:"),
    "data": ("Data", ":material/scatter_plot:"),
    "sweep": ("Sweep", ":material/stacked_line_chart:"),
    "compare": ("Compare", ":material/compare:"),
    "runs": ("Runs", ":material/history:"),
    "learn": ("Learn", ":material/school:"),
}


def pages(folder: Path = ROOT / "pages") -> list:
    """A menu entry for each page that exists; the lab is the one that opens."""
    return [
        st.Page(folder / f"{name}.py", title=title, icon=icon, url_path=None if name == "lab" else name, default=name == "lab")
        for name, (title, icon) in PAGES.items()
        if (folder / f"{name}.py").exists()
    ]


st.set_page_config(page_title="uotlab", page_icon=str(ASSETS / "icon.png"), layout="wide", initial_sidebar_state=370)
st.html(ASSETS / "style.css")
page = st.navigation(pages(), position="top")
owner()
page.run()
