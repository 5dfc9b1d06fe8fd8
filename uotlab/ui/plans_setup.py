"""The plans page's side panel: two clouds, and the solver with all its settings that are no dials."""

from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.divergences import DIVERGENCES
from uotlab.errors import InputError
from uotlab.parameters import make_model
from uotlab.plans.solver import SOLVERS
from uotlab.ui.canvas import canvas
from uotlab.ui.choices import choice, cost_fields
from uotlab.ui.data_draw import SIDES, TEMPLATES, change, clear, happened, rows_of, undo
from uotlab.ui.form import form, title
from uotlab.ui.plans_dials import dials_of
from uotlab.ui.plans_spec import LEAST, MOST, PlanSpec
from uotlab.ui.state import start_with

COST = ("cost", "cost_parameter")
SHEET = 640  #: px, so that the picture below stays in sight
RANGE = "range"  #: a penalty of the scaling algorithm that is no divergence of the registry


def configure(spec: PlanSpec) -> PlanSpec:
    """Draw the side panel, starting from `spec`, and return what it says now; the dials' values are kept as they are."""
    st.subheader("Clouds")
    dataset, n, data = _clouds(spec)
    st.subheader("Solver")
    solver = choice("Solver", list(SOLVERS), spec.solver, "q.solver", lambda name: SOLVERS[name].title, hidden=True)
    cls = SOLVERS[solver]
    st.caption(cls.summary)
    kept = {k: v for k, v in spec.params.items() if k in cls.model_fields}
    if solver != spec.solver:  # what both solvers have goes along
        kept = {k: v for k, v in kept.items() if k in dials_of(cls) or k in COST}
    params = {k: v for k, v in kept.items() if k in dials_of(cls)}
    divergences = [name for name, field in cls.model_fields.items() if name.startswith("divergence") and field.annotation is str]
    params |= _divergences(cls, divergences, kept)
    params |= cost_fields(kept, "q.cost", "The data's own (squared distance)")
    params |= form(cls, kept, f"q.m.{solver}", skip=(*dials_of(cls), *divergences, *COST), advanced="More settings of the solver")
    with st.expander("What it solves"):
        st.latex(cls.equation)
    return PlanSpec(solver=solver, dataset=dataset, n=n, data=data, params=params)


def _clouds(spec: PlanSpec) -> tuple[str, int, dict[str, Any]]:
    names = [name for name, cls in DATASETS.items() if cls.kind in ("line", "plane")]
    dataset = choice("Clouds", names, spec.dataset, "q.data", lambda name: f"{DATASETS[name].group} · {DATASETS[name].title}", hidden=True)
    cls, same = DATASETS[dataset], dataset == spec.dataset
    st.caption(cls.summary)
    left, right = st.columns(2)
    start_with("q.n", spec.n)
    n = left.number_input("Points a side", LEAST, MOST, step=50, key="q.n", help=f"{LEAST} to {MOST}; 500 answer while you drag.")
    start_with(f"q.seed.{dataset}", int(str(spec.data.get("seed", 0))) if same else 0)
    seed = right.number_input("Seed", 0, 2**31 - 1, step=1, key=f"q.seed.{dataset}", help="Another seed draws other points.")
    kept = {k: v for k, v in spec.data.items() if k != "seed"} if same else {}
    drawn = tuple(SIDES) if dataset == "drawn" else ()
    data = form(cls, kept, f"q.d.{dataset}", skip=drawn, advanced="Shape of the clouds") if cls.model_fields else {}
    for side in drawn:
        start_with(f"draw_{side}", cls.model_fields[side].default)
        if st.session_state[f"draw_{side}"] != cls.model_fields[side].default:
            data[side] = st.session_state[f"draw_{side}"]
    return dataset, int(n), data | ({"seed": int(seed)} if seed else {})


def sheet() -> None:
    """The sheet to draw both clouds on, the same that the page Data has."""
    rows = {side: rows_of(st.session_state[f"draw_{side}"]) for side in SIDES}
    with st.expander("Draw the clouds", expanded=True, icon=":material/edit:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            side = st.segmented_control("A click adds to", SIDES, default="source", required=True, key="q.side", format_func=str.capitalize)
            mass = st.number_input("with mass", 0.1, 100.0, 1.0, step=0.5, key="q.mass", width=130)
            names = list(TEMPLATES)
            st.selectbox("Start from", names, index=None, placeholder="a template", key="q.template", on_change=_take_template, width=200)
            st.button("Undo", icon=":material/undo:", on_click=undo, disabled=not st.session_state.get("draw_past"), key="q.undo")
            st.button("Clear", icon=":material/delete_sweep:", on_click=clear, key="q.clear")
        with st.container(width=SHEET):
            canvas(rows, side=side or "source", mass=mass, key="q_canvas", on_event=happened)
        st.caption("Click to add a point, drag to move it, double click to remove it.")


def _take_template() -> None:
    name = st.session_state["q.template"]
    if name in TEMPLATES:
        change({side: rows_of(text) for side, text in zip(SIDES, TEMPLATES[name], strict=True)})
        st.session_state["q.template"] = None


def _divergences(cls: Any, fields: list[str], kept: dict[str, Any]) -> dict[str, Any]:
    """A choice for each field that names a divergence, of those that the solver takes."""
    answers = {}
    for name in fields:
        default = cls.model_fields[name].default
        able = [one for one in (*DIVERGENCES, RANGE) if _takes(cls, name, one)]
        label = {"1": "Source divergence", "2": "Target divergence"}.get(name[-1], "Divergence")
        value = choice(label, able, kept.get(name, default), f"q.{cls.name}.{name}", divergence_title)
        if value != default:
            answers[name] = value
    return answers


def divergence_title(name: str) -> str:
    """What the page calls a divergence."""
    return DIVERGENCES[name].title if name in DIVERGENCES else title(name)


def _takes(cls: Any, field: str, choice: str) -> bool:
    try:
        return bool(make_model(cls, {field: choice}))
    except InputError:
        return False
