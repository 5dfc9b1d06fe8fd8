"""Arrays of a learned barycenter: all marginals, where their points go, how much of each takes part, and points of the barycenter itself.

Names, for marginals k = 0, 1, ... of n_k displayed points:

* `marginal/k` (n_k, d), `marginal_label/k` (n_k,) with names in `labels`; for d > 2 also `marginal2/k` on common axes. Points of marginals
  on spaces of their own are not among them: no picture holds them together
* `image/k` (n_k, d), `image2/k`, likewise
* `weight/k` (n_k,) of mean 1 at the optimum; `accepted/k` (n_k,) 0 for the share of mass that is let go
* `lambda` (K,); `barycenter` (m, d), `barycenter2`, `barycenter_of` (m,) the marginal that each point came from
* `reference` (m, d), `reference2`: points of the discrete barycenter, once there is one
* where points are images: `marginal_image/k`, `image_image/k` (j, h, w) or (j, h, w, 3), `image_label/k`, `image_weight/k` and
  `image_accepted/k` (j,), and `barycenter_image` (i, h, w) or (i, h, w, 3), samples of the barycenter
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from uotlab.engine.asking import chunked
from uotlab.engine.scoring import first_label
from uotlab.methods.base import HasBarycenter, State
from uotlab.metrics.barycenter_reference import discrete_barycenter
from uotlab.metrics.reference import Reference
from uotlab.problem import ImageSpace, Measure, Problem
from uotlab.resampling import allotted, retained, systematic

IMAGES, SAMPLES = 30, 24  #: a marginal, and of the barycenter
REFERENCE = 1000  #: points of the discrete barycenter
CLASSES = 64  #: a label column with more values than this is no class

Arrays = dict[str, np.ndarray]
Names = dict[str, tuple[str, ...]]
Axes = Callable[[np.ndarray], np.ndarray]


class BarycenterScene:
    """The displayed points of every marginal, and the arrays that never change."""

    def __init__(self, problem: Problem, marginals: Sequence[Measure], axes: Axes | None) -> None:
        self.problem, self.axes = problem, axes
        self.points = [np.ascontiguousarray(m.points[:], dtype=np.float32) for m in marginals]
        # one uniform number a point for good, so that rejected points do not flicker
        self.u = [torch.rand(len(x), generator=torch.Generator().manual_seed(k)) for k, x in enumerate(self.points)]
        self.static: Arrays = {}
        self.labels: Names = {}
        self.rows: dict[int, np.ndarray] = {}  # of the points that are shown as images
        for k, (x, m) in enumerate(zip(self.points, marginals, strict=True)):
            self.static |= self._place("marginal", k, x)
            numbers = self._classes(k, m)
            decoder = decoder_of(problem, k)
            if decoder is not None and self._decoder is not None:
                order = np.arange(len(x)) if numbers is None else np.argsort(numbers, kind="stable")
                self.rows[k] = _evenly(order, numbers)
                self.static[f"marginal_image/{k}"] = _f32(decoder.decode(x[self.rows[k]]))
                if numbers is not None:
                    self.static[f"image_label/{k}"] = _f32(numbers[self.rows[k]])

    def moving(self, method: HasBarycenter, state: State) -> Arrays:
        """What the method makes of them now; to be called without gradients and with `state.rng` set aside."""
        lam = method.barycenter_weights(state).cpu()
        arrays: Arrays = {"lambda": lam.numpy().astype(np.float32)}
        for k, x in enumerate(self.points):
            points = torch.from_numpy(x)
            image = chunked(lambda p, k=k: method.barycenter_map(state, k, p), points, state.device)  # type: ignore[misc]
            weight = chunked(lambda p, k=k: method.acceptance(state, k, p), points, state.device)  # type: ignore[misc]
            there = _f32(image.numpy())
            arrays |= self._place("image", k, there)
            arrays[f"weight/{k}"] = _f32(weight.numpy())
            arrays[f"accepted/{k}"] = _f32(retained(weight, self.u[k]).numpy())
            if k in self.rows and self._decoder is not None:
                rows = self.rows[k]
                arrays[f"image_image/{k}"] = _f32(self._decoder.decode(there[rows]))
                arrays |= {f"image_{name}/{k}": _f32(arrays[f"{name}/{k}"][rows]) for name in ("weight", "accepted")}
        n = max(len(x) for x in self.points)
        found = arrays["barycenter"] = _f32(method.sample_barycenter(state, n).cpu().numpy())
        arrays["barycenter_of"] = np.repeat(np.arange(len(lam)), allotted(lam, n)).astype(np.float32)
        if self._decoder is not None:
            arrays["barycenter_image"] = _f32(self._decoder.decode(found[np.linspace(0, n - 1, min(SAMPLES, n)).astype(int)]))
        return arrays | ({} if self.axes is None else {"barycenter2": self.axes(found)})

    @property
    def _decoder(self) -> ImageSpace | None:
        """Of the barycenter's points."""
        return self.problem.images if self.problem.space is None else self.problem.space.images

    def _place(self, name: str, k: int, points: np.ndarray) -> Arrays:
        if self.problem.space is not None:
            return {}
        return {f"{name}/{k}": points} | ({} if self.axes is None else {f"{name}2/{k}": self.axes(points)})

    def _classes(self, k: int, measure: Measure) -> np.ndarray | None:
        column = first_label(measure.labels)
        if column is None:
            return None
        column = np.asarray(column)
        names, numbers = np.unique(column.astype(str) if column.dtype.kind in "SUO" else column, return_inverse=True)
        if len(names) > CLASSES:
            return None
        self.static[f"marginal_label/{k}"] = _f32(numbers)
        self.labels[f"marginal_label/{k}"] = tuple(str(v) for v in names.tolist())
        return numbers


def decoder_of(problem: Problem, k: int) -> ImageSpace | None:
    """How points of marginal k become images."""
    if problem.space is None:
        return problem.images
    return problem.space.marginal_images[k] if problem.space.marginal_images else None


def reference_points(reference: Reference, lam: torch.Tensor, axes: Axes | None) -> Arrays:
    """Points of the discrete barycenter, as often as they weigh."""
    where, taken = discrete_barycenter(reference, lam)
    there = torch.isfinite(where).all(1)
    where, taken = where[there], taken[there]
    if not len(where):
        return {}
    rows = systematic(taken, min(len(where), REFERENCE), torch.Generator().manual_seed(0))
    found = _f32(where[rows].numpy())
    return {"reference": found} | ({} if axes is None else {"reference2": axes(found)})


def _f32(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)


def _evenly(order: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
    """Up to 30 rows, as many of each class."""
    if numbers is None:
        return order[np.linspace(0, len(order) - 1, min(IMAGES, len(order))).astype(int)]
    kinds = np.unique(numbers)
    each = max(1, IMAGES // len(kinds))
    return np.concatenate([np.flatnonzero(numbers == kind)[:each] for kind in kinds])[:IMAGES]
