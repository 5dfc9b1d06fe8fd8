"""What the page of barycenters computes, as one small record: it is the address, the recipes and the key of every result."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from uotlab.data.densities import cloud_from_text, density_from_text, image_from_text, measures_of_texts
from uotlab.engine.spec import Number
from uotlab.errors import InputError, short
from uotlab.parameters import make_model, value_of_text
from uotlab.plans.barycenters.base import BARYCENTERS
from uotlab.plans.barycenters.given import simplex
from uotlab.recipes.base import recipes_of
from uotlab.ui.barycenters_link import KIND
from uotlab.ui.state import tell

Kind = Literal["densities", "images", "clouds", "rows"]
KINDS: Mapping[Kind, str] = {"densities": "Densities", "images": "Images", "clouds": "Clouds", "rows": "Figure 2.8"}
FEWEST, MOST = 2, 5
POINTS = 128  #: points of the line: as many as answer while the weights are dragged
CLOUD = 150  #: points of one cloud
FIRST: Mapping[Kind, tuple[str, ...]] = {
    "densities": ("gaussian,-2.5,0.5", "two-bumps,1.5,1.2", "box,2.5,0.6", "skewed,-3,0.7", "triangle,0,1.5"),
    "images": ("3/0", "3/1", "3/2", "3/3", "3/4"),
    "clouds": ("ring,-2,0,1.2", "cross,2,0,1.2", "heart,0,2.4,1.2", "square,0,-2.4,1", "ring,0,0,0.5"),
    "rows": (),
}  #: measures that a kind starts with, as many as are wanted
METHOD: Mapping[Kind, str] = {"densities": "ipot", "images": "ipot", "clouds": "free-support", "rows": "ipot"}
TAKES: Mapping[Kind, str] = {"densities": "densities", "images": "images", "clouds": "clouds", "rows": "images"}
PLAIN = ("kind", "m", "w", "method", "compare", "moved", "digits", "count", "eps", "seed")  #: query keys beside "p.<setting>"


class Setup(BaseModel):
    """A frozen description: measures as short texts, weights, method and settings; for the figure its digits and settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    kind: Kind = "densities"
    measures: tuple[str, ...] = FIRST["densities"][:3]
    weights: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    method: str = "ipot"
    settings: dict[str, Number] = Field(default_factory=dict)
    compare: bool = True
    moved: bool = True
    digits: str = Field("35", pattern=r"^[0-9]{1,6}$")
    count: int = Field(8, ge=2, le=50)
    eps: tuple[float, ...] = (0.05, 0.02, 0.01)
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @field_validator("eps")
    @classmethod
    def _few_positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not 1 <= len(values) <= 6 or not all(1e-4 <= e <= 1 for e in values):
            raise ValueError(f"eps must be 1 to 6 numbers from 0.0001 to 1; they are {short(values)}.")
        return tuple(sorted(set(values), reverse=True))

    @property
    def title(self) -> str:
        """The method's title."""
        return BARYCENTERS[self.method].title


def checked(setup: Setup) -> Setup:
    """The same setup where everything in it can be made.

    Raises:
        InputError: a measure, weight, method or setting that makes no sense.
    """
    cls = BARYCENTERS[setup.method]
    if TAKES[setup.kind] not in cls.takes:
        raise InputError(f"{cls.title} does not take {KINDS[setup.kind].lower()}; choose another method.")
    make_model(cls, dict(setup.settings))
    if setup.kind != "rows":
        if not FEWEST <= len(setup.measures) <= MOST:
            raise InputError(f"Choose {FEWEST} to {MOST} measures; there are {len(setup.measures)}.")
        simplex(setup.weights, len(setup.measures))
        for text in setup.measures:
            density_from_text(text) if setup.kind == "densities" else (
                cloud_from_text(text, 2) if setup.kind == "clouds" else image_from_text(text)
            )
    return setup


def measures_of(setup: Setup) -> tuple[Any, np.ndarray | None]:
    """(measures, support or None) as `uotlab.barycenter` takes them."""
    n = POINTS if setup.kind == "densities" else CLOUD
    return measures_of_texts(setup.kind, setup.measures, n, setup.seed, moved=setup.moved)


def names_of(setup: Setup) -> list[str]:
    """A short name for each measure, no two alike."""
    names = [f"digit {text.partition('/')[0]}" if setup.kind == "images" else text.partition(",")[0] for text in setup.measures]
    return [f"{k + 1} {name}" for k, name in enumerate(names)]


# ---- the session and the address ---------------------------------------------------------------------
def current() -> Setup:
    """The setup now: from the address when that was opened or changed by hand, else as the widgets left it."""
    query = ours(st.query_params.to_dict())
    if "b_setup" not in st.session_state or (query and query != st.session_state.get("b_query")):
        setup, sentence = from_query(query)
        replace(setup)
        if sentence:
            tell(sentence)
    return Setup.model_validate_json(st.session_state["b_setup"])


def put(setup: Setup) -> None:
    """Make `setup` the present one, in the session and in the address."""
    st.session_state["b_setup"] = setup.model_dump_json()
    wanted, held = to_query(setup), st.query_params.to_dict()
    st.session_state["b_query"] = wanted
    if wanted != ours(held):
        st.query_params.from_dict({k: v for k, v in held.items() if k not in ours(held)} | wanted)


def replace(setup: Setup) -> None:
    """As `put`, and let the widgets start anew from it."""
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith("b.")]:
        del st.session_state[key]
    put(setup)


def reweigh(weights: list[float]) -> None:
    """Other weights, everything else as it is."""
    put(current().model_copy(update={"weights": tuple(weights)}))


def to_query(setup: Setup) -> dict[str, str]:
    """The setup as short query parameters; what is as in the first recipe is left out, apart from kind and method."""
    query = {"kind": setup.kind, "method": setup.method}
    if setup.kind == "rows":
        query |= {"digits": setup.digits, "count": str(setup.count), "eps": ",".join(f"{e:g}" for e in setup.eps)}
    else:
        query |= {"m": ";".join(setup.measures), "w": ",".join(f"{w:.6g}" for w in setup.weights)}
        query |= {} if setup.compare else {"compare": "0"}
    query |= {"moved": "0"} if setup.kind == "images" and not setup.moved else {}
    query |= {"seed": str(setup.seed)} if setup.seed else {}
    return query | {f"p.{k}": str(v).lower() if isinstance(v, bool) else str(v) for k, v in setup.settings.items()}


def from_query(query: Mapping[str, str]) -> tuple[Setup, str | None]:
    """The setup in an address, and a sentence about what in it made no sense (the first recipe then stands in)."""
    query = ours(query)
    first = next(iter(RECIPES.values()))
    if not query:
        return first, None
    try:
        return _read(query), None
    except InputError as error:
        return first, f"The address has a setting that makes no sense, so the page starts with its first recipe. {error}"


def _read(query: Mapping[str, str]) -> Setup:
    """The setup in an address.

    Raises:
        InputError: something in it makes no sense.
    """
    fields: dict[str, Any] = {k: query[k] for k in ("kind", "digits", "count", "seed") if k in query}
    kind = query.get("kind", "densities")
    fields["method"] = BARYCENTERS[query.get("method", METHOD.get(kind, "ipot"))].name  # type: ignore[call-overload,index]
    fields["measures"] = tuple(m for m in query.get("m", "").split(";") if m)
    k = len(fields["measures"])
    fields["weights"] = _numbers(query["w"]) if query.get("w") else (1 / k,) * k if k else ()
    fields |= {"eps": _numbers(query["eps"])} if query.get("eps") else {}
    fields |= {k: query[k] != "0" for k in ("compare", "moved") if k in query}
    fields["settings"] = {k.removeprefix("p."): value_of_text(v) for k, v in query.items() if k.startswith("p.")}
    if not k and kind != "rows":
        fields |= {"measures": FIRST[kind][:3] if kind in FIRST else (), "weights": (1 / 3,) * 3}  # type: ignore[index]
    return checked(make_model(Setup, fields))


def ours(query: Mapping[str, str]) -> dict[str, str]:
    """The part of an address that says what is computed."""
    return {k: v for k, v in query.items() if k in PLAIN or k.startswith("p.")}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"Numbers are written with commas between them; it is '{short(text)}'.") from None


RECIPES: Mapping[str, Setup] = {
    recipe.title: _read(recipe.query) for recipe in recipes_of("barycenters") if recipe.query.get("kind") != KIND
}
