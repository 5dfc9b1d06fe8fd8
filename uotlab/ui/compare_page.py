"""The comparison: a menu of runs, one table, one plot of curves, and the maps side by side; one colour a run everywhere."""

import hashlib
import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from uotlab.engine.runner import engine
from uotlab.engine.store import Record
from uotlab.engine.sweep.summary import better_end
from uotlab.metrics.titles import title_of
from uotlab.ui import compare_runs as kept
from uotlab.ui.compare_runs import (
    MOST,
    Compared,
    compared,
    curve_names,
    curves_csv,
    different,
    numbers,
    settings,
    table_csv,
    telling_curve,
)
from uotlab.ui.compare_source import ACTIVE, CurvesPicture, MapsPicture, SidePicture, shown_of, views_for, waits
from uotlab.ui.live import live
from uotlab.ui.open_lab import lab_link
from uotlab.ui.panel import view_options
from uotlab.ui.plain import plain
from uotlab.ui.runs import COLORS
from uotlab.ui.sources import gather
from uotlab.ui.state import owner, told
from uotlab.views.base import VIEWS
from uotlab.views.compare_maps import columns_of

OPENING = 2.5  #: s that the page waits for pictures of stored runs
REFRESH = 2.0  #: s between two looks at the numbers while something trains
MAPS = "compare-maps"
PANEL = {1: 480, 2: 460, 3: 400}  #: height of the maps by panels in a row, px


def show() -> None:
    """The whole page below its title."""
    runs = compared(kept.chosen_ids())
    known = [run.job.id for run in runs]
    kept.remember(known)
    _menu(known)
    sentence = told()
    if sentence:
        st.warning(plain(sentence), icon=":material/info:")
    if not runs:
        _empty()
        return
    _wait(runs)
    busy = any(run.job.state in ACTIVE or waits(run) for run in runs)
    # what this page is drawn for; the tables ask for the page anew when it has changed
    st.session_state["compare_seen"], st.session_state["compare_drawing"] = _seen(runs), True
    _out(runs)
    st.fragment(_table, run_every=REFRESH if busy else None)([run.job.id for run in runs])
    _curves(runs)
    _pictures(runs)


def _wait(runs: Sequence[Compared]) -> None:
    """Give stored runs a moment to be opened, so that their curves and maps are there at once."""
    end = time.monotonic() + OPENING
    while any(waits(run) and run.job.state not in ACTIVE for run in runs) and time.monotonic() < end:
        time.sleep(0.05)


def _menu(known: Sequence[str]) -> None:
    """The choice of runs: this session's, and those of the address."""
    mine = {record.id: record for record in engine().runs(owner())}
    options = list(dict.fromkeys([*known, *mine]))
    if not options:
        return

    labels = unique([_words(mine.get(name) or engine().store.get(name), name) for name in options])
    shown = dict(zip(options, labels, strict=True))

    def picked() -> None:
        kept.remember(st.session_state["c.runs"])

    st.session_state["c.runs"] = list(known)  # the address says which; the menu follows it
    st.multiselect(
        "Runs", options, key="c.runs", format_func=shown.__getitem__, max_selections=MOST, placeholder="Choose runs to compare",
        label_visibility="collapsed", on_change=picked,
    )  # fmt: skip


def _words(record: Record | None, name: str) -> str:
    return f"{record.name} · {record.state}" if record is not None else name[:8]


def unique(labels: Sequence[str]) -> list[str]:
    """Labels with a number behind those that come again: a menu takes runs that read the same for one."""
    found: list[str] = []
    for label in labels:
        again, most = label, 1
        while again in found:
            most += 1
            again = f"{label} ({most})"
        found.append(again)
    return found


def _empty() -> None:
    with st.container(border=True):
        st.markdown("#### Nothing to compare yet")
        if engine().runs(owner()):
            st.markdown("Choose two or more runs above. Runs that still train keep updating here.")
        else:
            st.markdown("Train two runs in the lab, such as a balanced and an unbalanced one on the same data, then choose them here.")
        lab_link("Train a run", {})
        st.caption("You can also choose several runs in the table under Runs, or sweep a setting under Sweep.")


def _out(runs: Sequence[Compared]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Share", icon=":material/ios_share:"):
            here = (st.context.url or "").split("?")[0].removesuffix("/compare").rstrip("/")
            st.caption("A link to this comparison; whoever has it can open these runs")
            st.code(f"{here}/compare?runs={','.join(run.job.id for run in runs)}", language=None, wrap_lines=True)
        with st.popover("Download", icon=":material/download:"):
            options: dict[str, Any] = {"on_click": "ignore", "width": "stretch"}
            st.download_button("Settings and metrics (csv)", partial(table_csv, runs), "runs.csv", "text/csv", key="compare_csv", **options)
            st.download_button("All curves (csv)", partial(curves_csv, runs), "curves.csv", "text/csv", key="compare_curves", **options)
            st.caption("The pictures themselves: the two buttons at their upper right.")
        st.toggle("All settings", key="compare_all", help="Otherwise only the settings in which the runs differ")


def _seen(runs: Sequence[Compared]) -> str:
    """What the page's menus and refresh depend on."""
    return f"{[run.job.state in ACTIVE or waits(run) for run in runs]} {len(curve_names(runs))}"


def _table(ids: list[str]) -> None:
    """Two tables with one row a run: settings, and numbers."""
    runs = compared(ids)
    words = [settings(run.job.spec) for run in runs]
    all_names = list(dict.fromkeys(name for w in words for name in w))
    shown = all_names if st.session_state.get("compare_all") else different(words)
    column = st.column_config
    common = {"color": column.ImageColumn("", width=40, pinned=True), "run": column.TextColumn("Run", width="medium", pinned=True)}
    rows = []
    for run, w in zip(runs, words, strict=True):
        job = run.job
        row: dict[str, Any] = {"color": run.swatch, "run": run.name, "state": [job.state], "steps": f"{job.step:,} / {job.steps_total:,}"}
        rows.append(row | {f"s {name}": w.get(name, "–") for name in shown} | {"open": f"/?job={job.id}"})
    st.dataframe(
        rows, hide_index=True, alt="The compared runs and their settings",
        column_config=common | {
            "state": column.MultiselectColumn("State", options=list(COLORS), color=list(COLORS.values()), width="small"),
            "steps": column.TextColumn("Steps", width="small"),
            **{f"s {name}": column.TextColumn(name) for name in shown},
            "open": column.LinkColumn("Lab", display_text="Open", width="small"),
        },
    )  # fmt: skip
    if len(runs) > 1 and not shown:
        st.caption("These runs have the same settings.")
    names = numbers(runs)
    if names:
        signs = {"lower": " ↓", "higher": " ↑", "neither": ""}
        st.dataframe(
            [{"color": run.swatch, "run": run.name, **{name: run.job.metrics.get(name) for name in names}} for run in runs],
            hide_index=True, alt="The numbers of the compared runs",
            column_config=common | {n: column.NumberColumn(title_of(n) + signs[better_end(n)], format="%.4g") for n in names},
        )  # fmt: skip
        st.caption(
            "↓ lower is better, ↑ higher is better. Finished runs are scored on fresh points, runs under way on a part of their own."
        )
    for run in runs:
        if run.job.state == "failed" and run.job.error:
            st.error(f"{plain(run.name)}: {plain(run.job.error)}")
    drawing = st.session_state.pop("compare_drawing", False)  # not while the page itself is drawn: its new widgets would be lost
    if not drawing and _seen(runs) != st.session_state.get("compare_seen"):
        st.rerun()  # a run began or ended, or there are new curves


def _key(runs: Sequence[Compared], *more: str) -> str:
    text = " ".join([owner(), *(run.job.id for run in runs), *(run.name for run in runs), *more])
    return f"compare {hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def _curves(runs: Sequence[Compared]) -> None:
    """One loss or metric of all runs."""
    names = curve_names(runs)
    st.subheader("Curves")
    if not names:
        st.caption("Curves appear with the first steps of a run.")
        return
    if st.session_state.get("compare_curve") not in names:
        st.session_state["compare_curve"] = telling_curve(runs)
    curve = st.selectbox("Curve", names, key="compare_curve", format_func=title_of, width=320, label_visibility="collapsed")
    options = view_options("compare-curves", {}, key="curve-options")
    id = gather(_key(runs, "curve", curve), lambda: CurvesPicture(runs, curve))
    live(id, "compare-curves", options, key="compare-live-curves", height=420, state="still", views=("compare-curves",))
    without = [run.name for run in runs if curve not in run.job.history.columns]
    if without:
        st.caption(f"Not recorded by {plain(', '.join(without))}.")


def _pictures(runs: Sequence[Compared]) -> None:
    """The maps side by side, or any other picture that the runs have."""
    st.subheader("Pictures")
    views = [MAPS, *views_for(runs)]
    if st.session_state.get("compare_view") not in views:
        st.session_state["compare_view"] = st.query_params.get("view") if st.query_params.get("view") in views else views[0]
    view = st.selectbox(
        "Picture", views, key="compare_view", format_func=_view_title, width=320, label_visibility="collapsed", on_change=_remember_view
    )  # fmt: skip
    if view == MAPS:
        _maps(runs)
    else:
        side_by_side(runs, view, "compare-live-pictures")


def _view_title(name: str) -> str:
    return "Maps, one colour a run" if name == MAPS else VIEWS[name].title


def _remember_view() -> None:
    st.query_params["view"] = st.session_state["compare_view"]


def side_by_side(runs: Sequence[Compared], view: str, key: str, height: int | None = None, *, columns: int = 0, menus: bool = True) -> None:
    """One picture of every run in panels with linked zoom.

    Args:
        columns: panels in a row; 0 is as many as suit.
        menus: whether to show the picture's options; without them they are as a picture with menus has left them.
    """
    count = sum(run.job.snapshot is None or VIEWS[view]().applies(shown_of(run)) for run in runs)
    first = next((arrays for run in runs if VIEWS[view]().applies(arrays := shown_of(run))), {})
    options = view_options(view, first, key=f"{key}-options") if menus else st.session_state.get(f"options {view}", {})
    st.session_state[f"options {view}"] = options
    picture = gather(_key(runs, view, json.dumps(options), str(columns)), lambda: SidePicture(runs, view, options, columns))
    live(picture, "compare-pictures", key=key, height=height or _height(count), state="still", views=("compare-pictures",))
    if menus:
        st.caption(VIEWS[view].summary)


def _maps(runs: Sequence[Compared]) -> None:
    """The maps, each in its run's colour."""
    count = sum(run.job.snapshot is None or "Tx" in run.job.snapshot.arrays for run in runs)
    options = view_options("compare-maps", {}, key="map-options")
    id = gather(_key(runs, "maps"), lambda: MapsPicture(runs))
    live(id, "compare-maps", options, key="compare-live-maps", height=_height(count), state="still", views=("compare-maps",))
    st.caption(VIEWS["compare-maps"].summary)


def _height(count: int) -> int:
    """Of so many panels, px."""
    columns = columns_of(count)
    return PANEL.get(columns, 330) * max(1, -(-count // columns)) if columns > 1 else PANEL[1]
