"""The lab's side panel: data, method, balance, divergences and cost, training. Its answer is a RunSpec."""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.data.progress import listening
from uotlab.divergences import DIVERGENCES
from uotlab.engine.begin import devices, make_method, make_problem
from uotlab.engine.frames import portrait
from uotlab.engine.spec import RunSpec, Snapshot
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.problem import Problem
from uotlab.ui.choices import choice, cost_fields
from uotlab.ui.form import form
from uotlab.ui.sources import held, hold
from uotlab.ui.state import start_with
from uotlab.ui.tau import penalties

OWN_WIDGETS = ("divergence1", "divergence2", "rho1", "rho2", "tau1", "tau2", "cost", "cost_parameter")


def configure(spec: RunSpec, offered: Collection[str] = ()) -> RunSpec:
    """Draw the side panel, starting from `spec`, and return what it says now. `offered`: the datasets to choose from, all if empty."""
    st.subheader("Data")
    dataset, n, data = data_fields(spec, offered or DATASETS)
    st.subheader("Method")
    method = choice("Method", METHODS, spec.method, "w.method", lambda name: METHODS[name].title, hidden=True)
    cls = METHODS[method]
    st.caption(cls.summary)
    kept = {k: v for k, v in spec.params.items() if k in cls.model_fields}
    for short in ("divergence", "rho", "tau"):  # one word for both sides, as on the command line
        if short in spec.params:
            kept |= {f"{short}{side}": spec.params[short] for side in (1, 2) if cls.relaxed[side - 1]}
    params: dict[str, Any] = {}
    if any(cls.relaxed):
        st.subheader("How strict are the marginals?")
        place = st.container()
        params |= _divergences(cls, kept)
    st.subheader("Cost and training")
    params |= cost_fields(kept, "w.cost", "The problem's own (squared distance)")
    default_steps = cls.default_steps
    left, right = st.columns(2)
    start_with(f"w.steps.{method}", spec.steps if spec.steps and spec.method == method else default_steps)
    steps = left.number_input(
        "Steps", 1, 100_000_000, step=500, key=f"w.steps.{method}", help="How many training steps; more can be added later."
    )
    start_with("w.seed", spec.seed)
    seed = right.number_input("Seed", 0, 2**31 - 1, step=1, key="w.seed", help="Equal settings and an equal seed give equal numbers.")
    device = device_field(spec.device)
    params |= form(cls, kept, f"m.{method}", skip=OWN_WIDGETS, advanced="More settings of the method")
    if any(cls.relaxed):
        base = RunSpec(method=method, dataset=dataset, n=n, data=data, params=params)
        with place:
            eps = params.get("eps", cls.model_fields["eps"].default) if "eps" in cls.model_fields else None
            params |= penalties(cls, kept, mean_cost(base), eps)
    return RunSpec(
        method=method, dataset=dataset, n=n, data=data, params=params,
        steps=None if steps == default_steps else int(steps), seed=int(seed), device=device,
    )  # fmt: skip


def data_fields(
    spec: RunSpec, offered: Iterable[str] = DATASETS, start: str = "", skip: Collection[str] = ()
) -> tuple[str, int | None, dict[str, Any]]:
    """Widgets of the data, their keys beginning with `start`, without the fields in `skip`: dataset, points a side, its fields."""
    dataset = choice(
        "Problem", offered, spec.dataset or "", f"{start}w.data", lambda name: f"{DATASETS[name].group} · {DATASETS[name].title}",
        hidden=True,
    )  # fmt: skip
    cls = DATASETS[dataset]
    st.caption(cls.summary)
    same = dataset == spec.dataset
    start_with(f"{start}w.n.{dataset}", spec.n if same and spec.n else cls.default_n)
    n = st.number_input(
        "Points a side", 2, 10_000_000, step=500, key=f"{start}w.n.{dataset}", help="How many points of each measure are drawn."
    )
    data: dict[str, Any] = {}
    if cls.model_fields:
        data = form(cls, spec.data if same else {}, f"{start}d.{dataset}", skip=skip, advanced="Shape of the data")
    return dataset, None if n == cls.default_n else int(n), data


def _divergences(cls: Any, kept: dict[str, Any]) -> dict[str, str]:
    answers = {}
    able = getattr(cls, "coupled_divergences", tuple(DIVERGENCES))
    names = [name for name in DIVERGENCES if name in able and name != "balanced"]
    for column, side, title in zip(st.columns(2), (1, 2), ("Source divergence", "Target divergence"), strict=True):
        default = cls.model_fields[f"divergence{side}"].default
        if not cls.relaxed[side - 1]:
            column.selectbox(title, ["kept exactly"], disabled=True, key=f"w.kept{side}", help="This method carries all mass of this side.")
            continue
        value = choice(
            title,
            names,
            kept.get(f"divergence{side}", default),
            f"w.{cls.name}.divergence{side}",
            lambda name: DIVERGENCES[name].title,
            column,
        )
        if value != default:
            answers[f"divergence{side}"] = value
    return answers


def device_field(now: str, start: str = "") -> str:
    """The choice of a device where there is more than one."""
    found = devices()
    if len(found) == 1 and now in ("auto", *found):
        return now
    names = ["auto", *found]
    return choice("Device", names, now, f"{start}w.device", lambda name: found[name]["title"] if name in found else "Fastest there is")


# ---- what is measured on the data ----------------------------------------------------------------
@lru_cache(maxsize=4)
def _problem(text: str) -> Problem:
    with st.spinner("Preparing the data (digits take some seconds the first time)", show_time=True):
        place = st.empty()
        with listening(lambda what, done: place.progress(min(done, 1.0), f"{what}, once: {done:.0%}")):
            made = make_problem(RunSpec.model_validate_json(text))
        place.empty()
        return made


def problem_of(spec: RunSpec) -> Problem:
    """The data of a spec, kept for the next who asks.

    Raises:
        InputError: the data cannot be made.
    """
    return _problem(data_key(spec))


def data_key(spec: RunSpec) -> str:
    """The part of a spec that says which data, as text."""
    return RunSpec(method="", dataset=spec.dataset, n=spec.n, data=spec.data).model_dump_json()


def mean_cost(spec: RunSpec) -> float:
    """s, the mean of the run's unscaled cost over a fixed batch of its data; 1 where the data cannot be made."""
    cost = {k: v for k, v in spec.params.items() if k in ("cost", "cost_parameter")}
    return _mean_cost(data_key(spec), spec.method, json.dumps(cost))


@lru_cache(maxsize=64)
def _mean_cost(data: str, method: str, cost: str) -> float:
    try:
        return make_method(method, json.loads(cost)).calibrated_cost(_problem(data)).scale
    except InputError:
        return 1.0


def preview(spec: RunSpec) -> str:
    """Id of a still picture of the data.

    Raises:
        InputError: the data cannot be made.
    """
    key = data_key(spec)
    found = held(key)
    if found is None:
        arrays, labels = portrait(_problem(key))
        found = hold(Snapshot(0, 0, 0.0, {}, {}, arrays, labels), key)
    return found


def notes(spec: RunSpec) -> tuple[str, ...]:
    """Sentences that belong beside this data's results."""
    try:
        return _problem(data_key(spec)).notes
    except InputError:
        return ()
