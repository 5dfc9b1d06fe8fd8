"""The plans page: dials and numbers, the choice of pictures, the picture, and ways to take it away."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.errors import InputError
from uotlab.parameters import make_model
from uotlab.plans.solver import SOLVERS
from uotlab.ui import plans_spec
from uotlab.ui.config import problem_of
from uotlab.ui.live import live
from uotlab.ui.panel import view_options
from uotlab.ui.plain import plain
from uotlab.ui.plans_bench import Answer, Bench, bench, new_bench
from uotlab.ui.plans_dials import dials
from uotlab.ui.plans_out import take_away
from uotlab.ui.plans_play import play
from uotlab.ui.plans_setup import sheet
from uotlab.ui.plans_spec import FIRST, RECIPES, PlanSpec
from uotlab.ui.state import told
from uotlab.views.base import VIEWS

PATIENCE = 10.0  #: s that a script waits for a plan; a slower one appears when it is there
PICTURES = "plan"  #: the names of this page's views begin with it
PLAYED = "plan-path"  #: the view whose time t the page plays
BENCH, VIEW = "plans.bench", "plans.view"


def plans(spec: PlanSpec, wrong: str | None = None) -> None:
    """Everything right of the side panel; `wrong` is a sentence about settings that make no sense."""
    _head(spec)
    if wrong:
        st.error(plain(wrong), icon=":material/error:")
    sentence = told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    if spec.dataset == "drawn":
        sheet()
    try:
        with st.spinner("Preparing the clouds", show_time=True):
            at = own_bench()
            answer = at.wait(at.show(spec, problem_of(spec.cloud)), PATIENCE)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    numbers = answer.numbers if answer is not None else {}
    scale = numbers.get("scale") or (at.plan.cost_scale if at.plan is not None else 1.0)
    with st.container(key="plans-body"):  # on a phone the picture stands above the dials: see plans_dials.css
        with st.container(key="plans-dials"):
            dials(
                at.id, SOLVERS[spec.solver], values_of(spec), (answer or Answer(0, spec)).json(), scale=float(scale), key="dials",
                on_moved=_moved, on_lost=_lost,
            )  # fmt: skip
        with st.container(key="plans-picture"):
            _picture(at, spec)
    with st.container(horizontal=True):
        take_away(spec, at)


def own_bench() -> Bench:
    """This session's bench; a new one where it is no longer in memory."""
    found = bench(st.session_state.get(BENCH))
    if found is None:
        found = new_bench()
        st.session_state[BENCH] = found.id
    return found


def values_of(spec: PlanSpec) -> dict[str, Any]:
    """All settings of the solver, defaults included."""
    return make_model(SOLVERS[spec.solver], dict(spec.params)).model_dump()


def _head(spec: PlanSpec) -> None:
    with st.container(horizontal=True, key="plans-head", vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"#### {DATASETS[spec.dataset].title}", width="content")
        names = list(RECIPES)
        st.selectbox(
            "Example", names, index=None, placeholder="Start from an example", key="plans_recipe", on_change=_take_recipe, width=260,
            label_visibility="collapsed",
        )  # fmt: skip
    for alike in (lambda wanted: wanted == spec, lambda wanted: (wanted.cloud, wanted.solver) == (spec.cloud, spec.solver)):
        for text, wanted, _view in RECIPES.values():
            if alike(wanted):
                st.caption(text)
                return
    st.caption(DATASETS[spec.dataset].summary)


def _take_recipe() -> None:
    name = st.session_state["plans_recipe"]
    if name in RECIPES:
        _, spec, view = RECIPES[name]
        plans_spec.replace(spec)
        st.session_state[VIEW] = st.query_params["view"] = view
        st.session_state["plans_recipe"] = None


def _moved(event: Mapping[str, Any]) -> None:
    """A drag has ended: the values become the configuration; values that make no sense are left out."""
    spec = plans_spec.current()
    values = {k: float("inf") if v == "inf" else v for k, v in event.items() if k in values_of(spec)}
    try:
        turned = spec.turned(values)
        plans_spec.check(turned)
    except InputError:
        return
    plans_spec.put(turned)


def _lost(event: Mapping[str, Any]) -> None:
    """The rerun makes a new bench."""
    st.session_state.pop(BENCH, None)
    _moved(event)


# ---- the picture -----------------------------------------------------------------------------------
def _picture(at: Bench, spec: PlanSpec) -> None:
    controls = st.container()  # a place of its own: what is in it comes and goes, and the picture beneath it stays mounted
    with controls:
        view = _choose(views_for(at, spec))
        at.want(view)
        options = view_options(view, at.scene.arrays if at.scene is not None else {}, skip=("t",))
        if view == PLAYED:
            play(key="player")
    if at.source:
        live(at.source, view, options, key="live", height=560)
    st.caption(VIEWS[view].summary)


def views_for(at: Bench, spec: PlanSpec) -> list[str]:
    """The pictures of this page that the solver has something to show in."""
    if at.plan is None:
        return ["data"]
    found = [name for name in VIEWS if name.startswith(PICTURES)]
    relaxed = "rho1" in SOLVERS[spec.solver].model_fields
    held = {"plan-compare", "plan-strip"} if not relaxed else set()
    if at.plan.f is None or at.plan.g is None:
        held = {*held, "plan-potentials"}
    return [name for name in found if name not in held]


def _choose(views: list[str]) -> str:
    """Which picture: kept in the address, the example's own at first."""
    wanted = st.query_params.get("view") or st.session_state.get(VIEW) or RECIPES[FIRST][2]
    now = wanted if wanted in views else views[0]
    if st.session_state.get("q.view") not in views or st.session_state.get("q.view") != now:
        st.session_state["q.view"] = now

    def chosen() -> None:
        st.session_state[VIEW] = st.query_params["view"] = st.session_state["q.view"]

    if len(views) == 1:
        return views[0]
    picked = st.segmented_control(
        "Picture", views, format_func=lambda name: VIEWS[name].title, key="q.view", label_visibility="collapsed", required=True,
        on_change=chosen, wrap=False,
    )  # fmt: skip
    return picked or now
