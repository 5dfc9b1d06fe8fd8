"""A sweep as named arrays for the view `sweep`. Index arrays are integers; all others are float32 and finite.

* `sweep/curve` (p,), `sweep/x` (p,), `sweep/mean`, `sweep/spread`, `sweep/low`, `sweep/high`, `sweep/count` (p,): points of all curves
* `sweep/tau` (p, 3): the same rho in the three papers' conventions (NaN where the axis is no balance)
* `sweep/seed_curve` (q,), `sweep/seed_x`, `sweep/seed_value` (q,): single runs
* `sweep/best` (c,): the number in `sweep/x` of each curve's best point, or -1; `sweep/level` (c,): 1 for a method without a balance
* `sweep/floor` (1 or 0,), `sweep/end` (1 or 0,): what the metric has for equal distributions; where infinity is drawn
* `names/sweep/curve` (c,), `names/sweep/title` (2,), `names/sweep/tick` (k,) at `sweep/tick` (k,)
"""

import math
from collections.abc import Sequence

import numpy as np

from uotlab.engine.begin import make_method
from uotlab.engine.spec import Number, RunSpec
from uotlab.engine.sweep.run import Row
from uotlab.engine.sweep.spec import SweepSpec, number_text
from uotlab.engine.sweep.summary import (
    FLOOR,
    Better,
    Curve,
    best_point,
    better_end,
    curves,
    is_balance,
    mean_cost,
    metric_names,
)
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.titles import title_of
from uotlab.penalty import CONVENTIONS, tau_from_rho

BEYOND = 3.0  #: infinity stands so many times the largest finite value to the right


def arrays_of_sweep(
    spec: SweepSpec, rows: Sequence[Row], metric: str | None, axis: str | None = None, better: Better | None = None
) -> dict[str, np.ndarray]:
    """The arrays of one metric along one axis (the grid's first); without a metric the empty picture."""
    along = axis or next(iter(spec.grid))
    found = curves(rows, metric, along) if metric else []
    places = _all_places(spec, found, along)
    runs = {_label(row, along): row.cell.spec for row in rows}
    labels = list(runs)
    chosen = better or (better_end(metric) if metric else "neither")
    points = [(labels.index(c.label), c, p) for c in found for p in c.points]
    singles = [(labels.index(c.label), places[p.x], v) for c in found for p in c.points for v in p.values]
    best, level = np.full(len(labels), -1, np.int32), np.zeros(len(labels), np.int32)
    for curve in found:
        k, top = labels.index(curve.label), best_point(curve, chosen)
        level[k] = curve.level
        if top is not None and len(curve.points) > 1:
            best[k] = next(i for i, (_, c, p) in enumerate(points) if c is curve and p is top)
    floors = [
        row.metrics[metric + FLOOR] for row in rows if metric and row.scored and math.isfinite(row.metrics.get(metric + FLOOR, math.nan))
    ]
    end = [places[x] for x in places if x == math.inf]
    arrays = {
        "sweep/curve": np.array([k for k, _, _ in points], np.int32),
        "sweep/x": _f([places[p.x] for _, _, p in points]),
        "sweep/mean": _f([p.mean for _, _, p in points]),
        "sweep/spread": _f([p.spread for _, _, p in points]),
        "sweep/low": _f([min(p.values) for _, _, p in points]),
        "sweep/high": _f([max(p.values) for _, _, p in points]),
        "sweep/count": np.array([len(p.values) for _, _, p in points], np.int32),
        "sweep/tau": _f([_taus(runs[c.label], p.x, along) for _, c, p in points]).reshape(-1, len(CONVENTIONS)),
        "sweep/seed_curve": np.array([k for k, _, _ in singles], np.int32),
        "sweep/seed_x": _f([x for _, x, _ in singles]),
        "sweep/seed_value": _f([v for _, _, v in singles]),
        "sweep/best": best,
        "sweep/level": level,
        "sweep/floor": _f([sum(floors) / len(floors)] if floors else []),
        "sweep/end": _f(end[:1]),
        "sweep/tick": _f(list(places.values()) if _is_words(places) else []),
    }
    texts = {
        "curve": [label.replace(run.method, METHODS[run.method].title, 1) for label, run in runs.items()],
        "title": [axis_title(along), title_of(metric, unit=True) if metric else "metric"],
        "tick": [number_text(x) for x in places] if _is_words(places) else [],
    }
    return arrays | {f"names/sweep/{name}": np.array(words, dtype=str) for name, words in texts.items()}


def axis_title(axis: str) -> str:
    """Such as "price of changing mass ρ"."""
    if is_balance(axis):
        side = {"1": " of the source", "2": " of the target"}.get(axis[-1], "")
        return f"price of changing mass ρ{side}"
    return axis.removeprefix("data.").replace("_", " ")


def shown_metrics(rows: Sequence[Row]) -> dict[str, str]:
    """Titles by name of what can be drawn."""
    return {name: title_of(name, unit=True) for name in metric_names(rows)}


def _label(row: Row, axis: str) -> str:
    others = tuple((k, v) for k, v in row.cell.at.items() if k != axis)
    return Curve(row.cell.spec.method, others, ()).label


def _all_places(spec: SweepSpec, found: Sequence[Curve], axis: str) -> dict[Number, float]:
    """Where each value is drawn: numbers at themselves, infinity beyond the largest, words one after the other."""
    values = list(dict.fromkeys([p.x for c in found for p in c.points]))
    if axis in spec.grid and (not is_balance(axis) or axis.startswith("rho")):
        values = list(dict.fromkeys([*spec.grid[axis], *values]))
    if any(isinstance(v, str | bool) for v in values):
        return {v: float(i) for i, v in enumerate(values)}
    finite = [float(v) for v in values if v is not None and math.isfinite(float(v))]
    beyond = BEYOND * max(finite) if finite and max(finite) > 0 else 1.0
    return {v: float(v) if v is not None and math.isfinite(float(v)) else beyond for v in values}


def _is_words(places: dict[Number, float]) -> bool:
    return any(isinstance(v, str | bool) for v in places)


def _taus(run: RunSpec, x: Number, axis: str) -> list[float]:
    """One rho as the papers write it; NaN where no finite τ says it."""
    nothing = [math.nan] * len(CONVENTIONS)
    if not is_balance(axis) or isinstance(x, str) or x is None:
        return nothing
    try:
        s, eps = mean_cost(run), make_method(run.method, run.params).temperature
        taus = [tau_from_rho(convention, float(x), s, eps) for convention in CONVENTIONS]
    except InputError:
        return nothing
    return [tau if math.isfinite(tau) else math.nan for tau in taus]


def _f(values: Sequence[object]) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)
