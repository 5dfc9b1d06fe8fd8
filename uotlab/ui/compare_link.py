"""The way to the comparison: a link that names the runs."""

from collections.abc import Sequence

import streamlit as st
from streamlit.errors import StreamlitAPIException

from uotlab.paths import ROOT

ICON = ":material/compare:"


def compare_link(label: str, runs: Sequence[str]) -> None:
    """A link to the comparison of these runs."""
    query = {"runs": ",".join(runs)}
    try:
        st.page_link(ROOT / "pages" / "compare.py", label=label, icon=ICON, query_params=query)
    except StreamlitAPIException:  # this page runs alone, outside the app's menu
        st.link_button(label, f"/compare?runs={query['runs']}", icon=ICON)
