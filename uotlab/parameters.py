"""Hyper-parameters from people: a pydantic error becomes one sentence that names the field, its rule and what came."""

import operator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from uotlab.errors import InputError, did_you_mean, short

M = TypeVar("M", bound=BaseModel)


class Settings(BaseModel):
    """Frozen hyper-parameters from people: no unknown ones, and no yes or no where a number belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise InputError(f"{info.field_name} of {getattr(cls, 'name', cls.__name__)} must not be {value}: it is no yes-or-no setting.")
        return value


def make_model(cls: type[M], values: dict[str, Any]) -> M:
    """`cls(**values)` with readable errors.

    Raises:
        InputError: unknown field (with the nearest name) or a value outside its rule.
    """
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = short(".".join(str(p) for p in first["loc"])) or "the settings"
        label = getattr(cls, "name", "the run")
        if first["type"] == "extra_forbidden":
            raise InputError(f"{label} has no setting '{where}'. {did_you_mean(where, cls.model_fields)}") from None
        if first["type"] == "value_error":
            raise InputError(str(first["ctx"]["error"])) from None
        rule = first["msg"].removeprefix("Input ")
        raise InputError(f"{where} of {label} {rule}; it is {short(repr(first['input']))}.") from None


def check_count(name: str, value: Any, *, least: int, most: int) -> int:
    """A whole number in [least, most].

    Raises:
        InputError: not a whole number, or outside the range.
    """
    try:
        count = None if isinstance(value, bool) else operator.index(value)  # numpy's whole numbers too
    except TypeError:
        count = None
    if count is None or not least <= count <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}; it is {short(repr(value))}.")
    return count


def check_number(name: str, value: Any) -> float:
    """A float; infinity and NaN are left to the rule of the argument.

    Raises:
        InputError: text, a truth value, or no single number.
    """
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several
        raise InputError(f"{name} must be a number; it is {short(repr(value))}.") from None


def value_of_text(text: str) -> float | int | bool | str:
    """What a word in an address or on the command line means: true, false, a number, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
