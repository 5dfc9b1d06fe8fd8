"""The picture of cells while a run trains: its newest snapshot, placed on an embedding and coloured as the page asks."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from uotlab.cells import Study
from uotlab.cells.embedding import Embedding
from uotlab.cells.study import Side
from uotlab.engine.job import Job
from uotlab.ui.cells_moving import FIELDS, Moving, Received
from uotlab.ui.later import Later, later
from uotlab.ui.sweep_gathered import Gathered

TITLES = {"pca": "PC", "given": "map"}
MOST = 100_000  #: cells a side in the picture


@dataclass(frozen=True)
class Colouring:
    """What colours the cells: "role", "scaling", "mass", the name of an obs column, or of a gene."""

    kind: str
    name: str = ""

    def arrays(self, study: Study, source: np.ndarray, target: np.ndarray) -> tuple[dict[str, np.ndarray], str, str]:
        """(arrays of the view, title, kind) for the given rows of all cells."""
        if self.kind == "column":
            column = study.columns[self.name]
            found = {"cells/value": column.values[source], "cells/value_y": column.values[target]}
            if column.names is None:
                return _float(found), self.name, "number"
            missing = any((v < 0).any() for v in found.values())
            names = np.array([*column.names, *(["unknown"] if missing else [])])
            codes = {k: np.where(v < 0, len(column.names), v) for k, v in found.items()}
            return _float(codes) | {"names/cells/value": names}, self.name, "label"
        if self.kind == "gene":
            values = study.expression(self.name, None)
            return _float({"cells/value": values[source], "cells/value_y": values[target]}), f"{self.name} (log1p)", "number"
        return {}, "", self.kind


def type_codes(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N,) of the cell types of all cells, and their names, in the order of the map's colours; a missing one comes last."""
    column = study.columns[study.type]
    names = column.names or ()
    missing = bool((column.values < 0).any())
    return np.where(column.values < 0, len(names), column.values), np.array([*names, *(["unknown"] if missing else [])])


class CellsPicture(Gathered):
    """Cells of one study; with a job, where its map carries the source cells now."""

    def __init__(
        self, study: Study, placement: Embedding, colouring: Colouring, job: Job | None, chosen: np.ndarray | None = None,
        lines: str = "", chosen_target: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.study, self.placement, self.job = study, placement, job
        sides = ((study.source, chosen), (study.target, chosen_target))
        ringed = np.concatenate([rows[:0] if taken is None else rows[taken] for rows, taken in sides])
        self.source, self.target = (_thinned(rows) for rows in (study.source, study.target))
        coloured, title, kind = colouring.arrays(study, self.source, self.target)
        points = placement.points
        about = np.array([*(f"{TITLES.get(placement.kind, placement.title)} {k}" for k in (1, 2)), title, kind])
        self._kind, self._colouring = kind, colouring
        self._still: dict[str, np.ndarray] = {"names/cells/about": about, "cells/y": points[self.target].astype(np.float32)} | coloured
        if len(ringed):
            self._still["cells/chosen"] = points[ringed].astype(np.float32)
        self._place_of = {row.tobytes(): i for i, row in enumerate(study.x)}
        self._moving = Moving(study, placement.points, self.target) if lines in FIELDS else None
        self._received = Received(study, self.target) if kind == "mass" else None
        self._rows: tuple[np.ndarray, np.ndarray] | None = None  # the x of a snapshot, and its rows in the study

    @property
    def moving(self) -> bool:
        return self.job is not None and self.job.state in ("queued", "running")

    def now(self) -> Hashable:
        if self.job is None:
            return None
        if self.moving:
            self.job.touch()  # somebody is watching
        snapshot = self.job.snapshot
        exact = self._exact() if snapshot is not None and not self.moving else None
        return self.job.state, -1 if snapshot is None else snapshot.version, exact is not None and exact.done

    def arrays(self) -> dict[str, np.ndarray]:
        snapshot = None if self.job is None else self.job.snapshot
        points = self.placement.points
        if snapshot is None or "Tx" not in snapshot.arrays:
            return self._still | {"cells/x": points[self.source].astype(np.float32)} | self._role()
        rows = self.rows_of(snapshot.arrays["x"])
        shown = self.study.source[rows]
        still = dict(self._still)
        if "cells/value" in still:
            still |= self._colouring.arrays(self.study, shown, self.target)[0]
        exact = None if self.moving else self._exact()
        placed = exact.result if exact is not None and exact.result is not None else self.placement.place(snapshot.arrays["Tx"])
        found = still | {"cells/x": points[shown].astype(np.float32), "cells/Tx": placed}
        if self._moving is not None:
            found |= self._moving.arrays(shown, snapshot.arrays["Tx"])
        if self._received is not None:
            return found | self._received.arrays(snapshot.arrays["Tx"], snapshot.arrays.get("xi")) | self._about("mass, 1 is an even share")
        if "xi" in snapshot.arrays:
            return found | {"cells/xi": snapshot.arrays["xi"]}
        return found | self._role()

    def _about(self, title: str) -> dict[str, np.ndarray]:
        about = self._still["names/cells/about"]
        return {"names/cells/about": np.array([*about[:2], title, "number"])}

    def _exact(self) -> Later | None:
        """Mapped cells where the fitted embedding puts them, at rest: it takes seconds, their nearest cells' places stand in till then."""
        assert self.job is not None
        snapshot = self.job.snapshot
        if snapshot is None or "Tx" not in snapshot.arrays or type(self.placement).transform is Embedding.transform:
            return None
        Tx = snapshot.arrays["Tx"]
        return later(("placed", self.id, snapshot.version), lambda progress: self.placement.transform(Tx), "Placing mapped cells", "maps")

    def positions(self, points: np.ndarray, side: Side = "source") -> np.ndarray:
        """Positions in `study.source`, or `study.target`, of points of the picture's cells of that side, by their numbers."""
        if side == "target":
            return np.searchsorted(self.study.target, self.target)[points]
        if self._rows is not None:
            return self._rows[1][points]
        return np.searchsorted(self.study.source, self.source)[points]

    def rows_of(self, x: np.ndarray) -> np.ndarray:
        """Which source cells (positions in `study.source`) stand in a snapshot."""
        if self._rows is None or self._rows[0] is not x:
            self._rows = (x, np.array([self._place_of[row.tobytes()] for row in np.ascontiguousarray(x, dtype=np.float32)]))
        return self._rows[1]

    def _role(self) -> dict[str, np.ndarray]:
        """Nothing is scaled yet, or nothing ever is: plain colours."""
        about = self._still["names/cells/about"]
        return {"names/cells/about": np.array([*about[:3], "role"])} if self._kind in ("scaling", "mass") else {}


def _float(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v.astype(np.float32) for k, v in arrays.items()}


def _thinned(rows: np.ndarray) -> np.ndarray:
    return rows if len(rows) <= MOST else rows[np.linspace(0, len(rows) - 1, MOST).astype(np.intp)]
