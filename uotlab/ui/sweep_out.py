"""A sweep to take away: a link, Python, a command, the table as csv."""

import math
import shlex
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from uotlab.engine.files import to_json
from uotlab.engine.sweep.run import Sweep
from uotlab.engine.sweep.spec import SweepSpec, number_text
from uotlab.engine.sweep.table import axes_text, table_of
from uotlab.ui.share import arguments, quoted, word
from uotlab.ui.sweep_state import to_query


def link(spec: SweepSpec, here: str = "") -> str:
    """The page's address with this configuration; without the session's token and without the runs."""
    parts = urlsplit(here)
    return urlunsplit((parts.scheme, parts.netloc, "/sweep", urlencode(to_query(spec)), ""))


def python_code(spec: SweepSpec) -> str:
    """A script that sweeps the same."""
    grid = ", ".join(f"{quoted(axis)}: [{', '.join(_literal(v) for v in values)}]" for axis, values in spec.grid.items())
    methods = f"[{', '.join(quoted(m) for m in spec.methods)}]" if len(spec.methods) > 1 else quoted(spec.methods[0])
    words = [methods, quoted(spec.dataset), f"{{{grid}}}", f"seeds={list(spec.seeds)}"]
    words += [f"steps={spec.steps}"] if spec.steps else []
    words += [f"n={spec.n}"] if spec.n else []
    words += [f"data={{{', '.join(f'{quoted(k)}: {_literal(v)}' for k, v in spec.data.items())}}}"] if spec.data else []
    words += [f"device={quoted(spec.device)}"] if spec.device != "auto" else []
    words += [*arguments(spec.params), "progress=True"]
    imports = "import math\n\nimport uotlab" if "math.inf" in " ".join(words) else "import uotlab"
    return f"{imports}\n\ntable = uotlab.sweep({', '.join(words)})\nprint(table.best())\ntable.frame()\n"


def command(spec: SweepSpec) -> str:
    """A shell command that sweeps the same."""
    words = ["python", "-m", "uotlab", "sweep", ",".join(spec.methods), spec.dataset, "--grid", *axes_text(spec).split(" ")]
    words += ["--seeds", ",".join(map(str, spec.seeds))]
    words += ["--steps", str(spec.steps)] if spec.steps else []
    words += ["--n", str(spec.n)] if spec.n else []
    words += ["--device", spec.device] if spec.device != "auto" else []
    for option, values in (("--set", spec.params), ("--data", spec.data)):
        for key, value in values.items():
            words += [option, f"{key}={word(value)}"]
    return shlex.join([*words, "--out", f"runs/sweep-{spec.dataset}"])


def _literal(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return "math.inf"
    return quoted(value) if isinstance(value, str) else number_text(value).title() if isinstance(value, bool) else repr(value)


def share(spec: SweepSpec) -> None:
    """The popover with all three."""
    with st.popover("Share", icon=":material/ios_share:"):
        st.caption("A link to these settings")
        st.code(link(spec, st.context.url or ""), language=None, wrap_lines=True)
        st.caption("The same in Python")
        st.code(python_code(spec), language="python", wrap_lines=True)
        st.caption("The same on the command line")
        st.code(command(spec), language="bash", wrap_lines=True)


def download(sweep: Sweep) -> None:
    """The popover with the files."""
    with st.popover("Download", icon=":material/download:"):
        options: dict[str, Any] = {"on_click": "ignore", "width": "stretch"}
        stem = f"sweep-{sweep.spec.dataset}"
        st.download_button("All runs (csv)", partial(_csv, sweep), f"{stem}.csv", "text/csv", key="sweep_csv", **options)
        settings = to_json(sweep.spec.model_dump(), indent=2)
        st.download_button("Settings (json)", settings, f"{stem}.json", "application/json", key="sweep_json", **options)
        st.caption("The picture itself: the two buttons at its upper right.")


def _csv(sweep: Sweep) -> str:
    return table_of(sweep.id, sweep.spec, sweep.rows()).csv()
