"""The record of a run's numbers over steps, thinned as it grows: at most 2000 rows are shown, at most 4000 are held."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

SHOWN = 2000


class History:
    """Rows of named numbers every `stride` steps; the stride doubles when the rows become too many.

    Which steps are kept depends on the step numbers alone, so that a resumed run keeps the same rows.
    """

    def __init__(self, stride: int = 1) -> None:
        self.stride = stride
        self.steps: list[int] = []
        self.columns: dict[str, list[float]] = {}
        self.live: Mapping[str, float] = {}  # newest live metrics: each row holds the ones known then

    def __len__(self) -> int:
        return len(self.steps)

    def wants(self, step: int) -> bool:
        return step % self.stride == 0

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row; a name that comes later is NaN before."""
        if self.steps and step <= self.steps[-1]:
            return
        values = {**self.live, **values}
        for name in [name for name in values if name not in self.columns]:  # in the order of the values
            self.columns[name] = [float("nan")] * len(self.steps)
        self.steps.append(step)
        for name, column in self.columns.items():
            column.append(values.get(name, float("nan")))
        if len(self.steps) > 2 * SHOWN:
            self.stride *= 2
            keep = [i for i, s in enumerate(self.steps) if s % self.stride == 0]
            self.steps = [self.steps[i] for i in keep]
            self.columns = {name: [column[i] for i in keep] for name, column in self.columns.items()}

    def amend(self, step: int, values: Mapping[str, float]) -> None:
        """Put newer numbers into the last row, where it is of this step."""
        if self.steps and self.steps[-1] == step:
            for name, value in values.items():
                self.columns.setdefault(name, [float("nan")] * len(self.steps))[-1] = value

    def arrays(self) -> dict[str, np.ndarray]:
        """ "step" and one float32 array a name, at most 2000 entries each, the last row always among them."""
        n = len(self.steps)
        jump = max(1, -(-n // SHOWN))
        rows = slice((n - 1) % jump if n else 0, None, jump)
        shown = {"step": np.asarray(self.steps[rows], dtype=np.float32)}
        return shown | {name: np.asarray(column[rows], dtype=np.float32) for name, column in self.columns.items()}

    def last(self) -> dict[str, float]:
        """The newest row."""
        return {name: column[-1] for name, column in self.columns.items() if column and column[-1] == column[-1]}

    def state_dict(self) -> dict[str, object]:
        return {
            "stride": self.stride,
            "steps": torch.tensor(self.steps, dtype=torch.int64),
            "columns": {name: torch.tensor(column, dtype=torch.float64) for name, column in self.columns.items()},
        }

    @classmethod
    def from_state_dict(cls, parts: Mapping[str, object]) -> "History":
        history = cls(int(parts["stride"]))  # type: ignore[call-overload]
        steps, columns = parts["steps"], parts["columns"]
        assert isinstance(steps, Tensor)
        assert isinstance(columns, Mapping)
        history.steps = steps.tolist()
        history.columns = {name: column.tolist() for name, column in columns.items()}
        return history

    def csv(self) -> str:
        """Comma-separated rows under a header, all that are held."""
        lines = [",".join(["step", *self.columns])]
        lines += [",".join([str(s), *(f"{c[i]:.9g}" for c in self.columns.values())]) for i, s in enumerate(self.steps)]
        return "\n".join(lines) + "\n"
