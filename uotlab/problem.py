"""Measure and Problem: what is to be matched with what. Points may be lazy; training never needs all of them in memory."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from uotlab.arrays import as_tensor, masses
from uotlab.costs import Cost, make_cost
from uotlab.errors import InputError, did_you_mean, short

Kind = Literal["line", "plane", "images", "latents", "cells", "table"]
LAZY_CHECK = 4096  #: rows of a memory-mapped array that are looked at before training


def kind_of(d: int) -> Kind:
    """The kind of plain points with d columns."""
    return "line" if d == 1 else "plane" if d == 2 else "table"


class Draw(NamedTuple):
    """Fresh points (n, d), float32, and their labels, a named int or str array (n,) each."""

    points: Tensor
    labels: dict[str, np.ndarray]


Sampler = Callable[[int, torch.Generator], Draw]


class Rows(Protocol):
    """What `Measure.points` must offer: a shape, a dtype and rows by an integer array."""

    shape: tuple[int, ...]
    dtype: Any

    def __getitem__(self, rows: Any) -> Any: ...


class Fold:
    """One row in five held out, a seeded one of each five consecutive rows; lazy, n/5 bytes for n rows."""

    def __init__(self, base: Any, seed: int, *, held: bool) -> None:
        self.base, self.held = base, held
        self.offsets = np.random.default_rng(seed).integers(0, 5, size=len(base) // 5, dtype=np.uint8)
        kept = len(base) - len(self.offsets)
        self.shape = (len(self.offsets) if held else kept, *base.shape[1:])
        self.dtype = base.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, j: np.ndarray) -> np.ndarray:
        """Row numbers of the base array, for positions j of this fold."""
        j = np.asarray(j)
        if self.held:
            return 5 * j + self.offsets[j]
        blocks = 4 * len(self.offsets)  # positions beyond are the rest rows, all kept
        block, place = np.divmod(np.minimum(j, max(blocks - 1, 0)), 4)
        inside = 5 * block + place + (place >= self.offsets[block]) if blocks else j
        return np.where(j < blocks, inside, 5 * len(self.offsets) + j - blocks)

    def __getitem__(self, key: Any) -> np.ndarray:
        j = np.arange(len(self))[key] if isinstance(key, slice) else np.asarray(key)
        return self.base[self.rows(j)]


@dataclass(frozen=True, eq=False)
class Measure:
    """Weighted points.

    Args:
        points: (n, d) array of float; numpy, a memory map, or anything with shape, dtype and row indexing.
        weights: (n,) masses, never normalised; None is n equal weights of total 1.
        labels: named label columns, (n,) each; the first is the one shown by default.
        names: names of the d columns.
        sampler: draws fresh points of the same law where one is known.
    """

    points: Any
    weights: np.ndarray | None = None
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    sampler: Sampler | None = None

    @property
    def n(self) -> int:
        return self.points.shape[0]

    @property
    def d(self) -> int:
        return self.points.shape[1]

    @property
    def mass(self) -> float:
        return 1.0 if self.weights is None else float(self.weights.sum())

    def draw_rows(self, n: int, rng: torch.Generator) -> Tensor:
        """n row numbers, with replacement, proportional to the weights."""
        if self.weights is None:
            return torch.randint(self.n, (n,), generator=rng)
        u = torch.rand(n, generator=rng, dtype=torch.float64)
        return torch.searchsorted(self._cumulative, u * self._cumulative[-1]).clamp(max=self.n - 1)

    def take(self, rows: Tensor) -> Tensor:
        """Points of the given row numbers, (k,) -> (k, d) float32."""
        if isinstance(self.points, np.ndarray) and not isinstance(self.points, np.memmap):
            return self._tensor.index_select(0, rows)
        return torch.from_numpy(np.asarray(self.points[rows.numpy()], dtype=np.float32))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n training points with replacement under the normalised weights, (n, d) float32."""
        return self.take(self.draw_rows(n, rng))

    def sample_labelled(self, n: int, rng: torch.Generator) -> Draw:
        """As `sample`, with the labels of the points."""
        rows = self.draw_rows(n, rng)
        return Draw(self.take(rows), {k: np.asarray(v)[rows.numpy()] for k, v in self.labels.items()})

    def fresh(self, n: int, rng: torch.Generator) -> Draw:
        """n fresh points of the law where a sampler is known, else points of this measure."""
        return self.sampler(n, rng) if self.sampler is not None else self.sample_labelled(n, rng)

    def subsample(self, n: int, seed: int = 0) -> "Measure":
        """A fixed seeded subset of at most n points, in order; of equal weights when it has to be drawn."""
        if self.n <= n:
            return self
        rng = torch.Generator().manual_seed(seed)
        drawn = self.weights is not None or self.n > 10 * n  # else a permutation, without repeats
        rows = (self.draw_rows(n, rng) if drawn else torch.randperm(self.n, generator=rng)[:n]).sort().values
        weights = None if self.weights is None else np.full(n, self.mass / n)
        labels = {k: np.asarray(v)[rows.numpy()] for k, v in self.labels.items()}
        return Measure(self.take(rows).numpy(), weights, labels, self.names)

    def split(self, seed: int) -> tuple["Measure", "Measure"]:
        """(train, held out): a seeded one in five is held out; both keep this measure's mass. Lazy points stay lazy."""
        parts = []
        for held in (False, True):
            fold = Fold(self.points, seed, held=held)
            lazy = not isinstance(self.points, np.ndarray) or isinstance(self.points, np.memmap)
            rows = None if lazy and not self.labels and self.weights is None else fold.rows(np.arange(len(fold)))
            parts.append(
                Measure(
                    fold if lazy else self.points[rows],
                    None if self.weights is None else _rescaled(self.weights[rows], self.mass),
                    {k: np.asarray(v)[rows] for k, v in self.labels.items()},
                    self.names,
                )
            )
        return parts[0], parts[1]

    @property
    def _tensor(self) -> Tensor:
        held = self.__dict__.get("_points_tensor")
        if held is None:
            held = torch.from_numpy(np.ascontiguousarray(self.points, dtype=np.float32))
            object.__setattr__(self, "_points_tensor", held)
        return held

    @property
    def _cumulative(self) -> Tensor:
        held = self.__dict__.get("_cumulative_weights")
        if held is None:
            assert self.weights is not None
            held = torch.from_numpy(np.cumsum(self.weights, dtype=np.float64))
            object.__setattr__(self, "_cumulative_weights", held)
        return held


def _rescaled(weights: np.ndarray, mass: float) -> np.ndarray:
    """The weights with a total of `mass`; equal ones where all are zero."""
    total = weights.sum()
    return weights * (mass / total) if total > 0 else np.full(len(weights), mass / len(weights))


@dataclass(frozen=True)
class ImageSpace:
    """How points become images: `decode` takes (n, d) float32 to (n, height, width), or (n, height, width, 3) in colour, in [0, 1]."""

    height: int
    width: int
    decode: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class BarycenterSpace:
    """Where the barycenter lies of marginals that live on spaces of their own: they share no coordinates, only costs c_k to a point y.

    Args:
        d: columns of a point y.
        costs: c_k(x_k, y), (n, d_k), (n, d) -> (n,), one for each marginal, all in one unit.
        draw: (n, rng) -> (n, d) float32 points spread over the space, by which costs and networks are scaled.
        inside: brings any (n, d) onto the space, where that is not all of R^d; or None.
        features: what potentials see of a point, (n, d) -> (n, e), where that says more than its coordinates; or None.
        images: the decoder of y to images, or None.
        marginal_images: of each marginal its decoder, or None; empty where there are none.
    """

    d: int
    costs: tuple[Cost, ...]
    draw: Callable[[int, torch.Generator], Tensor]
    inside: Callable[[Tensor], Tensor] | None = None
    features: Callable[[Tensor], Tensor] | None = None
    images: ImageSpace | None = None
    marginal_images: tuple[ImageSpace | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """Marginals to match (source, target; or K of them), and how to show a point.

    Args:
        marginals: the measures, all of one dimension d unless there is a `space`.
        kind: "line" (d = 1), "plane" (d = 2), "images", "latents", "cells" or "table".
        name: what the page calls it; a dataset's registry name where it has one.
        cost: the problem's own cost where the default, squared Euclidean, is not meant.
        images: the decoder of points to images, for kinds "images" and "latents".
        truth: named exact answers where a closed form exists, such as "true_ratio" by class.
        notes: sentences a person should read beside the result.
        origin: dataset name and parameters that make this problem again; None for arrays.
        space: where their barycenter lies and a cost for each marginal, for marginals on different spaces or with different costs.
    """

    marginals: tuple[Measure, ...]
    kind: Kind = "table"
    name: str = "your data"
    cost: Cost | None = None
    images: ImageSpace | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Any] | None = None
    space: BarycenterSpace | None = None

    def __post_init__(self) -> None:
        dims = [m.d for m in self.marginals]
        if self.space is not None:
            if len(self.space.costs) != len(dims):
                raise InputError(f"space.costs must have one cost a marginal, {len(dims)}; it has {len(self.space.costs)}. Give one each.")
        elif len(set(dims)) > 1:
            raise InputError(
                f"All marginals must have the same number of columns; they have {', '.join(map(str, dims))}. Keep the same columns in each."
            )

    @property
    def source(self) -> Measure:
        return self.marginals[0]

    @property
    def target(self) -> Measure:
        return self.marginals[1]

    @property
    def d(self) -> int:
        return self.source.d

    @property
    def samplable(self) -> bool:
        """Whether every marginal can draw fresh points of its law."""
        return all(m.sampler is not None for m in self.marginals)

    def split(self, seed: int) -> tuple["Problem", "Problem"]:
        """(train, test): itself twice where it can draw fresh points, else 80% and the seeded 20% held out."""
        if self.samplable or min(m.n for m in self.marginals) < 5:
            return self, self
        pairs = [m.split(seed) for m in self.marginals]
        return replace(self, marginals=tuple(p[0] for p in pairs)), replace(self, marginals=tuple(p[1] for p in pairs))

    @classmethod
    def from_arrays(
        cls, x: Any, y: Any, a: Any = None, b: Any = None, x_labels: Any = None, y_labels: Any = None, *, further: Sequence[Any] = (),
        **info: Any,
    ) -> "Problem":  # fmt: skip
        """A problem from numpy or torch arrays.

        Args:
            x, y: source (n, d) and target (m, d). A float `np.memmap` stays on disk.
            a, b: masses (n,) and (m,), never normalised; None is equal weights of total 1.
            x_labels, y_labels: (n,) and (m,) labels, or a dict of named columns.
            further: points (n_k, d) of further marginals, with equal weights of total 1, for methods that match more than two at once.
            info: further fields of Problem, such as kind="cells" or name="my data".

        Raises:
            InputError: a sentence naming the argument, for empty, one-point, non-finite or mismatched arrays and bad weights.
        """
        _check_info(info)
        source = measure_from_array(x, a, x_labels, "x", "a")
        target = measure_from_array(y, b, y_labels, "y", "b")
        apart = info.get("space") is not None  # then columns may differ
        if source.d != target.d and not apart:
            raise InputError(
                f"x and y must have the same number of columns; x has {source.d} and y has {target.d}. Keep the same columns in both."
            )
        more = tuple(measure_from_array(points, None, None, f"further[{k}]", "") for k, points in enumerate(further))
        for k, measure in enumerate(more):
            if measure.d != source.d and not apart:
                raise InputError(f"further[{k}] must have the {source.d} columns of x; it has {measure.d}. Keep the same columns in each.")
        constant = "" if apart else constant_columns(source, target, *more)
        if constant:
            warnings.warn(constant, UserWarning, stacklevel=2)
            info["notes"] = (*info.get("notes", ()), constant)
        info.setdefault("kind", kind_of(source.d))
        return cls(marginals=(source, target, *more), **info)


def _check_info(info: dict[str, Any]) -> None:
    """Raises InputError for a name or a value that is no further field of Problem; a cost's name becomes the cost."""
    known = [f.name for f in fields(Problem) if f.name != "marginals"]
    for name in info:
        if name not in known:
            raise InputError(f"from_arrays takes no '{short(name)}'. {did_you_mean(name, known)}")
    if "kind" in info and info["kind"] not in get_args(Kind):
        raise InputError(f"kind must be one of {', '.join(get_args(Kind))}; it is {short(repr(info['kind']))}.")
    if info.get("cost") is not None:
        info["cost"] = make_cost(info["cost"])


def measure_from_array(x: Any, a: Any, labels: Any, name: str, weights_name: str) -> Measure:
    """One checked Measure; see `Problem.from_arrays`."""
    if isinstance(x, np.memmap):
        if x.ndim != 2 or x.dtype.kind != "f":
            raise InputError(f"{name} as a memory map must be a float array (n, d); it is {x.dtype} {x.shape}.")
        as_tensor(np.asarray(x[:: max(1, len(x) // LAZY_CHECK)][:LAZY_CHECK]), name, ndim=2)
        points: Any = x
    else:
        if getattr(x, "ndim", 0) == 1:
            x = x[:, None] if isinstance(x, Tensor) else np.asarray(x)[:, None]
        points = as_tensor(x, name, ndim=2, dtype=torch.float32).detach().cpu().numpy()
    if len(points) < 2:
        raise InputError(f"{name} has one point; a map needs at least 2. For single points use uotlab.sinkhorn, which takes any n.")
    weights = None if a is None else masses(a, len(points), weights_name).cpu().numpy()
    return Measure(points, weights, _label_columns(labels, len(points), f"{name}_labels"))


def _label_columns(labels: Any, n: int, name: str) -> dict[str, np.ndarray]:
    if labels is None:
        return {}
    columns = dict(labels) if isinstance(labels, Mapping) else {"label": labels}
    try:
        columns = {str(k): v.cpu().numpy() if isinstance(v, Tensor) else np.asarray(v) for k, v in columns.items()}
    except ValueError:
        raise InputError(f"{name} must have one label a point, shape ({n},); it is a ragged list.") from None
    for key, column in columns.items():
        if column.shape != (n,):
            raise InputError(f"{name} must have one label a point, shape ({n},); column '{key}' has shape {column.shape}.")
    return columns


def constant_columns(*measures: Measure) -> str:
    """One sentence on columns that have the same value in every point of all measures, or an empty string."""
    looked = [m.points[:: max(1, m.n // LAZY_CHECK)][:LAZY_CHECK] if isinstance(m.points, np.memmap) else m.points for m in measures]
    low = np.min([np.min(p, axis=0) for p in looked], axis=0)
    high = np.max([np.max(p, axis=0) for p in looked], axis=0)
    columns = np.flatnonzero(low == high)
    if not len(columns):
        return ""
    names = measures[0].names
    shown = ", ".join(names[i] if names else str(i) for i in columns[:5]) + (", ..." if len(columns) > 5 else "")
    many = len(columns) > 1
    return (
        f"{len(columns)} of {measures[0].d} columns ({shown}) {'have' if many else 'has'} the same value in every point: "
        f"{'they do' if many else 'it does'} not influence any map and may be dropped."
    )
