"""What commands share: words into settings, folders that must be writable, numbers shown in columns."""

import platform
import tempfile
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from uotlab import __version__
from uotlab.engine.files import to_json
from uotlab.errors import InputError, did_you_mean, short
from uotlab.parameters import value_of_text


def settings_of(option: str, pairs: Sequence[str], cls: type[BaseModel]) -> dict[str, Any]:
    """`key=value` words as numbers, booleans or, for fields that hold text, text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"{option} takes key=value; it got '{short(pair)}'.")
        key = key.strip().replace("-", "_")
        field = cls.model_fields.get(key)
        if key in ("n", "steps", "seed", "device") and field is None and (option, key) != ("--data", "seed"):
            raise InputError(f"{option} does not take {key}, which has an option of its own: write --{key} {short(text)}.")
        if key in ("name", "method", "problem", "dataset", "progress") and field is None:
            raise InputError(f"{option} takes no '{key}'. {did_you_mean(key, cls.model_fields)}")
        texts = field is not None and not {int, float, bool} & set(kinds(field.annotation))
        settings[key] = text if texts and text.lower() != "none" else _value(text)
    return settings


def _value(text: str) -> Any:
    return None if text.lower() in ("none", "null") else value_of_text(text)


def kinds(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union, or the one kind."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def check_writable(folder: Path) -> None:
    """Make the folder, before hours of training end at one that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    import numpy as np
    import torch

    return {"uotlab": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def show_numbers(numbers: Mapping[str, float], as_json: bool) -> None:
    """Print numbers one a line, or as JSON."""
    if as_json:
        print(to_json(numbers, indent=2))
        return
    width = max(map(len, numbers), default=0)
    for name, number in numbers.items():
        print(f"{name:<{width}}  {number:.6g}")
