"""What the neural half of the page trains: a RunSpec in the session and in the address, and the runs that are watched."""

from collections.abc import Mapping, Sequence

import streamlit as st

from uotlab.engine.job import Job
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.recipes.base import recipes_of
from uotlab.ui import state
from uotlab.ui.barycenters_link import KIND, learners
from uotlab.ui.state import tell

WATCHED = ("job", "beside", "strip")  #: query keys that name runs; ids in "strip" have commas between them
FIRST = RunSpec(method="unotb", dataset="class-imbalance", params={"tau": 1.0})  #: the paper's Figure 2 at its smallest τ
TWIN = "notb"  #: what is trained beside: the same without any change of mass


# ---- the settings ----------------------------------------------------------------------------------
def current() -> RunSpec:
    """The settings now: from the address when that was opened or changed by hand, else as the widgets left them."""
    query = ours(st.query_params.to_dict())
    if "bn_spec" not in st.session_state or (query and query != st.session_state.get("bn_query")):
        spec, sentence = from_query(query)
        replace(spec)
        if sentence:
            tell(sentence)
    return RunSpec.model_validate_json(st.session_state["bn_spec"])


def put(spec: RunSpec) -> None:
    """Make `spec` the present one, in the session and in the address."""
    st.session_state["bn_spec"] = spec.model_dump_json()
    wanted, held = to_query(spec), st.query_params.to_dict()
    st.session_state["bn_query"] = wanted
    if wanted != ours(held):
        st.query_params.from_dict({k: v for k, v in held.items() if k not in ours(held)} | wanted)


def replace(spec: RunSpec) -> None:
    """As `put`, and let the widgets start anew from it."""
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith("bn.")]:
        del st.session_state[key]
    put(spec)


def reweigh(weights: Sequence[float]) -> None:
    """Other weights of the marginals, everything else as it is."""
    spec = current()
    params = {k: v for k, v in spec.params.items() if k != "weights"}
    put(spec.model_copy(update={"params": params | weights_param(weights)}))


def weights_param(weights: Sequence[float]) -> dict[str, str]:
    """ "weights" as a hyper-parameter; left out where all are equal, which is the default."""
    if max(weights) - min(weights) < 1e-3:
        return {}
    shown = [round(w, 4) for w in weights[:-1]]
    return {"weights": ",".join(f"{w:g}" for w in [*shown, round(max(0.0, 1 - sum(shown)), 4)])}


def weights_of(spec: RunSpec, k: int) -> list[float]:
    """Weights (k,) of the marginals; equal ones where none are given for so many."""
    try:
        found = [float(part) for part in str(spec.params.get("weights") or "").split(",")]
    except ValueError:
        found = []
    return found if len(found) == k and min(found) >= 0 and abs(sum(found) - 1) < 1e-6 else [1 / k] * k


def to_query(spec: RunSpec) -> dict[str, str]:
    """The spec as short query parameters, and that they are of this half."""
    return {"kind": KIND} | state.to_query(spec)


def from_query(query: Mapping[str, str]) -> tuple[RunSpec, str | None]:
    """The spec in an address, and a sentence about what in it made no sense (the first example then stands in)."""
    return state.from_query({k: v for k, v in query.items() if k != "kind"}, FIRST)


def ours(query: Mapping[str, str]) -> dict[str, str]:
    """The part of an address that says what is trained; nothing where the address is of the other half."""
    if query.get("kind") != KIND:
        return {}
    return {k: v for k, v in query.items() if k == "kind" or k in state.PLAIN or k.startswith(("p.", "d."))}


def examples() -> dict[str, RunSpec]:
    """Ready settings of this half by their titles: its own recipes, and those of the lab that learn a barycenter."""
    own = {cls.title: from_query(cls.query)[0] for cls in recipes_of("barycenters") if cls.query.get("kind") == KIND}
    return own | {cls.title: cls.run for cls in recipes_of("lab") if cls.run is not None and cls.run.method in learners()}


# ---- the runs --------------------------------------------------------------------------------------
def runs_of(key: str) -> list[Job]:
    """The runs that the address or the session names under a key of WATCHED; ids that are no run are told once and forgotten."""
    words = st.query_params.get(key) or st.session_state.get(f"bn_runs_{key}", "")
    ids = [name for name in words.split(",") if name]
    found = [job for name in ids if (job := engine().job(name)) is not None]
    if len(found) < len(ids):
        tell("A run in the address is not here any more; look under Runs, or train a new one.")
    opened = ",".join(job.id for job in found) != st.session_state.get(f"bn_runs_{key}", "")
    if opened and key == "job" and found and found[0].spec.dataset is not None:
        replace(found[0].spec)  # opened by a link: its settings come with it
    watch(key, found)
    return found


def watch(key: str, jobs: Sequence[Job]) -> None:
    """This session watches these runs, and the address says so."""
    words = ",".join(job.id for job in jobs)
    st.session_state[f"bn_runs_{key}"] = words
    if words and st.query_params.get(key) != words:
        st.query_params[key] = words
    elif not words and key in st.query_params:
        del st.query_params[key]
