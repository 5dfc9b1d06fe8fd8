"""Arrays in, the same kind out; and one sentence for each kind of bad array."""

import numpy as np
import pytest
import torch

from uotlab.arrays import as_tensor, like, masses
from uotlab.errors import InputError


@pytest.mark.parametrize(
    "given", [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]]), np.array([[True, False]]), torch.tensor([[1, 2]]), np.float16([[1.5]])]
)
def test_numbers_become_float(given) -> None:
    assert as_tensor(given, "x", ndim=2).dtype == torch.float32


def test_float64_stays_and_a_dtype_is_obeyed() -> None:
    x = np.ones((2, 2))
    assert as_tensor(x, "x").dtype == torch.float64
    assert as_tensor(x, "x", dtype=torch.float32).dtype == torch.float32


def test_odd_memory_layouts_and_read_only_arrays() -> None:
    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(as_tensor(x[::-1, ::2], "x").numpy(), x[::-1, ::2])
    np.testing.assert_array_equal(as_tensor(x.astype(">f8"), "x").numpy(), x)
    x.setflags(write=False)
    np.testing.assert_array_equal(as_tensor(x, "x").numpy(), x)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([["a", "b"]], "numbers only"),
        ([[1, 2], [3]], "numbers only"),
        (np.array([[object()]]), "numbers only"),
        (np.ones(3), r"shape \(n, d\); it has shape \(3,\)"),
        (np.ones((0, 2)), "empty"),
        (np.array([[1.0, np.nan], [np.inf, 0]]), "2 NaN or infinite values"),
        (torch.tensor([[torch.nan]]), "1 NaN or infinite value;"),
        (np.array([[1 + 2j]]), "numbers only"),
    ],
)
def test_bad_arrays(given, words: str) -> None:
    with pytest.raises(InputError, match=f"^x .*{words}"):
        as_tensor(given, "x", ndim=2)


@pytest.mark.parametrize("reference", [np.ones(2, np.float32), np.ones(2), torch.ones(2), torch.ones(2, dtype=torch.float64)])
def test_like_gives_back_the_same_kind(reference) -> None:
    out = like(reference, torch.arange(3.0, dtype=torch.float64).requires_grad_())
    assert type(out) is type(reference)
    assert out.dtype == reference.dtype


def test_like_a_list_or_integers_is_float() -> None:
    assert like([1, 2], torch.ones(2)).dtype == np.float32
    assert like(np.array([1, 2]), torch.ones(2)).dtype == np.float32
    assert like(torch.tensor([1]), torch.ones(2)).dtype == torch.float32


def test_masses_are_never_normalised() -> None:
    assert masses(None, 4, "a").tolist() == [0.25] * 4
    assert masses([1, 2, 3], 3, "a").tolist() == [1, 2, 3]
    assert masses(np.array([0.0, 5.0]), 2, "a").dtype == torch.float64


@pytest.mark.parametrize(
    ("a", "words"),
    [([1, 2], "one weight a point, 3; it has 2"), ([1, -2, 0], "negative.*-2"), ([0, 0, 0], "some mass"), ([1, np.nan, 1], "NaN")],
)
def test_bad_masses(a, words: str) -> None:
    with pytest.raises(InputError, match=f"^a .*{words}"):
        masses(a, 3, "a")
