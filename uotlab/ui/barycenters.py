"""The page of barycenters: weights on the left, the picture on the right, numbers below. A fragment: dragging reruns only it."""

import math
from typing import Literal

import streamlit as st

from uotlab.errors import InputError
from uotlab.plans.barycenters.result import BarycenterResult, effective_points
from uotlab.ui import barycenters_state as kept
from uotlab.ui import barycenters_work as work
from uotlab.ui.barycenters_out import take_away
from uotlab.ui.barycenters_progress import progress
from uotlab.ui.barycenters_results import (
    Named,
    cells_of,
    cloud_picture,
    digits_of,
    image_picture,
    line_picture,
    quick,
    results_of,
    rows_of,
    rows_picture,
    sharpness_picture,
)
from uotlab.ui.barycenters_simplex import simplex
from uotlab.ui.barycenters_state import Setup, names_of
from uotlab.ui.live import live
from uotlab.ui.plain import plain
from uotlab.ui.state import start_with, told
from uotlab.views.barycenter import measure_color
from uotlab.views.base import VIEWS


@st.fragment
def show() -> None:
    """Everything beside the widgets; a task tells by itself when it has something new."""
    setup = kept.current()
    sentence = told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    try:
        kept.checked(setup)
        {"densities": _densities, "images": _slow, "clouds": _slow, "rows": _rows}[setup.kind](setup)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")


def _task(setup: Setup) -> work.Task | None:
    """The task of this setup: under way, done, or begun now; the figure waits for a click."""
    task = work.find(st.session_state.get("b_task"))
    key = setup.model_dump_json()
    if task is not None and task.key == key:
        return task.look()
    if task is not None:
        task.cancel()  # nothing of it is shown any more
    asked = st.session_state.pop("b_start", False) if setup.kind == "rows" else setup.kind != "densities"
    return _begin(setup) if asked else None


# ---- the three parts ----------------------------------------------------------------------------------
def _densities(setup: Setup) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        _weights(setup)
        _compare(setup)
    with right:
        found, others, why = quick(setup.model_dump_json())
        live(line_picture(setup, found, others), "barycenter", key="b_live", height=430)
        st.caption(VIEWS["barycenter"].summary)
    _numbers(found)
    if why:
        st.caption(f"No balanced barycenter to compare with: {plain(why)}")
    _against(setup, [(setup.title, found), *others])
    take_away(found, setup)


def _slow(setup: Setup) -> None:
    task = _task(setup)
    left, right = st.columns([2, 5], gap="large")
    with left:
        _weights(setup)
        if setup.kind == "images":
            _compare(setup)
    results = results_of(task)
    shown = results or _before(setup)
    with right:
        if task is not None:
            _under_way(task)
        if setup.kind == "images":
            live(image_picture(setup, shown), "barycenter-images", key="b_live_images", height=500)
            st.caption(VIEWS["barycenter-images"].summary)
        else:
            live(cloud_picture(setup, shown[0][1] if shown else None), "barycenter-clouds", key="b_live_clouds", height=470)
            st.caption(VIEWS["barycenter-clouds"].summary)
    if shown:
        _numbers(shown[0][1])
        if setup.kind == "images":
            _against(setup, shown)
    take_away(results[0][1] if results else None, setup)


def _rows(setup: Setup) -> None:
    task = _task(setup)
    rows, digits = len(rows_of(setup)), len(digits_of(setup))
    if task is None or not task.active:
        with st.container(horizontal=True, vertical_alignment="center", key="b-run"):
            words = f"Compute {rows * digits} barycenters" if task is None else "Compute again"
            kind: Literal["primary", "secondary"] = "primary" if task is None else "secondary"
            st.button(words, icon=":material/play_arrow:", type=kind, key="b_run", on_click=_pressed, args=(setup,))
            st.caption(f"{rows} methods for {digits} digit{'s' if digits > 1 else ''}, {setup.count} images each.", width="content")
    if task is not None:
        _under_way(task)
    results = {} if task is None else dict(task.results)
    live(rows_picture(setup, results), "barycenter-rows", key="b_live_rows", height=min(900, 40 + 150 * (rows + 1)))
    st.caption(VIEWS["barycenter-rows"].summary + " 1 is as sharp as the images, less is blurred.")
    if results:
        _table(setup, results)
    take_away(None, setup)


# ---- pieces -------------------------------------------------------------------------------------------
def _weights(setup: Setup) -> None:
    k = len(setup.measures)
    simplex(names_of(setup), [measure_color(i) for i in range(k)], setup.weights, key="b_simplex", on_weights=kept.reweigh)


def _compare(setup: Setup) -> None:
    def changed() -> None:
        kept.put(kept.current().model_copy(update={"compare": bool(st.session_state["b.compare"])}))

    start_with("b.compare", setup.compare)
    text = "Entropic barycenters at several ε; for an unbalanced one, the balanced one"
    st.toggle("Compare with Sinkhorn", key="b.compare", help=text, on_change=changed)


def _numbers(found: BarycenterResult) -> None:
    cells = []
    if math.isfinite(found.sharpness):
        cells.append(("Sharpness", f"{found.sharpness:.3f}", VIEWS["barycenter-sharpness"].summary))
        cells.append(("Points in effect", f"{effective_points(found.q):.1f}", "exp(entropy): equally heavy points that are as spread out"))
    unit = "squared pixels" if found.shape else "squared units of position"
    words = {
        "exact": f"Sum of the weights times the exact transport costs to the measures, without entropy, in {unit}",
        "transport": f"What the carried mass pays for its way, weighted, in {unit}; the price of what is let go is left out",
    }
    cells.append(("Objective", f"{found.value:.5g}" if math.isfinite(found.value) else "–", words[found.value_by]))
    cells.append(("Mass", f"{found.mass:.4g}", "Total mass of the barycenter"))
    rounds = f"{found.n_iter:,} rounds" if found.converged else f"{found.n_iter:,} rounds, not converged"
    cells.append(("Time", f"{found.seconds:.2g} s", f"{rounds}. One mean cost, the unit of ε, β and ρ, is {found.cost_scale:.4g} {unit}"))
    with st.container(horizontal=True, gap="large", key="b-numbers"):
        for label, value, text in cells:
            st.metric(label, value, help=text, width="content")
    if not found.converged:
        last = f" Its last error is {found.errors[-1]:.2g} of the mass." if len(found.errors) else ""
        st.caption(f"Not converged within its rounds.{last} More rounds, or a larger ε or β, bring it down.")


def _against(setup: Setup, results: list[Named]) -> None:
    if len(results) < 2:
        return
    st.markdown("**Sharpness against the blur of entropy**")
    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        live(sharpness_picture(results), "barycenter-sharpness", key="b_live_sharp", height=70 + 34 * len(results))
    with right:
        rows = [
            {"method": n, "sharpness": round(r.sharpness, 3), "objective": float(f"{r.value:.5g}"), "s": round(r.seconds, 2)}
            for n, r in results
        ]
        st.dataframe(rows, hide_index=True, key="b_table")


def _table(setup: Setup, results: dict) -> None:
    digits = digits_of(setup)
    rows = []
    for r, (name, _, _) in enumerate(rows_of(setup)):
        row: dict[str, object] = {"method": name}
        for c, d in enumerate(digits):
            found = results.get((r, c))
            row[f"digit {d}: sharpness"] = None if found is None else round(found.sharpness, 3)
            row[f"digit {d}: objective (px²)"] = None if found is None or math.isnan(found.value) else round(found.value, 2)
        rows.append(row)
    with st.expander("The numbers"):
        st.dataframe(rows, hide_index=True, key="b_rows_table")


def _begin(setup: Setup) -> work.Task:
    before = work.find(st.session_state.get("b_task"))
    if before is not None and before.results:
        st.session_state["b_last"] = before.id
    task = work.start(setup.model_dump_json(), cells_of(setup), st.session_state.get("b_task"))
    st.session_state["b_task"] = task.id
    return task


def _pressed(setup: Setup) -> None:
    _begin(setup)


def _before(setup: Setup) -> list[Named]:
    """The results before these, shown until the first new one is there."""
    last = work.find(st.session_state.get("b_last"))
    if last is None or Setup.model_validate_json(last.key).kind != setup.kind:
        return []
    return results_of(last)[:1]


def _under_way(task: work.Task) -> None:
    progress(task, key="b_progress")
    if task.state == "cancelled":
        st.caption(f"Cancelled: {task.finished} of {len(task.cells)} are done.")
    for sentence in dict.fromkeys(task.errors.values()):
        st.error(plain(sentence), icon=":material/error:")
