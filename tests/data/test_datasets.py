"""Every dataset of the registry: shapes, finite values, determinism, samplers, round trip through its origin."""

import numpy as np
import pytest
import torch

from uotlab.data.base import DATASETS, load
from uotlab.errors import InputError

N = 200
NEEDS_FILES = {"mnist-to-usps": "USPS is not here", "upload": "needs a file", "cells-study": "need a file"}


def problem(name, **params):
    try:
        return load(name, n=N, **params)
    except InputError as error:
        missing = "UOTLAB_DATA names" in str(error) and DATASETS[name].group == "Cells"
        if NEEDS_FILES.get(name, "\n") not in str(error) and not missing:
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def store(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("UOTLAB_STORE", str(tmp_path_factory.getbasetemp() / "store"))


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_dataset_makes_a_problem_that_can_be_made_again(name):
    p = problem(name)
    assert p.name == name
    assert p.kind in {"line", "plane", "images", "latents", "cells", "table"}
    for measure in p.marginals:
        assert 2 <= measure.n <= max(N, 10)
        assert measure.points.dtype == np.float32
        assert measure.points.flags.writeable  # torch warns of read-only arrays
        assert np.isfinite(measure.points).all()
        assert measure.points.std() > 0
        assert all(v.shape == (measure.n,) for v in measure.labels.values())
        assert measure.names == () or len(measure.names) == measure.d
    again = load(p.origin["dataset"], n=p.origin["n"], seed=p.origin["seed"], **p.origin["params"])
    other = load(name, n=N, seed=1, **p.origin["params"])
    for a, b, c in zip(p.marginals, again.marginals, other.marginals):
        assert np.array_equal(a.points, b.points)
        if a.sampler is not None or "digit" in a.labels:
            assert not np.array_equal(a.points, c.points)


@pytest.mark.parametrize("name", list(DATASETS))
def test_samplers_draw_the_law_of_the_points(name):
    p = problem(name)
    if not p.samplable:
        assert DATASETS[name].group in {"Digits", "Cells", "Your own"}
        return
    for measure in p.marginals:
        rng = torch.Generator().manual_seed(0)
        points, labels = measure.sampler(6000, rng)
        assert points.shape == (6000, measure.d)
        assert points.dtype == torch.float32
        assert set(labels) == set(measure.labels)
        spread = points.std(0) + 0.05
        assert ((points.mean(0) - torch.from_numpy(measure.points.mean(0))).abs() < 0.35 * spread).all()
        assert ((points.std(0) / torch.from_numpy(measure.points.std(0)) - 1).abs() < 0.3).all()
        same = measure.sampler(6000, torch.Generator().manual_seed(0))
        assert torch.equal(points, same.points)


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_field_says_what_it_is(name):
    cls = DATASETS[name]
    for field_name, field in cls.model_fields.items():
        assert field.description, f"{name}.{field_name} has no description"
    assert cls.title
    assert cls.group
    assert cls.summary.endswith(".")


def test_training_and_data_do_not_share_random_numbers():
    p = load("p-to-q", n=1000, seed=1)
    fresh = p.source.fresh(1000, torch.Generator().manual_seed(1)).points
    assert not np.array_equal(np.sort(p.source.points[:, 0]), np.sort(fresh.numpy()[:, 0]))


def test_p_to_q_has_the_papers_moments():
    p = load("p-to-q", n=20000)
    assert p.source.points.mean() == pytest.approx(0, abs=0.02)
    assert p.source.points.var() == pytest.approx(1.25, abs=0.03)
    assert p.target.points.mean() == pytest.approx(1, abs=0.02)
    assert p.target.points.var() == pytest.approx(0.25 + 2, abs=0.05)
    assert p.truth["kl_optimum"]["uotm"][0.1] == 0.053
    assert load("p-to-q", n=10, sd=0.3).truth == {}


def test_outliers_are_labelled_and_their_notes_are_honest():
    p = load("outliers-1d", n=2000)
    outlier = p.target.labels["kind"] == "outlier"
    assert outlier.sum() == 20
    assert (p.target.points[outlier] < -7).all()
    assert (p.target.points[~outlier] > 0).all()
    paper = load("outliers-1d-paper", n=100)
    assert paper.truth["outlier_position"] == -1
    assert "more, not less" in paper.notes[0]
    assert load("outliers-1d", n=100, position=-1).notes == paper.notes
    assert load("outliers-1d", n=100, position=-3).notes == ()


def test_two_squares_have_the_papers_boxes_and_counts():
    p = load("two-squares")
    for measure, low, left in ((p.source, -1.5, 180), (p.target, 0.5, 120)):
        side = measure.labels["side"] == "left"
        assert (side.sum(), (~side).sum()) == (left, 300 - left)
        assert (measure.points[:, 1] >= low).all()
        assert (measure.points[:, 1] <= low + 1).all()
        assert (np.abs(measure.points[side, 0]) <= 0.5).all()
        assert (np.abs(measure.points[~side, 0] - 5) <= 0.5).all()
    assert p.truth["true_ratio"] == pytest.approx({"left": 2 / 3, "right": 3 / 2})


def test_imbalance_and_outlier_mixtures_have_the_papers_modes():
    p = load("class-imbalance", n=4000)
    above = p.source.labels["class"] == "above"
    assert above.sum() == 1000
    assert p.source.points[above].mean(0) == pytest.approx([-5, 4], abs=0.1)
    assert p.source.points[above].var(0) == pytest.approx([0.4, 0.4], rel=0.15)
    p = load("outlier-mixture", n=4200)
    for measure, x in ((p.source, 10), (p.target, -10)):
        outlier = measure.labels["kind"] == "outlier"
        assert outlier.sum() == 200
        assert measure.points[outlier, 0].mean() == pytest.approx(x, abs=0.05)


def test_shapes_take_size_noise_and_shift():
    p = load(
        "shapes", n=800, source="8gaussians", target="circles", source_size=3, source_noise=0, target_noise=0, target_size=2, shift_x=10
    )
    radius = np.linalg.norm(p.source.points, axis=1)
    assert radius == pytest.approx(np.full(800, 3), abs=1e-5)
    assert np.bincount(p.source.labels["mode"]).tolist() == [100] * 8
    radius = np.linalg.norm(p.target.points - [10, 0], axis=1)
    assert np.unique(radius.round(3)).tolist() == [1, 2]
    board = load("shapes", n=4000, source="checkerboard", source_size=2).source.points
    assert (np.floor(board).sum(1) % 2 == 0).all()
    assert np.abs(board).max() <= 2
    with pytest.raises(InputError, match="source"):
        load("shapes", source="dodecahedron")


def test_drawn_points_live_in_a_string():
    from uotlab.data.drawn import points_from_text, text_from_points

    points, weights = np.array([[0.5, -1.25], [3, 4]], np.float32), np.array([1, 2.5])
    text = text_from_points(points, weights)
    assert text == "0.5,-1.25,1;3,4,2.5"
    back = points_from_text(text, "source")
    assert np.array_equal(back[0], points)
    assert np.array_equal(back[1], weights)
    p = load("drawn", n=100, source=text, target="0,0;1,1", jitter=0)
    assert np.array_equal(p.source.points, points)
    assert (p.source.mass, p.target.mass) == (3.5, 1)
    cloud = load("drawn", n=700, source=text, target="0,0;1,1", jitter=0.01)
    assert cloud.source.mass == pytest.approx(3.5)
    assert np.bincount(cloud.source.labels["point"]).tolist() == [200, 500]
    assert np.abs(cloud.source.points - points[cloud.source.labels["point"]]).max() < 0.06


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "source must have 2 to 500 points; it has 0"),
        ("1,2", "it has 1"),
        ("1,2;3", "Point 2 of source must be x,y or x,y,weight"),
        ("1,2;a,b", "'a,b'"),
        ("1,2;nan,1", "Point 2"),
        ("1,2;1e9,1", "numbers up to 10000"),
        ("1,2,-1;3,4,1", "must not be negative; point 1 has -1"),
        ("1,2,0;3,4,0", "all its 2 weights are zero"),
        (";".join(["1,2"] * 501), "it has 501"),
    ],
)
def test_bad_drawings_get_a_sentence(text, says):
    with pytest.raises(InputError, match=says):
        load("drawn", source=text)
