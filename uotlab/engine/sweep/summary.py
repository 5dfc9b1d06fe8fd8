"""From rows to curves: which numbers there are, which end of a number is the better one, and its mean over seeds along an axis."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from uotlab.costs import Cost
from uotlab.engine.begin import make_method, make_problem
from uotlab.engine.spec import Number, RunSpec
from uotlab.engine.sweep.cell import COUNTS
from uotlab.engine.sweep.run import Row
from uotlab.engine.sweep.spec import BALANCE, Cell, number_text
from uotlab.errors import InputError, did_you_mean
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS
from uotlab.metrics.titles import owner_of, plain_name
from uotlab.penalty import Penalty

Better = Literal["lower", "higher", "neither"]
FLOOR = " floor"  #: "kl floor" is what "kl" has for two samples of one distribution
CORRELATIONS = ("spearman", "pearson", "correlation")  #: numbers beside an error that grow as it falls


def better_end(name: str) -> Better:
    """Which end of a number is the good one."""
    owner = owner_of(name)
    if owner is None or name.endswith(FLOOR):
        return "neither"
    if any(word in plain_name(name).split() for word in CORRELATIONS):
        return "higher"
    better: Better = METRICS[owner].better
    return better


def metric_names(rows: Iterable[Row]) -> list[str]:
    """Names of the numbers that scored rows have: the metrics in the registry's order, then losses; counts and floors left out."""
    found: dict[str, None] = {}
    for row in rows:
        if row.scored:
            found |= dict.fromkeys(name for name in row.metrics if name not in COUNTS and not name.endswith(FLOOR))
    order = {key: place for place, key in enumerate(METRICS)}
    places = list(found)
    return sorted(found, key=lambda name: (order.get(owner_of(name) or "", len(order)), places.index(name)))


def pick_metric(rows: Sequence[Row], wanted: str | None = None) -> str | None:
    """The number to show: the wanted one, else the first that has a good end; None before any row is scored.

    Raises:
        InputError: no row has the wanted one.
    """
    names = metric_names(rows)
    if not names:
        return None
    if wanted:
        found = next((name for name in names if plain_name(name) == plain_name(wanted)), None)
        if found is None:
            raise InputError(f"These runs have no metric '{wanted}'. {did_you_mean(wanted, names)}")
        return found
    return next((name for name in names if better_end(name) != "neither"), names[0])


# ---- the balance -----------------------------------------------------------------------------------
def is_balance(axis: str) -> bool:
    """Whether the axis is a rho or a τ, which is drawn as rho."""
    return axis in BALANCE and not axis.startswith("divergence")


def penalty_of(spec: RunSpec) -> Penalty:
    """rho1 and rho2 of a run; a τ in its paper's convention converts at the mean cost of the run's data."""
    method = make_method(spec.method, spec.params)
    needed = any(getattr(method, f"tau{side}") is not None for side in (1, 2))
    return method.penalty_at(mean_cost(spec) if needed else 1.0)


def mean_cost(spec: RunSpec) -> float:
    """s, the mean of the run's own unscaled cost over a fixed batch of its data."""
    return _calibrated(_costly(spec).model_dump_json()).scale


def _costly(spec: RunSpec) -> RunSpec:
    """The part of a spec that its mean cost depends on."""
    params = {k: v for k, v in spec.params.items() if k in ("cost", "cost_parameter")}
    return RunSpec(method=spec.method, dataset=spec.dataset, n=spec.n, data=spec.data, params=params)


@lru_cache(maxsize=64)
def _calibrated(text: str) -> Cost:
    spec = RunSpec.model_validate_json(text)
    return make_method(spec.method, spec.params).calibrated_cost(make_problem(spec))


def side_of(axis: str, method: str) -> int:
    """Which marginal's rho stands for the axis: its own, or the first that the method relaxes."""
    if axis[-1] in "12":
        return int(axis[-1])
    return 2 if METHODS[method].relaxed == (False, True) else 1


def place(cell: Cell, axis: str) -> Number:
    """Where a cell stands on an axis: rho for every τ, else the value itself."""
    if not is_balance(axis):
        return cell.at[axis]
    if axis.startswith("rho"):
        return cell.at[axis]
    penalty = penalty_of(cell.spec)
    return penalty.rho2 if side_of(axis, cell.spec.method) == 2 else penalty.rho1


# ---- curves ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Point:
    """One place on a curve.

    Args:
        x: place on the axis; infinity is balanced.
        values: one number a scored seed.
    """

    x: Number
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds, with n - 1; 0 for one seed."""
        n = len(self.values)
        return math.sqrt(sum((v - self.mean) ** 2 for v in self.values) / (n - 1)) if n > 1 else 0.0


@dataclass(frozen=True)
class Curve:
    """A number along an axis, for one method and one value of every other axis."""

    method: str
    others: tuple[tuple[str, Number], ...]
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        return " ".join([self.method, *(f"{k}={number_text(v)}" for k, v in self.others)])

    @property
    def level(self) -> bool:
        """A method without a balance of its own: one value for every rho."""
        return len(self.points) == 1 and self.points[0].x == math.inf and not any(METHODS[self.method].relaxed)


def curves(rows: Sequence[Row], metric: str, axis: str) -> list[Curve]:
    """The scored rows as curves in the order of the methods; numbers that are not finite are left out."""
    groups: dict[tuple[str, tuple[tuple[str, Number], ...]], dict[Number, list[float]]] = {}
    for row in rows:
        value = row.metrics.get(metric, math.nan)
        if not row.scored or not math.isfinite(value):
            continue
        cell = row.cell
        others = tuple((k, v) for k, v in cell.at.items() if k != axis)
        groups.setdefault((cell.spec.method, others), {}).setdefault(place(cell, axis), []).append(value)
    found = []
    for (method, others), points in groups.items():
        order = sorted(points, key=lambda x: (isinstance(x, str), x if not isinstance(x, str) else 0))
        found.append(Curve(method, others, tuple(Point(x, tuple(points[x])) for x in order)))
    return found


def best_point(curve: Curve, better: Better) -> Point | None:
    """The point with the best mean; None where no end is the better one."""
    if better == "neither" or not curve.points:
        return None
    return (min if better == "lower" else max)(curve.points, key=lambda point: point.mean)
