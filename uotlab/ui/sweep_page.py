"""The sweep page's main part: buttons, progress, the picture that fills as runs finish, and the table of runs."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import streamlit as st

from uotlab.engine.runner import engine
from uotlab.engine.sweep.picture import axis_title
from uotlab.engine.sweep.run import Row, Sweep, find, listed, start
from uotlab.engine.sweep.spec import SweepSpec, number_text
from uotlab.engine.sweep.summary import Better, better_end, is_balance, metric_names, pick_metric
from uotlab.engine.sweep.table import axes_text, table_of
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.titles import title_of
from uotlab.ui import sweep_state as kept
from uotlab.ui.compare_link import compare_link
from uotlab.ui.live import live
from uotlab.ui.panel import view_options
from uotlab.ui.plain import plain
from uotlab.ui.runs import COLORS
from uotlab.ui.sources import gather
from uotlab.ui.state import owner, tell, told
from uotlab.ui.sweep_out import download, share
from uotlab.ui.sweep_source import SweepPicture
from uotlab.views.base import VIEWS

REFRESH = 1.0  #: s between two looks at a sweep under way
BUSY = ("running", "stopping", "elsewhere")
BEST = {"as the metric says": None, "lowest": "lower", "highest": "higher", "no mark": "neither"}
metric_title = partial(title_of, unit=True)


def show(spec: SweepSpec) -> None:
    """Everything right of the side panel."""
    sweep = kept.watched()
    busy = sweep is not None and sweep.state in BUSY
    # what this page is drawn for; a part that refreshes itself asks for the page anew when it has changed
    st.session_state["sweep_seen"], st.session_state["sweep_drawing"] = _seen(sweep) if sweep is not None else "", True
    with st.container(horizontal=True, vertical_alignment="center", key="sweep-head"):
        _buttons(sweep, spec)
        share(spec)
        if sweep is not None:
            download(sweep)
        _earlier(sweep)
    sentence = told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    if sweep is None:
        _plan(spec)
        return
    if sweep.spec != spec:
        _offer(sweep)
    st.markdown(f"**{plain(_title(sweep.spec))}**")
    st.fragment(_progress, run_every=REFRESH if busy else None)(sweep.id)
    chosen = _picture(sweep)
    st.fragment(_table, run_every=2 * REFRESH if busy else None)(sweep.id, *chosen)


def _title(spec: SweepSpec) -> str:
    return f"{', '.join(METHODS[m].title for m in spec.methods)} on {spec.dataset}, {axes_text(spec)}"


def _seen(sweep: Sweep) -> str:
    """What the page's buttons and menus depend on."""
    return f"{sweep.state} {len(metric_names(sweep.rows()))} {any(row.state == 'failed' for row in sweep.rows())}"


def _plan(spec: SweepSpec) -> None:
    """What a press of Start will do."""
    with st.container(border=True):
        count = spec.size
        st.markdown(f"#### {count} {'run' if count == 1 else 'runs'}: {plain(axes_text(spec))}")
        seeds = len(spec.seeds)
        st.markdown(
            f"{len(spec.methods)} {'method' if len(spec.methods) == 1 else 'methods'}, {seeds} {'seed' if seeds == 1 else 'seeds'}. "
            "Every run is kept under Runs, and scored on the same fresh points. Results are drawn as they come; you can leave this page, "
            "stop at any time, and go on later."
        )
        st.caption("Choose data, methods and what to vary in the side panel, then press Start.")


# ---- buttons ---------------------------------------------------------------------------------------
def _buttons(sweep: Sweep | None, spec: SweepSpec) -> None:
    state = sweep.state if sweep is not None else None
    if sweep is None or (state not in BUSY and sweep.spec != spec):
        _button("Start", "start", "play_arrow", lambda: _start(spec), type="primary", shortcut="P")
    elif state in BUSY:
        ending = state == "stopping"
        words = "Runs under way stop at a checkpoint"
        _button("Cancel", "cancel", "stop", sweep.cancel, type="primary", disabled=ending or state == "elsewhere", help=words)
    elif state == "stopped":
        _button("Resume", "resume", "play_arrow", sweep.begin, type="primary", help="Goes on from the checkpoints")
    else:
        _button("Start again", "start", "replay", lambda: _start(spec), help="The same sweep anew; the old one stays")
    if sweep is None or state in BUSY:
        return
    if any(row.state == "failed" for row in sweep.rows()):
        _button("Try the failed again", "failed", "refresh", lambda: sweep.begin(failed=True))
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown("Delete this sweep with all its runs? This cannot be undone.")
        _button("Delete for good", "delete", "delete", lambda: _delete(sweep), type="primary")


def _button(label: str, key: str, icon: str, act: Callable[[], Any], **more: Any) -> None:
    def safely() -> None:
        try:
            act()
        except InputError as error:
            tell(str(error))

    st.button(label, key=f"sweep_{key}", icon=f":material/{icon}:", on_click=safely, **more)


def _start(spec: SweepSpec) -> None:
    kept.remember(start(engine(), spec, owner()))


def _delete(sweep: Sweep) -> None:
    if sweep.owner != owner():
        raise InputError("This sweep belongs to another session, which alone can delete it.")
    sweep.delete()
    kept.forget()


def _offer(sweep: Sweep) -> None:
    """The settings beside are not those of the sweep that is shown."""
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="offer-row"):
        st.markdown("The settings have changed since this sweep began; it keeps its own.", width="content")

        def back() -> None:
            kept.replace(sweep.spec)

        st.button("Back to its settings", key="sweep_unchange", icon=":material/undo:", type="tertiary", on_click=back)


def _earlier(sweep: Sweep | None) -> None:
    """The session's other sweeps."""
    others = [s for s in listed(engine(), owner()) if sweep is None or s.id != sweep.id]
    if not others:
        return
    with st.popover("Earlier", icon=":material/history:"):
        for other in others[:12]:
            when = datetime.fromtimestamp(other.created, UTC).strftime("%d %b %H:%M")

            def open_it(other: Sweep = other) -> None:
                kept.remember(other)
                kept.replace(other.spec)

            words = f"{when} UTC · {_title(other.spec)} ({other.spec.size} runs)"
            st.button(plain(words), key=f"sweep_open_{other.id}", on_click=open_it, type="tertiary")


# ---- what moves ------------------------------------------------------------------------------------
def _progress(name: str) -> None:
    """The bar, and the sentences of what went wrong."""
    sweep = find(engine(), name)
    if sweep is None:
        return
    rows = sweep.rows()
    counts = {state: sum(row.state == state for row in rows) for state in ("running", "failed", "stopped", "interrupted")}
    done = sum(row.scored for row in rows)
    words = [f"{done} of {len(rows)} runs done", *(f"{n} {state}" for state, n in counts.items() if n)]
    scoring = sum(row.state == "done" and not row.settled for row in rows)
    words += [f"{scoring} being scored"] if scoring and sweep.state == "running" else []
    left = sweep.eta_seconds
    words += [f"about {duration(left)} left"] if left else []
    words += {"stopping": ["stopping at checkpoints"], "stopped": ["stopped"], "elsewhere": ["another process works on it"]}.get(
        sweep.state, []
    )
    if sweep.state == "done":
        st.caption(" · ".join(words))
    else:
        st.progress(min(sweep.share, 1.0), " · ".join(words))
    if sweep.note:
        st.warning(plain(sweep.note), icon=":material/info:")
    for sentence, labels in _failures(rows).items():
        st.error(f"{plain(', '.join(labels[:3]))}{f' and {len(labels) - 3} more' if len(labels) > 3 else ''}: {plain(sentence)}")
    drawing = st.session_state.pop("sweep_drawing", False)  # not while the page itself is drawn: its new widgets would be lost
    if not drawing and _seen(sweep) != st.session_state.get("sweep_seen"):
        st.rerun()  # the buttons or the menu of metrics change


def _failures(rows: list[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.error:
            found.setdefault(row.error, []).append(row.cell.label)
    return found


def duration(seconds: float) -> str:
    """Such as 40 s, 5 min, 2.1 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _picture(sweep: Sweep) -> tuple[str | None, str, Better]:
    """The picture; returns which metric, along which axis, and which end is the good one."""
    rows, spec = sweep.rows(), sweep.spec
    names = metric_names(rows)
    metric = None
    axis, better = next(iter(spec.grid)), None
    if names:
        with st.container(horizontal=True, key="sweep-menus", vertical_alignment="bottom"):
            if st.session_state.get("sweep_metric") not in names:
                st.session_state["sweep_metric"] = _wanted(rows)
            metric = st.selectbox("Metric", names, key="sweep_metric", format_func=metric_title, width=320, on_change=_remember_metric)
            if len(spec.grid) > 1:
                axis = st.selectbox("Along", list(spec.grid), key=f"sweep_along_{sweep.id}", format_func=axis_title, width=240)
            better = BEST[st.selectbox("Best is", list(BEST), key="sweep_best", width=190)]
    options = view_options("sweep", {}, key="sweep-options")
    end: Better = better or (better_end(metric) if metric else "neither")  # type: ignore[assignment]
    key = f"sweep {owner()} {sweep.id} {metric} {axis} {end}"
    live(gather(key, lambda: SweepPicture(sweep, metric, axis, end)), "sweep", options, key="sweep-live", state="still", views=("sweep",))
    st.caption(VIEWS["sweep"].summary)
    return metric, axis, end


def _wanted(rows: list[Row]) -> str | None:
    """The metric in the address, else the first that has a good end."""
    try:
        return pick_metric(rows, st.query_params.get("metric"))
    except InputError:
        return pick_metric(rows)


def _remember_metric() -> None:
    st.query_params["metric"] = st.session_state["sweep_metric"]


def _verdict(sweep: Sweep, metric: str | None, axis: str, end: Better) -> None:
    """The chosen value of each method in words, and a way to see those runs side by side."""
    if metric is None or end == "neither":
        if metric is not None:
            st.caption("No end of this metric is the better one, so nothing is marked; choose one under *Best is*.")
        return
    rows = sweep.rows()
    found = {curve.label: curve for curve in table_of(sweep.id, sweep.spec, rows).curves(metric, axis)}
    words, runs = [], []
    for label, curve in found.items():
        point = (min if end == "lower" else max)(curve.points, key=lambda p: p.mean)
        spread = f" ± {point.spread:.2g}" if len(point.values) > 1 else ""
        at = (
            "balanced"
            if curve.level
            else f"{'ρ' if is_balance(axis) else axis.removeprefix('data.')} = {number_text(point.x).replace('inf', '∞')}"
        )
        name = label.replace(curve.method, METHODS[curve.method].title, 1)
        words.append(f"{plain(name)}: **{plain(at)}**, {point.mean:.3g}{plain(spread)}")
        runs += [r.run for r in rows if r.scored and r.cell.spec.method == curve.method and r.metrics.get(metric) in point.values][:1]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Best {plain(metric_title(metric))}: " + " · ".join(words))
        if len(runs) > 1:
            compare_link("Compare these runs", runs[:8])


def _table(name: str, metric: str | None, axis: str, end: Better) -> None:
    """The best of each method, and one row a run."""
    sweep = find(engine(), name)
    if sweep is None:
        return
    _verdict(sweep, metric, axis, end)
    rows = sweep.rows()
    cells = [
        {
            "method": METHODS[row.cell.spec.method].title,
            **{axis: number_text(value) for axis, value in row.cell.at.items()},
            "seed": row.cell.spec.seed,
            "state": [row.state],
            "progress": row.share,
            "value": row.metrics.get(metric) if row.scored and metric else None,
            "seconds": row.seconds or None,
            "open": f"/?job={row.run}" if row.state != "waiting" else None,
        }
        for row in rows
    ]
    column = st.column_config
    states = ["waiting", *COLORS]
    st.dataframe(
        cells, hide_index=True, height="auto" if len(cells) <= 10 else 380, alt="The runs of this sweep",
        column_config={
            "method": column.TextColumn("Method"),
            **{axis: column.TextColumn(axis_title(axis) if not is_balance(axis) else axis.replace("rho", "ρ")) for axis in sweep.spec.grid},
            "seed": column.NumberColumn("Seed", width="small"),
            "state": column.MultiselectColumn("State", options=states, color=["gray", *COLORS.values()], width="small"),
            "progress": column.ProgressColumn("Progress", min_value=0, max_value=1, format="percent", width="small"),
            "value": column.NumberColumn(metric_title(metric) if metric else "Metric", format="%.4g"),
            "seconds": column.NumberColumn("Seconds", format="%.1f", width="small"),
            "open": column.LinkColumn("Lab", display_text="Open", width="small"),
        },
    )  # fmt: skip
