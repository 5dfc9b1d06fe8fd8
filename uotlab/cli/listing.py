"""`python -m uotlab list`: what there is to choose from."""

import argparse
import typing
from typing import Any

from pydantic import BaseModel

from uotlab import COSTS, DATASETS, DIVERGENCES, METHODS, METRICS, SOLVERS, VIEWS
from uotlab.cli.words import kinds
from uotlab.engine.files import to_json
from uotlab.plans.barycenters.base import BARYCENTERS
from uotlab.registry import Registry

REGISTRIES: dict[str, Registry] = {
    "methods": METHODS,
    "datasets": DATASETS,
    "divergences": DIVERGENCES,
    "costs": COSTS,
    "metrics": METRICS,
    "solvers": SOLVERS,
    "barycenters": BARYCENTERS,
    "views": VIEWS,
}
SHOWN = ("title", "summary", "group", "family", "reference", "default_steps", "default_n", "latex", "equation", "unit", "better")
BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    listing = commands.add_parser("list", help="what there is to choose from")
    listing.add_argument("what", choices=REGISTRIES)
    listing.add_argument("--json", action="store_true", help="JSON, with every parameter's type, default and range")
    listing.set_defaults(command=list_command)


def list_command(arguments: argparse.Namespace) -> None:
    """Names with titles, or everything as JSON."""
    entries = [entry(name, cls) for name, cls in REGISTRIES[arguments.what].items()]
    if arguments.json:
        print(to_json(entries, indent=2))
        return
    width = max((len(e["name"]) for e in entries), default=0)
    for e in entries:
        print(f"{e['name']:<{width}}  {e.get('title', '')}")


def entry(name: str, cls: type) -> dict[str, Any]:
    """What `list --json` says of one registered class."""
    values = {key: value for key in SHOWN if isinstance(value := getattr(cls, key, None), str | int | float)}
    if not values.get("summary"):
        values["summary"] = (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    found: dict[str, Any] = {"name": name, "title": name} | values
    if issubclass(cls, BaseModel):
        found["parameters"] = parameters(cls)
    return found


def parameters(cls: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Type, default, bounds and description of every field."""
    described: dict[str, dict[str, Any]] = {}
    for name, field in cls.model_fields.items():
        bounds = {b: getattr(m, b) for m in field.metadata for b in BOUNDS if getattr(m, b, None) is not None}
        choices = [c for kind in kinds(field.annotation) if typing.get_origin(kind) is typing.Literal for c in typing.get_args(kind)]
        described[name] = {
            "type": " or ".join(_kind_name(k) for k in kinds(field.annotation)),
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "range": ", ".join(f"{BOUNDS[b]} {v:g}" for b, v in bounds.items()),
            "description": field.description or "",
        } | bounds | ({"choices": choices} if choices else {})  # fmt: skip
    return described


def _kind_name(kind: Any) -> str:
    if kind is type(None):
        return "none"
    return "choice" if typing.get_origin(kind) is typing.Literal else getattr(kind, "__name__", str(kind))
