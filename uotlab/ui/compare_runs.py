"""The runs that are compared: which, in which colours, their settings where they differ, and their numbers."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.begin import make_method
from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.engine.sweep.cell import COUNTS
from uotlab.engine.sweep.spec import number_text
from uotlab.engine.sweep.summary import better_end
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS
from uotlab.metrics.titles import owner_of
from uotlab.ui.state import tell
from uotlab.views.style import class_color

MOST = 12  #: runs that are compared at a time


@dataclass(frozen=True)
class Compared:
    """One run of the comparison; `color` is its number in the palette, the same in every picture."""

    job: Job
    color: int
    name: str

    @property
    def swatch(self) -> str:
        """A dot in the run's colour, as the address of an image."""
        dot = f"<circle cx='12' cy='12' r='8' fill='{class_color(self.color)}'/>"
        svg = f"<svg xmlns='http://www.w3.org/2000/svg' width='24' height='24'>{dot}</svg>"
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def compared(ids: Sequence[str]) -> list[Compared]:
    """The runs of these ids in order; ids that are no run are told once and left out."""
    found: list[Compared] = []
    lost = 0
    for name in dict.fromkeys(ids):
        job = engine().job(name)
        if job is None:
            lost += 1
        elif len(found) < MOST:
            found.append(Compared(job, len(found), job.name.removeprefix("Sweep: ")))
    if lost:
        tell(f"{lost} of the runs in the address {'is' if lost == 1 else 'are'} not here any more; the others are shown.")
    if len(dict.fromkeys(ids)) - lost > MOST:
        tell(f"At most {MOST} runs are compared at a time; the first {MOST} are shown.")
    names = [c.name for c in found]
    return [Compared(c.job, c.color, c.name if names.count(c.name) == 1 else f"{c.name} ({c.color + 1})") for c in found]


def settings(spec: RunSpec) -> dict[str, str]:
    """Every setting of a run in words, defaults filled in, so that equal runs read equally."""
    cls = DATASETS[spec.dataset] if spec.dataset is not None and spec.dataset in DATASETS else None
    words: dict[str, Any] = {"method": METHODS[spec.method].title if spec.method in METHODS else spec.method}
    words |= {"dataset": cls.title if cls is not None else spec.dataset or "arrays", "n": spec.n or (cls.default_n if cls else None)}
    try:
        method = make_method(spec.method, spec.params)
    except InputError:  # of another version
        words |= {"steps": spec.steps, **spec.params}
    else:
        words |= {"steps": spec.steps or method.default_steps, **method.model_dump()}
    words |= {"seed": spec.seed, "device": spec.device}
    words |= {f"data: {k}": v for k, v in spec.data.items()}
    return {k.replace("_", " "): number_text(v) for k, v in words.items() if v is not None}


def different(runs: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the settings that are not the same in all runs, in order."""
    names = dict.fromkeys(name for run in runs for name in run)
    return [name for name in names if len({run.get(name) for run in runs}) > 1]


def numbers(runs: Sequence[Compared]) -> list[str]:
    """Names of all metrics of the runs: those of the registry in its order, then losses."""
    order = {key: place for place, key in enumerate(METRICS)}
    names = [name for name in dict.fromkeys(name for run in runs for name in run.job.metrics) if name not in COUNTS]
    return sorted(names, key=lambda name: (order.get(owner_of(name) or "", len(order)), names.index(name)))


def curve_names(runs: Sequence[Compared]) -> list[str]:
    """Names of what any of the runs has recorded over its steps: losses, then metrics."""
    names = dict.fromkeys(name for run in runs for name in run.job.history.columns)
    return sorted(names, key=lambda name: ("loss" not in name, list(names).index(name)))


def telling_curve(runs: Sequence[Compared]) -> str:
    """The curve that says most of these runs together: one that all have, with a good end if there is any."""

    def rank(name: str) -> tuple[int, bool]:
        return -sum(name in run.job.history.columns for run in runs), better_end(name) == "neither"

    return min(curve_names(runs), key=rank)


def table_csv(runs: Sequence[Compared]) -> str:
    """One row a run: name, state, steps, seconds, all settings, all numbers."""
    words = [settings(run.job.spec) for run in runs]
    keys, names = list(dict.fromkeys(k for w in words for k in w)), numbers(runs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "id", "state", "step", "seconds", *keys, *names])
    for run, w in zip(runs, words, strict=True):
        job = run.job
        values = [f"{job.metrics[n]:.9g}" if n in job.metrics else "" for n in names]
        writer.writerow([run.name, job.id, job.state, job.step, f"{job.seconds:.3f}", *(w.get(k, "") for k in keys), *values])
    return text.getvalue()


def curves_csv(runs: Sequence[Compared]) -> str:
    """All that was recorded over the steps: run, step, name, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "step", "name", "value"])
    for run in runs:
        held = run.job.history.arrays()
        for name, values in held.items():
            if name != "step":
                writer.writerows([run.name, int(s), name, f"{v:.9g}"] for s, v in zip(held["step"], values) if v == v)
    return text.getvalue()


def chosen_ids() -> list[str]:
    """The ids in the address, else those of this session."""
    words = st.query_params.get("runs")
    ids = words.split(",") if words is not None else st.session_state.get("compare_runs", [])
    return [name for name in ids if name]


def remember(ids: Sequence[str]) -> None:
    """This session compares these runs, and the address says so."""
    st.session_state["compare_runs"] = list(ids)
    wanted = ",".join(ids)
    if wanted and st.query_params.get("runs") != wanted:
        st.query_params["runs"] = wanted
    elif not wanted and "runs" in st.query_params:
        del st.query_params["runs"]
