"""Files that are either whole or absent: tensors and text written to a temporary name, fsynced, then renamed."""

import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from uotlab.errors import InputError


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Call `write` on a temporary file beside `path`, fsync it and give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # the new name itself must be on the disk too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: Path, text: str) -> None:
    """UTF-8 text."""

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    write_whole(path, write)


def save_tensors(path: Path, parts: Mapping[str, Any]) -> None:
    """Tensors in plain containers."""
    write_whole(path, lambda file: torch.save(dict(parts), file))


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, onto the CPU; never runs code from the file.

    Raises:
        InputError: no such file, damaged, or holding anything but tensors and plain containers.
    """
    try:
        parts = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"There is no file {path.name} to load; check the path.") from None
    except Exception:  # whatever a foreign file makes the reader stumble over
        raise InputError(f"{path.name} is damaged or was not saved by uotlab: only tensors and plain values are read.") from None
    if not isinstance(parts, dict):
        raise InputError(f"{path.name} was not saved by uotlab: it holds {type(parts).__name__} instead of a dict.")
    return parts


def plain(value: Any) -> Any:
    """The value in what JSON has: infinities and NaN as the strings "Infinity", "-Infinity" and "NaN"."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Valid JSON of anything `plain` takes."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def floats(values: Mapping[str, Any]) -> dict[str, float]:
    """Named numbers back from `plain`."""
    return {k: float(v) for k, v in values.items() if v is not None}
