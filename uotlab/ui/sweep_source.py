"""The picture of a sweep, gathered from its runs as they finish."""

from collections.abc import Hashable

import numpy as np

from uotlab.engine.sweep.picture import arrays_of_sweep
from uotlab.engine.sweep.run import Sweep
from uotlab.engine.sweep.summary import Better
from uotlab.ui.sweep_gathered import Gathered


class SweepPicture(Gathered):
    """One metric of a sweep along one axis; it moves while the sweep is under way."""

    def __init__(self, sweep: Sweep, metric: str | None, axis: str, better: Better | None) -> None:
        super().__init__()
        self.sweep, self.metric, self.axis, self.better = sweep, metric, axis, better

    @property
    def moving(self) -> bool:
        return self.sweep.state in ("running", "stopping", "elsewhere")

    def now(self) -> Hashable:
        return tuple(row.cell.index for row in self.sweep.rows() if row.scored)

    def arrays(self) -> dict[str, np.ndarray]:
        return arrays_of_sweep(self.sweep.spec, self.sweep.rows(), self.metric, self.axis, self.better)
