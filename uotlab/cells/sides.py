"""Which cells are source and which are target: the column of times or conditions, and two of its values."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uotlab.cells.values import as_text, in_order, time_columns, time_of, type_columns, unit_of
from uotlab.errors import InputError, did_you_mean, short

BATCH = ("batch", "library", "lane", "run", "plate", "donor", "replicate", "sample", "orig.ident", "media")
MOST_TYPES = 30  #: numbers with a fraction that may still be names of clusters


@dataclass
class Sides:
    """The choice.

    Args:
        time, type: obs columns; type may be empty.
        source, target: values of the time column.
        times: (N,) the time column as texts.
        dt, unit: what lies between them, where they read as times.
        notes: sentences a person should read.
    """

    time: str
    type: str
    source: str
    target: str
    times: np.ndarray
    dt: float | None = None
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def chosen_sides(adata: Any, how: Any) -> Sides:
    """What `how` names, and the likeliest where it names nothing.

    Raises:
        InputError: no column, one value only, or a name that is not there.
    """
    obs = adata.obs
    time = _time_column(obs, how.time)
    type_ = "" if how.type == "none" else _named(obs, how.type) if how.type else next((k for k in type_columns(obs) if k != time), "")
    if type_ and obs[type_].dtype.kind == "f" and obs[type_].nunique() > MOST_TYPES:
        raise InputError(
            f"The column '{short(type_)}' holds {obs[type_].nunique()} different numbers, which are no cell types. "
            "Name a column of categories, or say type=none."
        )
    times = as_text(obs[time])
    values = [v for v in in_order(times) if v]
    if len(values) < 2:
        raise InputError(
            f"The column '{time}' has one value only, '{values[0] if values else 'missing'}': transport needs two times or conditions. "
            "Name another column, or add the cells of another time."
        )
    source = how.source or next(v for v in values if v != how.target)
    target = how.target or next(v for v in reversed(values) if v != source)
    for value in (source, target):
        if value not in values:
            raise InputError(f"No cell has '{short(value)}' in the column '{time}'. {did_you_mean(value, values)}")
        if (times == value).sum() < 2:
            raise InputError(f"One cell only has '{short(value)}' in the column '{time}'; at least 2 are needed.")
    if source == target:
        raise InputError(f"Source and target are the same cells, {time} = '{source}'. Choose two different values.")
    sides = Sides(time, type_, source, target, times)
    first, last = time_of(source), time_of(target)
    sides.unit = unit_of(time, (source, target))
    if first is not None and last is not None and last > first and (sides.unit or _plain(source, target)):
        sides.dt = last - first
    sides.notes += _same_as_time(obs, sides)
    return sides


def _plain(*values: str) -> bool:
    return all(v.replace(".", "", 1).isdigit() for v in values)


def _time_column(obs: Any, named: str) -> str:
    if named:
        return _named(obs, named)
    if not len(obs.columns):
        raise InputError(
            "The cells have no obs column, so that nothing says which are source and which are target. Add a column of times or "
            "conditions to obs, or give a table of it."
        )
    found = time_columns(obs)
    if not found:
        raise InputError(
            f"No obs column has two or more times or conditions; the columns are {', '.join(map(str, list(obs.columns)[:8]))}. "
            "Transport needs two groups of cells."
        )
    return found[0]


def _named(obs: Any, key: str) -> str:
    if key not in obs.columns:
        names = [str(c) for c in obs.columns]
        raise InputError(
            f"There is no obs column '{short(key)}'. {did_you_mean(key, names)}"
            if names
            else f"The cells have no obs column '{short(key)}'."
        )
    return key


def _same_as_time(obs: Any, sides: Sides) -> list[str]:
    """A sentence where a batch changes exactly with the time: then no method can tell one from the other."""
    inside = np.isin(sides.times, [sides.source, sides.target])
    notes = []
    for key in obs.columns:
        if key in (sides.time, sides.type) or not any(word in str(key).lower() for word in BATCH):
            continue
        batch = as_text(obs[key])[inside]
        both = set(batch[sides.times[inside] == sides.source]) & set(batch[sides.times[inside] == sides.target])
        if not both and len(set(batch)) <= 50:
            notes.append(
                f"'{key}' and '{sides.time}' are the same thing here: no {key} has cells of both sides, so that a change in "
                f"{sides.time} cannot be told from a change of {key}."
            )
    return notes
