"""Dials that answer while they are dragged, as an own component: sliders with read-outs in every convention, and the plan's numbers.

Streamlit's own sliders tell the server on release only. These send every value to `/live/dial`, one request at a time, and tell
Streamlit on release, so that the address follows.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import BaseModel

from uotlab.ui.tau import HELP

HERE = Path(__file__).parent
HTML = """
<div class="uot-dials">
  <div class="uot-dial-row"></div>
  <dl class="uot-cells"></dl>
  <div class="uot-sentence" role="status" hidden></div>
</div>
"""
EPS_HELP = (
    "Entropic temperature in units of the mean cost. Small: a sharp plan, few pairs, more work. Large: every point spreads its mass "
    "over many."
)
KINDS: Mapping[str, tuple[str, str, str, float, float]] = {
    "eps": ("log", "Blur ε", EPS_HELP, 0.002, 2.0),
    "beta": ("log", "Proximal step β", "Step of the proximal iteration in units of the mean cost; small steps sharpen sooner.", 0.002, 2.0),
    "rho1": ("rho", "Price of changing mass ρ, source", HELP, 0.01, 1000.0),
    "rho2": ("rho", "Price of changing mass ρ, target", HELP, 0.01, 1000.0),
    "mass": ("share", "Share of the mass to move", "The cheapest moves come first; what is left stays where it is, at no price.", 0.0, 1.0),
}  #: settings that are dials: kind, label, help, least and greatest of the slider (typed values may go beyond)
CELLS: Mapping[str, tuple[str, str]] = {
    "carried": ("Carried", "Mass that the plan moves, and its share of the source's mass"),
    "destroyed": ("Destroyed", "Mass given up at the source, and mass that arrives beyond what the target asks for; % of each side"),
    "created": ("Created", "Mass that the target asks for and does not get, and mass added at the source; % of each side"),
    "transport": ("Transport cost", "The cost of all moves, <P, C>, in the cost's own units"),
    "value": ("Objective", "What the solver minimises: transport + price of changed mass at the source + at the target + entropy"),
    "certificate": ("Proven to", "The objective is at most this far from the optimum: primal minus dual, relative"),
    "solved": ("Solved in", "Time of the solver for these values, and its iterations"),
}  #: the numbers below: title and tooltip


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "uotlab_dials", html=HTML, css=_text("plans_dials.css"), js=_text("plans_dials.js"), isolate_styles=False
)


def dials_of(solver: type[BaseModel]) -> list[str]:
    """Names of the solver's settings that are dials."""
    return [name for name in KINDS if name in solver.model_fields]


def dials(
    bench: str, solver: type[BaseModel], values: Mapping[str, Any], answer: Mapping[str, Any], *, scale: float, key: str,
    on_moved: Callable[[Mapping[str, Any]], None], on_lost: Callable[[Mapping[str, Any]], None],
) -> None:  # fmt: skip
    """The dials of a solver and the numbers of its newest plan.

    Args:
        bench: id that `/live/dial` is told.
        values: present values by field name.
        answer: `Answer.json()` of the plan at these values.
        scale: s, the mean cost, for the papers' conventions.
        on_moved: called with the values when a drag has ended; on_lost: the same, where the bench is no longer in memory.
    """
    shown = []
    for name in dials_of(solver):
        kind, label, text, low, high = KINDS[name]
        first = solver.model_fields[name].default
        shown.append({"name": name, "kind": kind, "label": label, "help": text, "low": low, "high": high, "first": word(first)})
    data = {
        "id": bench, "dials": shown, "values": {d["name"]: word(values.get(d["name"])) for d in shown}, "answer": dict(answer),
        "scale": scale, "cells": [{"name": k, "title": t, "help": h} for k, (t, h) in CELLS.items()],
    }  # fmt: skip

    def told(name: str, act: Callable[[Mapping[str, Any]], None]) -> None:
        event = getattr(st.session_state.get(key), name, None)
        if isinstance(event, Mapping):
            act(event)

    _component(
        key=key, data=data, height="content", on_moved_change=lambda: told("moved", on_moved), on_lost_change=lambda: told("lost", on_lost)
    )  # fmt: skip


def word(value: Any) -> Any:
    """A number for JSON, which has no infinity."""
    return "inf" if isinstance(value, float) and math.isinf(value) else value
