"""The plans page's configuration: two clouds, a solver and its settings, in the session and in the address."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field

from uotlab.data.base import DATASETS
from uotlab.engine.spec import Number, RunSpec
from uotlab.errors import InputError, did_you_mean
from uotlab.parameters import check_count, make_model, value_of_text
from uotlab.plans.solver import SOLVERS, Solver
from uotlab.recipes.base import recipes_of
from uotlab.ui.state import tell

LEAST, MOST = 50, 2000  #: points a side
PLAIN = ("solver", "data", "n")  #: query keys beside "p.<setting>" and "d.<data field>"
OURS = ("view", "me", "job")  #: query keys that are no part of the configuration
KEY, QUERY, WIDGETS = "plans.spec", "plans.query", "q."


class PlanSpec(BaseModel):
    """Which clouds, how many points, which solver with which settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    name: ClassVar[str] = "the page"
    solver: str = "sinkhorn"
    dataset: str = "two-squares"
    n: int = Field(500, ge=LEAST, le=MOST)
    data: dict[str, Number] = Field(default_factory=dict)
    params: dict[str, Number] = Field(default_factory=dict)

    @property
    def cloud(self) -> RunSpec:
        """The data alone, as the rest of the app names them."""
        return RunSpec(method="", dataset=self.dataset, n=self.n, data=self.data)

    def turned(self, values: Mapping[str, Number]) -> "PlanSpec":
        """The same with some settings of the solver changed; defaults are left out."""
        fields = SOLVERS[self.solver].model_fields
        params = {
            **self.params,
            **{k: float(v) if type(v) is int and abs(v) < 2**53 and isinstance(fields[k].default, float) else v for k, v in values.items()},
        }
        params = {k: v for k, v in params.items() if k not in fields or v != fields[k].default}
        return self.model_copy(update={"params": params})


def check(spec: PlanSpec) -> Solver:
    """The solver with its settings, once every name and value of the spec has been looked at.

    Raises:
        InputError: an unknown name, a value outside its rule, data that are no line and no plane.
    """
    if DATASETS[spec.dataset].kind not in ("line", "plane"):
        raise InputError(f"This page shows points of one or two columns; the dataset '{spec.dataset}' has another kind. Choose a toy.")
    make_model(DATASETS[spec.dataset], {k: v for k, v in spec.data.items() if k != "seed"})
    if "seed" in spec.data:
        seed: Any = spec.data["seed"]
        check_count("seed", seed, least=0, most=2**31 - 1)
    return make_model(SOLVERS[spec.solver], dict(spec.params))


# ---- in the session and in the address -------------------------------------------------------------
def current() -> PlanSpec:
    """The configuration now: from the address when that was opened or changed by hand, else as the widgets left it."""
    query = _config(st.query_params.to_dict())
    if KEY not in st.session_state or (query and query != st.session_state.get(QUERY)):
        spec, sentence = from_query(query)
        replace(spec)
        if sentence:
            tell(sentence)
    return PlanSpec.model_validate_json(st.session_state[KEY])


def put(spec: PlanSpec) -> None:
    """Make `spec` the configuration, in the session and in the address."""
    st.session_state[KEY] = spec.model_dump_json()
    wanted, held = to_query(spec), st.query_params.to_dict()
    st.session_state[QUERY] = wanted
    if wanted != _config(held):  # one assignment, so that the address changes once
        st.query_params.from_dict({k: v for k, v in held.items() if k not in _config(held)} | wanted)


def replace(spec: PlanSpec) -> None:
    """As `put`, and let the widgets start anew from it."""
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(WIDGETS)]:
        del st.session_state[key]
    if spec.dataset == "drawn":
        fields = DATASETS["drawn"].model_fields
        for side in ("source", "target"):
            st.session_state[f"draw_{side}"] = str(spec.data.get(side, fields[side].default))
    put(spec)


def to_query(spec: PlanSpec) -> dict[str, str]:
    """The spec as short query parameters."""
    query = {"solver": spec.solver, "data": spec.dataset, "n": str(spec.n)}
    query |= {f"d.{k}": _text(v) for k, v in spec.data.items()}
    return query | {f"p.{k}": _text(v) for k, v in spec.params.items()}


def from_query(query: Mapping[str, str]) -> tuple[PlanSpec, str | None]:
    """The spec in an address, and a sentence about what in it made no sense (the first recipe then stands in)."""
    query = _config(query)
    if not query:
        return RECIPES[FIRST][1], None
    try:
        return _read(query), None
    except InputError as error:
        return RECIPES[FIRST][1], f"The address has a setting that makes no sense, so the page starts with its first example. {error}"


def _read(query: Mapping[str, str]) -> PlanSpec:
    """The spec in an address.

    Raises:
        InputError: something in it makes no sense.
    """
    strange = [k for k in query if k not in PLAIN and not (k.startswith(("p.", "d.")) and len(k) > 2)]
    if strange:
        raise InputError(f"There is no setting '{strange[0][:40]}'. {did_you_mean(strange[0], PLAIN)}")
    fields: dict[str, Any] = {"solver": SOLVERS[query.get("solver", "sinkhorn")].name}
    fields["dataset"] = DATASETS[query.get("data", "two-squares")].name
    if "n" in query:
        fields["n"] = check_count("n", value_of_text(query["n"]), least=LEAST, most=MOST)
    for name, prefix in (("data", "d."), ("params", "p.")):
        fields[name] = {k.removeprefix(prefix): _value(v) for k, v in query.items() if k.startswith(prefix)}
    for side in {"source", "target"} & set(fields["data"]):
        fields["data"][side] = query[f"d.{side}"]  # a drawing of one point reads like a number
    spec = make_model(PlanSpec, fields)
    check(spec)
    return spec.turned({})


def _config(query: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in query.items() if k not in OURS and not k.startswith("embed")}


def _value(text: str) -> Number:
    return None if text.lower() in ("none", "null") else value_of_text(text)


def _text(value: Number) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "inf" if math.isinf(value) else f"{value:.6g}"
    return str(value)


#: ready examples: a title, what to see, the configuration and the picture that shows it
RECIPES: dict[str, tuple[str, PlanSpec, str]] = {
    recipe.title: (recipe.look, _read(recipe.query), recipe.view) for recipe in recipes_of("plans")
}
FIRST = next(iter(RECIPES))
