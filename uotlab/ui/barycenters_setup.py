"""The side of the page of barycenters: recipe, measures, method and its settings as widgets."""

import math
from collections.abc import Callable
from typing import Any

import streamlit as st

from uotlab.data.densities import CLOUDS, SHAPES, Density, density_from_text, text_of_density
from uotlab.engine.spec import Number
from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS
from uotlab.ui import barycenters_state as kept
from uotlab.ui.barycenters_state import FIRST, KINDS, METHOD, MOST, RECIPES, TAKES, Setup
from uotlab.ui.form import form
from uotlab.ui.state import start_with, tell
from uotlab.ui.tau import RHOS, nearest, rho_text
from uotlab.views.barycenter import measure_color

OWN = ("cost", "rho1", "rho2", "seed")  #: fields that have widgets of their own, or none
LIMITS = {"mean": (-4.5, 4.5), "width": (0.1, 3.0), "mass": (0.1, 10.0), "outlier": (0.0, 0.5)}  #: of a density's numbers
PLACE = {"x": (-10.0, 10.0), "y": (-10.0, 10.0), "size": (0.1, 10.0)}  #: of a cloud's
EPS = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002)


def setup_of_widgets(now: Setup) -> Setup:
    """All widgets, starting from `now`; the setup that they say."""
    st.selectbox("Start from", list(RECIPES), index=None, placeholder="a ready example", key="b_recipe", on_change=_take)
    start_with("b.kind", now.kind)
    kind = st.segmented_control(
        "Average", list(KINDS), format_func=lambda k: KINDS[k], key="b.kind", required=True, on_change=_kind_changed
    )  # fmt: skip
    changes: dict[str, Any] = _figure(now) if kind == "rows" else _measures(now)
    method, settings = _method(now)
    return now.model_copy(update={"kind": kind, "method": method, "settings": settings, **changes})


def _take() -> None:
    name = st.session_state["b_recipe"]
    if name in RECIPES:
        kept.replace(RECIPES[name])
        st.session_state["b_start"] = True  # a recipe of the figure begins at once
        st.session_state["b_recipe"] = None


def _kind_changed() -> None:
    kind = next((k for k in KINDS if k == st.session_state.get("b.kind")), None)
    if kind is None:
        return
    k = 0 if kind == "rows" else 3
    kept.replace(Setup(kind=kind, measures=FIRST[kind][:k], weights=(1 / 3,) * k, method=METHOD[kind]))


# ---- measures -----------------------------------------------------------------------------------------
def _measures(now: Setup) -> dict[str, Any]:
    start_with("b.k", len(now.measures))
    k = int(st.segmented_control("Measures", [2, 3, 4, MOST], key="b.k", required=True) or len(now.measures))
    texts = [*now.measures, *FIRST[now.kind][len(now.measures) :]][:k]
    row: Callable[[int, str], str] = {"densities": _density, "images": _image, "clouds": _cloud}[now.kind]  # type: ignore[index]
    measures = tuple(row(i, text) for i, text in enumerate(texts))
    changes: dict[str, Any] = {"measures": measures}
    if k != len(now.measures):
        changes["weights"] = (1 / k,) * k
    if now.kind == "images":
        start_with("b.moved", now.moved)
        changes["moved"] = st.toggle(
            "Scaled and shifted at random",
            key="b.moved",
            help="As in the thesis: 50 x 50 pixels, MNIST's digits at half to 1.75 times their size",
        )
        changes["seed"] = _seed(now, "Seed of the hands, sizes and places")
    return changes


def _mark(i: int, text: str) -> None:
    st.html(f'<div style="border-left:4px solid {measure_color(i)};padding-left:.5rem;font-size:.85rem;margin:.2rem 0 -.4rem">{text}</div>')


def _density(i: int, text: str) -> str:
    try:
        made = density_from_text(text)
    except InputError as error:
        tell(str(error))
        made = density_from_text(FIRST["densities"][i])
    start_with(f"b.{i}.shape", made.shape)
    for key, (low, high) in LIMITS.items():
        start_with(f"b.{i}.{key}", min(max(float(getattr(made, key)), low), high))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        _mark(i, f"Measure {i + 1}: shape, centre, width")
        more = st.popover("", icon=":material/more_horiz:", help="Mass and outlier", type="tertiary")
    first, second, third = st.columns([6, 4, 4], gap="small")
    shape = first.selectbox("Shape", list(SHAPES), key=f"b.{i}.shape", label_visibility="collapsed")
    mean = second.number_input("Centre", *LIMITS["mean"], step=0.25, format="%g", key=f"b.{i}.mean", label_visibility="collapsed")
    width = third.number_input("Width", *LIMITS["width"], step=0.1, format="%g", key=f"b.{i}.width", label_visibility="collapsed")
    mass = more.number_input(
        "Mass", *LIMITS["mass"], step=0.5, format="%g", key=f"b.{i}.mass", help="Methods that carry all mass need equal ones"
    )
    outlier = more.slider("Share of it far away, at 4.5", *LIMITS["outlier"], step=0.05, key=f"b.{i}.outlier")
    return text_of_density(Density(shape, float(mean), float(width), float(mass), float(outlier)))


def _image(i: int, text: str) -> str:
    digit, _, hand = text.partition("/")
    start_with(f"b.{i}.digit", int(digit))
    start_with(f"b.{i}.hand", int(hand or 0))
    _mark(i, f"Image {i + 1}: digit, and which hand wrote it")
    left, right = st.columns(2)
    left.selectbox("Digit", range(10), key=f"b.{i}.digit", label_visibility="collapsed")
    right.number_input("Hand", 0, 599, key=f"b.{i}.hand", label_visibility="collapsed")
    return f"{st.session_state[f'b.{i}.digit']}/{st.session_state[f'b.{i}.hand']}"


def _cloud(i: int, text: str) -> str:
    name, *numbers = text.split(",")
    values = dict(zip(("x", "y", "size"), map(float, numbers), strict=True))
    start_with(f"b.{i}.cloud", name)
    for key, value in values.items():
        start_with(f"b.{i}.{key}", min(max(value, PLACE[key][0]), PLACE[key][1]))
    _mark(i, f"Cloud {i + 1}: outline, centre x and y, size")
    columns = st.columns([4, 3, 3, 3], gap="small")
    name = columns[0].selectbox("Outline", CLOUDS, key=f"b.{i}.cloud", label_visibility="collapsed")
    found = [
        column.number_input(key, *PLACE[key], step=0.5, format="%g", key=f"b.{i}.{key}", label_visibility="collapsed")
        for column, key in zip(columns[1:], values, strict=True)
    ]
    return ",".join([name, *(f"{v:g}" for v in found)])


def _seed(now: Setup, text: str) -> int:
    start_with("b.seed", now.seed)
    return int(st.number_input("Seed", 0, 2**31 - 1, step=1, key="b.seed", help=text))


# ---- the figure ---------------------------------------------------------------------------------------
def _figure(now: Setup) -> dict[str, Any]:
    st.caption(
        "One column a digit, one row a method: the same images, averaged with more and with less blur. A column takes some seconds a row."
    )
    start_with("b.digits", [int(d) for d in now.digits])
    digits = st.pills("Digits", range(10), selection_mode="multi", key="b.digits") or []
    start_with("b.count", now.count)
    count = st.slider("Images of each digit", 2, 50, key="b.count", help="The thesis takes 50; 8 take seconds, 50 minutes")
    eps = sorted({*EPS, *now.eps}, reverse=True)
    start_with("b.eps", list(now.eps))
    chosen = st.pills(
        "Sinkhorn at ε", eps, selection_mode="multi", key="b.eps", format_func=lambda e: f"{e:g}", help="Blur, in mean-cost units"
    )
    seed = _seed(now, "Which images, and where they lie")
    if not digits or len(digits) > 6 or not chosen:
        st.info("Choose 1 to 6 digits and at least one ε.", icon=":material/edit:")
    return {
        "digits": "".join(str(d) for d in sorted(digits)[:6]) or now.digits, "count": int(count),
        "eps": tuple(sorted(chosen, reverse=True)) or now.eps, "seed": seed, "measures": (), "weights": (),
    }  # fmt: skip


# ---- the method ---------------------------------------------------------------------------------------
def _method(now: Setup) -> tuple[str, dict[str, Number]]:
    st.markdown("### Method")
    names = [name for name, cls in BARYCENTERS.items() if TAKES[now.kind] in cls.takes]
    start_with("b.method", now.method)
    method = st.selectbox("Method", names, format_func=lambda n: BARYCENTERS[n].title, key="b.method", label_visibility="collapsed")
    cls = BARYCENTERS[method]
    st.caption(cls.summary)
    held = now.settings if method == now.method else {}
    settings: dict[str, Number] = {}
    for name in ("rho1", "rho2"):
        if name in cls.model_fields:
            value = _rho(name, cls.model_fields[name], float(held.get(name, cls.model_fields[name].default)))  # type: ignore[arg-type]
            settings |= {} if value == cls.model_fields[name].default else {name: value}
    settings |= form(cls, held, f"b.m.{method}", skip=OWN)
    return method, settings


def _rho(name: str, info: Any, value: float) -> float:
    start_with(f"b.m.{name}", nearest(value))
    title = {"rho1": "Price ρ of changing a measure", "rho2": "Price ρ of missing the barycenter"}[name]
    chosen = float(st.select_slider(title, RHOS, key=f"b.m.{name}", format_func=rho_text, help=info.description))
    same = nearest(value) == chosen
    return value if same and not math.isinf(value) else chosen
