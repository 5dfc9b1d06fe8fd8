"""What obs columns and expression values look like: which column is time, which is the cell type, counts or logarithms."""

import re
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from uotlab.cells.gmt import SPECIES, symbols

Values = Literal["counts", "normalised", "log", "scaled"]
TIME = re.compile(r"time|day|hour|(?<![a-z])age|stage|hpf|dpf|week|date|point", re.IGNORECASE)
CONDITION = re.compile(r"condition|treat|drug|perturb|stim|dose|group|compound", re.IGNORECASE)
TYPE = re.compile(r"cell.?type|cluster|annot|leiden|louvain|identity|ident$|lineage|type|class", re.IGNORECASE)
CONTROL = re.compile(r"^(control|ctrl|ctl|vehicle|dmso|untreated|unstim\w*|saline|mock|wt|none)\b", re.IGNORECASE)
NUMBER = re.compile(r"^\s*[A-Za-z]{0,4}[ _]?(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>h|hpf|hr|hrs|hours?|d|dpf|days?)?\b", re.IGNORECASE)
MOST_TIMES, MOST_TYPES = 60, 200
LOOKED = 2000  #: cells whose values are looked at
LARGEST_LOG = 30.0  #: a logarithm of an expression is never so large
LEAST_KNOWN = 0.2  #: share of the names that must be symbols of the species; of a whole transcriptome about .5 are


def as_text(column: Any) -> np.ndarray:
    """(N,) texts of a pandas column: 10.0 becomes "10", missing values become ""."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        names = np.array([_text(v) for v in column.cat.categories] + [""])
        return names[column.cat.codes.to_numpy()]
    return np.array([_text(v) for v in column.to_numpy(dtype=object)], dtype=str)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{float(value):g}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def time_of(text: str) -> float | None:
    """The number in the name of a time: 12 of "P12", 14.5 of "E14.5", 24 of "24h"; None where there is none."""
    found = NUMBER.match(text)
    return float(found["number"]) if found else None


def unit_of(key: str, values: Iterable[str]) -> str:
    """ "h" or "d" as a column's name or values say, else ""."""
    for text in (key, *values):
        if re.search(r"hour|hpf|\bhrs?\b|\dh\b|_h$", text, re.IGNORECASE):
            return "h"
        if re.search(r"day|dpf|\dd\b|^[EP]\d", text, re.IGNORECASE):
            return "d"
    return ""


def in_order(values: Iterable[str]) -> list[str]:
    """Times by their numbers, controls first among conditions, then by name."""
    return sorted(set(values), key=lambda v: (not CONTROL.match(v), time_of(v) is None, time_of(v) or 0.0, v))


def time_columns(obs: Any) -> list[str]:
    """Columns that may hold times or conditions, the likeliest first."""
    return _ranked(obs, (TIME, CONDITION), MOST_TIMES)


def type_columns(obs: Any) -> list[str]:
    """Columns that may hold cell types, the likeliest first."""
    return [k for k in _ranked(obs, (TYPE,), MOST_TYPES) if not TIME.search(k)]


def _ranked(obs: Any, patterns: tuple[re.Pattern[str], ...], most: int) -> list[str]:
    found = []
    for place, key in enumerate(obs.columns):
        column = obs[key]
        number = int(column.nunique())
        if not 2 <= number <= most or (number > len(column) / 2 and len(column) > 20):
            continue
        named = next((i for i, p in enumerate(patterns) if p.search(str(key))), len(patterns))
        if named < len(patterns) or column.dtype.kind not in "f":
            found.append((named, place, str(key)))
    return [key for _, _, key in sorted(found)]


def some_rows(matrix: Any, most: int = LOOKED) -> Any:
    """Evenly spread rows of a dense, sparse or backed matrix, as a sparse or dense array in memory."""
    n = matrix.shape[0]
    if n <= most:
        return matrix[:]
    if isinstance(matrix, np.ndarray) or hasattr(matrix, "tocsr"):
        return matrix[np.linspace(0, n - 1, most).astype(int)]
    block = most // 4  # rows in a run are quicker to read from disk
    rows = np.concatenate([np.arange(start, start + block) for start in np.linspace(0, n - block, 4).astype(int)])
    return matrix[np.unique(rows)]


def kind_of_values(matrix: Any) -> Values:
    """Counts are whole numbers, scaled values may be negative, logarithms are small, what is left was normalised only."""
    data = some_rows(matrix)
    data = np.asarray(data.data if hasattr(data, "tocsr") else data).ravel()
    data = data[np.isfinite(data)]
    if not data.size or data.min() < 0:
        return "scaled" if data.size else "counts"
    if np.array_equal(data[:200_000], np.rint(data[:200_000])) and data.max() > 0:
        return "counts"
    return "log" if data.max() < LARGEST_LOG else "normalised"


def species_of(genes: Iterable[str]) -> str:
    """The species whose symbols most of these names are, as its Gene Ontology sets write them (Sox2, SOX2, sox2); "" where few are."""
    names = {str(g) for g in genes}
    known = {species: len(names.intersection(symbols(species))) for species in SPECIES}
    best = max(known, key=known.__getitem__)
    return best if known[best] >= max(LEAST_KNOWN * len(names), 1) else ""
