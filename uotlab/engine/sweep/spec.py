"""SweepSpec: a sweep in strings and numbers. Its cells are RunSpecs, one for each method, grid point and seed.

A grid's axes are hyper-parameters of the methods (also `rho`, `tau`, `divergence` for both sides), `steps`, `n`, and fields of the
dataset as `data.<field>`. A method that keeps both marginals has no balance to sweep: it is trained once a seed, and counts as rho = inf.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from uotlab.data.base import DATASETS
from uotlab.engine.begin import check_spec
from uotlab.engine.spec import Number, RunSpec
from uotlab.errors import InputError, did_you_mean, short
from uotlab.methods.base import METHODS
from uotlab.parameters import make_model, value_of_text

MOST_CELLS = 500
SHORT = ("rho", "tau", "divergence")  #: one word for both sides
BALANCE = tuple(f"{word}{side}" for word in SHORT for side in ("", 1, 2))
OWN = ("steps", "n")  #: axes that are no field of a method
DATA = "data."


def balanced_value(axis: str) -> Number:
    """What an axis of balance is for a method that keeps both marginals."""
    return "balanced" if axis.startswith("divergence") else math.inf


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Args:
        index: its number, from 0; the first cells cover the whole grid with the first seed.
        at: its place on every axis; infinity, or "balanced", where the method has no such axis.
        spec: the run.
    """

    index: int
    at: Mapping[str, Number] = field(hash=False)
    spec: RunSpec = field(hash=False)

    @property
    def label(self) -> str:
        """Such as "uotm rho=1 seed 0"."""
        return " ".join([self.spec.method, *(f"{k}={number_text(v)}" for k, v in self.at.items()), f"seed {self.spec.seed}"])


def number_text(value: Any) -> str:
    """A value in words and on the command line: inf, true, 0.5."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class SweepSpec(BaseModel):
    """Everything needed to sweep again with equal numbers.

    `params` and `data` hold for all cells; settings of the balance among them reach the methods that relax a marginal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    name: ClassVar[str] = "the sweep"
    methods: tuple[str, ...] = Field(("uotm",), description="Method keys")
    dataset: str = Field("moons-to-spiral", description="Dataset key")
    grid: dict[str, tuple[Number, ...]] = Field(default_factory=dict, description="Values by axis")
    seeds: tuple[int, ...] = Field((0,), description="Seeds of the runs")
    steps: int | None = Field(None, ge=1, le=100_000_000, description="Training steps; empty is each method's default")
    n: int | None = Field(None, ge=2, le=10_000_000, description="Points a side; empty is the dataset's default")
    data: dict[str, Number] = Field(default_factory=dict, description="Fields of the dataset")
    params: dict[str, Number] = Field(default_factory=dict, description="Hyper-parameters of every method")
    device: str = "auto"

    @field_validator("grid", mode="after")
    @classmethod
    def _numbers(cls, grid: dict[str, tuple[Number, ...]]) -> dict[str, tuple[Number, ...]]:
        """Infinity from its JSON word, and each value once, in the order given."""
        read = {axis: [value_of_text(v) if isinstance(v, str) else v for v in values] for axis, values in grid.items()}
        return {axis: tuple(dict.fromkeys(values)) for axis, values in read.items()}

    @field_validator("seeds", "methods", mode="after")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(values))

    @model_validator(mode="after")
    def _whole(self) -> "SweepSpec":
        if not self.methods:
            raise InputError(f"A sweep needs a method; choose among {', '.join(METHODS)}.")
        self.__dict__["methods"] = tuple(dict.fromkeys(METHODS[name].name for name in self.methods))
        self.__dict__["dataset"] = DATASETS[self.dataset].name
        if not self.grid:
            raise InputError("The grid is empty: name a hyper-parameter and its values, such as rho=0.1,1,10.")
        for axis, values in self.grid.items():
            if not values:
                raise InputError(f"{short(axis)} has no values in the grid; give some, such as {short(axis)}=0.1,1,10.")
            if any(v is None or v != v for v in values):
                raise InputError(f"{short(axis)} has an empty value or NaN in the grid; give numbers or words.")
            self._check_axis(axis)
        if not self.seeds:
            raise InputError("A sweep needs a seed, such as 0.")
        return self

    def _check_axis(self, axis: str) -> None:
        if axis in self.params or (axis == "steps" and self.steps) or (axis == "n" and self.n) or axis.removeprefix(DATA) in self.data:
            raise InputError(f"{axis} stands in the grid and among the fixed settings; give it once.")
        if axis == "seed":
            raise InputError("Seeds are no axis of the grid: give them as seeds, such as 0,1,2.")
        if axis.startswith(DATA):
            fields = DATASETS[self.dataset].model_fields
            if axis.removeprefix(DATA) not in (*fields, "seed"):
                raise InputError(f"{self.dataset} has no setting '{short(axis)}'. {did_you_mean(axis, [DATA + f for f in fields])}")
            return
        if axis in BALANCE and not any(any(METHODS[m].relaxed) for m in self.methods):
            raise InputError(f"{', '.join(self.methods)} keep both marginals exactly, so {axis} does not apply; sweep something else.")
        for method in self.methods:
            known = axes_of(method)
            if axis not in known and axis not in BALANCE:
                raise InputError(f"{method} has no setting '{short(axis)}' to sweep. {did_you_mean(axis, known)}")

    @property
    def size(self) -> int:
        """How many runs."""
        return sum(math.prod(len(self.grid[a]) for a in self.axes(m)) for m in self.methods) * len(self.seeds)

    def axes(self, method: str) -> list[str]:
        """The grid's axes that a method has."""
        return [a for a in self.grid if a not in BALANCE or any(METHODS[method].relaxed)]

    def cells(self) -> tuple[Cell, ...]:
        """All runs: the whole grid with the first seed, then with the next.

        Raises:
            InputError: too many, or a value that a method or the dataset does not take.
        """
        if self.size > MOST_CELLS:
            raise InputError(
                f"This grid has {self.size:,} runs, and a sweep has at most {MOST_CELLS}; take fewer values, methods or seeds, or split it."
            )
        found: list[Cell] = []
        for seed, (method, point) in itertools.product(self.seeds, list(self._points())):
            at = {axis: point.get(axis, balanced_value(axis)) for axis in self.grid}
            found.append(Cell(len(found), at, self._run(method, point, seed)))
        for cell in found[: len(found) // len(self.seeds)]:
            check_spec(cell.spec)
        return tuple(found)

    def _points(self) -> Iterator[tuple[str, dict[str, Number]]]:
        for method in self.methods:
            axes = self.axes(method)
            for values in itertools.product(*(self.grid[a] for a in axes)):
                yield method, dict(zip(axes, values, strict=True))

    def _run(self, method: str, point: Mapping[str, Number], seed: int) -> RunSpec:
        relaxed = any(METHODS[method].relaxed)
        params = {k: v for k, v in self.params.items() if relaxed or k not in BALANCE}
        params |= {k: v for k, v in point.items() if k not in OWN and not k.startswith(DATA)}
        data = {**self.data, **{k.removeprefix(DATA): v for k, v in point.items() if k.startswith(DATA)}}
        values: dict[str, Any] = {"steps": point.get("steps", self.steps), "n": point.get("n", self.n)}
        values |= {"method": method, "dataset": self.dataset, "params": params, "data": data, "seed": seed, "device": self.device}
        return make_model(RunSpec, values)


def axes_of(method: str) -> list[str]:
    """Names of what can be swept for a method, fields of the dataset aside."""
    cls = METHODS[method]
    words = [w for w in SHORT if any(cls.relaxed)]
    return [*words, *cls.model_fields, *OWN]


def make_sweep(
    methods: str | Sequence[str],
    dataset: str,
    grid: Mapping[str, Any],
    seeds: int | Sequence[int] = (0,),
    **more: Any,
) -> SweepSpec:
    """A checked SweepSpec: one method or several, single values or several on an axis.

    Raises:
        InputError: one sentence on what is wrong.
    """
    if not isinstance(grid, Mapping):
        raise InputError(f"grid must map hyper-parameters to values, such as {{'rho': [0.1, 1, 10]}}; it is {type(grid).__name__}.")
    several = {str(axis): _values(values) for axis, values in grid.items()}
    names = tuple(methods) if _is_list(methods) else (methods,)
    spec = make_model(SweepSpec, {"methods": names, "dataset": dataset, "grid": several, "seeds": _seeds(seeds), **more})
    spec.cells()
    return spec


def _seeds(seeds: Any) -> tuple[Any, ...]:
    given = tuple(seeds) if _is_list(seeds) else (seeds,)
    for seed in given:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed <= 2**31 - 1:
            raise InputError(f"seeds must be whole numbers from 0 to {2**31 - 1}, such as 0,1,2; one of them is {short(repr(seed))}.")
    return tuple(int(seed) for seed in given)


def _values(values: Any) -> tuple[Any, ...]:
    given = itertools.islice(values, 100 * MOST_CELLS) if _is_list(values) else (values,)
    return tuple(v.item() if hasattr(v, "item") else v for v in given)  # numpy's numbers as Python's own


def _is_list(values: Any) -> bool:
    return not isinstance(values, str) and hasattr(values, "__iter__")
