"""One picture of several runs: of maps, of scalings with classes, of curves, and where a run has none yet."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def pictures(view: str, runs: list[Mapping[str, np.ndarray]], **options: Any) -> dict[str, np.ndarray]:
    """The runs as a comparison gathers them; the second is on other data than the rest."""
    count = len(runs)
    found = {"compare/color": np.arange(count, dtype=np.int32), "compare/group": (np.arange(count) == 1).astype(np.int32)}
    found |= {"names/compare": np.array([f"run {k}" for k in range(count)]), "names/compare/view": np.array([view, json.dumps(options)])}
    return found | {f"compare/{k}/{name}": values for k, run in enumerate(runs) for name, values in run.items()}
