"""A pydantic model as widgets: ranges, choices and descriptions come from its fields, so new fields need no page."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from uotlab.ui.state import start_with

HUGE = 1e12


def form(
    cls: type[BaseModel], values: Mapping[str, Any], prefix: str, *, skip: Collection[str] = (), advanced: str = "More settings"
) -> dict[str, Any]:
    """Widgets for the fields of `cls`; returns the values that differ from the defaults.

    Fields marked `json_schema_extra={"basic": True}` come first, the others under an expander titled `advanced`.

    Args:
        values: present values by field name.
        prefix: of the widgets' keys; one widget's key is "<prefix>.<field>".
        skip: fields that the page shows in its own way.
    """
    shown = {name: info for name, info in cls.model_fields.items() if name not in skip}
    basic = [name for name, info in shown.items() if _extra(info).get("basic")]
    rest = [name for name in shown if name not in basic]
    answers = {name: field(name, shown[name], values.get(name, shown[name].default), prefix) for name in basic}
    if rest:
        with st.expander(advanced):
            answers |= {name: field(name, shown[name], values.get(name, shown[name].default), prefix) for name in rest}
    return {name: value for name, value in answers.items() if value != shown[name].default}


def field(name: str, info: FieldInfo, value: Any, prefix: str) -> Any:
    """One widget, by the field's type; returns its value."""
    key, label, text = f"{prefix}.{name}", info.title or title(name), info.description
    kind, optional = _kind(info)
    if get_origin(kind) is Literal:
        choices = list(get_args(kind))
        start_with(key, value if value in choices else choices[0])
        return st.selectbox(label, choices, key=key, help=text)
    if kind is bool:
        start_with(key, bool(value))
        return st.toggle(label, key=key, help=text)
    if kind in (int, float):
        return _number(label, key, kind, value, info, text, optional)
    start_with(key, "" if value is None else str(value))
    answer = st.text_input(label, key=key, help=text).strip()
    return None if optional and not answer else answer


def title(name: str) -> str:
    """ "batch_size" -> "Batch size"."""
    return {"t": "Time t", "color_by": "Colour by", "mass target": "Target mass"}.get(name, name.replace("_", " ").capitalize())


def _number(label: str, key: str, kind: type, value: Any, info: FieldInfo, text: str | None, optional: bool) -> Any:
    low, high = bounds(info, kind)
    if isinstance(value, str):
        value = float(value)
    if value is not None:
        value = min(max(kind(value), low), high) if math.isfinite(value) else high
    start_with(key, value)
    step = 1 if kind is int else _step(value if value is not None else info.default)
    more = {"placeholder": "automatic"} if optional else {}
    answer = st.number_input(
        label, min_value=low, max_value=high, value="min" if value is not None and not optional else None,
        step=step, format="%d" if kind is int else "%g", key=key, help=text, **more,
    )  # fmt: skip
    return value if answer is None and not optional else answer


def bounds(info: FieldInfo, kind: type) -> tuple[Any, Any]:
    """Least and greatest value that the field takes; an open end moves inwards a little."""
    low, high = -HUGE, HUGE
    for rule in info.metadata:
        if getattr(rule, "ge", None) is not None:
            low = rule.ge
        if getattr(rule, "gt", None) is not None:
            low = rule.gt + 1 if kind is int else rule.gt + max(1e-9, 1e-9 * abs(rule.gt))
        if getattr(rule, "le", None) is not None:
            high = rule.le
        if getattr(rule, "lt", None) is not None:
            high = rule.lt - 1 if kind is int else rule.lt - max(1e-9, 1e-9 * abs(rule.lt))
    return kind(low), kind(high)


def _kind(info: FieldInfo) -> tuple[Any, bool]:
    """The field's type without None, and whether None is allowed."""
    parts = [p for p in get_args(info.annotation) if p is not type(None)]
    if type(None) in get_args(info.annotation):
        return parts[0], True
    return info.annotation, False


def _step(value: Any) -> float:
    """A tenth of the value's decimal place: 0.002 -> 0.0001, 10 -> 1."""
    if not isinstance(value, int | float) or value in (0, None) or not math.isfinite(value):
        return 0.1
    return (
        float(10.0 ** (math.floor(math.log10(abs(value))) - 1)) if abs(value) < 1 else float(10.0 ** math.floor(math.log10(abs(value)) - 1))
    )


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
