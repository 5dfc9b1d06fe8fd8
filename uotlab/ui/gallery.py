"""The gallery: a card a recipe, filtered by paper and topic, each with a button that runs it and a link that only opens it."""

import json
from collections.abc import Sequence
from functools import cache

import streamlit as st
from streamlit.errors import StreamlitAPIException

from uotlab.engine.runner import engine
from uotlab.engine.sweep.run import start
from uotlab.errors import InputError
from uotlab.paths import ROOT
from uotlab.recipes.base import RECIPES, THUMBNAILS, Recipe
from uotlab.ui import sweep_state
from uotlab.ui.controls import train
from uotlab.ui.learn import citation
from uotlab.ui.plain import plain
from uotlab.ui.state import owner, to_query

OWN = "Examples"  #: what recipes without a paper are filed under
ALL = "All papers"
ROW = 3  #: cards a row


def gallery() -> None:
    """Filters, then the cards."""
    cards = [cls for _, cls in RECIPES.items()]
    papers = list(dict.fromkeys(paper_of(cls) for cls in cards))
    paper = st.pills("Paper", [ALL, *papers], default=ALL, required=True, key="paper", label_visibility="collapsed", bind="query-params")
    inside = [cls for cls in cards if (bool(cls.paper) if paper == ALL else paper_of(cls) == paper)]
    topics = sorted({topic for cls in inside for topic in cls.topics})
    topic = st.pills("Topic", topics, key="topic", label_visibility="collapsed", bind="query-params", format_func=str.capitalize)
    shown = [cls for cls in inside if topic is None or topic in cls.topics]
    st.caption(f"{len(shown)} recipe{'' if len(shown) == 1 else 's'}. Pictures are of real runs with exactly these settings.")
    for k in range(0, len(shown), ROW):
        _row(shown[k : k + ROW])


def address(recipe: type[Recipe]) -> dict[str, str]:
    """The query parameters that open the recipe's page with its settings and its picture."""
    query = to_query(recipe.run) if recipe.run is not None else dict(recipe.query)
    return query | ({"view": recipe.view} if recipe.view and recipe.page in ("lab", "plans") else {})


def paper_of(recipe: type[Recipe]) -> str:
    """Authors and year, or what our own examples are called."""
    return citation(recipe.paper).partition(")")[0] + ")" if recipe.paper else OWN


@cache
def measured() -> dict[str, dict[str, float]]:
    """The seconds of one core that the runs behind the thumbnails took, by recipe."""
    path = THUMBNAILS / "runs.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _row(cards: Sequence[type[Recipe]]) -> None:
    for column, cls in zip(st.columns(ROW, gap="medium"), cards, strict=False):
        with column.container(border=True, height="stretch", key=f"card-{cls.name.replace('.', '-')}"):
            _card(cls)


def _card(cls: type[Recipe]) -> None:
    if cls.thumbnail().exists():
        st.image(cls.thumbnail(), width="stretch", alt=f"{cls.title}: {cls.look}")
    st.markdown(f"**{plain(cls.title)}**")
    seconds = measured().get(cls.name, {}).get("seconds", 0)
    took = [f"about {max(1, round(seconds))} s"] if cls.page == "lab" and seconds else []
    st.caption(" · ".join([*([f"{paper_of(cls)}, {cls.figure}"] if cls.paper else []), *took]))
    st.markdown(cls.look)
    if cls.picture:
        with st.expander("In the paper"):
            st.markdown(cls.picture)
            st.caption(citation(cls.paper))
    st.space("stretch")
    with st.container(horizontal=True, vertical_alignment="center"):
        if cls.run is not None or cls.starts:
            pressed = st.button("Run it", icon=":material/play_arrow:", type="primary", key=f"run-{cls.name}")
        else:
            pressed = False
        _link(cls)
    if pressed:
        _go(cls)


def _go(cls: type[Recipe]) -> None:
    """Start the recipe and show its page."""
    query = address(cls)
    try:
        if cls.run is not None:
            train(cls.run)  # the lab takes the run up from the address, with its settings
            query = {"job": st.session_state.pop("job"), "view": cls.view}
        elif cls.page == "sweep":
            st.session_state.pop("sweep_id", None)
            query["sweep"] = start(engine(), sweep_state.from_query(cls.query)[0], owner()).id
        else:
            st.session_state["b_start"] = True
    except InputError as error:
        st.error(plain(error))
        return
    st.switch_page(ROOT / "pages" / f"{cls.page}.py", query_params=query)


def _link(cls: type[Recipe]) -> None:
    label = "Open in the lab" if cls.page == "lab" else f"Open {cls.page.capitalize()}"
    try:
        st.page_link(ROOT / "pages" / f"{cls.page}.py", label=label, icon=":material/open_in_new:", query_params=address(cls))
    except StreamlitAPIException:  # this page runs alone, outside the app's menu
        st.caption(label)
