"""A configuration to take away: a link, Python that runs, a command that runs."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from uotlab.engine.spec import RunSpec
from uotlab.ui.barycenters_link import learners
from uotlab.ui.state import to_query


def link(spec: RunSpec, here: str = "") -> str:
    """The lab's address with this configuration; without the session's token and without the job."""
    parts = urlsplit(here)
    return urlunsplit((parts.scheme, parts.netloc, "/", urlencode(to_query(spec)), ""))


def python_code(spec: RunSpec) -> str:
    """A script that trains the same run."""
    data, params = dict(spec.data), dict(spec.params)
    seed = data.pop("seed", 0)
    load = [quoted(spec.dataset), *([f"n={spec.n}"] if spec.n else []), f"seed={seed}", *arguments(data)]
    fit = [quoted(spec.method), "problem", *([f"steps={spec.steps}"] if spec.steps else []), f"seed={spec.seed}"]
    fit += ([f"device={quoted(spec.device)}"] if spec.device != "auto" else []) + arguments(params)
    last = "mapped = fitted.transport(problem.source.points)"
    if spec.method in learners():
        last = "samples = fitted.sample_barycenter(2000)"
    imports = "import math\n\nimport uotlab" if "math.inf" in " ".join(fit + load) else "import uotlab"
    return (
        f"{imports}\n\nproblem = uotlab.load({', '.join(load)})\nfitted = uotlab.fit({', '.join(fit)})\nprint(fitted.evaluate())\n{last}\n"
    )


def command(spec: RunSpec) -> str:
    """A shell command that trains the same run."""
    words = ["python", "-m", "uotlab", "run", spec.method, str(spec.dataset)]
    words += ["--n", str(spec.n)] if spec.n else []
    words += ["--steps", str(spec.steps)] if spec.steps else []
    words += ["--seed", str(spec.seed)]
    words += ["--device", spec.device] if spec.device != "auto" else []
    for option, values in (("--set", spec.params), ("--data", spec.data)):
        for key, value in values.items():
            words += [option, f"{key}={word(value)}"]
    return shlex.join([*words, "--out", f"runs/{spec.method}-{spec.dataset}"])


def share(spec: RunSpec) -> None:
    """The popover with all three."""
    with st.popover("Share", icon=":material/ios_share:"):
        st.caption("A link to these settings")
        st.code(link(spec, st.context.url or ""), language=None, wrap_lines=True)
        st.caption("The same in Python")
        st.code(python_code(spec), language="python", wrap_lines=True)
        st.caption("The same on the command line")
        st.code(command(spec), language="bash", wrap_lines=True)


def arguments(values: Mapping[str, Any]) -> list[str]:
    """Keyword arguments as Python source."""
    strange = {k: v for k, v in values.items() if not k.isidentifier()}
    plain = [f"{k}={_literal(v)}" for k, v in values.items() if k not in strange]
    return plain + ([f"**{strange!r}"] if strange else [])


def _literal(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return "math.inf"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: Any) -> str:
    """A string literal."""
    return json.dumps(str(text), ensure_ascii=False)


def word(value: Any) -> str:
    """A value as the command line reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "inf" if isinstance(value, float) and math.isinf(value) else str(value)
