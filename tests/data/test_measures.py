"""A person's own measures: shapes, drawn points and files as texts, and one sentence for each that makes no sense."""

import numpy as np
import pytest
import torch

from uotlab.data.base import load
from uotlab.data.files import Table
from uotlab.data.measures import shape_from_text, store_measure, texts_of
from uotlab.data.shapes import SHAPES
from uotlab.errors import InputError


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("UOTLAB_STORE", str(tmp_path / "store"))


def test_the_first_measures_lie_where_their_texts_say():
    problem = load("measures", n=4000)
    assert [m.n for m in problem.marginals] == [4000] * 3
    centres = [m.points.mean(0) for m in problem.marginals]
    np.testing.assert_allclose(centres[1:], [[4, 2], [2, -4]], atol=0.1)
    assert np.abs(problem.marginals[2].points - [2, -4]).max() <= 1.5
    assert problem.samplable


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_scales_with_its_noise(name):
    shape = SHAPES[name]
    big, own = (load("measures", n=500, measures=f"{name},0,0,{size}|gaussian,0,0,1").source for size in (10 * shape.size, shape.size))
    np.testing.assert_allclose(big.points, 10 * own.points, rtol=1e-4, atol=1e-4)


def test_drawn_points_and_files_stand_beside_shapes():
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    text = store_measure(Table(points, ("u", "v"), np.array(["a", "b"] * 15), np.full(30, 0.1)))
    assert text == store_measure(Table(points, ("u", "v"), np.array(["a", "b"] * 15), np.full(30, 0.1)))
    problem = load("measures", n=200, measures=f"{text}|points:0,0;1,1,3|moons,0,0,1", jitter=0.01)
    np.testing.assert_array_equal(problem.source.points, points)
    assert problem.source.mass == pytest.approx(3)
    assert list(problem.source.labels["label"][:2]) == ["a", "b"]
    assert problem.target.mass == pytest.approx(4)
    drawn, _ = problem.target.fresh(2000, torch.Generator().manual_seed(0))
    assert ((drawn - 1).norm(dim=1) < 0.1).float().mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("moons,0,0,1", "2 to 5 measures"),
        ("|".join(["moons,0,0,1"] * 6), "there are 6"),
        ("moons,0,0,1|", "name,x,y,size"),
        ("moons,0,0,1|moons,0,0,-1", "name,x,y,size"),
        ("moons,0,0,1|moon,0,0,1", "Did you mean"),
        ("moons,0,0,1|points:1,2", "measure 2 must have 2"),
        ("moons,0,0,1|points:1,2;a,b", "Point 2 of measure 2"),
        ("moons,0,0,1|file:abc", "names no uploaded file"),
        (f"moons,0,0,1|file:{'0' * 64}", "not in this store"),
    ],
)
def test_a_bad_measure_is_one_sentence(text, words):
    with pytest.raises(InputError, match=words) as caught:
        load("measures", n=50, measures=text)
    assert "\n" not in str(caught.value)


def test_measures_of_different_dimensions_are_refused():
    text = store_measure(Table(np.zeros((4, 3), np.float32) + np.arange(3), ("a", "b", "c")))
    with pytest.raises(InputError, match="same number of columns"):
        load("measures", n=50, measures=f"{text}|moons,0,0,1")


def test_texts_are_read_as_they_are_written():
    assert texts_of(" moons,0,0,1 | points:0,0;1,1 ") == ["moons,0,0,1", "points:0,0;1,1"]
    assert shape_from_text("moons, -2, 0, 1.5") == ("moons", (-2.0, 0.0), 1.5)
