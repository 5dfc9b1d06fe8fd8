"""Tables of the page of cells: sortable, with a search and a download."""

from typing import Any, Literal

import streamlit as st

MOST = 500  #: rows on the page; the file has all
WHOLE = 8  #: rows of a table that needs no scrolling


def table(found: Any, column: str, key: str, file: str) -> None:
    """A DataFrame; `column` is searched, `key` names the widgets, `file` the download."""
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{key}-row"):
        words = st.text_input("Search", key=f"{key}_search", placeholder=f"Search {column}", label_visibility="collapsed", width=240)
        st.download_button(
            "csv", lambda: found.to_csv(index=False).encode(), file, "text/csv", icon=":material/download:", key=f"{key}_csv",
            on_click="ignore",
        )  # fmt: skip
    seen = found[found[column].astype(str).str.contains(words, case=False, regex=False)] if words else found
    numbers = [c for c in found.columns if found[c].dtype.kind == "f"]
    config = {c: st.column_config.NumberColumn(str(c).replace("_", " "), format="%.3g") for c in numbers}
    height: Literal["content"] | int = "content" if len(seen) <= WHOLE else 300
    st.dataframe(seen.head(MOST), hide_index=True, column_config=config, height=height, key=f"{key}_table")
