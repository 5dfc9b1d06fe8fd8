"""Every view draws every snapshot it applies to, under all its options, with finite numbers and a stable shape."""

import itertools
import json
import re
import time

import numpy as np
import pytest

from tests.views.synthetic import SNAPSHOTS
from tests.views.synthetic_pictures import pictures
from uotlab.views.base import VIEWS, frame, numeric_leaves
from uotlab.views.lines import ended
from uotlab.views.volcano import fold

CASES = [(v, s) for v in VIEWS for s in SNAPSHOTS if VIEWS[v]().applies(SNAPSHOTS[s])]
STILL = re.compile(r"\b(marginal(2|_label|_image)?|image_label)/")  #: arrays of data, which no step changes
GAPS = {"arrows", "velocity", "plans", "trails", "pairs", "images", "learned", "true ratio"}  #: traces whose NaN are gaps


def combinations(view):
    """Every combination of a view's options: toggles both ways, all choices, sliders at both ends and the middle."""
    names = list(view.options)
    values = [(True, False) if isinstance(v, bool) else v if isinstance(v, tuple) else (0.0, 0.5, 1.0) for v in view.options.values()]
    return [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]


def test_every_view_applies_somewhere():
    assert {v for v, _ in CASES} == set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_says_what_it_is(name):
    view = VIEWS[name]
    assert view.title
    assert len(view.title) <= 20
    assert view.summary.endswith(".")
    assert len(view.summary) <= 160
    assert view.needs
    for default in view.options.values():
        assert isinstance(default, bool) or (isinstance(default, float) and 0 <= default <= 1) or all(isinstance(c, str) for c in default)


@pytest.mark.parametrize(("name", "snapshot"), CASES)
def test_traces_are_finite_float32_under_all_options(name, snapshot):
    view, arrays = VIEWS[name](), SNAPSHOTS[snapshot]
    for options in combinations(view):
        for trace in view.traces(arrays, **options):
            assert trace["name"]
            assert trace["type"]
            for path, leaf in numeric_leaves(trace):
                assert leaf.dtype == np.float32, (path, leaf.dtype)
                assert leaf.flags.c_contiguous
                if trace["name"] not in GAPS:
                    assert np.isfinite(leaf).all(), (options, trace["name"], path)


@pytest.mark.parametrize(("name", "snapshot"), CASES)
def test_the_figure_is_valid_and_becomes_json(name, snapshot):
    view, arrays = VIEWS[name](), SNAPSHOTS[snapshot]
    for options in ({}, *combinations(view)[-1:]):
        figure = view.figure(arrays, **options)
        assert json.loads(figure.to_json())["data"] is not None


@pytest.mark.parametrize(("name", "snapshot"), CASES)
def test_a_later_frame_has_the_same_traces(name, snapshot):
    view, arrays = VIEWS[name](), SNAPSHOTS[snapshot]
    held = {"x", "y", "x_label", "y_label", "path_t", "true_ratio", "x_image", "y_image", "x2", "y2", "end", "tick"}
    held |= {"lambda", "reference", "value_y"}
    rng = np.random.default_rng(5)
    later = {
        k: v
        if k.rpartition("/")[2] in held or STILL.search(k) or v.dtype.kind != "f"
        else (v + rng.normal(size=v.shape) ** 2).astype(np.float32)
        for k, v in arrays.items()
    }
    for options in combinations(view):
        before, after = view.traces(arrays, **options), view.traces(later, **options)
        assert [(t["name"], t["type"], t.get("meta")) for t in before] == [(t["name"], t["type"], t.get("meta")) for t in after]
        assert [(i, p) for i, p, _ in frame(before)] == [(i, p) for i, p, _ in frame(after)]
        for a, b in zip(before, after, strict=True):
            if a.get("meta") == "static":
                for (_, first), (_, second) in zip(numeric_leaves(a), numeric_leaves(b), strict=True):
                    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", VIEWS)
def test_what_a_view_needs_is_what_makes_it_apply(name):
    view = VIEWS[name]()
    assert not view.applies({})
    for snapshot in SNAPSHOTS.values():
        assert not view.applies(snapshot) or view.needs <= set(snapshot)


def test_traces_are_fast_enough_to_draw_live():
    """A guard against accidents, ten times over what is measured (under 5 ms each at 1000 points)."""
    for name, snapshot in CASES:
        view, arrays = VIEWS[name](), SNAPSHOTS[snapshot]
        view.traces(arrays)
        best = min(_seconds(view, arrays) for _ in range(3))
        assert best < 0.05, (name, snapshot, best)


def _seconds(view, arrays) -> float:
    start = time.perf_counter()
    view.traces(arrays)
    return time.perf_counter() - start


@pytest.mark.parametrize(("name", "snapshot"), CASES)
def test_colour_scales_are_ones_the_browser_knows(name, snapshot):
    """plotly.js knows fewer names than plotly.py, and draws an unknown one in red and blue without a word."""
    for trace in VIEWS[name]().traces(SNAPSHOTS[snapshot]):
        for holder in (trace, trace.get("marker", {})):
            scale = holder.get("colorscale", [])
            assert isinstance(scale, list) or scale in {"Cividis", "Viridis", "Greys"}, scale


def test_what_is_let_go_of_is_grey_and_what_takes_part_is_coloured():
    arrays = SNAPSHOTS["learned barycenter"]
    traces = {t["name"]: t for t in VIEWS["barycenter-samples"]().traces(arrays)}
    out = sum(int((arrays[f"accepted/{k}"] < 0.5).sum()) for k in (0, 1))
    assert len(traces["rejected"]["x"]) == out > 0
    assert len(traces["P1, λ 0.5"]["x"]) == int((arrays["accepted/0"] > 0.5).sum())
    assert not np.isin(traces["rejected"]["x"], traces["P1, λ 0.5"]["x"]).any()


def test_images_of_a_learned_barycenter_are_shown_by_class_with_their_acceptance():
    arrays, view = SNAPSHOTS["learned barycenter between spaces"], VIEWS["barycenter-digits"]()
    traces = view.traces(arrays)
    bars = [t for t in traces if t["type"] == "bar"]
    chance = arrays["weight/0"] / arrays["weight/0"].max()
    assert bars[0]["x"] == pytest.approx([chance[np.arange(100) % 3 == kind].mean() for kind in range(3)], abs=1e-6)
    assert (bars[0]["xaxis"], bars[0]["yaxis"], bars[1]["yaxis"]) == ("x20", "y", "y2")
    marks = next(t for t in traces if t["name"] == "accepted or rejected")
    assert (marks["marker"]["color"] == 1 - arrays["image_accepted/0"]).all()
    assert len({float(y) for y in marks["y"]}) == 3  # a row a class
    assert {a["text"] for a in view.layout(arrays)["annotations"]} >= {"class 0", "<b>P1, λ 0.5</b>", "<b>samples of the barycenter</b>"}
    layout = VIEWS["compare-pictures"]().layout(pictures("barycenter-digits", [arrays, arrays]))
    left, right = layout["xaxis"]["domain"], layout["xaxis6"]["domain"]
    assert left[1] < right[0]  # the runs side by side, the marginals of each in a column
    assert layout["yaxis2"]["domain"][1] < layout["yaxis"]["domain"][0]
    assert layout["meta"]["narrow"]["rows"] > 3


def test_streams_end_in_a_head():
    lines = np.full((3, 4, 2), np.nan, np.float32)
    lines[0], lines[1, :2] = [[k, 0] for k in range(4)], [[0, 0], [0, 2]]
    lines[2, 0] = 1  # a point has no direction
    found = ended(lines, 0.1)
    np.testing.assert_array_equal(found[:, :4][np.isfinite(lines)], lines[np.isfinite(lines)])
    np.testing.assert_allclose(found[0, 4:], [[2.7, 0.12], [3, 0], [2.7, -0.12]], atol=1e-6)
    np.testing.assert_allclose(found[1, 2:5], [[-0.18, 1.8], [0, 2], [0.18, 1.8]], atol=1e-6)
    assert np.isnan(found[1, 5:]).all()
    assert np.isnan(found[2, 1:]).all()
    assert ended(np.zeros((0, 5, 2))).shape == (0, 8, 2)


def test_a_true_growth_stands_on_the_scale_of_the_growth():
    view = VIEWS["growth-against"]()
    found = {"against/x": np.float32([1, 4]), "against/y": np.float32([0.5, 2]), "against/class": np.zeros(2, np.float32)}
    figure = view.figure(found | {"names/against": np.array(["a"]), "names/against/title": np.array(["true growth"])})
    assert list(figure.data[0].x) == [0, 2]
    assert figure.layout.xaxis.title.text.startswith("true growth (log2)")
    figure = view.figure(found | {"against/x": np.float32([-1, 4]), "names/against/title": np.array(["score"])})
    assert list(figure.data[0].x) == [-1, 4]


def test_absurd_fold_changes_stand_at_the_edge():
    given = np.float32([-28, -2, 1, 3, 30])
    np.testing.assert_allclose(fold({"genes/logfc": given}), [-3.75, -2, 1, 3, 3.75])
    np.testing.assert_allclose(fold({"genes/logfc": np.float32([40, 9.9])}), [10, 9.9], rtol=1e-6)
