"""The sweep page's configuration: a SweepSpec in the session and in the address, and the sweep that is looked at."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from uotlab.engine.runner import engine
from uotlab.engine.sweep.run import Sweep, find
from uotlab.engine.sweep.spec import SweepSpec, make_sweep, number_text
from uotlab.errors import InputError, did_you_mean
from uotlab.parameters import value_of_text
from uotlab.ui.state import tell

FIRST = SweepSpec(
    methods=("uotm", "otm"), dataset="moons-to-spiral", grid={"rho": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}, seeds=(0, 1), steps=1000
)
PLAIN = ("methods", "data", "n", "steps", "seeds", "device")  #: query keys beside "grid.<axis>", "p.<setting>" and "d.<data field>"
OURS = ("sweep", "metric", "me")
PREFIX = "s."  #: of the widgets' keys


def current() -> SweepSpec:
    """The configuration now: from the address when that was opened or changed by hand, else as the widgets left it."""
    query = _config(st.query_params.to_dict())
    if "sweep_spec" not in st.session_state or (query and query != st.session_state.get("sweep_query")):
        sweep = watched()
        spec, sentence = (sweep.spec, None) if sweep is not None and not query else from_query(query)
        replace(spec)
        if sentence:
            tell(sentence)
    return SweepSpec.model_validate_json(st.session_state["sweep_spec"])


def put(spec: SweepSpec) -> None:
    """Make `spec` the configuration, in the session and in the address."""
    st.session_state["sweep_spec"] = spec.model_dump_json()
    wanted, held = to_query(spec), st.query_params.to_dict()
    st.session_state["sweep_query"] = wanted
    if wanted != _config(held):
        st.query_params.from_dict({k: v for k, v in held.items() if k not in _config(held)} | wanted)


def replace(spec: SweepSpec) -> None:
    """As `put`, and let the widgets start anew from it."""
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(PREFIX)]:
        del st.session_state[key]
    put(spec)


def watched() -> Sweep | None:
    """The sweep in the address, or None; a wrong id is told once and forgotten."""
    name = st.query_params.get("sweep") or st.session_state.get("sweep_id")
    if not name:
        return None
    sweep = find(engine(), name)
    if sweep is None:
        forget()
        tell("There is no sweep with the id in the address; it may have been deleted, or the link is incomplete.")
        return None
    remember(sweep)
    return sweep


def remember(sweep: Sweep) -> None:
    """This session looks at `sweep`, and the address says so."""
    st.session_state["sweep_id"] = sweep.id
    if st.query_params.get("sweep") != sweep.id:
        st.query_params["sweep"] = sweep.id


def forget() -> None:
    """This session looks at no sweep."""
    st.session_state.pop("sweep_id", None)
    if "sweep" in st.query_params:
        del st.query_params["sweep"]


# ---- the address ---------------------------------------------------------------------------------
def to_query(spec: SweepSpec) -> dict[str, str]:
    """The spec as query parameters."""
    query = {"methods": ",".join(spec.methods), "data": spec.dataset, "seeds": ",".join(map(str, spec.seeds))}
    query |= {f"grid.{axis}": ",".join(number_text(v) for v in values) for axis, values in spec.grid.items()}
    query |= {k: str(v) for k in ("n", "steps") if (v := getattr(spec, k)) is not None}
    if spec.device != "auto":
        query["device"] = spec.device
    return query | {f"d.{k}": number_text(v) for k, v in spec.data.items()} | {f"p.{k}": number_text(v) for k, v in spec.params.items()}


def from_query(query: Mapping[str, str]) -> tuple[SweepSpec, str | None]:
    """The spec in an address, and a sentence about what in it made no sense (the first example then stands in)."""
    query = _config(query)
    if not query:
        return FIRST, None
    try:
        strange = [k for k in query if k not in PLAIN and not (k.startswith(("grid.", "p.", "d.")) and len(k.partition(".")[2]))]
        if strange:
            raise InputError(f"There is no setting '{strange[0][:40]}'. {did_you_mean(strange[0], PLAIN)}")
        parts = {p: {k.removeprefix(p): v for k, v in query.items() if k.startswith(p)} for p in ("grid.", "p.", "d.")}
        grid = {axis: values_of_text(text) for axis, text in parts["grid."].items()} or FIRST.grid
        more: dict[str, Any] = {k: value_of_text(query[k]) for k in ("n", "steps") if k in query}
        more |= {
            "params": {k: value_of_text(v) for k, v in parts["p."].items()},
            "data": {k: value_of_text(v) for k, v in parts["d."].items()},
        }
        methods = query.get("methods", ",".join(FIRST.methods)).split(",")
        seeds = values_of_text(query.get("seeds", "0"))
        return make_sweep(methods, query.get("data", FIRST.dataset), grid, seeds, device=query.get("device", "auto"), **more), None
    except InputError as error:
        return FIRST, f"The address has a setting that makes no sense, so the page starts with an example. {error}"


def values_of_text(text: str) -> list[Any]:
    """Values with commas between them."""
    return [value_of_text(word.strip().replace("∞", "inf")) for word in text.split(",") if word.strip()]


def _config(query: Mapping[str, str]) -> dict[str, str]:
    """The part of an address that is configuration."""
    return {k: v for k, v in query.items() if k not in OURS and not k.startswith("embed")}
