"""Pictures of several runs at once, gathered from their newest snapshots while they are looked at."""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from uotlab.metrics.titles import title_of
from uotlab.ui.compare_runs import Compared
from uotlab.ui.sweep_gathered import Gathered
from uotlab.ui.wire import arrays_of
from uotlab.views.base import VIEWS
from uotlab.views.compare_pictures import able

SHOWN = 1500  #: points a panel
ACTIVE = ("queued", "running")


class CurvesPicture(Gathered):
    """One loss or metric of every run over its steps."""

    def __init__(self, runs: Sequence[Compared], curve: str) -> None:
        super().__init__()
        self.runs, self.curve = runs, curve

    @property
    def moving(self) -> bool:
        return any(run.job.state in ACTIVE or waits(run) for run in self.runs)

    def now(self) -> Hashable:
        for run in self.runs:
            if run.job.state == "running":
                run.job.touch()  # somebody is watching
        return tuple((run.job.state, len(run.job.history), version(run)) for run in self.runs)

    def arrays(self) -> dict[str, np.ndarray]:
        found = base(self.runs) | {"names/compare/title": np.array([title_of(self.curve)])}
        for k, run in enumerate(self.runs):
            held = run.job.history.arrays()
            if self.curve in held:
                found |= {f"compare/{k}/step": held["step"], f"compare/{k}/value": held[self.curve]}
        return found


class MapsPicture(CurvesPicture):
    """Every run's map, those on the same data with common axes."""

    def __init__(self, runs: Sequence[Compared]) -> None:
        super().__init__(runs, "")

    def arrays(self) -> dict[str, np.ndarray]:
        found = base(self.runs)
        for k, run in enumerate(self.runs):
            snapshot = run.job.snapshot
            if snapshot is None or "Tx" not in snapshot.arrays:
                continue
            arrays = snapshot.arrays
            for name in ("x", "y", "Tx"):
                found[f"compare/{k}/{name}"] = thinned(arrays[f"{name}2"] if f"{name}2" in arrays else arrays[name])
            if "xi" in arrays:
                found[f"compare/{k}/xi"] = thinned(arrays["xi"])
        return found


class SidePicture(CurvesPicture):
    """Any picture of a single run, of every run that has it."""

    def __init__(self, runs: Sequence[Compared], view: str, options: Mapping[str, Any], columns: int = 0) -> None:
        super().__init__(runs, "")
        self.view, self.options, self.columns = view, json.dumps(dict(options)), columns

    def arrays(self) -> dict[str, np.ndarray]:
        found = base(self.runs) | {"names/compare/view": np.array([self.view, self.options])}
        found |= {"compare/columns": np.array([self.columns], np.int32)} if self.columns else {}
        for k, run in enumerate(self.runs):
            found |= {f"compare/{k}/{name}": thinned(values) for name, values in shown_of(run).items()}
        return found


def shown_of(run: Compared) -> dict[str, np.ndarray]:
    """All that a view may draw of the run now; nothing before its first picture."""
    return {} if run.job.snapshot is None else arrays_of(run.job.snapshot)


def views_for(runs: Sequence[Compared]) -> list[str]:
    """Names of the views that can show at least one of the runs, in their order."""
    found = {name for run in runs for name in able(shown_of(run))}
    return [name for name in VIEWS if name in found]


def base(runs: Sequence[Compared]) -> dict[str, np.ndarray]:
    """Names, colours, and which runs are on the same data."""
    data = [(run.job.spec.dataset, str(sorted(run.job.spec.data.items()))) for run in runs]
    return {
        "names/compare": np.array([run.name for run in runs], dtype=str),
        "compare/color": np.array([run.color for run in runs], np.int32),
        "compare/group": np.array([data.index(d) for d in data], np.int32),
    }


def waits(run: Compared) -> bool:
    """Whether a stored run's picture is still being made."""
    return run.job.snapshot is None and not run.job.note


def version(run: Compared) -> int:
    """Of the newest snapshot; -1 before the first."""
    return -1 if run.job.snapshot is None else run.job.snapshot.version


def thinned(values: np.ndarray) -> np.ndarray:
    """At most 1500 rows, always the same."""
    return values if len(values) <= SHOWN else values[np.linspace(0, len(values) - 1, SHOWN).astype(np.intp)]
