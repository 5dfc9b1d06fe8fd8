"""A problem in tensors and plain values, for `Fitted.save`: datasets by name, arrays as a seeded subsample."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from uotlab.costs import COSTS, Cost
from uotlab.data.base import load
from uotlab.errors import InputError
from uotlab.problem import Measure, Problem

POINTS = 4000  #: most points a side that a file keeps of arrays


def packed_problem(problem: Problem) -> dict[str, Any]:
    """What `unpacked_problem` reads. The decoder of images and exact answers are kept for datasets only."""
    parts: dict[str, Any] = {"cost": _packed_cost(problem.cost)}
    if problem.origin is not None:
        return parts | {"origin": _plain(problem.origin)}
    return parts | {
        "kind": problem.kind,
        "space": problem.space is not None,
        "name": problem.name,
        "notes": list(problem.notes),
        "marginals": [_packed_measure(m) for m in problem.marginals],
    }


def unpacked_problem(parts: Mapping[str, Any]) -> Problem:
    """The problem again.

    Raises:
        InputError: its dataset or its cost cannot be made again from the file.
    """
    cost = _unpacked_cost(parts["cost"])
    if "origin" in parts:
        origin = parts["origin"]
        problem = load(origin["dataset"], origin["n"], origin["seed"], **origin["params"])
        return problem if cost is None else replace(problem, cost=cost)
    if parts.get("space"):
        raise InputError("The file cannot hold the costs between this fit's spaces: give the problem, Fitted.load(path, problem).")
    marginals = tuple(_unpacked_measure(m) for m in parts["marginals"])
    return Problem(marginals, parts["kind"], parts["name"], cost, notes=tuple(parts["notes"]))


def _packed_measure(measure: Measure) -> dict[str, Any]:
    few = measure.subsample(POINTS)
    return {
        "points": torch.from_numpy(np.array(few.points[:], dtype=np.float32)),
        "weights": None if few.weights is None else torch.from_numpy(np.array(few.weights, dtype=np.float64)),
        "labels": {str(k): np.asarray(v).tolist() for k, v in few.labels.items()},
        "names": [str(n) for n in few.names],
    }


def _unpacked_measure(parts: Mapping[str, Any]) -> Measure:
    weights = parts["weights"]
    return Measure(
        parts["points"].numpy(),
        None if weights is None else weights.numpy(),
        {k: np.array(v) for k, v in parts["labels"].items()},
        tuple(parts["names"]),
    )


def _packed_cost(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    values = {f.name: getattr(cost, f.name) for f in fields(cost)}
    plain = {k: v for k, v in values.items() if isinstance(v, float | int | str | bool | None)}
    return {"name": getattr(type(cost), "name", type(cost).__name__), "fields": plain, "whole": len(plain) == len(values)}


def _unpacked_cost(parts: Mapping[str, Any] | None) -> Cost | None:
    if parts is None:
        return None
    if not parts["whole"] or parts["name"] not in COSTS:
        raise InputError(
            f"The file cannot hold this fit's cost, '{parts['name']}': give the problem with it, "
            "Fitted.load(path, problem=dataclasses.replace(p, cost=cost))."
        )
    return COSTS[parts["name"]](**parts["fields"])


def _plain(value: Any) -> Any:
    """numpy scalars and tuples as Python's own."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
