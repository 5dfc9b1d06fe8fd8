"""A sweep without a page: begun or gone on with, followed to its end, every finished run told as it comes."""

from collections.abc import Callable

from uotlab.engine.runner import engine
from uotlab.engine.sweep.run import Row, Sweep, listed, start
from uotlab.engine.sweep.spec import SweepSpec, number_text
from uotlab.engine.sweep.summary import metric_names, pick_metric
from uotlab.engine.sweep.table import SweepTable, table_of
from uotlab.errors import InputError
from uotlab.metrics.titles import plain_name

OWNER = "headless"  #: whose runs these are in the store; `UOTLAB_SHARED=1` or the sweep's address shows them in the lab
LOOK_SECONDS = 0.5
Told = Callable[[Sweep, Row], None]


def open_sweep(spec: SweepSpec, workers: int | None = None, *, fresh: bool = False) -> Sweep:
    """Begin a sweep, or go on with the same one where it was interrupted.

    Raises:
        InputError: the scheduler does not answer.
    """
    for old in [] if fresh else listed(engine(), OWNER):
        if old.owner == OWNER and old.spec == spec and old.state == "stopped":
            old.begin(workers)
            return old
    return start(engine(), spec, OWNER, workers)


def follow(sweep: Sweep, told: Told | None = None) -> SweepTable:
    """Wait for the end; `told` hears of each run that settles. Ctrl+C stops at checkpoints and is raised then."""
    known: set[int] = set()

    def tell() -> None:
        for row in sweep.rows():
            if row.settled and row.cell.index not in known:
                known.add(row.cell.index)
                if told is not None:
                    told(sweep, row)

    try:
        while not sweep.wait(LOOK_SECONDS):
            tell()
    except KeyboardInterrupt:
        sweep.cancel()
        sweep.wait(60)
        raise
    tell()
    if sweep.note:
        raise InputError(sweep.note)
    return table_of(sweep.id, sweep.spec, sweep.rows())


def line(sweep: Sweep, row: Row, metric: str | None = None) -> str:
    """One finished run in words."""
    rows = sweep.rows()
    count = f"[{sum(r.settled for r in rows):>{len(str(len(rows)))}}/{len(rows)}] {row.cell.label}"
    if not row.scored:
        return f"{count}: {row.state}. {row.error or ''}".rstrip()
    known = metric is None or any(plain_name(n) == plain_name(metric) for n in metric_names(rows))
    name = pick_metric(rows, metric if known else None)  # a slip in the name must not end hours of training
    value = row.metrics.get(name or "")
    shown = f", {name} {number_text(value)}" if value is not None else ""
    left = sweep.eta_seconds
    return f"{count}: {row.step} steps in {row.seconds:.1f} s{shown}" + (f" ({left:.0f} s left)" if left else "")
