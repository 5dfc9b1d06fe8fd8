"""The way into the lab: a link that carries the configuration, or a run."""

from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st
from streamlit.errors import StreamlitAPIException

from uotlab.engine.spec import Number, RunSpec
from uotlab.paths import ROOT
from uotlab.ui.state import RECIPE, to_query

ICON = ":material/science:"


def open_in_lab(
    label: str, *, dataset: str | None = None, data: Mapping[str, Number] | None = None, n: int | None = None, method: str | None = None
) -> None:
    """A link to the lab with a dataset, its fields and a method filled in; what is not given is the recipe's."""
    spec = RunSpec(method=method or RECIPE.method, dataset=dataset or RECIPE.dataset, data=dict(data or {}), n=n)
    lab_link(label, to_query(spec))


def lab_link(label: str, query: Mapping[str, str]) -> None:
    """A link to the lab with these query parameters."""
    try:
        st.page_link(ROOT / "pages" / "lab.py", label=label, icon=ICON, query_params=dict(query))
    except StreamlitAPIException:  # this page runs alone, outside the app's menu
        st.link_button(label, f"/?{urlencode(query)}", icon=ICON)
