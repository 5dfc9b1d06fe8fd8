"""Where handwritten digits come from: the shipped subset, the user's own folder, the store's downloads."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uotlab.data.idx import read_idx, read_libsvm
from uotlab.data.npz import read_arrays
from uotlab.errors import InputError
from uotlab.paths import ASSETS, data_dir, store_dir

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class Digits(NamedTuple):
    """Images (n, height, width) uint8 and what they show (n,) int64."""

    images: np.ndarray
    digits: np.ndarray


def folders() -> list[Path]:
    """Where to look, in order: the user's data folder, then what was fetched into the store."""
    own = data_dir()
    return [*([own] if own else []), store_dir() / "data" / "mnist", store_dir() / "data" / "usps"]


@lru_cache(maxsize=2)
def mnist_subset() -> Digits:
    """600 MNIST training images of each digit, shipped with the project."""
    return _from_npz(ASSETS / "data" / "mnist_6000.npz")


def mnist_full() -> Digits:
    """All 70000 MNIST images from `mnist.npz` or the four idx files.

    Raises:
        InputError: they are nowhere.
    """
    for folder in folders():
        if (folder / "mnist.npz").is_file():
            return _load(folder / "mnist.npz")
        if all(find_part(folder, part) for part in PARTS):
            return _load(folder)
    raise InputError(
        "The full MNIST is not here: run `python -m uotlab fetch mnist`, or put mnist.npz or the four idx files "
        "into the folder that UOTLAB_DATA names. The shipped subset of 6000 needs nothing."
    )


def find_part(folder: Path, part: str) -> Path | None:
    """One of MNIST's four files in a folder, under any of its usual names."""
    names = (f"{part}.gz", part, f"{part.replace('-idx', '.idx')}.gz", part.replace("-idx", ".idx"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


@lru_cache(maxsize=2)
def _load(place: Path) -> Digits:
    return _from_npz(place) if place.is_file() else mnist_from_idx(place)


def mnist_from_idx(folder: Path) -> Digits:
    """Train and test images of a folder with MNIST's four idx files, in this order."""
    arrays = []
    for part in PARTS:
        path = find_part(folder, part)
        if path is None:
            raise InputError(
                f"{part}.gz is missing from the folder {folder.name}; MNIST is four files: {', '.join(PARTS)}, each with or without .gz."
            )
        arrays.append(read_idx(path))
    images, digits = np.concatenate(arrays[0::2]), np.concatenate(arrays[1::2])
    return _checked(images, digits, f"MNIST in {folder.name}", (28, 28))


def _from_npz(path: Path) -> Digits:
    arrays = read_arrays(path.read_bytes(), path.name)
    if {"x", "y"} <= set(arrays):
        images, digits = arrays["x"], arrays["y"]
    elif {"x_train", "y_train", "x_test", "y_test"} <= set(arrays):
        images, digits = (np.concatenate([arrays[f"{k}_train"], arrays[f"{k}_test"]]) for k in "xy")
    else:
        raise InputError(f"{path.name} must hold x and y, or x_train, y_train, x_test and y_test; it holds {', '.join(arrays)}.")
    return _checked(images, digits, path.name, None)


def mnist_from_npz(path: Path) -> Digits:
    """Train and test images of an `mnist.npz`."""
    made = _from_npz(path)
    return _checked(made.images, made.digits, path.name, (28, 28))


def forget() -> None:
    """Read files again at the next use: they have changed."""
    _load.cache_clear()


def _checked(images: np.ndarray, digits: np.ndarray, what: str, size: tuple[int, int] | None) -> Digits:
    if images.ndim != 3 or images.dtype != np.uint8 or (size and images.shape[1:] != size):
        expected = f"(n, {size[0]}, {size[1]})" if size else "(n, height, width)"
        raise InputError(f"The images of {what} must be unsigned bytes of shape {expected}; they are {images.dtype} {images.shape}.")
    if digits.shape != (len(images),) or len(digits) == 0 or digits.min() < 0 or digits.max() > 9:
        raise InputError(
            f"The labels of {what} must be one digit 0 to 9 for each of its {len(images)} images; they have shape {digits.shape}."
        )
    return Digits(images, digits.astype(np.int64))


@lru_cache(maxsize=1)
def mfeat() -> Digits:
    """2000 digits from Dutch utility maps, 16 x 15 pixels, brightness 0 to 6 stretched to 0 to 255."""
    small = _from_npz(ASSETS / "data" / "mfeat_pix.npz")
    return Digits(np.rint(small.images * (255 / 6)).astype(np.uint8), small.digits)


@lru_cache(maxsize=1)
def sklearn_digits() -> Digits:
    """scikit-learn's 1797 digits, 8 x 8 pixels, brightness 0 to 16 stretched to 0 to 255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return Digits(np.rint(data.images * (255 / 16)).astype(np.uint8), data.target.astype(np.int64))


def usps() -> Digits:
    """USPS digits, 16 x 16 pixels, from `usps.npz` or `usps.bz2` (with `usps.t.bz2` when present); never shipped.

    Raises:
        InputError: they are nowhere.
    """
    for folder in folders():
        if (folder / "usps.npz").is_file():
            return usps_from_npz(folder / "usps.npz")
        if (folder / "usps.bz2").is_file():
            return usps_from_libsvm(folder)
    raise InputError(
        "USPS is not here and may not be shipped: download usps.bz2 and usps.t.bz2 from the LIBSVM data page "
        "(multiclass, usps) into the folder that UOTLAB_DATA names, or run `python -m uotlab fetch usps --file usps.bz2`. "
        "mnist-to-mfeat needs nothing."
    )


def usps_from_npz(path: Path) -> Digits:
    """Train and test images of a `usps.npz`."""
    made = _from_npz(path)
    return _checked(made.images, made.digits, path.name, (16, 16))


def usps_from_libsvm(folder: Path) -> Digits:
    """Labels 1 to 10 are digit + 1, values lie in [-1, 1]."""
    parts = [read_libsvm(path) for name in ("usps.bz2", "usps.t.bz2") if (path := folder / name).is_file()]
    values, labels = (np.concatenate(column) for column in zip(*parts))
    images = np.rint((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8).reshape(-1, 16, 16)
    return _checked(images, labels - 1, "usps.bz2", (16, 16))
