"""Menus that pages share: one choice of several, kept in the session, and the ground cost with its number."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from uotlab.costs import COSTS
from uotlab.ui.state import start_with


def choice(
    label: str, options: Iterable[str], now: str, key: str, text: Callable[[str], str], place: Any = st, *, hidden: bool = False
) -> str:  # fmt: skip
    """One of `options`, shown as `text` says; `now`, or the first where it is none of them. hidden: no label is seen."""
    names = list(options)
    start_with(key, now if now in names else names[0])
    return str(place.selectbox(label, names, key=key, format_func=text, label_visibility="collapsed" if hidden else "visible"))


def cost_fields(kept: Mapping[str, Any], key: str, own: str) -> dict[str, Any]:
    """ "cost" and "cost_parameter" where they are not the problem's own, which the menu calls `own`."""
    names = ["", *(name for name in COSTS if name != "feature")]
    cost = choice("Cost", names, kept.get("cost") or "", key, lambda name: COSTS[name].title if name else own)
    if not cost:
        return {}
    answers: dict[str, Any] = {"cost": cost}
    parameter = COSTS[cost].parameter
    if parameter is not None:
        low, high, first = (1.0, 10.0, 1.5) if parameter == "p" else (1e-3, 1e6, None)
        start_with(f"{key}.{cost}", kept.get("cost_parameter", first))
        text = {"p": "Exponent p"}.get(parameter, "Length (empty: from the data)")
        number = st.number_input(text, low, high, value=None, step=0.1, format="%g", key=f"{key}.{cost}")
        if number is not None:
            answers["cost_parameter"] = float(number)
    return answers
