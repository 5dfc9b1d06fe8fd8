"""Measures and problems: lazy points, honest folds, weighted draws, and a sentence for each kind of bad data."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uotlab.errors import InputError
from uotlab.problem import Draw, Fold, Measure, Problem


def points(n: int = 20, d: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


class Counting:
    """An array that counts the rows it is asked for: nothing lazy may ask for all of them."""

    def __init__(self, n: int, d: int) -> None:
        self.shape, self.dtype, self.asked = (n, d), np.dtype(np.float32), 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        rows = np.asarray(rows)
        self.asked += rows.size
        return np.repeat(rows[:, None], self.shape[1], axis=1).astype(np.float32)


@given(n=st.integers(5, 400), seed=st.integers(0, 50))
def test_a_fold_is_a_partition_into_80_and_20(n: int, seed: int) -> None:
    base = np.arange(n)[:, None]
    kept, held = Fold(base, seed, held=False), Fold(base, seed, held=True)
    assert len(held) == n // 5
    assert sorted([*kept[:].ravel(), *held[:].ravel()]) == list(range(n))
    assert kept[:].ravel().tolist() == sorted(kept[:].ravel())
    assert Fold(base, seed, held=True)[:].tolist() == held[:].tolist()


@given(n=st.integers(5, 60), data=st.data())
def test_a_fold_takes_any_rows(n: int, data) -> None:
    fold = Fold(np.arange(n)[:, None], 1, held=data.draw(st.booleans()))
    rows = data.draw(st.lists(st.integers(0, len(fold) - 1), min_size=1, max_size=8))
    np.testing.assert_array_equal(fold[np.array(rows)], fold[:][rows])


def test_lazy_points_are_never_read_whole(rng: torch.Generator) -> None:
    lazy = Counting(10_000_000, 3)
    train, test = Measure(lazy).split(seed=0)
    x = train.sample(128, rng)
    test.sample(64, rng)
    train.subsample(100)
    assert lazy.asked == 128 + 64 + 100
    assert x.shape == (128, 3)
    assert x.dtype == torch.float32


def test_a_memory_map_stays_on_disk(tmp_path, rng: torch.Generator) -> None:
    x = np.memmap(tmp_path / "x.f32", dtype=np.float32, mode="w+", shape=(1_000_000, 2))
    x[:] = 1.0
    x[::2] = 0.0
    problem = Problem.from_arrays(x, points())
    assert isinstance(problem.source.points, np.memmap)
    assert np.shares_memory(problem.source.points, x)
    train, _ = problem.split(0)
    assert isinstance(train.source.points, Fold)
    assert np.shares_memory(train.source.points.base, x)
    drawn = train.source.sample(1000, rng)
    assert 0.4 < float(drawn.mean()) < 0.6


def test_split_keeps_rows_weights_and_labels_together() -> None:
    x = points(53)
    row = np.arange(53)
    problem = Problem.from_arrays(x, x, a=row + 1.0, x_labels={"row": row})
    train, test = problem.split(seed=3)
    for part in (train, test):
        rows = part.source.labels["row"]
        np.testing.assert_array_equal(part.source.points, x[rows])
        np.testing.assert_allclose(part.source.weights / part.source.weights[0], (rows + 1.0) / (rows[0] + 1.0))
        assert part.source.mass == pytest.approx(problem.source.mass)  # each part stands for the whole measure
    assert sorted([*train.source.labels["row"], *test.source.labels["row"]]) == row.tolist()
    assert len(test.source.labels["row"]) == 10


def test_a_problem_that_can_draw_is_not_split() -> None:
    measure = Measure(points(), sampler=lambda n, rng: Draw(torch.randn(n, 2, generator=rng), {}))
    problem = Problem((measure, measure))
    assert problem.samplable
    assert problem.split(0) == (problem, problem)


def test_draws_follow_the_weights(rng: torch.Generator) -> None:
    weights = np.array([0.0, 1.0, 3.0, 0.0, 6.0])
    measure = Measure(np.arange(5, dtype=np.float32)[:, None], weights)
    drawn = measure.sample(20_000, rng).long().ravel().bincount(minlength=5).double() / 20_000
    np.testing.assert_allclose(drawn, weights / 10, atol=0.015)
    assert drawn[0] == drawn[3] == 0
    assert measure.mass == 10


def test_equal_seeds_give_equal_draws() -> None:
    measure = Measure(points(100), np.arange(1.0, 101))
    one, two = (measure.sample(10, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)


def test_labels_come_with_their_points(rng: torch.Generator) -> None:
    measure = Measure(np.arange(9, dtype=np.float32)[:, None], labels={"name": np.array(list("abcdefghi"))})
    draw = measure.sample_labelled(50, rng)
    assert ["abcdefghi"[int(v)] for v in draw.points.ravel()] == draw.labels["name"].tolist()


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 2, 500)])
def test_subsample_is_fixed_and_keeps_the_mass(weights) -> None:
    measure = Measure(points(500), weights, {"row": np.arange(500)})
    small = measure.subsample(50, seed=1)
    assert small.n == 50
    assert small.mass == pytest.approx(measure.mass)
    np.testing.assert_array_equal(small.points, measure.points[small.labels["row"]])
    np.testing.assert_array_equal(small.points, measure.subsample(50, seed=1).points)
    assert measure.subsample(500) is measure


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, lambda a: torch.from_numpy(a).double(), np.ndarray.tolist])
def test_from_arrays(d: int, kind) -> None:
    problem = Problem.from_arrays(kind(points(8, d)), kind(points(6, d, seed=1)))
    assert (problem.source.n, problem.target.n, problem.d) == (8, 6, d)
    assert problem.kind == {1: "line", 2: "plane"}.get(d, "table")
    assert problem.source.points.dtype == np.float32
    assert problem.source.mass == problem.target.mass == 1


def test_a_vector_is_a_column() -> None:
    assert Problem.from_arrays(points(8, 1).ravel(), points(6, 1)).d == 1


def test_weights_are_masses() -> None:
    problem = Problem.from_arrays(points(3), points(4), a=[1, 2, 3], b=[0.5] * 4)
    assert (problem.source.mass, problem.target.mass) == (6, 2)


GOOD = points(6)
NAN = np.where(np.eye(6, 2) > 0, np.nan, GOOD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.empty((0, 2))}, "^x is empty"),
        ({"x": [["a", "b"], ["c", "d"]]}, "^x must hold numbers"),
        ({"y": NAN}, "^y has 2 NaN"),
        ({"x": GOOD[:1]}, "^x has one point"),
        ({"y": points(6, 3)}, "same number of columns; x has 2 and y has 3"),
        ({"y": GOOD[None]}, r"^y must have shape \(n, d\)"),
        ({"a": [-1, 1, 1, 1, 1, 1]}, "^a must not be negative"),
        ({"b": [0] * 6}, "^b must have some mass"),
        ({"b": [1, 2]}, "^b must have one weight a point, 6; it has 2"),
        ({"x_labels": [1, 2]}, "^x_labels must have one label a point"),
        ({"y_labels": {"type": [1, 2]}}, "column 'type'"),
    ],
)
def test_bad_data_gets_one_sentence(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Problem.from_arrays(**{"x": GOOD, "y": GOOD, **change})
    assert "\n" not in str(caught.value)


def test_a_constant_column_is_told_and_kept() -> None:
    x = np.c_[points(6), np.full(6, 7.0)]
    with pytest.warns(UserWarning, match="1 of 3 columns .2. has the same value"):
        problem = Problem.from_arrays(x, x)
    assert problem.d == 3
    assert "same value" in problem.notes[0]


def test_marginals_share_their_dimension() -> None:
    with pytest.raises(InputError, match="same number of columns; they have 2, 3"):
        Problem((Measure(points(4, 2)), Measure(points(4, 3))))
