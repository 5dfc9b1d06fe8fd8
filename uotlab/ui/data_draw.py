"""The data page's third part: draw points with weights. All of a drawing is two short strings, so it fits into a link."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.data.drawn import FARTHEST, MOST_POINTS, points_from_text, text_from_points
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.ui.canvas import canvas
from uotlab.ui.data_look import show
from uotlab.ui.open_lab import open_in_lab
from uotlab.ui.plain import plain

SIDES = ("source", "target")
PAST = 50  #: steps that can be undone
Rows = list[tuple[float, float, float]]  #: x, y, mass

TEMPLATES: Mapping[str, tuple[str, str]] = {
    "Three to four": ("-2,1;-2,0;-2,-1", "2,1.5;2,0.5;2,-0.5;2,-1.5"),
    "One outlier": ("-2,0.5;-2,0;-2,-0.5;-1.6,0.25;-1.6,-0.25", "1.5,0.5;1.5,0;1.5,-0.5;1.9,0;3.6,2.2,0.3"),
    "Unequal clusters": ("-1.5,1.2,3;-1.5,-1.2,1", "1.5,1.2,1;1.5,-1.2,3"),
    "Cross": ("-2,0;-1,0;0,0;1,0;2,0", "0,-2;0,-1;0,0;0,1;0,2"),
    "Ring": (
        "0,0;0.3,0.2;-0.3,0.1;0.1,-0.3;-0.2,-0.2",
        ";".join(f"{2 * math.cos(a):.2f},{2 * math.sin(a):.2f}" for a in np.linspace(0, 2 * math.pi, 12, endpoint=False)),
    ),
}


def draw() -> None:
    """The sheet with its tools, the weights as a table, and the way into the lab."""
    state = st.session_state
    if "draw_source" not in state:
        state["draw_source"], state["draw_target"] = next(iter(TEMPLATES.values()))
    rows = {side: rows_of(state[f"draw_{side}"]) for side in SIDES}
    left, right = st.columns([5, 2], gap="large")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            side = st.segmented_control(
                "A click adds to", SIDES, default="source", required=True, key="draw_side", format_func=str.capitalize
            )
            mass = st.number_input("with mass", 0.1, 100.0, 1.0, step=0.5, key="draw_mass", width=130)
            st.button("Undo", icon=":material/undo:", on_click=undo, disabled=not state.get("draw_past"), key="draw_undo")
            st.button("Clear", icon=":material/delete_sweep:", on_click=clear, key="draw_clear")
        canvas(rows, side=side, mass=mass, key="draw_canvas", on_event=happened)
        st.caption("Click to add a point, drag to move it, double click to remove it.")
    with right:
        st.selectbox("Start from", list(TEMPLATES), index=None, placeholder="a template", key="draw_template", on_change=_take_template)
        for name in SIDES:
            _editor(name, rows[name])
        low, high = 0.0, 2.0
        jitter = st.slider(
            "Cloud around each point", low, high, 0.1, 0.05, key="draw_jitter", help="Standard deviation; 0 keeps single points"
        )
        _way_out(jitter)


def _way_out(jitter: float) -> None:
    data = {side: st.session_state[f"draw_{side}"] for side in SIDES} | {"jitter": jitter}
    try:
        for side in SIDES:
            points_from_text(data[side], side)
    except InputError as error:
        st.info(plain(error), icon=":material/edit:")
        return
    defaults = DATASETS["drawn"].model_fields
    data = {k: v for k, v in data.items() if v != defaults[k].default}
    open_in_lab("Open in the lab", dataset="drawn", data=data)
    with st.popover("See the clouds", icon=":material/visibility:"):
        show(RunSpec(dataset="drawn", data=data), "draw")


def _editor(side: str, rows: Rows) -> None:
    weighted = any(r[2] != 1 for r in rows)
    words = f"{len(rows)} points" + (f", mass {sum(r[2] for r in rows):g}" if weighted else ", equal weights")
    with st.expander(f"{side.capitalize()}: {words}"):
        number = st.column_config.NumberColumn
        limits: dict[str, Any] = {"min_value": -FARTHEST, "max_value": FARTHEST, "format": "%.2f", "required": True}
        config = {"x": number(**limits), "y": number(**limits), "mass": number(min_value=0.0, format="%.2g", default=1.0, required=True)}
        table: list[dict[str, Any]] = [dict(zip(("x", "y", "mass"), row, strict=True)) for row in rows] or [
            {"x": None, "y": None, "mass": None}
        ]
        edited = st.data_editor(
            table, num_rows="dynamic", column_config=config, hide_index=True, key=f"draw_table_{side}_{len(rows)}_{hash(tuple(rows))}",
            alt=f"Points of the {side}",
        )  # fmt: skip
        new: Rows = [
            (float(r["x"]), float(r["y"]), float(r["mass"])) for r in edited if all(r.get(k) is not None for k in ("x", "y", "mass"))
        ]
        if new != rows and st.button("Apply", key=f"draw_apply_{side}", type="primary"):
            change({side: new})
            st.rerun()


# ---- the drawing: two strings in the session --------------------------------------------------------
def rows_of(text: str) -> Rows:
    """Points (x, y, mass) of a drawing's string, of any number, also none."""
    found: Rows = []
    for part in filter(None, text.split(";")):
        numbers = [float(v) for v in part.split(",")]
        found.append((numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 1.0))
    return found


def text_of(rows: Rows) -> str:
    """The string of points; masses are written only where one is not 1."""
    if not rows:
        return ""
    table = np.asarray(rows, dtype=float)
    return text_from_points(table[:, :2], table[:, 2] if (table[:, 2] != 1).any() else None)


def change(new: Mapping[str, Rows]) -> None:
    """Put new points in, and keep the old drawing for undo."""
    state = st.session_state
    past = [p for p in state.get("draw_past", "").split("\n") if p]
    state["draw_past"] = "\n".join([*past[1 - PAST :], f"{state['draw_source']}|{state['draw_target']}"])
    for side, rows in new.items():
        state[f"draw_{side}"] = text_of(rows)


def undo() -> None:
    """The drawing before the last change."""
    state = st.session_state
    past = [p for p in state.get("draw_past", "").split("\n") if p]
    if past:
        state["draw_source"], _, state["draw_target"] = past[-1].partition("|")
        state["draw_past"] = "\n".join(past[:-1])


def clear() -> None:
    """An empty sheet; undo brings the points back."""
    change({side: [] for side in SIDES})


def _take_template() -> None:
    name = st.session_state["draw_template"]
    if name in TEMPLATES:
        change({side: rows_of(text) for side, text in zip(SIDES, TEMPLATES[name], strict=True)})
        st.session_state["draw_template"] = None


def happened(event: Mapping[str, Any]) -> None:
    """One click, drag or removal on the sheet; anything that makes no sense is left out."""
    side = event.get("side")
    rows = edited(rows_of(st.session_state[f"draw_{side}"]), event) if side in SIDES else None
    if rows is not None:
        change({str(side): rows})


def edited(rows: Rows, event: Mapping[str, Any]) -> Rows | None:
    """The points after one click, drag or removal; None where that makes no sense."""
    act, rows = event.get("act"), list(rows)
    at = i if isinstance(i := event.get("i"), int) and 0 <= i < len(rows) else None
    numbers = [event.get(k) for k in ("x", "y")]
    placed = all(isinstance(v, int | float) and math.isfinite(v) and abs(v) <= FARTHEST for v in numbers)
    if act == "add" and placed and len(rows) < MOST_POINTS:
        mass = event.get("mass")
        good = isinstance(mass, int | float) and math.isfinite(mass) and mass > 0
        rows.append((round(float(event["x"]), 3), round(float(event["y"]), 3), round(float(event["mass"]), 3) if good else 1.0))
    elif act == "move" and placed and at is not None:
        rows[at] = (round(float(event["x"]), 3), round(float(event["y"]), 3), rows[at][2])
    elif act == "remove" and at is not None:
        del rows[at]
    else:
        return None
    return rows
