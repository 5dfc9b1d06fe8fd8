"""SweepTable: what a sweep has found, as rows, csv, a pandas frame, the best cell of each method, and the picture."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uotlab.engine.sweep.run import Row
from uotlab.engine.sweep.spec import SweepSpec, number_text
from uotlab.engine.sweep.summary import Better, Curve, Point, best_point, better_end, curves, metric_names, penalty_of, pick_metric


@dataclass(frozen=True)
class SweepTable:
    """One row a run. `id` is the sweep's in the store, for `/sweep?sweep=<id>` in the lab."""

    id: str
    spec: SweepSpec
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> list[str]:
        """Names of the numbers that scored runs have."""
        return metric_names(self.rows)

    @property
    def failed(self) -> dict[str, str]:
        """What went wrong, a sentence by run."""
        return {row.cell.label: row.error for row in self.rows if row.error}

    def records(self) -> list[dict[str, Any]]:
        """A dict a run: method, axes, seed, rho1, rho2, state, steps, seconds, every metric, error, run."""
        names = [*self.metrics, *dict.fromkeys(k for row in self.rows if row.scored for k in row.metrics)]
        found = []
        for row in self.rows:
            penalty = penalty_of(row.cell.spec)
            record: dict[str, Any] = {"method": row.cell.spec.method, **row.cell.at, "seed": row.cell.spec.seed}
            record |= {"rho1": penalty.rho1, "rho2": penalty.rho2, "state": row.state, "steps": row.step, "seconds": row.seconds}
            record |= {name: row.metrics.get(name, math.nan) if row.scored else math.nan for name in dict.fromkeys(names)}
            found.append(record | {"error": row.error or "", "run": row.run})
        return found

    def frame(self) -> Any:
        """`records` as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def csv(self) -> str:
        """`records` as comma-separated text."""
        text = io.StringIO()
        records = self.records()
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.9g}" if isinstance(v, float) else v for k, v in record.items()} for record in records)
        return text.getvalue()

    def curves(self, metric: str | None = None, axis: str | None = None) -> list[Curve]:
        """A metric along an axis (the grid's first), one curve a method; its mean and spread over seeds at each point."""
        name = pick_metric(self.rows, metric)
        return [] if name is None else curves(self.rows, name, axis or next(iter(self.spec.grid)))

    def best(self, metric: str | None = None, better: Better | None = None) -> dict[str, Point]:
        """The best point of every curve, by the mean over seeds; empty where no end of the metric is the better one."""
        name = pick_metric(self.rows, metric)
        found = {c.label: best_point(c, better or (better_end(name) if name else "neither")) for c in self.curves(metric)}
        return {label: point for label, point in found.items() if point is not None}

    def figure(self, metric: str | None = None, **options: Any) -> Any:
        """The picture as a plotly Figure: the metric against rho (or the swept setting), with seed bands."""
        from uotlab.engine.sweep.picture import arrays_of_sweep
        from uotlab.views.base import VIEWS

        return VIEWS["sweep"]().figure(arrays_of_sweep(self.spec, self.rows, pick_metric(self.rows, metric)), **options)

    def __repr__(self) -> str:
        done = sum(row.scored for row in self.rows)
        where = f"{', '.join(self.spec.methods)} on {self.spec.dataset} over {axes_text(self.spec)}"
        return f"<SweepTable {where}: {done} of {len(self.rows)} runs>"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(max_rows=40)
        return html


def axes_text(spec: SweepSpec) -> str:
    """The grid in words, such as rho=0.1,1,10."""
    return " ".join(f"{axis}={','.join(number_text(v) for v in values)}" for axis, values in spec.grid.items())


def table_of(id: str, spec: SweepSpec, rows: Sequence[Row]) -> SweepTable:
    """The rows of a sweep, frozen as they are now."""
    return SweepTable(id, spec, tuple(rows))
