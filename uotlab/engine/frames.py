"""What a run looks like at one step: named float32 arrays of a fixed subsample, for the views.

Names, with n, m displayed points of source and target, d columns (all are there only where they apply):

* `x` (n, d), `y` (m, d), `Tx` (n, d); for d > 2 also `x2`, `y2`, `Tx2`, on two principal axes of x and y, computed once
* `xi` (n,), `zeta` (m,): source and target scaling
* `x_label` (n,), `y_label` (m,): class numbers; names in `labels["x_label"]`, `labels["y_label"]`
* `xi_class` (c,), `true_ratio` (c,): mean scaling of each source class and its exact value; names in `labels["xi_class"]`
* `path` (k, t, d) (and `path2` for d > 2), `path_t` (t,): trajectories of flows
* `Tx_z` (k, z, d) (and `Tx_z2`): several images of a point under a stochastic map
* `pairs` (k, m, d) (and `pairs2`): matches drawn from a learned coupling of m marginals; `joint` (g, g), `joint_x`, `joint_y` (g,): its
  density on a line
* `x_image`, `Tx_image`, `y_image` (k, h, w), `xi_image` (k,): image pairs
* of a learned barycenter all that `uotlab.engine.barycenters` lists

Arrays that do not change are the same objects in every frame.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.engine.asking import chunked, is_stochastic, undisturbed
from uotlab.engine.barycenters import BarycenterScene, reference_points
from uotlab.engine.follower import Follower
from uotlab.engine.joints import joint_arrays
from uotlab.engine.references import Request
from uotlab.engine.scoring import first_label
from uotlab.methods.base import HasBarycenter, HasPath, HasPreview, HasScaling, HasTargetScaling, Method, State
from uotlab.metrics.base import Scores
from uotlab.metrics.reference import Reference
from uotlab.problem import Measure, Problem

LIVE, STILL = 1000, 20_000  #: displayed points a side while training, and at rest
NUMBERS = 4_000_000  #: most numbers in one array at rest: high-dimensional points are shown fewer
STILL_SECONDS = 0.5  #: a frame at rest takes fewer points rather than much longer than this
PATHS, PATH_TIMES, PATH_SECONDS = 200, 21, 3.0
CLOUDS, CLOUD_SIZE = 64, 16
IMAGES = 40
CLASSES = 64  #: a label column with more values than this is no class
PATH_SHARE = 0.02  #: at most this share of the time goes into trajectories and clouds
ZETA_SECONDS = 1.0  #: in moving pictures of more than LIVE points the target's scaling is asked for this often: few views show it

Arrays = dict[str, np.ndarray]


class Axes:
    """Two principal axes of the points of both sides, from at most 500 a side."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        both = np.concatenate([x[:: max(1, len(x) // 500)][:500], y[:: max(1, len(y) // 500)][:500]]).astype(np.float64)
        self.centre = both.mean(0)
        both -= self.centre
        # the small Gram matrix has the same axes as the d x d covariance
        values, vectors = np.linalg.eigh(both @ both.T)
        axes = (both.T @ vectors[:, -2:][:, ::-1]) / np.sqrt(np.maximum(values[-2:][::-1], 1e-12))
        signs = np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
        self.axes = axes * np.where(signs == 0, 1, signs)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(..., d) -> (..., 2) float32."""
        return ((points - self.centre) @ self.axes).astype(np.float32)


class Scene:
    """The displayed points of one size and the arrays that never change."""

    def __init__(
        self, source: Measure, target: Measure, axes: Axes | None, classes: Mapping[str, tuple[Any, ...]], problem: Problem
    ) -> None:
        self.x = np.ascontiguousarray(source.points[:], dtype=np.float32)
        self.y = np.ascontiguousarray(target.points[:], dtype=np.float32)
        self.x_tensor, self.y_tensor = torch.from_numpy(self.x), torch.from_numpy(self.y)
        self.static: Arrays = {"x": self.x, "y": self.y}
        for name, measure in (("x_label", source), ("y_label", target)):
            if name in classes:
                column = _column(measure)
                assert column is not None
                numbers = np.searchsorted(np.asarray(classes[name]), column)
                self.static[name] = numbers.astype(np.float32)
        if axes is not None:
            self.static |= {"x2": axes(self.x), "y2": axes(self.y)}
        self.image_rows = np.arange(0)
        if problem.images is not None:
            self.image_rows = _spread(self.static.get("x_label"), len(self.x))
            self.static["x_image"] = _decoded(problem, self.x[self.image_rows])
            self.static["y_image"] = _decoded(problem, self.y[_spread(self.static.get("y_label"), len(self.y))])


class Camera:
    """Takes frames of one run's State, and follows its metrics. Belongs to the thread that trains.

    Without a `request` of a reference only the cheap metrics are followed.
    """

    def __init__(self, method: Method, state: State, problem: Problem, request: Request | None = None) -> None:
        self.method, self.state, self.problem = method, state, problem
        most = max(LIVE, min(STILL, NUMBERS // max(problem.d, 1)))
        self._all = tuple(m.subsample(most) for m in problem.marginals)
        self._classes = _class_names(*self._all[:2]) if problem.space is None else {}
        self._scenes: dict[int, Scene] = {}
        self._barycenters: dict[int, BarycenterScene] = {}
        self._still: int | None = None  # points a side at rest
        self._per_point = 0.0  # s, of the newest frame
        self._request = request
        self._known: tuple[Reference | None, Arrays] = (None, {})
        self._follower = Follower(method, state, problem, request)
        self._zeta: tuple[Scene, np.ndarray, float] | None = None  # of which scene, and until when it stays
        self._path: Arrays = {}
        self._path_due = 0.0
        self._ratio = _true_ratio(problem, self._classes.get("x_label", ()))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        names = {key: tuple(str(v) for v in values) for key, values in self._classes.items()}
        names |= {"xi_class": names["x_label"]} if "x_label" in names else {}
        return names | (self._barycenter(LIVE).labels if isinstance(self.method, HasBarycenter) else {})

    @cached_property
    def axes(self) -> Axes | None:
        return _axes(self._all) if self.problem.d > 2 and self.problem.space is None else None

    def arrays(self, *, still: bool = False, shown: int = LIVE) -> Arrays:
        """One frame: `shown` points a side, or at rest up to 20000, as many as take about half a second."""
        if still and self._still is None:  # chosen once, so that every frame at rest shows the same points
            wanted = STILL_SECONDS / self._per_point if self._per_point else STILL
            self._still = int(min(STILL, max(LIVE, wanted)))
        n = min(max(self._still, shown) if still and self._still else shown, max(m.n for m in self._all))
        start = time.perf_counter()
        arrays: Arrays = {}
        scene = self._scene(n) if self.problem.space is None else None  # points of different spaces have no picture in common
        with undisturbed(self.state):
            if scene is not None:
                arrays |= scene.static | self._moving(scene, still)
            if isinstance(self.method, HasBarycenter):
                whole = self._barycenter(n if scene is None else len(scene.x))
                arrays |= whole.static | whole.moving(self.method, self.state) | self._reference(self.method)
            self._per_point = (time.perf_counter() - start) / max(n, 1)
            if scene is not None:
                arrays |= self._sometimes(scene, still)
        return arrays

    def metrics(self, *, still: bool = False) -> Scores:
        """The newest metrics and notes."""
        return self._follower.scores(still=still)

    def _scene(self, n: int) -> Scene:
        n = min(n, max(m.n for m in self._all))  # few points have one scene, moving or at rest
        scene = self._scenes.get(n)
        if scene is None:
            source, target = (m.subsample(n) for m in self._all[:2])
            scene = self._scenes[n] = Scene(source, target, self.axes, self._classes, self.problem)
        return scene

    def _barycenter(self, n: int) -> BarycenterScene:
        if n not in self._barycenters:
            self._barycenters[n] = BarycenterScene(self.problem, [m.subsample(n) for m in self._all], self.axes)
        return self._barycenters[n]

    def _reference(self, method: HasBarycenter) -> Arrays:
        """Points of the discrete barycenter, once the run's reference is there."""
        reference = None if self._request is None else self._request.reference
        if self._known[0] is not reference and reference is not None:
            lam = method.barycenter_weights(self.state).cpu()
            self._known = (reference, reference_points(reference, lam, self.axes))
        return self._known[1]

    def _moving(self, scene: Scene, still: bool) -> Arrays:
        method = self.method
        transport = method.preview if isinstance(method, HasPreview) and not still else method.transport
        Tx = self._ask(transport, scene.x_tensor)
        arrays: Arrays = {"Tx": Tx}
        if self.axes is not None:
            arrays["Tx2"] = self.axes(Tx)
        if isinstance(method, HasScaling):
            xi = arrays["xi"] = self._ask(method.scaling, scene.x_tensor)
            if "x_label" in self._classes:
                arrays["xi_class"] = _class_means(xi, scene.static["x_label"], len(self._classes["x_label"]))
                if self._ratio is not None:
                    arrays["true_ratio"] = self._ratio
        if isinstance(method, HasTargetScaling):
            arrays["zeta"] = self._target_scaling(method, scene, still)
        if len(scene.image_rows):
            arrays["Tx_image"] = _decoded(self.problem, Tx[scene.image_rows])
            if "xi" in arrays:
                arrays["xi_image"] = np.ascontiguousarray(arrays["xi"][scene.image_rows])
        return arrays

    def _target_scaling(self, method: HasTargetScaling, scene: Scene, still: bool) -> np.ndarray:
        now = time.perf_counter()
        if self._zeta is None or self._zeta[0] is not scene or still or now >= self._zeta[2]:
            wait = ZETA_SECONDS if len(scene.y) > LIVE else 0.0
            self._zeta = (scene, self._ask(method.target_scaling, scene.y_tensor), now + wait)
        return self._zeta[1]

    def _sometimes(self, scene: Scene, still: bool) -> Arrays:
        """Trajectories and clouds: at rest and every few seconds; in between the former ones stay."""
        now = time.perf_counter()
        if not (still or now >= self._path_due):
            return self._path
        method, state = self.method, self.state
        if isinstance(method, HasPath):
            ts = torch.linspace(0, 1, PATH_TIMES)
            path = _numpy(method.path(state, scene.x_tensor[:PATHS].to(state.device), ts.to(state.device)))
            self._path = {"path": path, "path_t": ts.numpy()} | ({"path2": self.axes(path)} if self.axes else {})
        if is_stochastic(method):
            x = scene.x_tensor[:CLOUDS]
            cloud = self._ask(method.transport, x.repeat_interleave(CLOUD_SIZE, 0)).reshape(len(x), CLOUD_SIZE, -1)
            self._path = self._path | {"Tx_z": cloud} | ({"Tx_z2": self.axes(cloud)} if self.axes else {})
        joint = joint_arrays(method, state, self.problem)
        self._path = self._path | joint | ({"pairs2": self.axes(joint["pairs"])} if joint and self.axes else {})
        end = time.perf_counter()
        self._path_due = end + max(PATH_SECONDS, (end - now) / PATH_SHARE)
        return self._path

    def _ask(self, call: Any, points: Tensor) -> np.ndarray:
        return _numpy(chunked(lambda p: call(self.state, p), points, self.state.device))


def portrait(problem: Problem) -> tuple[Arrays, dict[str, tuple[str, ...]]]:
    """The arrays and class names of a problem before any training: its data as they are, 1000 points a side."""
    few = [m.subsample(LIVE) for m in problem.marginals]
    if problem.space is not None:
        apart = BarycenterScene(problem, few, None)
        return apart.static, apart.labels
    source, target = few[:2]
    classes = _class_names(source, target)
    axes = _axes(few) if problem.d > 2 else None
    scene, whole = Scene(source, target, axes, classes, problem), BarycenterScene(problem, few, axes)
    names = {key: tuple(str(v) for v in values) for key, values in classes.items()}
    return scene.static | whole.static, names | whole.labels


def _axes(marginals: Sequence[Measure]) -> Axes:
    """Common axes of all marginals."""
    return Axes(marginals[0].points, np.concatenate([m.points[: 5 * LIVE] for m in marginals[1:]]))


def _numpy(x: Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.detach().cpu().numpy(), dtype=np.float32)


def _decoded(problem: Problem, points: np.ndarray) -> np.ndarray:
    assert problem.images is not None
    return np.ascontiguousarray(problem.images.decode(points), dtype=np.float32)


def _spread(numbers: np.ndarray | None, n: int) -> np.ndarray:
    """Up to 40 rows, evenly over the classes where there are any."""
    order = np.arange(n) if numbers is None else np.argsort(numbers, kind="stable")
    return order[np.linspace(0, n - 1, min(IMAGES, n)).astype(int)]


def _column(measure: Measure) -> np.ndarray | None:
    """The first label column, text as text whatever it is held in."""
    column = first_label(measure.labels)
    if column is None:
        return None
    column = np.asarray(column)
    return column.astype(str) if column.dtype.kind in "SUO" else column


def _class_names(source: Measure, target: Measure) -> dict[str, tuple[Any, ...]]:
    """Class values by "x_label" and "y_label"; common to both sides where the columns have the same name."""
    columns = {name: c for name, m in (("x_label", source), ("y_label", target)) if (c := _column(m)) is not None}
    if len(columns) == 2 and next(iter(source.labels)) == next(iter(target.labels)):
        kinds = {c.dtype.kind == "U" for c in columns.values()}
        if len(kinds) == 1:
            both = np.unique(np.concatenate(list(columns.values())))
            columns = dict.fromkeys(columns, both)
    values = {name: np.unique(c) for name, c in columns.items()}
    return {name: tuple(v.tolist()) for name, v in values.items() if len(v) <= CLASSES}


def _class_means(xi: np.ndarray, numbers: np.ndarray, c: int) -> np.ndarray:
    """Mean of xi in each class, (c,); NaN for a class without a displayed point."""
    index = numbers.astype(int)
    count = np.bincount(index, minlength=c)
    total = np.bincount(index, weights=xi, minlength=c)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _true_ratio(problem: Problem, classes: tuple[Any, ...]) -> np.ndarray | None:
    """The exact ratio of each source class, (c,), where the problem knows it."""
    ratio = problem.truth.get("true_ratio")
    if not isinstance(ratio, Mapping) or not classes:
        return None
    by_name = {str(k): float(v) for k, v in ratio.items()}
    return np.array([by_name.get(str(c), np.nan) for c in classes], dtype=np.float32)
