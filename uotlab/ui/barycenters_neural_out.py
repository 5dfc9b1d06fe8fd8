"""A learned barycenter to take away: a link, Python, a command; samples as csv, weights, settings."""

import io
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import numpy as np
import streamlit as st

from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.ui import barycenters_neural_state as kept
from uotlab.ui.plain import plain
from uotlab.ui.runs import weights
from uotlab.ui.share import command, python_code

SAMPLES = 2000


def link(spec: RunSpec, here: str = "") -> str:
    """The page's address with these settings; without the session's token and without the runs."""
    parts = urlsplit(here)
    return urlunsplit((parts.scheme, parts.netloc, "/barycenters", urlencode(kept.to_query(spec)), ""))


def share(spec: RunSpec) -> None:
    """The popover with link, Python and command."""
    with st.popover("Share", icon=":material/ios_share:"):
        st.caption("A link to these settings")
        st.code(link(spec, st.context.url or ""), language=None, wrap_lines=True)
        st.caption("The same in Python")
        st.code(python_code(spec), language="python", wrap_lines=True)
        st.caption("The same on the command line")
        st.code(command(spec), language="bash", wrap_lines=True)


def samples_csv(run_id: str, n: int = SAMPLES) -> str:
    """n samples of a run's barycenter, a row each, by its last checkpoint."""
    points = np.asarray(engine().fitted(run_id).sample_barycenter(n))
    text = io.StringIO()
    np.savetxt(text, points, "%.7g", ",", header=",".join(f"x{i + 1}" for i in range(points.shape[1])), comments="")
    return text.getvalue()


def download(jobs: Sequence[Job]) -> None:
    """The popover with files of every run that has a checkpoint."""
    ready = [job for job in jobs if engine().store.checkpoint_path(job.id).exists()]
    if not ready:
        return
    with st.popover("Download", icon=":material/download:"):
        options: dict[str, Any] = {"on_click": "ignore", "width": "stretch"}
        for job in ready:
            stem = "".join(c if c.isascii() and c.isalnum() else "-" for c in job.name.lower()).strip("-")[:50] or "barycenter"
            st.caption(f"**{plain(job.name)}**")
            st.download_button(
                f"{SAMPLES:,} samples (csv)",
                partial(samples_csv, job.id),
                f"{stem}-samples.csv",
                "text/csv",
                key=f"bn_csv_{job.id}",
                **options,
            )
            st.download_button(
                "Weights (pt)", partial(weights, job.id), f"{stem}.pt", "application/octet-stream", key=f"bn_pt_{job.id}", **options
            )
            st.download_button(
                "Settings (json)",
                job.spec.model_dump_json(indent=2),
                f"{stem}.json",
                "application/json",
                key=f"bn_json_{job.id}",
                **options,
            )
        st.caption("As the last checkpoint left them. Open the weights with `uotlab.Fitted.load`.")
