"""A snapshot as the page draws it: traces of one view as JSON for the first picture, raw float32 for every frame after.

A frame is: uint32 length of the header, the header (JSON, padded with spaces to a multiple of 4), then the arrays
named in the header, float32, one after the other, little-endian.
"""

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from uotlab.engine.spec import Snapshot
from uotlab.errors import InputError
from uotlab.metrics.titles import title_of
from uotlab.views.base import VIEWS, frame

DTYPES = {"float32": "f4", "float64": "f8", "int8": "i1", "int16": "i2", "int32": "i4", "uint8": "u1", "uint16": "u2", "uint32": "u4"}


@dataclass(frozen=True)
class Picture:
    """One view of one snapshot, ready to send.

    Args:
        traces: plotly traces with numpy arrays inside.
        layout: JSON-ready plotly layout.
        signature: changes when anything but the moving numbers of the traces changes.
        layout_id: changes when the layout does.
    """

    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    signature: str
    layout_id: str


def arrays_of(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """All that a view may draw: the arrays, the history as "history/<name>", what people call it, the class names as "names/<array>"."""
    arrays = dict(snapshot.arrays)
    arrays |= {f"history/{name}": values for name, values in snapshot.history.items()}
    arrays |= {f"names/history/{name}": np.asarray([title_of(name)]) for name in snapshot.history}
    return arrays | {f"names/{name}": np.asarray(names) for name, names in snapshot.labels.items()}


def views_of(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the views that these arrays can fill, in their order."""
    return [name for name, cls in VIEWS.items() if cls().applies(arrays)]


def clean_options(view: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The view's options with values it can take; anything unknown or out of range becomes the default.

    Raises:
        InputError: no such view.
    """
    options: dict[str, Any] = {}
    for name, default in VIEWS[view].options.items():
        value = given.get(name)
        if isinstance(default, bool):
            options[name] = value if isinstance(value, bool) else default
        elif isinstance(default, tuple):
            options[name] = value if value in default else default[0]
        else:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                options[name] = min(max(float(value), 0.0), 1.0)
            else:
                options[name] = default
    return options


def draw(view: str, arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> Picture:
    """One view of the arrays.

    Raises:
        InputError: no such view, or the arrays it needs are not there.
    """
    made = VIEWS[view]()
    if not made.applies(arrays):
        missing = sorted(made.needs - set(arrays))
        raise InputError(
            f"The picture '{made.title}' is not ready: it still needs {', '.join(missing) or 'other data'}. Choose another picture."
        )
    chosen = clean_options(view, options)
    traces = made.traces(arrays, **chosen)
    layout = plain(made.layout(arrays, **chosen))
    skeleton = [_skeleton(trace, static=trace.get("meta") == "static") for trace in traces]
    return Picture(traces, layout, _digest([made.name, skeleton]), _digest(layout))


def figure_json(picture: Picture) -> dict[str, Any]:
    """{"data", "layout", "signature", "layout_id"}, numeric arrays as base64 typed arrays."""
    return {"data": plain(picture.traces), "layout": picture.layout, "signature": picture.signature, "layout_id": picture.layout_id}


def frame_bytes(header: dict[str, Any], picture: Picture | None) -> bytes:
    """One frame; without a picture only the header."""
    parts: list[np.ndarray] = []
    named = []
    for trace, path, array in frame(picture.traces) if picture is not None else []:
        part = np.ascontiguousarray(array, dtype="<f4")
        named.append([trace, path, list(part.shape)])
        parts.append(part)
    text = json.dumps({**header, "arrays": named}, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([np.uint32(len(text)).astype("<u4").tobytes(), text, *(part.data for part in parts)])


def plain(value: Any) -> Any:
    """JSON-ready: arrays of numbers as plotly's typed arrays, other arrays as lists, NaN as null."""
    if isinstance(value, np.ndarray):
        code = DTYPES.get(value.dtype.name)
        if code is None:
            return plain(value.tolist())
        text = base64.b64encode(np.ascontiguousarray(value).data).decode()
        return {"dtype": code, "bdata": text, **({"shape": ", ".join(map(str, value.shape))} if value.ndim > 1 else {})}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@lru_cache(maxsize=256)
def summary_of(view: str) -> str:
    """What the view shows, for its alt text."""
    return VIEWS[view].summary


def _skeleton(value: Any, *, static: bool) -> Any:
    """The value with its moving numbers left out; numbers that do not move leave a checksum."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not static:
            return value.ndim
        return [*value.shape, zlib.crc32(np.ascontiguousarray(value).data)] if value.dtype.kind in "fiub" else value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _skeleton(v, static=static) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_skeleton(v, static=static) for v in value]
    return value


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
