"""Digits to digits: classes that are more or less frequent, dimmed images, another hand or another scanner."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from uotlab.data import collections
from uotlab.data.base import DATASETS, Dataset
from uotlab.data.collections import Digits
from uotlab.data.spaces import SpaceName, fit_space
from uotlab.problem import ImageSpace, Kind, Measure, Problem

SCHEMES = {
    "linear": (10, 9, 8, 7, 6, 5, 4, 3, 2, 1),
    "three-level": (3, 3, 3, 3, 2, 2, 1, 1, 1, 1),
}  #: frequencies of the digits 0 to 9 in the target


SPACE_HELP = (
    "Where the map works: principal components, pixels, the codes of a small autoencoder, or spectral: "
    "coordinates of the images' neighbour graph, in which classes lie apart without any label"
)


class Sides(NamedTuple):
    """Images to choose from on each side, the shares of their digits (10,) where they are prescribed, and exact answers."""

    source: Digits
    target: Digits
    source_shares: np.ndarray | None = None
    target_shares: np.ndarray | None = None
    truth: dict[str, Any] = {}
    notes: tuple[str, ...] = ()


class DigitPair(Dataset):
    """Images of digits on both sides, in one space fitted on both."""

    group: ClassVar[str] = "Digits"
    kind = "latents"
    default_n = 3000

    space: SpaceName = Field("pca", description=SPACE_HELP)
    components: int = Field(32, ge=2, le=64, description="Number of coordinates; pixels have their own")

    @abstractmethod
    def sides(self, rng: np.random.Generator) -> Sides:
        """All images of both sides, of one size."""

    def problem(self, n: int, seed: int) -> Problem:
        # which images belong to which side does not depend on the seed, so that the space does not either
        sides = self.sides(np.random.default_rng(0))
        space = fit_space(np.concatenate([sides.source.images, sides.target.images]), self.space, self.components)
        rng = np.random.default_rng([seed, 1])
        measures = []
        for pool, shares in ((sides.source, sides.source_shares), (sides.target, sides.target_shares)):
            rows = choose_images(pool.digits, shares, n, rng)
            measures.append(Measure(space.encode(pool.images[rows]), None, {"digit": pool.digits[rows]}, space.names))
        height, width = sides.source.images.shape[1:]
        images = ImageSpace(height, width, space.decode)
        kind: Kind = "images" if self.space == "pixels" else "latents"
        return Problem((measures[0], measures[1]), kind, self.name, images=images, truth=sides.truth, notes=sides.notes)


def choose_images(digits: np.ndarray, shares: np.ndarray | None, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most n row numbers in random order, without repetition; with `shares` (10,) as many of each digit as they say.

    Shares are kept to within one image; n is lowered to what the scarcest digit allows.
    """
    if shares is None:
        return rng.permutation(len(digits))[:n]
    shares = shares / shares.sum()
    counts = np.bincount(digits, minlength=10)
    asked = shares > 0
    n = min(n, int(np.floor((counts[asked] / shares[asked]).min() + 1e-9)))
    each = np.floor(shares * n + 1e-9).astype(int)
    each[np.argsort(each - shares * n, kind="stable")[: n - each.sum()]] += 1  # largest remainders first
    each = np.minimum(each, counts)
    rows = [rng.permutation(np.flatnonzero(digits == k))[: each[k]] for k in range(10)]
    return rng.permutation(np.concatenate(rows))


def halves(pool: Digits, rng: np.random.Generator) -> tuple[Digits, Digits]:
    """Two disjoint halves of a collection, each digit split evenly."""
    order = rng.permutation(len(pool.digits))
    order = order[np.argsort(pool.digits[order], kind="stable")]
    return tuple(Digits(pool.images[order[i::2]], pool.digits[order[i::2]]) for i in (0, 1))  # type: ignore[return-value]


def resized(images: np.ndarray, box: int = 20, size: int = 28) -> np.ndarray:
    """Images (n, h, w) uint8 as MNIST was made: stretched into a box of 20 x 20 pixels, its centre of mass put at the middle of 28 x 28."""
    from scipy.ndimage import zoom

    factor = box / max(images.shape[1:])
    small = np.clip(zoom(images.astype(np.float32), (1, factor, factor), order=1, grid_mode=True, mode="nearest"), 0, 255)
    h, w = small.shape[1:]
    mass = np.maximum(small.sum((1, 2)), 1e-9)
    top = np.rint((size - 1) / 2 - small.sum(2) @ np.arange(h) / mass).astype(int).clip(0, size - h)
    left = np.rint((size - 1) / 2 - small.sum(1) @ np.arange(w) / mass).astype(int).clip(0, size - w)
    out = np.zeros((len(images), size, size), np.uint8)
    rows, columns = top[:, None, None] + np.arange(h)[:, None], left[:, None, None] + np.arange(w)
    out[np.arange(len(images))[:, None, None], rows, columns] = np.rint(small).astype(np.uint8)
    return out


def _true_ratio(source: np.ndarray, target: np.ndarray) -> dict[int, float]:
    """Target share over source share by digit, for the digits that the source has."""
    source, target = source / source.sum(), target / target.sum()
    return {k: float(target[k] / source[k]) for k in range(10) if source[k] > 0}


def _digit_set(text: str) -> list[int]:
    return sorted({int(c) for c in text})


@DATASETS.register("digits")
class SmallDigits(DigitPair):
    """scikit-learn's 8 x 8 digits, some classes to others; a digit on both sides has its images split between them."""

    title = "Even to odd digits, 8 x 8"
    summary = (
        "Small and fast: every even digit turns into the odd digit it resembles, 8 into 3 and 4 into 9. "
        "0 has no odd look-alike: watch unbalanced transport scale it down."
    )
    reference = "alpaydin1998optical"
    default_n = 900
    order = 50
    components: int = Field(16, ge=2, le=64, description="Number of coordinates; pixels have their own")
    source_digits: str = Field("02468", pattern=r"^[0-9]{1,10}$", description="Digits of the source, written without spaces")
    target_digits: str = Field("13579", pattern=r"^[0-9]{1,10}$", description="Digits of the target, written without spaces")

    def sides(self, rng: np.random.Generator) -> Sides:
        pool = collections.sklearn_digits()
        wanted = _digit_set(self.source_digits), _digit_set(self.target_digits)
        parts = halves(pool, rng)
        chosen = []
        for side, own in enumerate(wanted):
            shared = np.isin(parts[side].digits, own)
            alone = np.isin(parts[1 - side].digits, [k for k in own if k not in wanted[1 - side]])
            chosen.append(
                Digits(
                    np.concatenate([parts[side].images[shared], parts[1 - side].images[alone]]),
                    np.concatenate([parts[side].digits[shared], parts[1 - side].digits[alone]]),
                )
            )
        truth = {}
        if wanted[0] == wanted[1]:
            truth = {"same_labels": True}
        return Sides(chosen[0], chosen[1], truth=truth)


class _MnistPair(DigitPair):
    subset: bool = Field(True, description="The shipped 6000 images; off uses all 70000, which have to be fetched first")

    def mnist(self) -> Digits:
        return collections.mnist_subset() if self.subset else collections.mnist_full()


class _Imbalance(_MnistPair):
    """MNIST with equal shares to MNIST with other shares; no image is on both sides."""

    reference = "yang2019scalable"
    scheme: Literal["linear", "three-level"] = Field(
        "linear", description="Target frequencies of 0 to 9: linear is 10:9:...:1, three-level is 3 for 0-3, 2 for 4-5 and 1 for 6-9"
    )
    brightness: float = Field(1.0, ge=0.05, le=1, description="Brightness of the target's images; 1 leaves them, less dims them")

    def sides(self, rng: np.random.Generator) -> Sides:
        source, target = halves(self.mnist(), rng)
        dimmed = Digits(np.rint(target.images * self.brightness).astype(np.uint8), target.digits) if self.brightness < 1 else target
        even, shares = np.ones(10), np.array(SCHEMES[self.scheme], dtype=float)
        truth = {"true_ratio": _true_ratio(even, shares), "same_labels": True}
        return Sides(source, dimmed, even, shares, truth, self._notes())

    def _notes(self) -> tuple[str, ...]:
        if self.brightness < 1 or self.space not in ("pca", "spectral"):
            return ()
        return (
            "How well scaling by class can follow the true ratio is a matter of the space. At the discrete optimum (KL, rho = .3 "
            "in mean-cost units, 1500 images a side) Spearman and Pearson of logs are .99 and .94 in the spectral space, about .94 "
            "and .78 in principal components, where 9s are fed by 4s and 7s and the thin 1s are cheap to keep.",
        )


@DATASETS.register("mnist-imbalance")
class MnistImbalance(_Imbalance):
    """Equal shares to shares 10:9:...:1."""

    title = "MNIST to imbalanced MNIST"
    summary = (
        "The same digits, but the target has ten times as many 0s as 9s. Unbalanced transport keeps each digit "
        "and scales it: its scaling by class should follow the true ratio."
    )
    order = 51
    space: SpaceName = Field("spectral", description=SPACE_HELP)


@DATASETS.register("mnist-dimmed")
class MnistDimmed(_Imbalance):
    """Equal shares to three levels of frequency, at half brightness, as in the 2019 paper's Figure 3c."""

    title = "MNIST to dimmed, imbalanced MNIST"
    summary = (
        "Digits 0-3 become more frequent, 6-9 less, and all of them darker: the map should dim, the scaling should follow the classes."
    )
    order = 52
    scheme: Literal["linear", "three-level"] = Field(
        "three-level", description="Target frequencies of 0 to 9: linear is 10:9:...:1, three-level is 3 for 0-3, 2 for 4-5 and 1 for 6-9"
    )
    brightness: float = Field(0.5, ge=0.05, le=1, description="Brightness of the target's images; 1 leaves them, less dims them")


@DATASETS.register("mnist-to-mfeat")
class MnistToMfeat(_MnistPair):
    """MNIST to digits from Dutch utility maps, brought to MNIST's frame."""

    title = "MNIST to map digits"
    summary = (
        "American handwriting to digits from Dutch utility maps, coarser and bolder: "
        "a change of domain in which each digit should stay itself."
    )
    reference = "duin1998mfeat"
    default_n = 2000
    order = 53

    def sides(self, rng: np.random.Generator) -> Sides:
        other = collections.mfeat()
        return Sides(self.mnist(), Digits(resized(other.images), other.digits), np.ones(10), None, {"same_labels": True})


@DATASETS.register("mnist-to-usps")
class MnistToUsps(_MnistPair):
    """MNIST to USPS, brought to MNIST's frame; USPS comes from the user's own folder."""

    title = "MNIST to USPS"
    summary = (
        "The 2019 paper's pair: two scans of handwritten digits with different strokes and class shares. USPS has to be downloaded first."
    )
    reference = "yang2019scalable"
    order = 54

    def sides(self, rng: np.random.Generator) -> Sides:
        other = collections.usps()
        shares = np.bincount(other.digits, minlength=10).astype(float)
        truth = {"true_ratio": _true_ratio(np.ones(10), shares), "same_labels": True}
        return Sides(self.mnist(), Digits(resized(other.images), other.digits), np.ones(10), None, truth)
