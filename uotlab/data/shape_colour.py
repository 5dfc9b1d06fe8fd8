"""Shapes and colours: the barycenter of grey digits and of colours are coloured digits, on a manifold that is learned first.

Two spaces that have nothing in common but costs: |x_1 - decoloured(G(z))|² and u² |x_2 - mean colour(G(z))|², to codes z of a generator G.
Differs from the paper: G is a small variational autoencoder trained here, not a StyleGAN; pixels and colours lie in [0, 1]; the unit u of
colours, which the paper does not have, makes both costs as large; decolouring takes the brightest channel, so that a digit's hue does not
change its grey.
Reference: gazdieva2025robust, Section 5.3; kolesov2024estimating.
"""

import copy
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import Observed
from uotlab.data import collections
from uotlab.data.base import DATASETS, Dataset
from uotlab.data.collections import Digits
from uotlab.data.coloured import generator
from uotlab.nets.coloured_vae import ColouredVAE
from uotlab.problem import BarycenterSpace, ImageSpace, Measure, Problem

SHAPES, OUTLIER = {2: 49 / 99, 3: 50 / 99}, 7  #: shares among those that are no outliers
COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "white": (1.0, 1.0, 1.0)}
HELD_SHARE = 6  #: one image in so many is kept from the generator
CHUNK = 4096
BESIDE = 3.0  #: weight of a colour beside a code, whose coordinates have a variance of about 1
CHANNELS = ("red", "green", "blue")


@DATASETS.register("shape-colour")
class ShapeColour(Dataset):
    """P1: grey digits 2, 3 and a few 7s. P2: red, green and a little white. Their barycenter: codes of `truth["generator"]`."""

    title: ClassVar[str] = "Shapes and colours"
    group: ClassVar[str] = "Digits"
    kind = "images"
    summary = (
        "Grey 2s and 3s meet red and green on a manifold of coloured 2s and 3s. "
        "The 7s have no place on it and white is no colour of it: the robust barycenter lets them go."
    )
    reference = "gazdieva2025robust"
    default_n = 1800
    order = 55
    outliers: float = Field(0.01, ge=0, le=0.5, description="Share of 7s among the shapes")
    white: float = Field(0.01, ge=0, le=0.5, description="Share of white among the colours")
    unit: float = Field(6.0, gt=0, le=100, description="Weight of a colour's distance, in units of one pixel's brightness")
    code: int = Field(16, ge=2, le=64, description="Length of the generator's code")
    generator_steps: int = Field(1500, ge=1, le=100_000, description="Training steps of the generator, which is made once and kept")
    subset: bool = Field(True, description="The shipped 6000 images; off uses all 70000, which have to be fetched first")

    def problem(self, n: int, seed: int) -> Problem:
        pool = collections.mnist_subset() if self.subset else collections.mnist_full()
        rows = np.flatnonzero(np.isin(pool.digits, list(SHAPES)))
        new = rows[::HELD_SHARE]
        others = np.flatnonzero(~np.isin(pool.digits, list(SHAPES)))[:: (10 - len(SHAPES)) // len(SHAPES)]
        made = generator(pool.images[np.setdiff1d(rows, new)], pool.images[new], pool.images[others], self.code, self.generator_steps)
        (height, width), rng = pool.images.shape[1:], np.random.default_rng([seed, 1])
        size = height, width
        shown = (partial(_grey, size=size), partial(_patches, unit=self.unit, size=size))
        space = BarycenterSpace(
            self.code,
            (Observed(h=Sight(made.net, "ink")), Observed(h=Sight(made.net, "colour", self.unit))),
            partial(_codes, net=made.net),
            made.net.inside,
            Seen(made.net),
            ImageSpace(height, width, partial(_coloured, net=made.net, size=size)),
            tuple(ImageSpace(height, width, decode) for decode in shown),
        )
        note = (
            f"The generator explains {made.explained:.0%} of the variance of 2s and 3s that it did not see; "
            f"{made.alike:.0%} of its samples look like one of them rather than another digit."
        )
        marginals = (self._shapes(pool, new, n, rng), self._colours(n, rng))
        return Problem(marginals, "images", self.name, truth={"generator": made.net}, notes=(note,), space=space)

    def _shapes(self, pool: Digits, new: np.ndarray, n: int, rng: np.random.Generator) -> Measure:
        """As many images of each digit, with weights that make their shares: so even the few 7s are many images."""
        shares = {digit: (1 - self.outliers) * share for digit, share in SHAPES.items()} | {OUTLIER: self.outliers}
        chosen, weights = [], []
        for digit, share in shares.items():
            own = rng.permutation(np.flatnonzero(pool.digits == digit))[: max(2, n // len(shares))]
            if share:
                chosen.append(own)
                weights.append(np.full(len(own), share / len(own)))
        rows = np.concatenate(chosen)
        met = np.where(np.isin(rows, new) | (pool.digits[rows] == OUTLIER), "new", "seen")
        ink = pool.images[rows].reshape(len(rows), -1).astype(np.float32) / 255
        return Measure(ink, np.concatenate(weights), {"digit": pool.digits[rows], "generator": met})

    def _colours(self, n: int, rng: np.random.Generator) -> Measure:
        """n points, as many of each colour as its share says, at least one of white where it has a share."""
        white = max(1, round(self.white * n)) if self.white else 0
        names = rng.permutation(np.array(["white"] * white + ["red"] * ((n - white) // 2) + ["green"] * (n - white - (n - white) // 2)))
        points = self.unit * np.array([COLOURS[name] for name in names], np.float32)
        return Measure(points, None, {"colour": names}, CHANNELS)


class Sight:
    """What a marginal sees of G(z): its "ink", or its "colour" in some unit; (n, k) -> (n, p) or (n, 3). Follows z to its device."""

    def __init__(self, net: ColouredVAE, what: Literal["ink", "colour"], unit: float = 1.0) -> None:
        self.what, self.unit = what, unit
        self._nets = {"cpu": net}

    def __call__(self, z: Tensor) -> Tensor:
        where = str(z.device)
        if where not in self._nets:
            self._nets[where] = copy.deepcopy(self._nets["cpu"]).to(z.device)
        seen: Tensor = getattr(self._nets[where], self.what)(z.float())
        return self.unit * seen.to(z.dtype)


class Seen(Sight):
    """What potentials see of G(z): z, and the colour beside it, on which a code bears in a tangled way."""

    def __init__(self, net: ColouredVAE) -> None:
        super().__init__(net, "colour", BESIDE)

    def __call__(self, z: Tensor) -> Tensor:
        return torch.cat([z, super().__call__(z)], 1)


def _codes(n: int, rng: torch.Generator, *, net: ColouredVAE) -> Tensor:
    return net.inside(torch.randn(n, net.code, generator=rng))


def _coloured(codes: np.ndarray, *, net: ColouredVAE, size: tuple[int, int]) -> np.ndarray:
    parts = [net(torch.from_numpy(codes[i : i + CHUNK]).float()).numpy() for i in range(0, len(codes), CHUNK)]
    return np.concatenate(parts).reshape(len(codes), *size, 3) if parts else np.zeros((0, *size, 3), np.float32)


def _grey(points: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    return points.reshape(len(points), *size)


def _patches(points: np.ndarray, *, unit: float, size: tuple[int, int]) -> np.ndarray:
    """A patch of each colour in a grey frame, so that white is seen on white."""
    patches = np.full((len(points), *size, 3), 0.6, np.float32)
    patches[:, 1:-1, 1:-1] = (points / unit)[:, None, None]
    return patches.clip(0, 1)
