"""The way to the page of barycenters: a link that names a run. And which methods belong there."""

import streamlit as st
from streamlit.errors import StreamlitAPIException

from uotlab.methods.base import METHODS, HasBarycenter
from uotlab.paths import ROOT

ICON = ":material/join_inner:"
KIND = "neural"  #: of the address: the half of the page whose barycenters are trained


def learners() -> list[str]:
    """Names of the methods that learn a barycenter."""
    return [name for name, cls in METHODS.items() if issubclass(cls, HasBarycenter)]


def barycenter_link(label: str, run: str) -> None:
    """A link to the page of barycenters with this run."""
    query = {"kind": KIND, "job": run}
    try:
        st.page_link(ROOT / "pages" / "barycenters.py", label=label, icon=ICON, query_params=query)
    except StreamlitAPIException:  # this page runs alone, outside the app's menu
        st.link_button(label, f"/barycenters?kind={KIND}&job={run}", icon=ICON)
