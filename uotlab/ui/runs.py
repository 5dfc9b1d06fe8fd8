"""This session's runs: a table that keeps itself up to date, and what can be done with the chosen one."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.files import to_json
from uotlab.engine.runner import engine
from uotlab.engine.store import Record
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui.barycenters_link import barycenter_link, learners
from uotlab.ui.compare_link import compare_link
from uotlab.ui.open_lab import lab_link
from uotlab.ui.plain import plain
from uotlab.ui.state import owner, tell, told

ACTIVE = ("queued", "running")
RESUMABLE = ("interrupted", "stopped", "paused", "failed")
REFRESH = 2.0  #: s between two looks at the store while something runs
SHOWN_METRICS = 3
COLORS = {
    "running": "green",
    "queued": "yellow",
    "paused": "yellow",
    "done": "blue",
    "stopped": "gray",
    "failed": "red",
    "interrupted": "orange",
}
SORTS = {
    "Newest": (lambda row: -row.record.created),
    "Name": (lambda row: row.record.name.lower()),
    "Method": (lambda row: (row.method, -row.record.created)),
    "Dataset": (lambda row: (row.dataset, -row.record.created)),
    "Longest": (lambda row: -row.record.seconds),
}


@dataclass(frozen=True)
class Row:
    """One run as the table shows it; `step`, `state` and `metrics` are the live ones where this process trains it."""

    record: Record
    state: str
    step: int
    steps_total: int
    metrics: dict[str, float]

    @property
    def method(self) -> str:
        name = self.record.spec.method
        return METHODS[name].title if name in METHODS else name

    @property
    def dataset(self) -> str:
        name = self.record.spec.dataset or ""
        return DATASETS[name].title if name in DATASETS else name or "arrays"


def rows(token: str) -> list[Row]:
    """All runs of a session, newest first."""
    live = {job.id: job for job in engine().jobs(token)}
    found = []
    for record in engine().runs(token):
        job = live.get(record.id) or record
        found.append(Row(record, job.state, job.step, job.steps_total, dict(job.metrics)))
    return found


def chosen(found: Sequence[Row], words: str, state: str | None, sort: str) -> list[Row]:
    """The rows whose name, method or dataset holds all `words`, of one state or any, in order."""
    wanted = words.lower().split()
    kept = []
    for row in found:
        spec = row.record.spec
        text = " ".join((row.record.name, row.method, row.dataset, spec.method, spec.dataset or "", row.state)).lower()
        if all(w in text for w in wanted) and state in (None, row.state):
            kept.append(row)
    return sorted(kept, key=SORTS[sort])


def metric_text(metrics: dict[str, float]) -> str:
    """The first few metrics in words, losses left out."""
    named = [(k, v) for k, v in metrics.items() if "loss" not in k]
    return " · ".join(f"{k.replace('_', ' ').replace('-', ' ')} {v:.3g}" for k, v in named[:SHOWN_METRICS])


def runs() -> None:
    """The whole page below its title."""
    found = rows(owner())
    sentence = told()
    if sentence:
        st.info(plain(sentence), icon=":material/info:")
    if not found:
        _empty()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Search", key="runs_words", placeholder="name, method or dataset", width=280)
        states = [s for s in COLORS if any(row.state == s for row in found)]
        st.selectbox("State", states, index=None, key="runs_state", placeholder="any", width=150)
        st.selectbox("Sort by", list(SORTS), key="runs_sort", width=150)
    busy = any(row.state in ACTIVE for row in found)
    st.fragment(_table, run_every=REFRESH if busy else None)()


def _empty() -> None:
    with st.container(border=True):
        st.markdown("#### No runs yet")
        st.markdown("Every run that you train in the lab is kept here with its settings, its numbers and its weights.")
        lab_link("Train the first one", {})
        st.caption("Runs belong to this browser's address; open the link that you trained with to see them again.")


def _table() -> None:
    state = st.session_state
    found = rows(owner())
    busy = any(row.state in ACTIVE for row in found)
    if state.get("runs_busy", busy) != busy:
        state["runs_busy"] = busy
        st.rerun()  # the last one ended, or the first began: the page changes its refresh rate
    state["runs_busy"] = busy
    kept = chosen(found, state.get("runs_words", ""), state.get("runs_state"), state.get("runs_sort") or "Newest")
    if not kept:
        st.info("No run matches; change the search or the state above.", icon=":material/search_off:")
        return
    ids = [row.record.id for row in kept]
    key = "runs_" + hashlib.blake2b("".join(ids).encode(), digest_size=6).hexdigest()
    before = [ids.index(state["runs_id"])] if state.get("runs_id") in ids else [0]
    event = st.dataframe(
        [_cells(row) for row in kept],
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": before}},
        hide_index=True,
        column_config=_columns(),
        height="auto" if len(kept) <= 10 else 420,
        alt="Your runs",
    )
    picked = [at for at in event.selection.rows if at < len(kept)]  # type: ignore[union-attr]
    if len(picked) > 1:
        compare_link(f"Compare these {len(picked)} runs", [kept[at].record.id for at in picked])
        return
    row = kept[picked[0]] if picked else None
    if row is None:
        st.caption("Choose a run in the table to open, resume, rename, download or delete it; choose several to compare them.")
        return
    state["runs_id"] = row.record.id
    _detail(row)


def _cells(row: Row) -> dict[str, Any]:
    return {
        "run": row.record.name,
        "state": [row.state],
        "progress": row.step / max(row.steps_total, 1),
        "steps": f"{row.step:,} / {row.steps_total:,}",
        "metrics": metric_text(row.metrics),
        "method": row.method,
        "dataset": row.dataset,
        "created": datetime.fromtimestamp(row.record.created, UTC),
    }


def _columns() -> dict[str, Any]:
    column = st.column_config
    return {
        "run": column.TextColumn("Run", width="medium"),
        "state": column.MultiselectColumn("State", options=list(COLORS), color=list(COLORS.values()), width="small"),
        "progress": column.ProgressColumn("Progress", min_value=0, max_value=1, format="percent", width="small"),
        "steps": column.TextColumn("Steps", width="small"),
        "metrics": column.TextColumn("Metrics", width="medium"),
        "method": column.TextColumn("Method", width="small"),
        "dataset": column.TextColumn("Dataset", width="medium"),
        "created": column.DatetimeColumn("Created", format="distance", width="small"),
    }


def _detail(row: Row) -> None:
    record = row.record
    with st.container(border=True, key="run_detail"):
        st.markdown(f"#### {plain(record.name)}")
        minutes, seconds = divmod(round(record.seconds), 60)
        st.caption(f"{row.method} on {row.dataset} · {row.step:,} of {row.steps_total:,} steps · {minutes} min {seconds} s of training")
        if record.error and row.state == "failed":
            st.error(plain(record.error), icon=":material/error:")
        if row.state == "interrupted":
            st.info("The app ended while this run trained. Resume goes on from its last checkpoint.", icon=":material/restart_alt:")
        with st.container(horizontal=True, vertical_alignment="center"):
            lab_link("Open in the lab", {"job": record.id})
            if record.spec.method in learners():
                barycenter_link("Open in Barycenters", record.id)
            compare_link("Compare", [record.id])
            if row.state in RESUMABLE:
                st.button("Resume", icon=":material/play_arrow:", key=f"resume_{record.id}", on_click=_resume, args=(record.id,))
            _rename(record)
            _downloads(record)
            _delete(record)


def _rename(record: Record) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        st.text_input("Name", record.name, max_chars=200, key=f"name_{record.id}")
        st.button("Save", key=f"rename_{record.id}", on_click=_save_name, args=(record.id,), type="primary")


def _delete(record: Record) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(f"Delete **{plain(record.name)}** with its weights and its history? This cannot be undone.")
        st.button("Delete for good", key=f"delete_{record.id}", on_click=_remove, args=(record.id,), type="primary")


def _downloads(record: Record) -> None:
    with st.popover("Download", icon=":material/download:"):
        stem = "".join(c if c.isalnum() else "-" for c in record.name.lower()).strip("-")[:60] or "run"
        options: dict[str, Any] = {"on_click": "ignore", "width": "stretch"}
        config, history = f"{stem}.json", f"{stem}-history.csv"
        st.download_button(
            "Settings (json)", record.spec.model_dump_json(indent=2), config, "application/json", key=f"config_{record.id}", **options
        )
        if engine().store.checkpoint_path(record.id).exists():
            st.download_button(
                "History (csv)", lambda: engine().store.history_csv(record.id), history, "text/csv", key=f"csv_{record.id}", **options
            )
            st.download_button(
                "Weights (pt)", lambda: weights(record.id), f"{stem}.pt", "application/octet-stream", key=f"pt_{record.id}", **options
            )
            st.caption("Open the weights with `uotlab.Fitted.load`.")
        else:
            st.caption("Weights and history come with the first checkpoint.")
        numbers = to_json(dict(record.metrics), indent=2)
        st.download_button("Metrics (json)", numbers, f"{stem}-metrics.json", "application/json", key=f"metrics_{record.id}", **options)


def weights(run_id: str) -> bytes:
    """The run as a file that `Fitted.load` reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.pt"
        engine().fitted(run_id).save(path)
        return path.read_bytes()


def _resume(run_id: str) -> None:
    _try(lambda: engine().resume_run(run_id, owner()))


def _save_name(run_id: str) -> None:
    _try(lambda: engine().rename(run_id, st.session_state[f"name_{run_id}"], owner()))


def _remove(run_id: str) -> None:
    _try(lambda: engine().delete(run_id, owner()))
    if st.session_state.get("job") == run_id:
        del st.session_state["job"]


def _try(act: Any) -> None:
    try:
        act()
    except InputError as error:
        tell(str(error))
