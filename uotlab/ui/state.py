"""The lab's configuration: a RunSpec in the session and in the address. Widgets start from it and write back to it."""

import math
import re
import secrets
from collections.abc import Mapping
from typing import Any

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.engine.begin import check_spec
from uotlab.engine.spec import Number, RunSpec
from uotlab.errors import InputError, did_you_mean
from uotlab.methods.base import METHODS
from uotlab.parameters import make_model, value_of_text
from uotlab.recipes.base import RECIPES

RECIPE: RunSpec = RECIPES["moons-to-spiral"].run  #: what the lab opens with
OWNER = re.compile(r"[A-Za-z0-9_-]{16,64}")
PLAIN = ("method", "data", "n", "steps", "seed", "device")  #: query keys beside "p.<hyper-parameter>" and "d.<data field>"
OURS = ("job", "view", "section", "me")  #: query keys of the page that are no part of the configuration
PREFIXES = ("w.", "m.", "d.", "rho")  #: keys of the configuration's widgets in the session


def owner() -> str:
    """This browser's unguessable token: from the address, else the session, else new; kept in both."""
    token = st.query_params.get("me", "")
    if not OWNER.fullmatch(token):
        token = st.session_state.get("owner") or secrets.token_urlsafe(16)
    st.session_state["owner"] = token
    if st.query_params.get("me") != token:
        st.query_params["me"] = token
    return token


def current() -> RunSpec:
    """The configuration now: from the address when that was opened or changed by hand, else as the widgets left it."""
    query = _config(st.query_params.to_dict())
    if "spec" not in st.session_state or (query and query != st.session_state.get("query")):
        spec, sentence = from_query(query)
        replace(spec)
        if sentence:
            tell(sentence)
    return RunSpec.model_validate_json(st.session_state["spec"])


def put(spec: RunSpec) -> None:
    """Make `spec` the configuration, in the session and in the address."""
    st.session_state["spec"] = spec.model_dump_json()
    wanted, held = to_query(spec), st.query_params.to_dict()
    st.session_state["query"] = wanted
    if wanted != _config(held):
        # one assignment, so that the address changes once
        st.query_params.from_dict({k: v for k, v in held.items() if k not in _config(held)} | wanted)


def replace(spec: RunSpec) -> None:
    """As `put`, and let the widgets start anew from it."""
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(PREFIXES)]:
        del st.session_state[key]
    put(spec)


def tell(sentence: str) -> None:
    """Keep a sentence to be shown at the next chance."""
    st.session_state["sentence"] = sentence


def told() -> str | None:
    """The kept sentence, once."""
    return st.session_state.pop("sentence", None)


def start_with(key: str, value: Any) -> None:
    """A widget's first value; what a person has set since stays."""
    if key not in st.session_state:
        st.session_state[key] = value


# ---- the address ---------------------------------------------------------------------------------
def to_query(spec: RunSpec) -> dict[str, str]:
    """The spec as short query parameters."""
    query = {"method": spec.method, "data": spec.dataset or ""}
    query |= {k: str(v) for k in ("n", "steps") if (v := getattr(spec, k)) is not None}
    if spec.seed:
        query["seed"] = str(spec.seed)
    if spec.device != "auto":
        query["device"] = spec.device
    query |= {f"d.{k}": _text(v) for k, v in spec.data.items()}
    return query | {f"p.{k}": _text(v) for k, v in spec.params.items()}


def from_query(query: Mapping[str, str], first: RunSpec = RECIPE) -> tuple[RunSpec, str | None]:
    """The spec in an address, and a sentence about what in it made no sense (`first` then stands in)."""
    query = _config(query)
    if not query:
        return first, None
    try:
        strange = [k for k in query if k not in PLAIN and not (k.startswith(("p.", "d.")) and len(k) > 2)]
        if strange:
            raise InputError(f"There is no setting '{strange[0][:40]}'. {did_you_mean(strange[0], PLAIN)}")
        fields: dict[str, Any] = {"method": METHODS[query.get("method", first.method)].name, "seed": _count(query, "seed") or 0}
        fields["dataset"] = DATASETS[query.get("data") or str(first.dataset)].name
        fields |= {k: _count(query, k) for k in ("n", "steps")} | {"device": query.get("device", "auto")}
        for name, prefix in (("data", "d."), ("params", "p.")):
            fields[name] = {k.removeprefix(prefix): value_of_text(v) for k, v in query.items() if k.startswith(prefix)}
        spec = make_model(RunSpec, fields)
        check_spec(spec)
    except InputError as error:
        return first, f"The address has a setting that makes no sense, so the page starts with its defaults. {error}"
    return spec, None


def _config(query: Mapping[str, str]) -> dict[str, str]:
    """The part of an address that is configuration."""
    return {k: v for k, v in query.items() if k not in OURS and not k.startswith("embed")}


def _count(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    try:
        return int(query[name])
    except ValueError:
        raise InputError(f"{name} must be a whole number; it is '{query[name][:40]}'.") from None


def _text(value: Number) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "inf" if math.isinf(value) else repr(value) if value != int(value) else str(int(value))
    return str(value)
