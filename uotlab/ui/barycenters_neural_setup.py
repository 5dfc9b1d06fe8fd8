"""The side of the neural half: measures, weights, method, how strict each marginal is, training. Its answer is a RunSpec."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from uotlab.divergences import DIVERGENCES
from uotlab.engine.spec import RunSpec
from uotlab.methods.base import METHODS, Method
from uotlab.penalty import EPS, rho_from_tau
from uotlab.ui import barycenters_neural_state as kept
from uotlab.ui.barycenters_link import learners
from uotlab.ui.barycenters_measures import own_measures
from uotlab.ui.barycenters_simplex import simplex
from uotlab.ui.choices import choice, cost_fields
from uotlab.ui.config import data_fields, device_field, mean_cost, problem_of
from uotlab.ui.form import form
from uotlab.ui.state import start_with
from uotlab.ui.tau import price
from uotlab.views.barycenter import measure_color

START = "bn."  #: of every widget's key here
MOST = 5  #: marginals that the weights can be dragged between
SIDED = ("divergence", "rho", "tau")  #: settings with one value a marginal: "rho" for all, "rho1", "rho2", ... for each


def configure(now: RunSpec) -> RunSpec:
    """Draw the side panel, starting from `now`, and return what it says.

    Raises:
        InputError: the data cannot be made.
    """
    examples = kept.examples()
    if examples:
        st.selectbox("Start from", list(examples), index=None, placeholder="a ready example", key="bn_example", on_change=_take)
    st.subheader("Measures")
    dataset, n, data = data_fields(now, start=START, skip=("measures",))
    if dataset == "measures":
        data |= own_measures(str(now.data.get("measures") or "") if now.dataset == dataset else "", START)
    base = RunSpec(method=now.method, dataset=dataset, n=n, data=data)
    k = len(problem_of(base).marginals)
    weights = kept.weights_of(now, k)
    st.subheader("Weights")
    if k <= MOST:
        names = [f"P{i + 1}" for i in range(k)]
        simplex(names, [measure_color(i) for i in range(k)], weights, key="bn_simplex", on_weights=kept.reweigh)
    st.subheader("Method")
    method = choice("Method", learners(), now.method, f"{START}method", lambda name: METHODS[name].title, hidden=True)
    cls = METHODS[method]
    st.caption(cls.summary)
    held = {key: v for key, v in now.params.items() if key in cls.model_fields or key in SIDED or key.rstrip("12345") in SIDED}
    params: dict[str, Any] = kept.weights_param(weights)
    place = st.container()
    st.subheader("Cost and training")
    params |= cost_fields(held, f"{START}cost", "The problem's own (squared distance)") if "cost" in cls.model_fields else {}
    steps, seed = _training(now, cls)
    device = device_field(now.device, START)
    own = [name for name in cls.model_fields if name == "weights" or name.startswith(("cost", *SIDED))]
    params |= form(cls, held, f"{START}m.{method}", skip=own, advanced="More settings of the method")
    if any(cls.relaxed):
        with place:
            st.subheader("How strict are the marginals?")
            scale = mean_cost(base.model_copy(update={"method": method, "params": dict(params)}))
            params |= _strictness(cls, held, k, scale)
    return base.model_copy(update={"method": method, "params": params, "steps": steps, "seed": seed, "device": device})


def _take() -> None:
    name = st.session_state["bn_example"]
    found = kept.examples()
    if name in found:
        kept.replace(found[name])
        for key in kept.WATCHED:
            kept.watch(key, [])
        st.session_state["bn_example"] = None


def _training(now: RunSpec, cls: type[Method]) -> tuple[int | None, int]:
    """Steps (None is the method's default) and seed."""
    left, right = st.columns(2)
    same = now.method == cls.name
    start_with(f"{START}steps.{cls.name}", now.steps if now.steps and same else cls.default_steps)
    words = "How many training steps; more can be added later"
    steps = left.number_input("Steps", 1, 100_000_000, step=500, key=f"{START}steps.{cls.name}", help=words)
    start_with(f"{START}seed", now.seed)
    words = "Equal settings and an equal seed give equal numbers"
    seed = right.number_input("Seed", 0, 2**31 - 1, step=1, key=f"{START}seed", help=words)
    return None if steps == cls.default_steps else int(steps), int(seed)


# ---- one divergence and one price a marginal ---------------------------------------------------------
def given(cls: type[Method], values: Mapping[str, Any], name: str, k: int, scale: float) -> Any:
    """ "divergence" or "rho" of marginal k (from 1) as an address or a run has it: its own, else that of all, else the default."""
    if name == "rho":
        tau = values.get(f"tau{k}", values.get("tau"))
        if tau is not None:
            return rho_from_tau(cls.convention, float(tau), scale, _eps(cls))
    for key in (f"{name}{k}", name, *((f"{name}2",) if k > 2 else ())):  # marginals beyond the second are as it, unless said otherwise
        if values.get(key) is not None:
            found = values[key]
            break
    else:
        field = cls.model_fields.get(f"{name}{k}")
        found = field.default if field is not None and field.default is not None else cls.model_fields[f"{name}2"].default
    return float(found) if name == "rho" else found


def _strictness(cls: type[Method], values: Mapping[str, Any], k: int, scale: float) -> dict[str, Any]:
    """Widgets of all marginals; what differs from the defaults."""
    numbers = range(1, k + 1)
    for i in numbers:
        start_with(f"{START}rho.{i}", given(cls, values, "rho", i, scale))
        start_with(f"{START}divergence.{i}", given(cls, values, "divergence", i, scale))
    state = st.session_state
    alike = all(state[f"{START}{name}.{i}"] == state[f"{START}{name}.1"] for name in ("rho", "divergence") for i in numbers)
    start_with(f"{START}alike", alike)
    linked = st.toggle("The same for all marginals", key=f"{START}alike", help="One divergence and one ρ for all, or one each")
    if linked:
        _one(cls, tuple(numbers), "all marginals", scale)
        for i in numbers[1:]:
            state[f"{START}divergence.{i}"] = state[f"{START}divergence.1"]
            state[f"{START}rho.{i}"] = state[f"{START}rho.1"]
    else:
        for i in numbers:
            with st.expander(f"P{i}", expanded=i == 1):
                _one(cls, (i,), f"P{i}", scale)
    st.caption(f"Here the mean cost, common to all marginals, is s = {scale:.4g}. ∞ keeps a marginal exactly.")
    found: dict[str, Any] = {}
    for name in ("divergence", "rho"):
        said = [state[f"{START}{name}.{i}"] for i in numbers]
        found |= {name: said[0]} if len(set(said)) == 1 else {f"{name}{i}": v for i, v in zip(numbers, said, strict=True)}
    return found


def _one(cls: type[Method], numbers: tuple[int, ...], name: str, scale: float) -> None:
    able = [d for d in DIVERGENCES if d in getattr(cls, "coupled_divergences", tuple(DIVERGENCES)) and d != "balanced"]
    key = f"{START}divergence.{numbers[0]}"
    if st.session_state[key] not in able:
        st.session_state[key] = able[0]
    st.selectbox(f"Divergence, {name}", able, key=key, format_func=lambda d: DIVERGENCES[d].title)
    price(tuple(f"{START}rho.{i}" for i in numbers), name, cls.convention, scale, _eps(cls))


def _eps(cls: type[Method]) -> float:
    return float(cls.model_fields["eps"].default) if "eps" in cls.model_fields else EPS
