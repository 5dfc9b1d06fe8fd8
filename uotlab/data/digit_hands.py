"""Digits of several collections in one space, one marginal each, for barycenters: what is between three hands, digit by digit."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from uotlab.data import collections
from uotlab.data.base import DATASETS, Dataset
from uotlab.data.collections import Digits
from uotlab.data.digits import SPACE_HELP, choose_images, resized
from uotlab.data.spaces import SpaceName, fit_space
from uotlab.problem import ImageSpace, Kind, Measure, Problem

NEGATIVE = "negative"


@DATASETS.register("digit-hands")
class DigitHands(Dataset):
    """The same digits by three hands: MNIST, Dutch utility maps, scikit-learn's 8 x 8; the first carries some photographic negatives."""

    title: ClassVar[str] = "One digit, three hands"
    group: ClassVar[str] = "Digits"
    kind = "latents"
    summary = (
        "The same digits as three collections have them; the barycenter of their images should keep each digit itself. "
        "A few of the first are negatives, which the robust barycenter leaves out. Methods for two take the first two."
    )
    reference = "gazdieva2025robust"
    default_n = 500
    order = 56
    digits: str = Field("038", pattern=r"^[0-9]{1,10}$", description="Digits that all collections give, written without spaces")
    marginals: int = Field(3, ge=2, le=3, description="Collections: MNIST and utility maps, or scikit-learn's 8 x 8 digits too")
    negatives: float = Field(0.04, ge=0, le=0.5, description="Share of the first collection's images that are negatives, black on white")
    space: SpaceName = Field("pca", description=SPACE_HELP)
    components: int = Field(32, ge=2, le=64, description="Number of coordinates; pixels have their own")

    def problem(self, n: int, seed: int) -> Problem:
        wanted = sorted({int(c) for c in self.digits})
        found = (collections.mnist_subset(), collections.mfeat(), collections.sklearn_digits())[: self.marginals]
        pools = [_framed(_only(pool, wanted)) for pool in found]
        turned = [255 - pools[0].images[::10]] if self.negatives else []  # the space must hold them too
        space = fit_space(np.concatenate([*(pool.images for pool in pools), *turned]), self.space, self.components)
        rng, shares = np.random.default_rng([seed, 1]), np.isin(np.arange(10), wanted).astype(float)
        measures = []
        for k, pool in enumerate(pools):
            rows = choose_images(pool.digits, shares, n, rng)
            images, labels = pool.images[rows], pool.digits[rows].astype(str).astype("U8")
            negative = rng.permutation(len(rows))[: round(self.negatives * len(rows)) if k == 0 else 0]
            images[negative], labels[negative] = 255 - images[negative], NEGATIVE
            measures.append(Measure(space.encode(images), None, {"digit": labels}, space.names))
        kind: Kind = "images" if self.space == "pixels" else "latents"
        height, width = pools[0].images.shape[1:]
        truth = {"same_labels": True, "outlier_share": self.negatives}
        return Problem(tuple(measures), kind, self.name, images=ImageSpace(height, width, space.decode), truth=truth)


def _framed(pool: Digits) -> Digits:
    """In MNIST's frame."""
    return pool if pool.images.shape[1:] == (28, 28) else Digits(resized(pool.images), pool.digits)


def _only(pool: Digits, wanted: list[int]) -> Digits:
    rows = np.isin(pool.digits, wanted)
    return Digits(pool.images[rows], pool.digits[rows])
