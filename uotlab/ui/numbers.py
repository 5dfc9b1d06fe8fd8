"""The numbers of a run that has come to rest, as a table beneath the curves; its final scores follow a few seconds after its end."""

import math

import streamlit as st

from uotlab.engine.final import SCORING
from uotlab.engine.job import Job
from uotlab.metrics.titles import title_of

LOOK_SECONDS = 1.5
RESTING = ("done", "stopped", "paused")


def numbers(job: Job) -> None:
    """All metrics by name, and the table to download; looks again by itself while the final scores are being computed."""
    if job.state not in RESTING:
        return
    waiting = job.notes.get("final") == SCORING
    st.fragment(_table, run_every=LOOK_SECONDS if waiting else None)(job.id, waiting)


def _table(job_id: str, waiting: bool) -> None:
    from uotlab.engine.runner import engine

    job = engine().job(job_id)
    if job is None:
        return
    if waiting and job.notes.get("final") != SCORING:
        st.rerun()  # they are there: the page need not look again
    shown = {name: value for name, value in job.metrics.items() if math.isfinite(value)}
    rows = {"metric": [title_of(name) for name in shown], "value": [f"{value:.4g}" for value in shown.values()]}
    with st.expander(f"All {len(shown)} numbers", key="all-numbers"):
        st.dataframe(rows, hide_index=True, width=420, height="content")
