"""Fates: the kernel by its definition, tables and branches on a planted couple of types, push and pull, velocity on a map."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tests.cells.small import study_of_arrays
from uotlab import cells
from uotlab.cells.fates import (
    accuracy,
    across,
    branches_of,
    coupling,
    fate_arrays,
    mass_of_types,
    nearest,
    pull,
    push,
    transition,
    transition_arrays,
)
from uotlab.cells.kernel import graph, kernel
from uotlab.cells.outcome import Outcome
from uotlab.cells.velocity import gridded, projected, streams, velocity_arrays
from uotlab.errors import InputError
from uotlab.views.base import VIEWS


def two_types(n=40, seed=0):
    """A stays where it is, B goes to C; the target holds A and C, and a few D that nobody becomes."""
    rng = np.random.default_rng(seed)
    at = {"A": (0, 0, 0), "B": (6, 0, 0), "C": (6, 3, 0), "D": (-9, -9, 0)}
    source, target = np.repeat(["A", "B"], n), np.repeat(["A", "C", "D"], [n, n, 5])
    x, y = (np.array([at[k] for k in kinds]) + 0.8 * rng.normal(size=(len(kinds), 3)) for kinds in (source, target))
    return study_of_arrays(x, y, source, target)


@pytest.fixture(scope="module")
def study():
    return two_types()


@pytest.fixture(scope="module")
def right(study):
    return Outcome(study, study.x + np.where(study.types("source") == "B", 1, 0)[:, None] * np.float32([0, 3, 0]))


def test_the_kernel_is_the_softmax_of_correlations():
    rng = np.random.default_rng(0)
    points, velocity = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    velocity[3] = 0
    P = kernel(points, velocity, 5).toarray()
    near = np.linalg.norm(points[:, None] - points[None], axis=2).argsort(1)[:, 1:6]
    joined = np.zeros((30, 30), bool)
    joined[np.arange(30)[:, None], near] = True
    joined |= joined.T
    corr = np.zeros((30, 30))
    for i in range(30):
        for k in np.flatnonzero(joined[i]):
            corr[i, k] = 0 if i == 3 else np.corrcoef(points[k] - points[i], velocity[i])[0, 1]
    scale = 1 / np.median(np.abs(corr[joined & (np.arange(30) != 3)[:, None]]))
    expected = np.where(joined, np.exp(scale * corr), 0)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(P, expected, atol=1e-12)
    assert len(set(P[3][P[3] > 0].round(12))) == 1
    assert (graph(points, 5).toarray() == joined).all()
    np.testing.assert_allclose(kernel(points, velocity, 5, scale=2.0).sum(1), 1)


def test_transitions_by_plan_are_sums_of_the_plan(study):
    rng = np.random.default_rng(1)
    plan = rng.random((len(study.source), len(study.target)))
    table = transition(Outcome(study, study.x, plan.sum(1), plan=plan))
    block = plan[study.types("source") == "B"][:, study.types("target") == "C"].sum()
    assert table.loc["B", "C"] == pytest.approx(block / plan[study.types("source") == "B"].sum())
    assert table.sum(1).to_numpy() == pytest.approx(1)
    arrays = fate_arrays(table, mass_of_types(Outcome(study, study.x, plan.sum(1)), table))
    assert arrays["fates/mass"].sum() == pytest.approx(1)
    assert VIEWS["transitions"]().figure(arrays)
    assert VIEWS["fate-flow"]().figure(arrays)


def test_a_map_without_a_plan_lands_on_its_nearest_cells(study, right):
    mass = coupling(right)
    assert sp.issparse(mass)
    assert mass.sum() == pytest.approx(1)
    i = 55
    near = np.linalg.norm(study.y - right.mapped[i], axis=1).argsort()[:10]
    assert set(mass[i].indices) == set(near)
    assert transition(right).loc["B", "C"] > 0.95
    assert transition(right, "kernel").loc["B", "C"] > 0.9


def test_accuracy_tells_right_from_wrong(study, right):
    branches = {"still": {"A": ("A",)}, "moving": {"B": ("C",)}}
    good = accuracy(right, branches)
    assert good.branches.set_index("branch")["plan"].min() > 0.9
    wrong = Outcome(study, study.x - np.where(study.types("source") == "B", 1, 0)[:, None] * np.float32([5, 0, 0]))
    bad = accuracy(wrong, branches, terminal=("A", "C"))
    assert bad.branches.set_index("branch").loc["moving", "plan"] < 0.2
    table = good.table.set_index("type")
    row = across(right).toarray()[(study.types("source") == "B")]
    to, both = row[:, study.types("target") == "C"].sum(1), row[:, np.isin(study.types("target"), ["A", "C"])].sum(1)
    seen = both > 0
    assert table.loc["B", "seen"] == seen.sum()
    assert table.loc["B", "kernel"] == pytest.approx((to[seen] / both[seen]).mean())
    assert table.loc["B", "mass"] == pytest.approx(to.mean())
    assert good.terminal == ("A", "C")


def test_branches_to_begin_with():
    pancreas = cells.load("pancreas-simulated", n=200, seed=0)
    found = branches_of(pancreas)
    assert list(found) == ["EB", "Ngn3 EP", "NEB"]
    assert found["NEB"] == {"Ductal": ("Ductal",), "Tip": ("Acinar",), "Acinar": ("Acinar",)}
    assert set(found["Ngn3 EP"]["Ngn3 EP"]) == {"Alpha", "Beta", "Delta", "Epsilon"}
    fish = branches_of(cells.load("zebrafish-simulated", n=200, seed=0))
    assert set(fish["Margin"]["Margin"]) == {"Mesoderm", "Endoderm", "Axial"}
    assert branches_of(two_types())["same type"] == {"A": ("A",)}
    x, before, after = np.zeros((3, 2)), ["Ngn3 High early", "Fev+ Alpha", "Ductal"], ["Alpha", "Beta", "Ductal"]
    named = branches_of(study_of_arrays(x, x, before, after))  # as the published annotation writes them
    assert named["Ngn3 EP"] == {"Ngn3 High early": ("Alpha", "Beta")}
    assert named["EB"] == {"Fev+ Alpha": ("Alpha",)}
    still = Outcome(pancreas, pancreas.x)
    assert list(accuracy(still).branches["branch"]) == ["EB", "Ngn3 EP", "NEB"]


def test_push_and_pull_are_marginals_of_the_chosen_part(study):
    plan = np.random.default_rng(2).random((len(study.source), len(study.target)))
    outcome = Outcome(study, study.x, plan.sum(1), plan=plan)
    chosen = study.types("source") == "B"
    np.testing.assert_allclose(push(outcome, chosen), plan[chosen].sum(0) / plan[chosen].sum())
    after = study.types("target") == "C"
    np.testing.assert_allclose(pull(outcome, after), plan[:, after].sum(1) / plan[:, after].sum())
    far = pull(Outcome(study, study.x), study.types("target") == "D")
    assert far.sum() == 0  # nobody lands there
    with pytest.raises(InputError, match="No source cell is chosen"):
        push(outcome, np.zeros(len(chosen), bool))
    with pytest.raises(InputError, match="one True or False a cell"):
        pull(outcome, np.ones(3))


def test_velocity_on_the_map_follows_the_motion():
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, (200, 2)).astype(np.float32)
    study = study_of_arrays(x, x[:50] + 0.01, np.repeat("A", 200), np.repeat("A", 50))
    arrays = velocity_arrays(Outcome(study, x + np.float32([1, 0.2])), study.points, study.x + 1)
    way = arrays["velocity/arrows"][:, 1] - arrays["velocity/arrows"][:, 0]
    assert way[:, 0].mean() > 2 * np.abs(way[:, 1]).mean()
    line = arrays["velocity/streams"]
    assert (np.nanmax(line[..., 0], 1) > line[:, 0, 0]).mean() > 0.95
    assert VIEWS["velocity"]().figure(arrays, lines="streams")
    each = VIEWS["velocity"]().traces(arrays, lines="each cell")[-1]
    np.testing.assert_allclose(each["x"][:2], [study.x[0, 0], study.x[0, 0] + 1], rtol=1e-6)
    P = sp.csr_matrix(np.array([[0, 0.75, 0.25], [0.5, 0, 0.5], [1, 0, 0]]))
    places = np.array([[0.0, 0], [2, 0], [0, 3]])
    expected = 0.25 * np.array([1, 0]) - 0.25 * np.array([0, 1])
    np.testing.assert_allclose(projected(P, places)[0], expected)
    np.testing.assert_allclose(projected(P, places)[1], 0)


def test_velocity_takes_the_rows_of_all_prepared_cells():
    """A study of three times, its cells in any order: the map has a row for each of them."""
    rng = np.random.default_rng(4)
    whole = study_of_arrays(rng.normal(size=(40, 3)), rng.normal(size=(50, 3)), np.repeat("A", 40), np.repeat("B", 50))
    order = rng.permutation(90)
    part = replace(whole, source=np.sort(order[:30]), target=np.sort(order[30:60]))
    arrays = velocity_arrays(Outcome(part, part.x + 1), part.points[:, :2])
    np.testing.assert_array_equal(arrays["velocity/source"], part.x[:, :2])
    np.testing.assert_array_equal(arrays["velocity/target"], part.y[:, :2])
    assert "velocity/mapped" not in arrays
    assert not len(VIEWS["velocity"]().traces(arrays, lines="each cell")[-1]["x"])


def test_nearest_neighbours_whatever_plan_there_is(study, right):
    held = Outcome(study, right.mapped, plan=np.ones((len(study.source), len(study.target))))
    assert (nearest(held) != coupling(right)).nnz == 0
    np.testing.assert_allclose(transition(held, "neighbours"), transition(right))
    assert transition(held).loc["B", "A"] == pytest.approx(40 / 85)
    few = accuracy(held, {"moving": {"B": ("C",)}}, ("A", "C"), by="neighbours").branches
    assert few["accuracy"][0] == few["plan"][0] > 0.95
    assert accuracy(held, {"moving": {"B": ("C",)}}, ("A", "C"), by="plan").branches["accuracy"][0] == pytest.approx(0.5)
    assert transition_arrays(transition(right))["fates/mass"] == pytest.approx(0.5)
    moving = Outcome(study, right.mapped, np.where(study.types("source") == "B", 3.0, 1.0))
    assert transition_arrays(transition(moving))["fates/mass"] == pytest.approx([0.25, 0.75])


def test_notes_say_what_to_mind(study, right, monkeypatch):
    found = accuracy(right)
    assert any("Edit the branches" in note for note in found.notes)
    assert (found.branches["accuracy"] == found.branches["kernel"]).all()
    poor = accuracy(Outcome(study, right.mapped, np.full(80, 0.1), mass=0.1), {"moving": {"B": ("C",)}}, ("A", "C"))
    assert any("Only 10% of the mass" in note for note in poor.notes)
    assert not any("Edit the branches" in note for note in poor.notes)
    far = accuracy(right, {"b": {"A": ("D",)}})
    assert any("Less than half of the cells of type A" in note for note in far.notes)
    monkeypatch.setattr("uotlab.cells.fates.MOST_CELLS", 50)
    many = accuracy(right, by="plan")
    assert np.isnan(many.branches["kernel"]).all()
    assert np.isnan(many.branches["mass"]).all()
    assert any("left out" in note for note in many.notes)
    with pytest.raises(InputError, match="50 cells a side at most"):
        accuracy(right)


def test_streams_of_a_uniform_field_are_straight():
    x = y = np.linspace(0, 1, 11)
    field = np.tile([1.0, 0.0], (11, 11, 1))
    lines = streams(x, y, field, np.ones((11, 11), bool), seeds=3, steps=8)
    np.testing.assert_allclose(np.diff(lines[0], axis=0)[:, 0], 0.05)
    assert np.nanmax(np.abs(lines[..., 1] - lines[:, :1, 1])) == 0
    at = np.random.default_rng(0).uniform(0, 1, (50, 2))
    *_, average, _ = gridded(at, np.tile([1.0, -2.0], (50, 1)))
    np.testing.assert_allclose(average[12, 12], [1, -2], rtol=1e-9)


def test_bad_input(study, right):
    with pytest.raises(InputError, match="by must be one of"):
        transition(right, "velocity")
    with pytest.raises(InputError, match="No branch is given"):
        accuracy(right, {})
    with pytest.raises(InputError, match="No source cell has the type 'Z'"):
        accuracy(right, {"b": {"Z": ("A",)}})
    with pytest.raises(InputError, match="No target cell has the type 'B'"):
        accuracy(right, {"b": {"A": ("B",)}})
    with pytest.raises(InputError, match="no terminal type"):
        accuracy(right, {"b": {"A": ("A",)}}, terminal=("C",))
    with pytest.raises(InputError, match="places must have shape"):
        velocity_arrays(right, np.zeros((3, 2)))
    with pytest.raises(InputError, match="mapped must have shape"):
        velocity_arrays(right, study.points[:, :2], np.zeros((3, 2)))
    with pytest.raises(InputError, match="by must be one of"):
        accuracy(right, by="path")
