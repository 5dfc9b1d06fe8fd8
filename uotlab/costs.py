"""Ground costs: one object a run, with its factor inside, calibrated once so that the mean cost is 1.

`cost(x, y)` pairs rows, (n, d) x (n, d) -> (n,); `cost.matrix(x, y)` takes all pairs, -> (n, m).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uotlab.errors import InputError
from uotlab.registry import Registry

COSTS: Registry = Registry("cost", "uotlab.costs")


@dataclass(frozen=True)
class Cost(ABC):
    """factor * d(x, y). `factor` = 1 is the unscaled cost; after `calibrated` it is 1 / (mean cost)."""

    name: ClassVar[str]
    title: ClassVar[str]
    latex: ClassVar[str]
    parameter: ClassVar[str | None] = None  #: the field that a number in a form or a spec sets
    factor: float = 1.0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Cost of each pair of rows, (n, d), (n, d) -> (n,)."""
        return self.factor * self._pairs(x, y)

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Cost of all pairs, (n, d), (m, d) -> (n, m)."""
        return self.factor * self._matrix(x, y)

    @property
    def scale(self) -> float:
        """s, the mean cost in the unscaled cost's units: 1 / factor once calibrated."""
        return 1.0 / self.factor

    def unscaled(self) -> Self:
        return replace(self, factor=1.0)

    @torch.no_grad()
    def calibrated(self, x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Self:
        """The cost divided by its mean over all pairs of x and y (under the weights a, b when given).

        Raises:
            InputError: the mean cost is zero, so that nothing has to move.
        """
        fitted = self._fit(x, y)
        mean = _mean(fitted._matrix(x.double(), y.double()), a, b)
        if not mean > 0:
            raise InputError("The mean cost between x and y is 0: all points coincide, nothing has to move. Check that x and y differ.")
        if not 1e-300 < mean < math.inf:
            size = "small" if mean < 1 else "large"
            raise InputError(f"The mean cost between x and y is {mean:g}: their numbers are too {size}. Rescale both by the same factor.")
        return replace(fitted, factor=1.0 / mean)

    def _fit(self, x: Tensor, y: Tensor) -> Self:
        return self

    @abstractmethod
    def _pairs(self, x: Tensor, y: Tensor) -> Tensor: ...

    @abstractmethod
    def _matrix(self, x: Tensor, y: Tensor) -> Tensor: ...


def _mean(C: Tensor, a: Tensor | None, b: Tensor | None) -> float:
    if a is None and b is None:
        return float(C.mean())
    n, m = C.shape
    a = torch.full((n,), 1.0 / n, dtype=C.dtype) if a is None else a.to(C) / a.sum()
    b = torch.full((m,), 1.0 / m, dtype=C.dtype) if b is None else b.to(C) / b.sum()
    return float(a.to(C) @ C @ b.to(C))


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    # |x|² + |y|² - 2 x.y loses digits far from the origin, so both are centred first
    centre = y.mean(0)
    x, y = x - centre, y - centre
    return torch.addmm((y * y).sum(1)[None], x, y.T, alpha=-2).add_((x * x).sum(1)[:, None]).relu_()  # one pass less than spelt out


def _distances(x: Tensor, y: Tensor) -> Tensor:
    centre = y.mean(0)  # as above: cdist multiplies matrices beyond 25 rows
    return torch.cdist(x - centre, y - centre)


@COSTS.register("sqeuclidean")
@dataclass(frozen=True)
class SquaredEuclidean(Cost):
    """|x - y|², without a half."""

    title, latex, order = "Squared Euclidean", r"\|x-y\|^2", 1

    def _pairs(self, x, y):
        return (x - y).square().sum(-1)

    def _matrix(self, x, y):
        return _squared_distances(x, y)


@COSTS.register("euclidean")
@dataclass(frozen=True)
class Euclidean(Cost):
    """|x - y|."""

    title, latex, order = "Euclidean", r"\|x-y\|", 2

    def _pairs(self, x, y):
        return torch.linalg.vector_norm(x - y, dim=-1)

    def _matrix(self, x, y):
        return _distances(x, y)


@COSTS.register("power")
@dataclass(frozen=True)
class Power(Cost):
    """|x - y|^p with p >= 1."""

    title, latex, order = "Power of the distance", r"\|x-y\|^p", 3
    parameter = "p"
    p: float = 1.5

    def __post_init__(self):
        if not (1 <= self.p <= 10):
            raise InputError(f"p of the power cost must lie in [1, 10]; it is {self.p:g}. p = 1 is Euclidean, p = 2 squared Euclidean.")

    def _pairs(self, x, y):
        return torch.linalg.vector_norm(x - y, dim=-1) ** self.p

    def _matrix(self, x, y):
        return _distances(x, y) ** self.p


@COSTS.register("cosine")
@dataclass(frozen=True)
class Cosine(Cost):
    """1 - cos of the angle between x and y: only directions count.

    Computed as half the squared distance of the directions, which is exact where they agree.
    """

    title, latex, order = "Cosine", r"1-\frac{\langle x,y\rangle}{\|x\|\|y\|}", 4

    def _pairs(self, x, y):
        return (F.normalize(x, dim=-1) - F.normalize(y, dim=-1)).square().sum(-1) / 2

    def _matrix(self, x, y):
        return _squared_distances(F.normalize(x, dim=-1), F.normalize(y, dim=-1)) / 2


@COSTS.register("wfr")
@dataclass(frozen=True)
class WassersteinFisherRao(Cost):
    """-2 log cos₊(|x - y| / length): mass further away than length π/2 is never moved, it is made and destroyed.

    The cost is infinite there; beyond the angle with cosine `floor` it goes on along its tangent, so that means
    and gradients stay finite (exp(-cost/eps) is 0 there all the same).
    `length` = None is 1 in the data's units; calibration then sets it to the root mean squared distance.
    """

    title, latex, order = "Wasserstein-Fisher-Rao", r"-2\log\cos_+(\|x-y\|/\ell)", 5
    parameter = "length"
    length: float | None = None
    floor: ClassVar[float] = 1e-3

    def __post_init__(self):
        if self.length is not None and not self.length > 0:
            raise InputError(f"length of the wfr cost must be positive; it is {self.length:g}. Mass moves at most length·π/2.")

    def _fit(self, x, y):
        if self.length is not None:
            return self
        return replace(self, length=max(float(_squared_distances(x.double(), y.double()).mean()) ** 0.5, 1e-12))

    def _of_distance(self, r: Tensor) -> Tensor:
        angle = r / (self.length or 1.0)
        edge = math.acos(self.floor)
        inner = -2 * torch.log(torch.cos(angle.clamp(max=edge)))
        return inner + 2 * math.tan(edge) * F.relu(angle - edge)

    def _pairs(self, x, y):
        return self._of_distance(torch.linalg.vector_norm(x - y, dim=-1))

    def _matrix(self, x, y):
        return self._of_distance(_distances(x, y))


@COSTS.register("feature")
@dataclass(frozen=True)
class Feature(Cost):
    """|φ(x) - φ(y)|² for a feature map φ, (n, d) -> (n, k), such as a trained encoder. Without one, φ is the identity."""

    title, latex, order = "Learned features", r"\|\varphi(x)-\varphi(y)\|^2", 6
    features: Callable[[Tensor], Tensor] | None = None

    def _map(self, x: Tensor) -> Tensor:
        if self.features is None:
            return x
        owner = getattr(self.features, "__self__", self.features)  # of a bound method such as net.encode
        own = next(owner.parameters(), x) if isinstance(owner, nn.Module) else x
        return self.features(x.to(own.dtype)).to(x.dtype)

    def _pairs(self, x, y):
        return (self._map(x) - self._map(y)).square().sum(-1)

    def _matrix(self, x, y):
        return _squared_distances(self._map(x), self._map(y))


@dataclass(frozen=True)
class Observed(Cost):
    """|x - h(y)|² where x is an observation h(y) of y, such as an image's colour: x (n, d), y (m, k) of another space, h: (m, k) -> (m, d).

    No name of the registry: h belongs to a problem. Without one, h is the identity.
    """

    name, title, latex = "observed", "Distance of an observation", r"\|x-h(y)\|^2"
    h: Callable[[Tensor], Tensor] | None = None

    def _seen(self, y: Tensor) -> Tensor:
        return y if self.h is None else self.h(y)

    def _pairs(self, x, y):
        return (x - self._seen(y)).square().sum(-1)

    def _matrix(self, x, y):
        return _squared_distances(x, self._seen(y))


def make_cost(cost: "str | Cost | None", parameter: float | None = None) -> Cost:
    """A Cost from its registry name and, for `power` and `wfr`, its number; a Cost passes through; None is sqeuclidean."""
    if isinstance(cost, Cost):
        return cost
    if cost is not None and not isinstance(cost, str):
        raise InputError(
            f"cost must be a name of uotlab.COSTS or a Cost; it is {type(cost).__name__}. A matrix of costs can be given to sinkhorn_batch."
        )
    cls = COSTS[cost or "sqeuclidean"]
    if parameter is None or cls.parameter is None:
        return cls()
    return cls(**{cls.parameter: float(parameter)})
