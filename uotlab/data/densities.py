"""Measures for barycenters: named densities on a line, digits placed in larger frames, small clouds. Masses, not samples."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uotlab.data.collections import Digits, mnist_subset
from uotlab.errors import InputError, did_you_mean, short
from uotlab.parameters import check_count, check_number

LINE = (-5.0, 5.0)  #: the window of all densities
FRAME = 50  #: pixels a side of placed digits
SCALES = (0.5, 1.75)  #: sizes of placed digits, over MNIST's 28 pixels, of which the whole frame holds 50

Shape = Callable[[np.ndarray], np.ndarray]
SHAPES: dict[str, Shape] = {
    "gaussian": lambda z: np.exp(-0.5 * z**2),
    "box": lambda z: (np.abs(z) <= 1.0).astype(float),
    "two-bumps": lambda z: np.exp(-8 * (z - 1) ** 2) + np.exp(-8 * (z + 1) ** 2),
    "triangle": lambda z: np.clip(1 - np.abs(z), 0, None),
    "skewed": lambda z: np.where(z > -1, np.maximum(z + 1, 0) * np.exp(-(z + 1) * 1.5), 0.0),
    "spikes": lambda z: sum((np.exp(-60 * (z - c) ** 2) for c in (-1.0, -0.2, 1.0)), np.zeros_like(z)),
}  #: name -> shape of width about 1 around 0


@dataclass(frozen=True)
class Density:
    """A named shape at `mean`, stretched by `width`, of mass `mass`, with a share `outlier` of its mass in a bump at `at`."""

    shape: str = "gaussian"
    mean: float = 0.0
    width: float = 0.5
    mass: float = 1.0
    outlier: float = 0.0
    at: float = 4.5

    def on(self, x: np.ndarray) -> np.ndarray:
        """Masses at the points x (n,), of total `mass`.

        Raises:
            InputError: unknown shape, a number outside its rule, or no mass in the window.
        """
        if self.shape not in SHAPES:
            raise InputError(f"There is no density named '{short(self.shape)}'. {did_you_mean(self.shape, SHAPES)}")
        mean, width, mass = (check_number(n, getattr(self, n)) for n in ("mean", "width", "mass"))
        for name, number, holds, rule in (
            ("mean", mean, abs(mean) < 1e6, "be a number within a million of 0"),
            ("width", width, 0 < width < math.inf, "be a positive number"),
            ("mass", mass, 0 < mass < math.inf, "be a positive number"),
            ("outlier", self.outlier, 0 <= self.outlier < 1, "be a share of at least 0 and below 1"),
        ):
            if not holds:
                raise InputError(f"{name} of the density '{self.shape}' must {rule}; it is {number:g}. Such as gaussian,-1,0.4.")
        heights = SHAPES[self.shape]((x - mean) / width)
        if not heights.sum() > 0:
            raise InputError(
                f"The density '{self.shape}' at {mean:g} has no mass between {x.min():g} and {x.max():g}; move it into the window."
            )
        far = np.exp(-0.5 * ((x - self.at) / 0.12) ** 2)
        outlier = self.outlier * far / far.sum() if self.outlier else 0.0
        return mass * ((1 - self.outlier) * heights / heights.sum() + outlier)


def density_from_text(text: str) -> Density:
    """ "gaussian,-2,0.5" or "gaussian,-2,0.5,1,0.1" (shape, mean, width, mass, share of outlying mass) as a Density.

    Raises:
        InputError: not of that form.
    """
    name, *numbers = (part.strip() for part in text.split(","))
    keys = ("mean", "width", "mass", "outlier")
    try:
        values = {k: float(v) for k, v in zip(keys, numbers, strict=False)}
    except ValueError:
        values = {}
    if len(values) != len(numbers):
        raise InputError(f"A density is written shape,mean,width such as gaussian,-2,0.5; it is '{short(text)}'.")
    made = Density(name, **values)
    made.on(line(64))
    return made


def text_of_density(made: Density) -> str:
    """What `density_from_text` reads."""
    more = f",{made.mass:g},{made.outlier:g}" if made.outlier else f",{made.mass:g}" if made.mass != 1 else ""
    return f"{made.shape},{made.mean:g},{made.width:g}{more}"


def line(n: int = 160) -> np.ndarray:
    """n even points of the window, (n,)."""
    return np.linspace(*LINE, n)


def placed_digits(digit: int, count: int = 8, seed: int = 0, *, frame: int = FRAME, moved: bool = True) -> np.ndarray:
    """Images (count, frame, frame) of mass 1: one digit in many hands, each scaled and shifted at random inside its frame.

    With `moved` False all have MNIST's own size, in the middle.

    Raises:
        InputError: no digit, or more images than the shipped subset has.
    """
    check_count("digit", digit, least=0, most=9)
    check_count("frame", frame, least=28, most=200)
    pool: Digits = mnist_subset()
    rows = np.flatnonzero(pool.digits == digit)
    check_count("count", count, least=1, most=len(rows))
    rng = np.random.default_rng([seed, digit])
    made = np.zeros((count, frame, frame))
    for k, row in enumerate(rng.permutation(rows)[:count]):
        size = round(28 * rng.uniform(*SCALES)) if moved else 28
        ink = resize(_cropped(pool.images[row].astype(float)), size * 20 // 28)
        h, w = ink.shape
        top, left = (int(rng.integers(0, frame - s + 1)) if moved else (frame - s) // 2 for s in (h, w))
        made[k, top : top + h, left : left + w] = ink
    return made / made.sum((1, 2), keepdims=True)


def _cropped(image: np.ndarray) -> np.ndarray:
    """The image without its empty margins."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """The image with its longer side `size` pixels, by linear interpolation of what lies between pixels."""
    from scipy.ndimage import zoom

    return np.clip(zoom(image, max(size, 4) / max(image.shape), order=1, grid_mode=True, mode="nearest"), 0, None)


CLOUDS = ("ring", "cross", "heart", "square")


def shape_cloud(name: str, n: int, seed: int = 0) -> np.ndarray:
    """n points (n, 2) of a named outline, about 2 wide around 0: ring, cross, heart or square."""
    t = np.random.default_rng([seed, len(name)]).uniform(0, 1, n)
    if name == "ring":
        points = np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], 1)
    elif name == "cross":
        at = 4 * t - 2
        points = np.stack([np.where(at < 0, at + 1, 0.0), np.where(at < 0, 0.0, at - 1)], 1)
    elif name == "square":
        side, at = (4 * t).astype(int), 2 * (4 * t % 1) - 1
        points = np.choose(
            side[:, None], [np.stack(p, 1) for p in ((at, at * 0 + 1), (at, at * 0 - 1), (at * 0 + 1, at), (at * 0 - 1, at))]
        )
    elif name == "heart":
        a = 2 * np.pi * t
        points = np.stack([np.sin(a) ** 3, (13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)) / 16], 1)
    else:
        raise InputError(f"There is no cloud named '{short(name)}'. {did_you_mean(name, CLOUDS)}")
    return points


def cloud_from_text(text: str, n: int = 150, seed: int = 0) -> np.ndarray:
    """ "ring,-2,0,1" (outline, centre, size) as n points (n, 2).

    Raises:
        InputError: not of that form.
    """
    name, *numbers = (part.strip() for part in text.split(","))
    try:
        x, y, size = (float(v) for v in numbers)
        good = size > 0 and max(abs(x), abs(y), size) < 1e6
    except ValueError:
        good = False
    if not good:
        raise InputError(f"A cloud is written outline,x,y,size such as ring,-2,0,1; it is '{short(text)}'.")
    return size * shape_cloud(name, n, seed) + np.array([x, y])


def image_from_text(text: str, seed: int = 0, *, moved: bool = True) -> np.ndarray:
    """ "3" or "3/1" (digit, and whose hand, counted from 0) as an image (50, 50) of mass 1.

    Raises:
        InputError: not of that form.
    """
    digit, _, hand = text.partition("/")
    if not (digit.strip().isdigit() and (not hand or hand.strip().isdigit())):
        raise InputError(f"An image is written digit or digit/hand such as 3/1; it is '{short(text)}'.")
    number = check_count("the hand of an image", int(hand or 0), least=0, most=599)
    return placed_digits(int(digit), number + 1, seed, moved=moved)[number]


def measures_of_texts(kind: str, texts: Sequence[str], n: int = 160, seed: int = 0, *, moved: bool = True) -> tuple[Any, np.ndarray | None]:
    """(measures, support or None) as `uotlab.barycenter` takes them, of "densities", "images" or "clouds" written as texts.

    Args:
        n: points of the line, or of each cloud.
        moved: whether images are scaled and shifted at random.

    Raises:
        InputError: a text that is not of its kind's form.
    """
    check_count("points", n, least=2, most=100_000)
    if kind == "densities":
        x = line(n)
        return np.stack([density_from_text(text).on(x) for text in texts]), x
    if kind == "clouds":
        return [cloud_from_text(text, n, seed + k) for k, text in enumerate(texts)], None
    return np.stack([image_from_text(text, seed, moved=moved) for text in texts]), None
