"""`uotlab.sweep`, without what it needs: the store and the queue are imported when a sweep begins."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uotlab.errors import InputError

if TYPE_CHECKING:
    from uotlab.engine.sweep.run import Row, Sweep
    from uotlab.engine.sweep.table import SweepTable


def sweep(
    methods: str | Sequence[str],
    dataset: Any,
    grid: Mapping[str, Any],
    seeds: int | Sequence[int] = (0,),
    steps: int | None = None,
    *,
    n: int | None = None,
    data: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: "bool | Callable[[Sweep, Row], None] | None" = None,
    fresh: bool = False,
    **params: Any,
) -> "SweepTable":
    """Train methods over a grid and seeds: `sweep("uotm", "moons-to-spiral", {"rho": [0.1, 1, 10]}, seeds=[0, 1, 2])`.

    Runs go in parallel: in threads, or on the dask cluster that `UOTLAB_SCHEDULER` names. Each is a run in the store, scored on the
    same fresh points; a sweep that was interrupted goes on where it was when it is asked for again.

    Args:
        methods: one key of `uotlab.METHODS`, or several.
        dataset: a key of `uotlab.DATASETS`, or a Problem that `uotlab.load` made.
        grid: values by hyper-parameter: a field of the methods, "rho", "tau" or "divergence" for both sides, "steps", "n", or
            "data.<field>". Methods that keep both marginals are trained once a seed and stand at rho = inf.
        seeds: of the runs.
        steps: training steps; None is each method's default.
        n, data: points a side, and fields of the dataset.
        workers: runs at a time; None is the number of cores.
        progress: True prints a line a finished run; or called as progress(sweep, row).
        fresh: begin anew even where the same sweep was interrupted.
        params: hyper-parameters that all methods share.

    Raises:
        InputError: one sentence on what is wrong with an argument.
    """
    from uotlab.engine.sweep.headless import follow, line, open_sweep
    from uotlab.engine.sweep.spec import make_sweep

    origin = getattr(dataset, "origin", None)
    if not isinstance(dataset, str):
        if origin is None:
            raise InputError("A sweep needs a dataset's name, or a Problem from uotlab.load: its runs are kept as words and numbers.")
        dataset, n, data = origin["dataset"], origin["n"], {**origin["params"], "seed": origin["seed"], **(data or {})}
    spec = make_sweep(methods, dataset, grid, seeds, steps=steps, n=n, data=dict(data or {}), device=device, params=params)

    def printed(sweep: "Sweep", row: "Row") -> None:
        print(line(sweep, row), flush=True)  # noqa: T201

    told = printed if progress is True else progress or None
    return follow(open_sweep(spec, workers, fresh=fresh), told)
