"""A plan to take away: a link, Python, a command, its strongest pairs as csv, and all of it as npz."""

import csv
import io
import shlex
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import numpy as np
import streamlit as st

from uotlab.plans.base import Plan
from uotlab.ui.plans_bench import Bench
from uotlab.ui.plans_spec import PlanSpec, to_query
from uotlab.ui.share import arguments, quoted, word
from uotlab.views.plan_parts import strongest

PAIRS = 10_000  #: most rows of the csv


def link(spec: PlanSpec, view: str, here: str = "") -> str:
    """The page's address with this configuration; without the session's token."""
    parts = urlsplit(here)
    query = to_query(spec) | ({"view": view} if view else {})
    return urlunsplit((parts.scheme, parts.netloc, "/plans", urlencode(query), ""))


def python_code(spec: PlanSpec) -> str:
    """A script that solves the same."""
    data = dict(spec.data)
    seed = data.pop("seed", 0)
    load = [quoted(spec.dataset), f"n={spec.n}", f"seed={seed}", *arguments(data)]
    solve = [quoted(spec.solver), "problem", *arguments(spec.params)]
    imports = "import math\n\nimport uotlab" if "math.inf" in " ".join(solve + load) else "import uotlab"
    return (
        f"{imports}\n\nproblem = uotlab.load({', '.join(load)})\n"
        f"plan = uotlab.plan({', '.join(solve)})\n"
        "print(plan.mass, plan.value, plan.certificate)\n"
        "mapped = plan.barycentric_map()\n"
    )


def command(spec: PlanSpec) -> str:
    """A shell command that solves the same."""
    words = ["python", "-m", "uotlab", "plan", spec.solver, spec.dataset, "--n", str(spec.n)]
    for option, values in (("--set", spec.params), ("--data", spec.data)):
        for key, value in values.items():
            words += [option, f"{key}={'none' if value is None else word(value)}"]
    return shlex.join(words)


def pairs_csv(plan: Plan, most: int = PAIRS) -> str:
    """The strongest pairs: numbers and coordinates of both points, and the mass that moves, largest first."""
    P, x, y = (np.asarray(values) for values in (plan.P, plan.x, plan.y))
    rows, columns, mass = (values[::-1] for values in strongest(P, most))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    d = x.shape[1]
    writer.writerow(["i", "j", *(f"x{k + 1}" for k in range(d)), *(f"y{k + 1}" for k in range(d)), "mass"])
    for i, j, m in zip(rows, columns, mass, strict=True):
        if m <= 0:
            break
        writer.writerow([i, j, *(f"{v:.7g}" for v in (*x[i], *y[j])), f"{m:.7g}"])
    return text.getvalue()


def npz(plan: Plan) -> bytes:
    """P, x, y, a, b, f and g in one file that `numpy.load` reads."""
    arrays = {name: np.asarray(value) for name in ("P", "x", "y", "a", "b", "f", "g") if (value := getattr(plan, name)) is not None}
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def take_away(spec: PlanSpec, at: Bench) -> None:
    """The popovers Share and Download."""
    with st.popover("Share", icon=":material/ios_share:"):
        st.caption("A link to these settings")
        st.code(link(spec, st.query_params.get("view", ""), st.context.url or ""), language=None, wrap_lines=True)
        st.caption("The same in Python")
        st.code(python_code(spec), language="python", wrap_lines=True)
        st.caption("The same on the command line")
        st.code(command(spec), language="bash", wrap_lines=True)
    if at.plan is None:
        return
    with st.popover("Download", icon=":material/download:"):
        stem = f"plan-{spec.dataset}-{spec.solver}"
        options: dict[str, Any] = {"on_click": "ignore", "width": "stretch"}
        st.download_button("Strongest pairs (csv)", partial(pairs_csv, at.plan), f"{stem}.csv", "text/csv", key="plans_csv", **options)
        st.download_button(
            "Plan, points, potentials (npz)", partial(npz, at.plan), f"{stem}.npz", "application/octet-stream", key="plans_npz", **options
        )
        st.caption("The picture itself: the two buttons at its upper right.")
