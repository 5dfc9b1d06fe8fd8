"""`python -m uotlab sweep`: a grid of hyper-parameters, methods and seeds; a line a finished run, csv and the best of each method."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uotlab.cli.words import versions
from uotlab.engine.files import plain, to_json, write_text
from uotlab.errors import InputError, short
from uotlab.parameters import value_of_text

if TYPE_CHECKING:
    from uotlab.engine.sweep.run import Row, Sweep
    from uotlab.engine.sweep.spec import SweepSpec
    from uotlab.engine.sweep.table import SweepTable


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    parser = commands.add_parser("sweep", help="train methods over a grid of settings and seeds")
    parser.add_argument("methods", metavar="METHOD[,METHOD]")
    parser.add_argument("dataset", metavar="DATASET")
    parser.add_argument(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=V,V",
        help="values, such as rho=0.1,1,10 batch_size=64,256 data.sd=1,2",
    )
    parser.add_argument("--seeds", default="0", metavar="S,S", help="seeds of the runs, such as 0,1,2 (default 0)")
    parser.add_argument("--steps", type=int, help="training steps (default: each method's)")
    parser.add_argument("--n", type=int, help="points a side (default: the dataset's)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="hyper-parameters of all methods")
    parser.add_argument("--data", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="parameters of the dataset")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--workers", type=int, help="runs at a time (default: the number of cores); a cluster has its own")
    parser.add_argument("--metric", help="the number that is printed and decides on the best (default: the first that has a good end)")
    parser.add_argument("--best", choices=("lower", "higher"), help="which end of the metric is the good one (default: the metric's own)")
    parser.add_argument("--fresh", action="store_true", help="begin anew where the same sweep was interrupted")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write sweep.csv (as results come) and sweep.json there")
    parser.add_argument("--json", action="store_true", help="print all rows as JSON; lines go to stderr")
    parser.add_argument("--quiet", action="store_true", help="no lines while it runs")
    parser.set_defaults(command=sweep_command)


def sweep_command(arguments: argparse.Namespace) -> None:
    """Train the grid, tell what comes, and write what was asked for."""
    from uotlab.engine.sweep.headless import follow, line, open_sweep
    from uotlab.engine.sweep.table import table_of

    spec = spec_of(arguments)
    out: Path | None = arguments.out
    if out is not None:
        _write(out, "sweep.json", "")  # before hours of training end at a folder that cannot be written
    place = sys.stderr if arguments.json else sys.stdout

    def told(sweep: "Sweep", row: "Row") -> None:
        if not arguments.quiet:
            print(line(sweep, row, arguments.metric), file=place, flush=True)
        if out is not None:
            _write(out, "sweep.csv", table_of(sweep.id, spec, sweep.rows()).csv())

    sweep = open_sweep(spec, arguments.workers, fresh=arguments.fresh)
    if not arguments.quiet:
        done = sum(row.settled for row in sweep.rows())
        going = f", {done} of them already done" if done else ""
        print(f"Sweep {sweep.id}: {spec.size} runs{going}. In the lab: /sweep?sweep={sweep.id}", file=sys.stderr, flush=True)
    try:
        table = follow(sweep, told)
    except KeyboardInterrupt:
        print("\nuotlab: stopped at checkpoints; the same command goes on from there.", file=sys.stderr)
        raise
    if out is not None:
        _write(out, "sweep.csv", table.csv())
        _write(out, "sweep.json", to_json(record_of(table), indent=2) + "\n")
    if arguments.json:
        print(to_json([plain(record) for record in table.records()], indent=2))
    else:
        _summary(table, arguments.metric, arguments.best)
        if out is not None:
            print(f"Written to {out}: sweep.csv, sweep.json")
    if table.failed and len(table.failed) == len(table.rows):
        raise InputError(f"All runs failed. The first: {next(iter(table.failed.values()))}")


def spec_of(arguments: argparse.Namespace) -> "SweepSpec":
    """What the words of the command ask for.

    Raises:
        InputError: one sentence on what is wrong.
    """
    from uotlab.engine.sweep.spec import make_sweep

    methods = [name for name in arguments.methods.split(",") if name]
    return make_sweep(
        methods, arguments.dataset, grid_of_words(arguments.grid), _list("--seeds", arguments.seeds), steps=arguments.steps, n=arguments.n,
        data=_pairs("--data", arguments.data), params=_pairs("--set", arguments.set), device=arguments.device,
    )  # fmt: skip


def grid_of_words(words: Sequence[str]) -> dict[str, list[Any]]:
    """`key=v,v` words as a grid.

    Raises:
        InputError: not of this form, or a key that comes twice.
    """
    grid: dict[str, list[Any]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f"--grid takes key=value,value; it got '{short(word)}'.")
        name = key.strip() if key.startswith("data.") else key.strip().replace("-", "_")
        if name in grid:
            raise InputError(f"--grid has {short(name)} twice; give all its values at once.")
        grid[name] = _list(f"--grid {short(name)}", text)
    return grid


def record_of(table: "SweepTable") -> dict[str, Any]:
    """What was asked, which runs there are, and the versions."""
    return {"sweep": table.id, "spec": json.loads(table.spec.model_dump_json()), "runs": table.records(), "versions": versions()}


def _summary(table: "SweepTable", metric: str | None, better: Any) -> None:
    """The mean and spread of the metric at every place, the best marked."""
    from uotlab.engine.sweep.spec import number_text
    from uotlab.engine.sweep.summary import pick_metric

    name = pick_metric(table.rows, metric)
    if name is None:
        return
    axis = next(iter(table.spec.grid))
    best = table.best(metric, better)
    curves = table.curves(metric)
    width = max((len(curve.label) for curve in curves), default=0)
    print(f"\n{name} against {'rho' if axis.startswith('tau') else axis}, mean ± standard deviation over seeds")
    for curve in curves:
        for point in curve.points:
            spread = f" ± {point.spread:.2g}" if len(point.values) > 1 else ""
            mark = "  best" if best.get(curve.label) == point and len(curve.points) > 1 else ""
            print(f"{curve.label:<{width}}  {number_text(point.x):>8}  {point.mean:.4g}{spread}{mark}")
    for label, sentence in table.failed.items():
        print(f"{label}: {sentence}")


def _list(option: str, text: str) -> list[Any]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise InputError(f"{option} needs values with commas between them, such as 0,1,2; it got '{short(text)}'.")
    return [value_of_text(word) for word in words]


def _pairs(option: str, words: Sequence[str]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f"{option} takes key=value; it got '{short(word)}'.")
        found[key.strip().replace("-", "_")] = None if text.lower() in ("none", "null") else value_of_text(text)
    return found


def _write(folder: Path, name: str, text: str) -> None:
    try:
        write_text(folder / name, text)
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None
