"""The data page's first part: choose any dataset, see it, count it, take it away as csv."""

import io
from collections.abc import Mapping
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.problem import Measure, Problem
from uotlab.ui.config import preview, problem_of
from uotlab.ui.form import form
from uotlab.ui.live import live
from uotlab.ui.open_lab import open_in_lab
from uotlab.ui.plain import plain
from uotlab.ui.state import start_with
from uotlab.views.base import SOURCE, TARGET
from uotlab.views.style import axis, quiet_layout

OWN = "Your own"  #: the group of datasets that have parts of this page to themselves
CLASSES = 64  #: a label column with more values is not drawn as bars
ROWS = 200_000  #: most rows of a download


def look() -> None:
    """One dataset: its settings on the left, its picture and counts on the right."""
    left, right = st.columns([2, 5], gap="large")
    with left:
        names = [name for name, cls in DATASETS.items() if cls.group != OWN]
        if st.query_params.get("look") in names:
            start_with("look", st.query_params["look"])
        name = st.selectbox("Dataset", names, format_func=lambda k: f"{DATASETS[k].group} · {DATASETS[k].title}", key="look")
        st.query_params["look"] = name
        cls = DATASETS[name]
        st.caption(cls.summary)
        n = st.number_input("Points a side", 2, 1_000_000, cls.default_n, step=500, key=f"look_n_{name}")
        data = form(cls, {}, f"look_{name}", advanced="Shape of the data") if cls.model_fields else {}
        spec = RunSpec(dataset=name, n=None if n == cls.default_n else int(n), data=data)
        open_in_lab("Open in the lab", dataset=name, data=data, n=spec.n)
    with right:
        show(spec, "look")


def show(spec: RunSpec, key: str) -> None:
    """Picture, counts, classes, notes and download of the data of a spec; one sentence where they cannot be made."""
    try:
        with st.spinner("Making the data"):
            problem = problem_of(spec)
            picture = preview(spec)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    apart = problem.space is not None  # points of different spaces have no picture in common but their images
    labelled = any(m.labels for m in problem.marginals) and problem.d > 1 and problem.images is None and not apart
    by_class = labelled and st.toggle("Colour by class", key=f"{key}_by_class")
    view, options = ("barycenter-digits", {}) if apart else ("data", {"color_by": "class" if by_class else "role"})
    live(picture, view, options, key=f"{key}_picture", height=440)
    for note in problem.notes:
        st.info(plain(note), icon=":material/info:")
    _counts(problem)
    _classes(problem, key)
    _downloads(problem, key)


def _counts(problem: Problem) -> None:
    a, b, c, d = st.columns(4)
    a.metric("Source points", f"{problem.source.n:,}")
    b.metric("Target points", f"{problem.target.n:,}")
    c.metric("Columns", ", ".join(dict.fromkeys(f"{m.d:,}" for m in problem.marginals)))
    masses = f"{problem.source.mass:.4g} → {problem.target.mass:.4g}"
    d.metric("Mass", masses, help="Total weight of source and target; unequal masses need at least one side unbalanced")


def class_shares(measure: Measure) -> Mapping[str, float]:
    """Share of the mass, in %, of each value of the first label column; empty without labels or with too many values."""
    if not measure.labels:
        return {}
    column = np.asarray(next(iter(measure.labels.values())))
    values, index = np.unique(column, return_inverse=True)
    if len(values) > CLASSES:
        return {}
    shares = np.bincount(index, weights=measure.weights, minlength=len(values))
    return {str(v): float(s) for v, s in zip(values.tolist(), 100 * shares / shares.sum(), strict=True)}


def _classes(problem: Problem, key: str) -> None:
    shares = {name: class_shares(m) for name, m in (("source", problem.source), ("target", problem.target))}
    if not any(shares.values()):
        return
    names = list(dict.fromkeys(c for found in shares.values() for c in found))
    figure = go.Figure(layout=quiet_layout(axis("class", type="category"), axis("share of the mass (%)"), height=240, bargap=0.25))
    for (side, found), color in zip(shares.items(), (SOURCE, TARGET), strict=True):
        if found:
            figure.add_bar(x=names, y=[found.get(c, 0.0) for c in names], name=side, marker={"color": color, "opacity": 0.85})
    st.markdown("**Classes**")
    st.plotly_chart(figure, key=f"{key}_classes", config={"displayModeBar": False}, alt="Share of each class in source and target")


def _downloads(problem: Problem, key: str) -> None:
    with st.container(horizontal=True):
        for side, measure in (("source", problem.source), ("target", problem.target)):
            st.download_button(
                f"{side.capitalize()} as csv",
                data=partial(table_csv, measure),
                file_name=f"{problem.name}-{side}.csv",
                mime="text/csv",
                icon=":material/download:",
                key=f"{key}_download_{side}",
                on_click="ignore",
            )


def table_csv(measure: Measure) -> str:
    """Points, weights and labels as csv, at most 200000 rows."""
    import pandas as pd

    points = np.asarray(measure.points[: min(measure.n, ROWS)])
    names = list(measure.names) if len(measure.names) == measure.d else [f"x{i + 1}" for i in range(measure.d)]
    frame = pd.DataFrame(points, columns=names)
    if measure.weights is not None:
        frame["weight"] = measure.weights[: len(points)]
    for name, column in measure.labels.items():
        frame[name if name not in frame else f"{name} (label)"] = np.asarray(column)[: len(points)]
    out = io.StringIO()
    frame.to_csv(out, index=False, float_format="%.7g")
    return out.getvalue()
