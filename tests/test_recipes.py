"""Every recipe: its settings are valid, its paper is cited, its picture exists, its words say what they have to."""

import re
from typing import Any

import numpy as np
import pytest

from uotlab.data.base import DATASETS
from uotlab.engine.begin import begin, check_spec, make_method
from uotlab.engine.loop import train
from uotlab.methods.base import METHODS
from uotlab.paths import ASSETS, ROOT
from uotlab.recipes.base import RECIPES, THUMBNAILS, Recipe, recipes_of
from uotlab.ui import barycenters_state, plans_spec, sweep_state
from uotlab.views.base import VIEWS

CARDS: list[tuple[str, type[Recipe]]] = RECIPES.items()
READERS: dict[str, Any] = {"plans": plans_spec.from_query, "barycenters": barycenters_state.from_query, "sweep": sweep_state.from_query}
MOST_BYTES = 25_000


@pytest.mark.parametrize(("name", "cls"), CARDS)
def test_settings_are_valid(name: str, cls: type[Recipe]) -> None:
    assert (ROOT / "pages" / f"{cls.page}.py").exists()
    assert (cls.run is not None) == (cls.page == "lab")
    assert not cls.view or cls.view in VIEWS
    if cls.run is not None:
        check_spec(cls.run)
        assert METHODS[cls.run.method].name == cls.run.method
        assert DATASETS[str(cls.run.dataset)].name == cls.run.dataset
        assert not cls.query
        assert cls.view
    elif cls.page in READERS:
        _, sentence = READERS[cls.page](cls.query)
        assert sentence is None
    else:
        assert cls.query


@pytest.mark.parametrize(("name", "cls"), CARDS)
def test_words_say_what_to_look_for(name: str, cls: type[Recipe]) -> None:
    assert cls.title
    assert cls.topics
    sentences = re.findall(r"[.?!](?= [A-ZΑ-ΩW]|$)", cls.look)
    assert 2 <= len(sentences) <= 3, cls.look
    if cls.paper:
        assert f"{{{cls.paper}," in (ASSETS / "references.bib").read_text(encoding="utf-8")
        assert cls.figure
        assert cls.picture.endswith(".")


def test_titles_and_places_differ() -> None:
    titles = [cls.title for _, cls in CARDS]
    assert len(set(titles)) == len(titles)
    orders = [cls.order for _, cls in CARDS]
    assert len(set(orders)) == len(orders)


def test_every_paper_and_every_neural_method_has_one() -> None:
    papers = {cls.paper for _, cls in CARDS} - {""}
    assert len(papers) == 6
    shown = {cls.run.method for _, cls in CARDS if cls.run is not None}
    assert not {"ubgan", "oticnn"} - shown
    assert not {"uoticnn", "nubot"} - shown


@pytest.mark.parametrize(("name", "cls"), CARDS)
def test_thumbnail_is_a_small_picture(name: str, cls: type[Recipe]) -> None:
    image = pytest.importorskip("PIL.Image").open(cls.thumbnail())
    assert cls.thumbnail().stat().st_size <= MOST_BYTES
    assert image.format == "WEBP"
    assert 400 <= image.width <= 700
    pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., 3] == 0).mean() > 0.1, "the ground is clear, for light and dark pages"
    assert pixels[pixels[..., 3] > 128].std() > 10, "something is drawn"


def test_no_thumbnail_is_left_over() -> None:
    assert {path.stem for path in THUMBNAILS.glob("*.webp")} == set(RECIPES)


def test_recipes_of_a_page_begin_with_our_own() -> None:
    found = recipes_of("plans")
    assert found
    assert [bool(cls.paper) for cls in found] == sorted(bool(cls.paper) for cls in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["choi-2b", "eyring-2g", "yang-2b"])
def test_a_few_steps_run(name: str) -> None:
    spec = RECIPES[name].run.model_copy(update={"steps": 5, "n": 400})
    run = begin(spec, make_method(spec.method, spec.params))
    assert train(run.method, run.state, 5) == "done"
    assert run.state.step == 5
