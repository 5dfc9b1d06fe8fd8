"""Files from people: csv, tsv, txt, npy and npz to a checked Table, or one sentence that says what is wrong where.

Nothing here unpickles, and nothing is allocated before the file's own headers say that it is small enough.
"""

import csv
import io
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.data.npz import read_arrays, read_npy
from uotlab.errors import InputError, did_you_mean, short

UPLOAD_LIMIT = 200 * 2**20  #: bytes of a file
LABEL_LENGTH = 64
TEXT = {".csv": ",", ".tsv": "\t", ".txt": None}
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*")
EXTENSIONS = (*TEXT, ".npy", ".npz")


@dataclass(frozen=True, eq=False)
class Table:
    """Checked points of one side.

    Args:
        points: (n, d) float32, finite, n >= 2.
        names: names of the d columns.
        labels: (n,) str, or None.
        weights: (n,) float64 masses, or None.
        notes: sentences a person should read: rows dropped, columns that never change.
        columns: every column or array name in the file, for choosing.
    """

    points: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass
class _Raw:
    """What a reader found before any check of the values."""

    points: np.ndarray  # (n, d) float64
    names: tuple[str, ...]
    labels: np.ndarray | None
    weights: np.ndarray | None
    columns: tuple[str, ...]
    first_row: int  # the number a person would give to row 0
    notes: list[str] = field(default_factory=list)


def read_points(
    path_or_bytes: str | Path | bytes,
    filename: str | None = None,
    *,
    label_column: str | None = None,
    weight_column: str | None = None,
    drop_missing: bool = False,
    array: str | None = None,
) -> Table:
    """Points of one side from a file.

    Args:
        path_or_bytes: a path, or the content itself.
        filename: the name that the person gave it; its ending says how to read it. Empty: the path's own.
        label_column: column (csv, tsv, txt) or 1-D array (npz) that holds labels, numbers or text.
        weight_column: column or 1-D array that holds masses.
        drop_missing: leave out rows with an empty, NaN or infinite cell instead of refusing the file.
        array: which 2-D array of an npz; None is "x" or the only one.

    Raises:
        InputError: one sentence for anything that is wrong with the file.
    """
    content, name = _content(path_or_bytes, filename)
    ending = Path(name).suffix.lower()
    _check_ending(content, name, ending)
    if ending in TEXT:
        raw = _read_text(content, name, TEXT[ending], label_column, weight_column)
    elif ending == ".npy":
        if label_column or weight_column:
            raise InputError(f"{name} holds one array without named columns, so no label or weight column can be chosen. Use csv or npz.")
        points = _numeric(read_npy(io.BytesIO(content), len(content), name), name)
        raw = _Raw(points, _numbered(points.shape[1]), None, None, (), 0)
    else:
        raw = _read_npz(content, name, label_column, weight_column, array)
    return _checked(raw, name, drop_missing)


def _content(path_or_bytes: str | Path | bytes, filename: str | None) -> tuple[bytes, str]:
    if isinstance(path_or_bytes, bytes | bytearray | memoryview):
        name = _shown(Path(filename or "the file").name)
        _check_size(len(path_or_bytes), name)
        return bytes(path_or_bytes), name
    if not isinstance(path_or_bytes, str | Path):
        raise InputError(f"read_points takes a path or the bytes of a file; it got {type(path_or_bytes).__name__}.")
    path = Path(path_or_bytes)
    name = _shown(Path(filename or path.name).name)
    try:
        path = path.expanduser()
        if not path.is_file():
            raise InputError(f"There is no file {name} at the place given. Check the path.")
        _check_size(path.stat().st_size, name)
        return path.read_bytes(), name
    except (OSError, RuntimeError) as error:  # no permission, a name too long, no such home
        raise InputError(f"{name} cannot be read ({getattr(error, 'strerror', None) or error}). Check the path.") from None


def _shown(name: str) -> str:
    """A file's name fit for a sentence, its ending kept."""
    return short(Path(name).stem) + short(Path(name).suffix)


def _check_size(size: int, name: str) -> None:
    if size == 0:
        raise InputError(f"{name} is empty (0 bytes). Choose a file with at least 2 rows of numbers.")
    if size > UPLOAD_LIMIT:
        raise InputError(
            f"{name} has {size / 2**20:.0f} MB; at most {UPLOAD_LIMIT // 2**20} MB can be uploaded. "
            "Keep fewer rows, or load it in Python as a memory-mapped array with uotlab.Problem.from_arrays."
        )


def _check_ending(content: bytes, name: str, ending: str) -> None:
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05":
        raise InputError(f"{name} is a Python pickle, which can run code when opened and is refused. Save the numbers as csv, npy or npz.")
    if ending not in EXTENSIONS:
        raise InputError(f"{name} does not end in {', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}. Save it in one of these formats.")
    really = "a zip or npz archive" if content[:4] == b"PK\x03\x04" else "an npy array" if content[:6] == b"\x93NUMPY" else None
    if really is None and ending in TEXT:
        really = "a gzip archive" if content[:2] == b"\x1f\x8b" else "binary, not text" if b"\x00" in content[:65536] else None
    expected = {".npz": "a zip or npz archive", ".npy": "an npy array"}.get(ending)
    if really != expected:
        raise InputError(f"{name} ends in {ending} but is {really or 'something else'}. Give it its true ending, or save it again.")


# ---- numpy files ------------------------------------------------------------------------------------
def _read_npz(content: bytes, name: str, label_column: str | None, weight_column: str | None, array: str | None) -> _Raw:
    arrays = read_arrays(content, name)
    if array is None:
        tables = [k for k, v in arrays.items() if v.ndim == 2 and v.dtype.kind in "fiub"]
        array = "x" if "x" in arrays else tables[0] if len(tables) == 1 else None
        if array is None and tables:
            raise InputError(f"{name} has several tables: {', '.join(tables)}. Say which one to use, or name it x.")
        if array is None:
            raise InputError(f"{name} has no table of numbers (n, d); its arrays are {', '.join(arrays)}. Save the points as x.")
    points = _numeric(_pick(arrays, array, name), f"'{array}' in {name}")
    columns = [
        None if key is None else _aligned(_pick(arrays, key, name), len(points), f"'{key}' in {name}")
        for key in (label_column, weight_column)
    ]
    weights = None if columns[1] is None else _numeric(columns[1], f"'{weight_column}' in {name}")[:, 0]
    return _Raw(points, _numbered(points.shape[1]), columns[0], weights, tuple(arrays), 0)


def _pick(arrays: dict[str, Any], key: str, name: str) -> Any:
    if key not in arrays:
        raise InputError(f"{name} has no column '{key}'. {did_you_mean(key, arrays)}")
    return arrays[key]


def _aligned(column: np.ndarray, n: int, what: str) -> np.ndarray:
    if column.shape != (n,):
        raise InputError(f"{what} must have one value a point, shape ({n},); it has shape {column.shape}.")
    return column


def _numeric(values: np.ndarray, what: str) -> np.ndarray:
    """(n, d) float64 of a numeric array with one or two axes."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{what} must hold numbers only; its type is {values.dtype.name}. Save a float array.")
    if values.ndim not in (1, 2):
        raise InputError(f"{what} must have shape (n, d), one row a point; it has shape {values.shape}. Reshape it first.")
    if values.size == 0:
        raise InputError(f"{what} has no rows of numbers (its shape is {values.shape}). Give at least 2 points.")
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _numbered(d: int) -> tuple[str, ...]:
    return tuple(f"column {i + 1}" for i in range(d))


# ---- text files -------------------------------------------------------------------------------------
def _read_text(content: bytes, name: str, separator: str | None, label_column: str | None, weight_column: str | None) -> _Raw:
    import pandas as pd

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start} is not); save it again as UTF-8 csv.") from None
    start = next((line for line in text.splitlines() if line.strip()), None)
    if start is None:
        raise InputError(f"{name} has no text but blank lines. Choose a file with at least 2 rows of numbers.")
    separator = _separator(start, separator)
    pattern = r"\s+" if separator is None else separator
    try:
        cells = start.split() if separator is None else next(csv.reader([start], delimiter=separator))
    except csv.Error:
        raise InputError(f"{name} is not a table: its first line has an endless cell. Check its quotation marks.") from None
    header = not all(is_number(c) for c in cells)
    layout: dict[str, Any] = {"sep": pattern, "header": 0 if header else None, "index_col": False, "skipinitialspace": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut silently
            frame = pd.read_csv(io.StringIO(text), low_memory=False, **layout)
    except pd.errors.ParserWarning:
        raise InputError(
            f"{name} is not a regular table: some rows have more cells than the first. Every row must have the same number."
        ) from None
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise InputError(f"{name} is not a regular table: {reason}. Every row must have the same number of cells.") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{name} has no columns. Choose a file with at least 2 rows of numbers.") from None
    if not len(frame):
        raise InputError(f"{name} has no rows of numbers below its header. Give at least 2 points.")
    frame.columns = [str(c) for c in frame.columns] if header else list(_numbered(frame.shape[1]))
    first_row = 2 if header else 1
    columns = {c: frame[c] for c in frame.columns}
    labels = None if label_column is None else _pick(columns, label_column, name).fillna("").astype(str).to_numpy(dtype=str)
    weights = (
        None if weight_column is None else _numbers(_pick(columns, weight_column, name), weight_column, name, first_row, as_label=False)
    )
    kept = [c for c in frame.columns if c not in (label_column, weight_column)]
    notes = []
    if header and kept and kept[0].startswith("Unnamed: ") and np.array_equal(frame[kept[0]].to_numpy(), np.arange(len(frame))):
        notes.append("The first column has no name and counts the rows; it was left out.")
        kept = kept[1:]
    if not kept:
        raise InputError(f"{name} has no columns of numbers left besides labels and weights. Add the points' coordinates.")
    points = np.column_stack([_numbers(frame[c], c, name, first_row, as_label=label_column is None) for c in kept])
    return _Raw(points, tuple(kept), labels, weights, tuple(frame.columns), first_row, notes)


def _separator(line: str, expected: str | None) -> str | None:
    """The separator that the first line uses most; the one its ending promises wins ties. None is blanks."""
    counts = {s: line.count(s) for s in (",", "\t", ";")}
    best = max(counts, key=lambda s: (counts[s], s == expected))
    return best if counts[best] else (expected if expected is not None else None)


def is_number(cell: str) -> bool:
    """Whether a cell of text reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(column: Any, title: str, name: str, first_row: int, *, as_label: bool) -> np.ndarray:
    """A column as float64 (n,); text in it is an error that says where."""
    import pandas as pd

    if column.dtype.kind in "fiub":
        return column.to_numpy(dtype=np.float64)
    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna().to_numpy() & column.notna().to_numpy())
    if len(bad):
        cell = str(column.iloc[bad[0]])[:40]
        way_out = (
            "Write decimals with a point, and put commas between the cells."
            if ";" in cell or DECIMAL_COMMA.fullmatch(cell)
            else f"Use column '{title}' as labels, or leave it out."
            if as_label and len(bad) > len(column) // 2
            else "Correct it, or drop that row."
        )
        raise InputError(
            f"{name} has text where a number belongs: '{cell}' in row {bad[0] + first_row}, column '{title}' ({len(bad)} such "
            f"cell{'s' if len(bad) > 1 else ''} in that column). {way_out}"
        )
    return values.to_numpy(dtype=np.float64)


# ---- values -----------------------------------------------------------------------------------------
def _checked(raw: _Raw, name: str, drop_missing: bool) -> Table:
    with np.errstate(over="ignore"):
        points = raw.points.astype(np.float32)
    labels, weights, notes = raw.labels, raw.weights, list(raw.notes)
    bad: np.ndarray = ~np.isfinite(points)
    if weights is not None:
        bad = np.column_stack([bad, ~np.isfinite(weights)])
    if bad.any():
        row, column = (int(v[0]) for v in np.nonzero(bad))
        rows = np.asarray(bad.any(axis=1))
        where = f"row {row + raw.first_row}, column '{(*raw.names, 'weights')[column]}'"
        if not drop_missing:
            raise InputError(
                f"{name} has {bad.sum()} missing, NaN or infinite cell{'s' if bad.sum() > 1 else ''}, the first in {where}. "
                "Fill them in, or let rows with missing values be dropped."
            )
        notes.append(f"{rows.sum()} of {len(rows)} rows with a missing, NaN or infinite cell were dropped.")
        points = points[~rows]
        labels, weights = (None if v is None else v[~rows] for v in (labels, weights))
    if len(points) < 2:
        raise InputError(f"{name} has {'one point' if len(points) else 'no complete row'}; a map needs at least 2 points.")
    if weights is not None:
        if (weights < 0).any():
            first = int(np.argmax(weights < 0))
            raise InputError(
                f"{name} has negative weights, the first {weights[first]:g} at point {first + 1}. Weights are masses: 0 or more."
            )
        if not weights.any():
            raise InputError(f"All {len(weights)} weights of {name} are zero; give at least one point some mass.")
        if not 1e-30 < float(weights.max()) < 1e30:
            raise InputError(
                f"The greatest weight of {name} is {weights.max():g}; it must lie between 1e-30 and 1e30. Rescale the weights."
            )
    constant = np.flatnonzero(points.min(0) == points.max(0))
    if len(constant):
        shown = ", ".join(raw.names[i] for i in constant[:5]) + (", ..." if len(constant) > 5 else "")
        many = len(constant) > 1
        notes.append(
            f"{len(constant)} column{'s' if many else ''} of {name} ({shown}) {'have' if many else 'has'} the same value in every point."
        )
    if labels is not None:
        labels = np.array([str(v)[:LABEL_LENGTH] for v in labels])
    return Table(points, raw.names, labels, weights, tuple(notes), raw.columns)
