"""The sweep page's side panel: data, methods, what to vary, seeds and steps. Its answer is a SweepSpec."""

import math
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.divergences import DIVERGENCES
from uotlab.engine.sweep.spec import BALANCE, DATA, OWN, SHORT, SweepSpec, axes_of, make_sweep, number_text
from uotlab.engine.sweep.summary import is_balance
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui.form import form, title
from uotlab.ui.state import start_with
from uotlab.ui.sweep_state import values_of_text

RHOS = "0.03, 0.1, 0.3, 1, 3, 10, inf"
TITLES = {"rho": "ρ, the price of changing mass", "tau": "τ, as each method's paper writes it", "divergence": "Divergence of both sides"}
TAKEN = ("cost", "cost_parameter", "device")


def configure(spec: SweepSpec) -> SweepSpec:
    """Draw the side panel, starting from `spec`, and return what it says now.

    Raises:
        InputError: what it says makes no sense.
    """
    st.subheader("Data")
    dataset, n, data = _data(spec)
    st.subheader("Methods")
    start_with("s.methods", list(spec.methods))
    methods = st.multiselect(
        "Methods", list(METHODS), key="s.methods", format_func=lambda m: METHODS[m].title, label_visibility="collapsed"
    )
    if not methods:
        raise InputError("Choose at least one method.")
    st.subheader("What to vary")
    axes = _axes(methods, dataset)
    grid = {}
    first = next(iter(spec.grid))
    name, values = _axis("s.axis", "Setting", axes, first if first in axes else axes[0], spec, dataset, methods)
    grid[name] = values
    start_with("s.two", len(spec.grid) > 1)
    if st.toggle("A second setting", key="s.two", help="One line for each of its values"):
        others = [a for a in axes if a != name and not (a in BALANCE and name in BALANCE and a[:3] == name[:3])]
        given = list(spec.grid)[1] if len(spec.grid) > 1 and list(spec.grid)[1] in others else others[0]
        second, more = _axis("s.axis2", "Second setting", others, given, spec, dataset, methods)
        grid[second] = more
    left, right = st.columns(2)
    start_with("s.seeds", ", ".join(map(str, spec.seeds)))
    seeds = left.text_input("Seeds", key="s.seeds", help="Each seed is a run; the band shows how far they differ.")
    start_with("s.steps", spec.steps)
    steps = right.number_input(
        "Steps", 1, 100_000_000, value=None, step=500, key="s.steps", placeholder="automatic", disabled="steps" in grid,
        help="Training steps of each run; empty is each method's own default.",
    )  # fmt: skip
    params = _fixed(methods, spec, grid)
    shown = {k: v for k, v in data.items() if DATA + k not in grid}
    return make_sweep(
        methods, dataset, grid, values_of_text(seeds), steps=None if steps is None or "steps" in grid else int(steps),
        n=None if "n" in grid else n, data=shown, params=params, device=spec.device,
    )  # fmt: skip


def _data(spec: SweepSpec) -> tuple[str, int | None, dict[str, Any]]:
    start_with("s.data", spec.dataset)
    shown = {name: f"{cls.group} · {cls.title}" for name, cls in DATASETS.items()}
    dataset = st.selectbox("Problem", list(DATASETS), key="s.data", format_func=shown.__getitem__, label_visibility="collapsed")
    cls = DATASETS[dataset]
    same = dataset == spec.dataset
    start_with(f"s.n.{dataset}", spec.n if same and spec.n else cls.default_n)
    n = st.number_input("Points a side", 2, 10_000_000, step=500, key=f"s.n.{dataset}")
    data = form(cls, spec.data if same else {}, f"s.d.{dataset}", advanced="Shape of the data") if cls.model_fields else {}
    return dataset, None if n == cls.default_n else int(n), data


def _axes(methods: list[str], dataset: str) -> list[str]:
    """What all chosen methods can vary, and the fields of the data; the balance where one of them relaxes a marginal."""
    relaxed = [m for m in methods if any(METHODS[m].relaxed)]
    common = [a for a in axes_of((relaxed or methods)[0]) if all(a in axes_of(m) or a in BALANCE for m in methods)]
    order = sorted(common, key=lambda a: (a not in SHORT, a in OWN))
    return [*order, *(DATA + field for field in DATASETS[dataset].model_fields)]


def _axis(key: str, label: str, axes: list[str], given: str, spec: SweepSpec, dataset: str, methods: list[str]) -> tuple[str, list[Any]]:
    """One axis: which setting, and its values."""
    if st.session_state.get(key) not in axes:
        st.session_state[key] = given
    name = st.selectbox(label, axes, key=key, format_func=lambda a: TITLES.get(a, title(a.removeprefix(DATA))))
    choices = _choices(name, methods)
    held = list(spec.grid.get(name, ()))
    if choices:
        start_with(f"{key}.{name}", [v for v in held if v in choices] or choices[:3])
        return name, st.multiselect("Values", choices, key=f"{key}.{name}")
    start_with(f"{key}.{name}", ", ".join(number_text(v) for v in held) or _suggested(name, dataset, methods))
    text = st.text_input("Values", key=f"{key}.{name}", help="Numbers with commas between them; inf is balanced.")
    if is_balance(name):
        st.caption("Small ρ lets mass go, inf carries it all. The picture gives every point in all three papers' τ as well.")
    return name, values_of_text(text)


def _choices(axis: str, methods: list[str]) -> list[Any]:
    """The values of a setting that is a choice; empty for numbers."""
    if axis.startswith("divergence"):
        able = [set(getattr(METHODS[m], "coupled_divergences", tuple(DIVERGENCES))) for m in methods if any(METHODS[m].relaxed)]
        return [name for name in DIVERGENCES if name != "balanced" and all(name in names for names in able)]
    field = METHODS[methods[0]].model_fields.get(axis)
    if field is None:
        return []
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    return [False, True] if field.annotation is bool else []


def _suggested(axis: str, dataset: str, methods: list[str]) -> str:
    """A first try: ρ from very unbalanced to balanced, else half, once and twice the default."""
    if axis.startswith("rho"):
        return RHOS
    if axis.startswith("tau"):
        return "0.01, 0.03, 0.1, 0.3"
    if axis == "n":
        value: Any = DATASETS[dataset].default_n
    elif axis == "steps":
        value = METHODS[methods[0]].default_steps
    else:
        fields = DATASETS[dataset].model_fields if axis.startswith(DATA) else METHODS[methods[0]].model_fields
        value = fields[axis.removeprefix(DATA)].default
    if isinstance(value, bool) or not isinstance(value, int | float) or not value or not math.isfinite(value):
        return "1, 2, 3"
    return ", ".join(number_text(value // 2 if isinstance(value, int) and k == 0.5 else value * k) for k in (0.5, 1, 2))


def _fixed(methods: list[str], spec: SweepSpec, grid: dict[str, Any]) -> dict[str, Any]:
    """What is the same in all runs: ρ where it is not swept, and the fields that all methods have."""
    params: dict[str, Any] = {}
    relaxed = [m for m in methods if any(METHODS[m].relaxed)]
    if relaxed and not any(is_balance(axis) for axis in grid):
        cls = METHODS[relaxed[0]]
        start_with("s.rho", float(spec.params.get("rho", cls.model_fields["rho1" if cls.relaxed[0] else "rho2"].default)))  # type: ignore[arg-type]
        params["rho"] = st.number_input("ρ of all runs", 1e-6, 1e6, step=1.0, format="%g", key="s.rho")
    common = set.intersection(*(set(METHODS[m].model_fields) for m in methods)) - set(grid) - set(BALANCE) - set(TAKEN)
    others = [name for name in METHODS[methods[0]].model_fields if name not in common]
    changed = form(METHODS[methods[0]], spec.params, f"s.p.{methods[0]}", skip=others, advanced="Settings of all runs") if common else {}
    kept = {k: v for k, v in spec.params.items() if k in TAKEN and k not in grid}
    return params | kept | changed
