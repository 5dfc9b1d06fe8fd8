"""RunSpec: a run in strings and numbers. Snapshot: all that ever leaves a running job."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

JobState = Literal["queued", "running", "paused", "done", "stopped", "failed", "interrupted"]
Number = float | int | str | bool | None
UNWRITTEN = {"Infinity": math.inf, "-Infinity": -math.inf}


class RunSpec(BaseModel):
    """Everything needed to run again with equal numbers: it is what the URL, the store and the command line hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    method: str = "uotm"
    dataset: str | None = Field("moons-to-spiral", description="Dataset key; None for arrays given in Python")
    n: int | None = Field(None, ge=2, le=10_000_000, description="Points a side; empty is the dataset's default")
    data: dict[str, Number] = Field(default_factory=dict, description="Fields of the dataset")
    params: dict[str, Number] = Field(default_factory=dict, description="Hyper-parameters of the method")
    steps: int | None = Field(None, ge=1, le=100_000_000, description="Training steps; empty is the method's default")
    seed: int = Field(0, ge=0, le=2**31 - 1)
    device: str = "auto"

    @field_validator("data", "params", mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        """JSON has no infinity: what was written as a word is a number again."""
        return {k: UNWRITTEN.get(v, v) if isinstance(v, str) else v for k, v in values.items()} if isinstance(values, dict) else values


@dataclass(frozen=True)
class Snapshot:
    """Immutable; published by one reference assignment.

    Args:
        version: counts up by 1 with every snapshot of a job.
        step: training steps done.
        seconds: training time so far, s (pauses not counted).
        metrics: the newest losses and live metrics by name.
        history: "step" and one array a metric, float32, thinned to at most 2000 entries.
        arrays: named float32 arrays for the views (see engine/frames.py for the names).
        labels: class names of the integer label arrays.
        notes: sentences by metric on what its number cannot tell, or why there is none.
    """

    version: int
    step: int
    seconds: float
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    arrays: Mapping[str, np.ndarray]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
