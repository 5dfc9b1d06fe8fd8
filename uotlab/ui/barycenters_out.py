"""A barycenter to take away: csv, npz, Python that runs, a command that runs, a link."""

import json
import math
import shlex
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from uotlab.plans.barycenters.result import BarycenterResult
from uotlab.ui.barycenters_state import CLOUD, POINTS, Setup, measures_of, to_query


def python_code(setup: Setup) -> str:
    """A script that computes the same barycenter."""
    texts = "[" + ", ".join(json.dumps(m) for m in setup.measures) + "]"
    settings = "".join(f", {k}={_literal(v)}" for k, v in setup.settings.items())
    weights = "[" + ", ".join(f"{w:.6g}" for w in setup.weights) + "]"
    if setup.kind == "densities":
        made = f"x = line({POINTS})\nmeasures = [density_from_text(t).on(x) for t in {texts}]"
        names, support = "density_from_text, line", ", support=x"
    elif setup.kind == "clouds":
        made = f"measures = [cloud_from_text(t, {CLOUD}, {setup.seed} + k) for k, t in enumerate({texts})]"
        names, support = "cloud_from_text", ""
    else:
        made = f"measures = [image_from_text(t, {setup.seed}, moved={setup.moved}) for t in {texts}]"
        names, support = "image_from_text", ""
    first = "import math\n\n" if "math.inf" in settings else ""
    return (
        f"{first}import uotlab\nfrom uotlab.data.densities import {names}\n\n{made}\n"
        f'found = uotlab.barycenter("{setup.method}", measures, weights={weights}{support}{settings})\n'
        "print(found.value, found.sharpness, found.q)\n"
    )


def command(setup: Setup) -> str:
    """A shell command that computes the same barycenter."""
    words = ["python", "-m", "uotlab", "barycenter", setup.method, f"--{setup.kind}", *setup.measures]
    words += ["--weights", *(f"{w:.6g}" for w in setup.weights)]
    words += ["--points", str(POINTS)] if setup.kind == "densities" else ["--points", str(CLOUD)] if setup.kind == "clouds" else []
    words += ["--seed", str(setup.seed)] if setup.seed else []
    words += ["--centred"] if setup.kind == "images" and not setup.moved else []
    if setup.settings:
        words += ["--set", *(f"{k}={_word(v)}" for k, v in setup.settings.items())]
    return shlex.join([*words, "--out", f"barycenters/{setup.method}"])


def link(setup: Setup, here: str = "") -> str:
    """The page's address with this setup; without the session's token."""
    parts = urlsplit(here)
    return urlunsplit((parts.scheme, parts.netloc, "/barycenters", urlencode(to_query(setup)), ""))


def take_away(result: BarycenterResult | None, setup: Setup) -> None:
    """The popovers with everything there is to take."""
    with st.container(horizontal=True, key="b-out"):
        if result is not None:
            name = f"barycenter-{setup.kind}-{setup.method}"
            st.download_button("csv", result.csv, f"{name}.csv", "text/csv", icon=":material/download:", key="b_csv", on_click="ignore")
            st.download_button(
                "npz", lambda: result.npz(measures_of(setup)[0]), f"{name}.npz", "application/octet-stream",
                icon=":material/download:", key="b_npz", on_click="ignore",
                help="numpy arrays: support, q, weights and the measures",
            )  # fmt: skip
        with st.popover("Share", icon=":material/ios_share:"):
            st.caption("A link to these settings")
            st.code(link(setup, st.context.url or ""), language=None, wrap_lines=True)
            if setup.kind != "rows":
                st.caption("The same in Python")
                st.code(python_code(setup), language="python", wrap_lines=True)
                st.caption("The same on the command line")
                st.code(command(setup), language="bash", wrap_lines=True)


def _literal(value: Any) -> str:
    if isinstance(value, str) and value.lower().strip("+") in ("inf", "infinity"):
        return "math.inf"
    return "math.inf" if isinstance(value, float) and math.isinf(value) else json.dumps(value) if isinstance(value, str) else repr(value)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "inf" if _literal(value) == "math.inf" else str(value)
