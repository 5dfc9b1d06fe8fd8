"""`python -m uotlab run`: train a method on a dataset, score it, write it."""

import argparse
import csv
import io
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from uotlab import DATASETS, METHODS, Fitted, fit, load
from uotlab.cli.words import check_writable, settings_of, show_numbers, versions
from uotlab.data.progress import listening
from uotlab.engine.files import floats, to_json, write_text
from uotlab.errors import InputError, short


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    run = commands.add_parser("run", help="train a method on a dataset")
    run.add_argument("method", metavar="METHOD")
    run.add_argument("dataset", metavar="DATASET")
    run.add_argument("--steps", type=int, help="training steps (default: the method's)")
    run.add_argument("--seed", type=int, default=0, help="seed of the run (default 0); the data's is --data seed=...")
    run.add_argument("--n", type=int, help="points a side (default: the dataset's)")
    run.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="hyper-parameters of the method")
    run.add_argument("--data", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="parameters of the dataset")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    run.add_argument("--out", type=Path, metavar="DIR", help="write run.json, history.csv, weights.pt and mapped.csv there")
    run.add_argument("--json", action="store_true", help="print the metrics as JSON")
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
    run.add_argument("--no-reference", action="store_true", help="do not solve the problem's discrete optimum to measure errors against")
    run.set_defaults(command=run_command)


def run_command(arguments: argparse.Namespace) -> None:
    """Train, score, and write what was asked for."""
    params = settings_of("--set", arguments.set, METHODS[arguments.method])
    data = settings_of("--data", arguments.data, DATASETS[arguments.dataset])
    if arguments.out is not None:
        check_writable(arguments.out)
    with nullcontext() if arguments.quiet else listening(_preparing):
        problem = load(arguments.dataset, arguments.n, data.pop("seed", 0), **data)
    fitted = fit(arguments.method, problem, arguments.steps, arguments.seed, arguments.device, not arguments.quiet, **params)
    metrics = {**fitted.metrics, **fitted.evaluate(reference=not arguments.no_reference)}
    if arguments.out is not None:
        write_run(arguments.out, fitted, metrics)
    show_numbers(metrics, arguments.json)
    if arguments.json:
        return
    print(fitted.evaluated_on)
    for note in fitted.notes.values():
        print(f"Note: {note}")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: run.json, history.csv, weights.pt, mapped.csv")


def _preparing(what: str, done: float) -> None:
    """One line on stderr, rewritten in place; a log gets its end."""
    if sys.stderr.isatty() or done >= 1:
        sys.stderr.write(f"\r{what}, once: {done:4.0%}" + ("\n" if done >= 1 else ""))
        sys.stderr.flush()


def write_run(folder: Path, fitted: Fitted, metrics: dict[str, float]) -> None:
    """run.json (spec, metrics, versions), history.csv, weights.pt (`Fitted.load` reads it) and mapped.csv.

    Raises:
        InputError: the folder cannot be written.
    """
    record = {"spec": fitted.spec.model_dump(), "metrics": floats(metrics), "evaluated_on": fitted.evaluated_on}
    record |= {"notes": fitted.notes, "versions": versions()}
    try:
        write_text(folder / "run.json", to_json(record, indent=2) + "\n")
        write_text(folder / "history.csv", fitted.history_csv())
        write_text(folder / "mapped.csv", mapped_csv(fitted))
        fitted.save(folder / "weights.pt")
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None


def mapped_csv(fitted: Fitted, most: int = 20_000) -> str:
    """Source points, their images and, where the method has it, their scaling xi: one row a point, at most 20000."""
    few = fitted.problem.source.subsample(most)
    columns = list(few.names) or [f"x{i}" for i in range(few.d)]
    table = [few.points[:], fitted.transport(few.points[:])]
    there = table[1].shape[1]  # of another space it may have other columns
    header = [*columns, *(f"T{name}" for name in (columns if there == few.d else [f"x{i}" for i in range(there)]))]
    if hasattr(fitted.method, "scaling"):
        table.append(fitted.scaling(few.points[:])[:, None])
        header.append("xi")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for rows in zip(*table, strict=True):
        writer.writerow([f"{value:.7g}" for row in rows for value in row])
    return text.getvalue()
