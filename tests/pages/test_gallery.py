"""The gallery without a browser: cards, filters, links that open their page with that configuration, one click that trains."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from uotlab.engine.runner import engine
from uotlab.methods.base import METHODS
from uotlab.paths import ROOT
from uotlab.recipes.base import RECIPES
from uotlab.ui import barycenters_state, gallery, plans_spec, state, sweep_state

PAPERS = [cls for _, cls in RECIPES.items() if cls.paper]


def opened(page="gallery", **query):
    at = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=120)
    at.session_state["owner"] = f"test-owner-{time.monotonic_ns()}"
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def cards(at):
    return [m.value.strip("*").replace("\\", "") for m in at.markdown if m.value.startswith("**")]


def test_every_figure_has_a_card():
    at = opened()
    assert not at.exception
    assert cards(at) == [cls.title for cls in PAPERS]


def test_filters_by_paper_and_topic():
    at = opened()
    at.pills(key="paper").set_value("Choi et al. (2023)").run()
    assert cards(at) == [cls.title for cls in PAPERS if cls.paper == "choi2023generative"]
    at.pills(key="topic").set_value("outliers").run()
    assert cards(at) == [cls.title for cls in PAPERS if cls.paper == "choi2023generative" and "outliers" in cls.topics]
    at.pills(key="topic").set_value(None).run()
    at.pills(key="paper").set_value(gallery.OWN).run()
    assert cards(at) == [cls.title for _, cls in RECIPES.items() if not cls.paper]


@pytest.mark.parametrize("name", RECIPES)
def test_the_address_holds_the_whole_recipe(name):
    cls = RECIPES[name]
    query = gallery.address(cls)
    if cls.run is not None:
        assert state.from_query(query) == (cls.run, None)
    elif cls.page == "plans":
        assert plans_spec.from_query(query) == (plans_spec.RECIPES[cls.title][1], None)
    elif cls.page == "barycenters":
        assert barycenters_state.from_query(query) == (barycenters_state.RECIPES[cls.title], None)
    elif cls.page == "sweep":
        spec, sentence = sweep_state.from_query(query)
        assert sentence is None
        assert {"methods": ",".join(spec.methods), "data": spec.dataset}.items() <= query.items()


@pytest.mark.parametrize("name", ["choi-2b", "yang-1b", "eyring-2g"])
def test_a_link_opens_the_lab_with_that_configuration(name):
    cls = RECIPES[name]
    at = opened("lab", **gallery.address(cls))
    assert not at.exception
    assert not at.warning
    spec = type(cls.run).model_validate_json(at.session_state["spec"])
    usual = METHODS[cls.run.method].default_steps  # which an address need not name
    assert (spec.method, spec.dataset, spec.data) == (cls.run.method, cls.run.dataset, cls.run.data)
    assert (spec.steps or usual) == (cls.run.steps or usual)
    assert cls.run.params.items() <= spec.params.items()


@pytest.mark.parametrize("name", ["eyring-2c", "xie-2.8", "eyring-12", "choi-8"])
def test_a_link_opens_the_other_pages(name):
    cls = RECIPES[name]
    at = opened(cls.page, **gallery.address(cls))
    assert not at.exception
    assert not at.warning
    assert not at.error


def test_one_click_trains_in_the_lab():
    at = AppTest.from_file(str(ROOT / "uotlab" / "ui" / "shell.py"), default_timeout=120).run()
    at.switch_page(str(ROOT / "pages" / "gallery.py")).run()
    at.button(key="run-eyring-2g").click().run()
    assert not at.exception
    query = {k: v[0] if isinstance(v, list) else v for k, v in at.query_params.items()}
    job = engine().job(query["job"])
    try:
        assert job.spec == RECIPES["eyring-2g"].run
        assert query["view"] == "trajectories"
        assert query["method"] == "uotfm"
    finally:
        job.stop()


def test_captions_name_the_paper_and_the_figure():
    at = opened()
    assert any(c.value.startswith("Yang and Uhler (2019), Figure 1b") for c in at.caption)
