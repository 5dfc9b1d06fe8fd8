"""The two parts of `python -m uotlab cells` that train many times: a sweep of rho, and perturbations by condition."""

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uotlab import METHODS, SOLVERS, cells
from uotlab.cells.branches import Branches
from uotlab.cells.drawing import Picture, draw
from uotlab.cells.perturbation import MEASURES, condition_arrays
from uotlab.cells.sweeping import RHOS, Row, frame, sweep_arrays, tau_of
from uotlab.cli.cells_data import branches_asked, method_of, study_asked
from uotlab.cli.words import settings_of
from uotlab.engine.files import plain, to_json, write_text
from uotlab.errors import InputError, short

ARRAYS = ("cells", "growth", "high", "terms")  #: fields of a row that are no numbers


def add_options(parser: Any) -> None:
    """Options of both."""
    group = parser.add_argument_group("many runs")
    group.add_argument(
        "--sweep", nargs="?", const="", metavar="RHO,RHO", help="mass, growth, fates and their stability over rho1 (default: seven values)"
    )
    group.add_argument("--perturb", action="store_true", help="control to each treatment, measured on held-out cells")
    group.add_argument("--conditions", nargs="+", metavar="VALUE", help="treatments of --perturb (default: all but the control)")
    group.add_argument("--seeds", metavar="S,S", help="of --sweep (default 0,1,2) and --perturb (default 0)")


def run_many(arguments: argparse.Namespace) -> None:
    """Whichever of the two is asked for."""
    if arguments.sweep is not None and arguments.perturb:
        raise InputError("Give --sweep or --perturb, not both.")
    for option in ("genes", "fates", "report", "push", "pull"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is of one run; with --sweep or --perturb leave it out.")
    (_sweep if arguments.sweep is not None else _perturb)(arguments)


def _sweep(arguments: argparse.Namespace) -> None:
    methods = _methods(arguments, "sinkhorn")
    rhos = RHOS if not arguments.sweep else [_number("--sweep", word) for word in arguments.sweep.split(",")]
    seeds = _seeds(arguments, "0,1,2")
    params = settings_of("--set", arguments.set, method_of(methods[0]))
    sets = None if arguments.gmt is None else cells.read_gmt(arguments.gmt)
    branches: Branches | None = branches_asked(arguments.branches)
    study = study_asked(arguments)
    own = {"device": arguments.device} if methods[0] in METHODS else {}
    total, rows = len(methods) * len(rhos) * len(seeds), []
    found = cells.tau_sweep(study, methods, rhos, seeds, arguments.steps, arguments.percentile, branches, sets, **params | own)
    for row in found:
        rows.append(row)
        _tell(arguments, f"{len(rows)}/{total} {row.method} rho1 {row.rho:g} seed {row.seed}: {row.error or f'mass {row.mass:.3f}'}")
        if arguments.out is not None:
            _write(arguments.out, "runs.csv", _runs(rows))
    if all(row.error for row in rows):
        raise InputError(f"All runs failed. The first: {rows[0].error}")
    table = frame(rows)
    _finish(arguments, "sweep", table, [Picture("sweep", "cells-sweep", sweep_arrays(table), height=900)], study)


def _perturb(arguments: argparse.Namespace) -> None:
    methods = _methods(arguments, "oticnn,uoticnn")
    seeds = _seeds(arguments, "0")
    params = settings_of("--set", arguments.set, method_of(methods[-1]))
    study = study_asked(arguments)
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for row in cells.perturb(study, methods, arguments.conditions, seeds, arguments.steps, **params):
        rows.append(row)
        _tell(
            arguments, f"{row['condition']}, {row['method']}, seed {row['seed']}: L2 {row['l2']:.3g} ({row['l2_no_map']:.3g} without a map)"
        )
        if arguments.out is not None:
            _write(arguments.out, "perturbation.csv", pd.DataFrame(rows))
    table = pd.DataFrame(rows)
    drawn = []
    if len(methods) == 2:
        drawn = [Picture(f"conditions-{k}", "conditions", condition_arrays(table, methods[0], methods[1], k)) for k in MEASURES]
    _finish(arguments, "perturbation", table, drawn, study)


def _finish(arguments: argparse.Namespace, name: str, table: Any, drawn: list[Picture], study: cells.Study) -> None:
    """Print the table, and write it with its figure."""
    out: Path | None = arguments.out
    written: list[str] = []
    if out is not None:
        _write(out, f"{name}.csv", table)
        written = [f"{name}.csv", *(["runs.csv"] if name == "sweep" else [])]
        if arguments.figures:
            written += [f"figures/{path.name}" for path in draw(drawn, out / "figures", arguments.figures)]
    if arguments.json:
        print(to_json(plain(table.to_dict("records")), indent=2))
        return
    print(table.dropna(axis=1, how="all").to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    for note in study.notes:
        print(f"Note: {note}")
    if written:
        print(f"Written to {out}: {', '.join(written)}")


def _runs(rows: list[Row]) -> Any:
    import pandas as pd

    found = pd.DataFrame([{k: v for k, v in asdict(row).items() if k not in ARRAYS} for row in rows])
    found.insert(1, "tau", [tau_of(row.rho) for row in rows])
    return found


def _methods(arguments: argparse.Namespace, default: str) -> list[str]:
    names = [name for name in (arguments.run or default).split(",") if name]
    for name in names:
        method_of(name)
    if {name in METHODS for name in names} == {True, False} and arguments.set:
        raise InputError("--set holds settings of methods or of solvers; name only one of the two kinds in --run.")
    if not names:
        raise InputError(f"--run names no method. Choose from {', '.join([*METHODS, *SOLVERS][:4])}, ...")
    return names


def _seeds(arguments: argparse.Namespace, default: str) -> list[int]:
    words = (arguments.seeds or default).split(",")
    if not all(word.strip().isdigit() for word in words):
        raise InputError(f"--seeds takes whole numbers with commas between, such as 0,1,2; it got '{short(arguments.seeds)}'.")
    return [int(word) for word in words]


def _number(option: str, word: str) -> float:
    try:
        found = math.inf if word.strip().lower() in ("inf", "infinity") else float(word)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InputError(f"{option} takes numbers above 0 with commas between, such as 0.2,0.95,inf; it got '{short(word)}'.")
    return found


def _tell(arguments: argparse.Namespace, line: str) -> None:
    if not arguments.quiet:
        print(line, file=sys.stderr, flush=True)


def _write(folder: Path, name: str, table: Any) -> None:
    try:
        write_text(folder / name, table.to_csv(index=False, float_format="%.7g"))
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None
