"""Hyper-parameters from people: a pydantic error becomes one sentence that names the field, its rule and what came."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from uotlab.errors import InputError, did_you_mean

M = TypeVar("M", bound=BaseModel)


def make_model(cls: type[M], values: dict[str, Any]) -> M:
    """`cls(**values)` with readable errors.

    Raises:
        InputError: unknown field (with the nearest name) or a value outside its rule.
    """
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "the settings"
        label = getattr(cls, "name", cls.__name__)
        if first["type"] == "extra_forbidden":
            raise InputError(f"{label} has no setting '{where}'. {did_you_mean(where, cls.model_fields)}") from None
        if first["type"] == "value_error":
            raise InputError(str(first["ctx"]["error"])) from None
        rule = first["msg"].removeprefix("Input ")
        raise InputError(f"{where} of {label} {rule}; it is {first['input']!r}.") from None


def check_count(name: str, value: Any, *, least: int, most: int) -> int:
    """A whole number in [least, most].

    Raises:
        InputError: not a whole number, or outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}; it is {value!r}.")
    return value
