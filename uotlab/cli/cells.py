"""`python -m uotlab cells`: from a file of cells, or a dataset, to growth: an .h5ad and tables."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uotlab import DATASETS, METHODS, SOLVERS, cells
from uotlab.cells.looking import look
from uotlab.cli.words import check_writable, settings_of, show_numbers, versions
from uotlab.engine.files import plain, to_json, write_text
from uotlab.errors import InputError, did_you_mean, short

NAMED = ("time", "source", "target", "type", "layer", "space")  #: fields of a preparation with an option of their own


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    parser = commands.add_parser("cells", help="growth of cells, from a file or a dataset")
    parser.add_argument("data", metavar="FILE|DATASET", help=".h5ad, 10x folder or .h5, .loom, .csv, .tsv, .mtx, or a dataset of cells")
    parser.add_argument("--look", action="store_true", help="only say what the file holds, as JSON")
    for name in NAMED:
        parser.add_argument(f"--{name}", default="", help=str(cells.Preparation.model_fields[name].description))
    parser.add_argument("--obs", metavar="TABLE", help="a csv of what is known of the cells, their names first")
    parser.add_argument("--transpose", action="store_true", help="the rows of the table are genes")
    parser.add_argument("--prepare", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="further settings, such as pcs=50")
    parser.add_argument("--data", dest="data_set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="of a dataset")
    parser.add_argument("--n", type=int, help="most cells a side (default: all of a file, the dataset's own number)")
    parser.add_argument("--run", metavar="METHOD", default="uotm", help="method, or solver such as sinkhorn (default uotm)")
    parser.add_argument("--steps", type=int, help="training steps (default: the method's)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default 0)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="hyper-parameters of the method")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--key", default="uot", help="beginning of the keys that are written (default uot)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write cells.h5ad, cells.csv, growth.csv and run.json there")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(command=cells_command)


def cells_command(arguments: argparse.Namespace) -> None:
    """Prepare, train, say how much grows, and write what was asked for."""
    if arguments.look:
        print(to_json(asdict(look(arguments.data, obs=arguments.obs, transpose=arguments.transpose)), indent=2))
        return
    if arguments.run not in METHODS and arguments.run not in SOLVERS:
        raise InputError(
            f"There is no method or solver named '{short(arguments.run)}'. {did_you_mean(arguments.run, [*METHODS, *SOLVERS])}"
        )
    params = settings_of("--set", arguments.set, (METHODS if arguments.run in METHODS else SOLVERS)[arguments.run])
    if arguments.out is not None:
        check_writable(arguments.out)
    study = study_asked(arguments)
    outcome = cells.run(study, arguments.run, arguments.steps, arguments.seed, arguments.device, not arguments.quiet, **params)
    numbers = growth_numbers(outcome)
    if arguments.out is not None:
        write_outcome(arguments.out, outcome, numbers, arguments.key)
    show_numbers(numbers, arguments.json)
    if arguments.json:
        return
    for note in study.notes:
        print(f"Note: {note}")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: cells.h5ad, cells.csv, growth.csv, run.json")


def method_of(name: str) -> Any:
    """The class of a method, or of a solver."""
    if name not in METHODS and name not in SOLVERS:
        raise InputError(f"There is no method or solver named '{short(name)}'. {did_you_mean(name, [*METHODS, *SOLVERS])}")
    return METHODS[name] if name in METHODS else SOLVERS[name]


def study_asked(arguments: argparse.Namespace) -> cells.Study:
    """The study of the dataset or the file that the command names."""
    named = {name: value for name in NAMED if (value := getattr(arguments, name))}
    if arguments.data in DATASETS and not Path(arguments.data).exists():
        cls = DATASETS[arguments.data]
        given = settings_of("--data", arguments.data_set, cls)
        wrong = [f"--{k}" for k in named if k not in cls.model_fields] + (["--prepare"] if arguments.prepare else [])
        if wrong:
            raise InputError(f"{cls.name} is prepared already, so that {wrong[0]} does not apply. Its settings: --data KEY=VALUE.")
        return cells.load(arguments.data, arguments.n, given.pop("seed", 0), **named, **given)
    if arguments.data_set:
        raise InputError("--data gives settings of a dataset; for a file use --prepare KEY=VALUE.")
    settings = settings_of("--prepare", arguments.prepare, cells.Preparation)
    progress = None if arguments.quiet else (lambda step, share: print(f"{share:4.0%} {step}", file=sys.stderr))
    study = cells.prepare(Path(arguments.data), progress, obs=arguments.obs, transpose=arguments.transpose, **named, **settings)
    return study if arguments.n is None else study.subsample(arguments.n)


def growth_numbers(outcome: cells.Outcome) -> dict[str, float]:
    """Numbers of cells, the transported mass, and mean growth by cell type."""
    study = outcome.study
    numbers: dict[str, float] = {"source cells": len(study.source), "target cells": len(study.target), "mass": outcome.mass}
    if study.type:
        types = study.types("source")
        numbers |= {f"growth {k}": float(outcome.growth[types == k].mean()) for k in sorted(set(types))}
    if "growth" in study.truth:
        from scipy.stats import spearmanr

        numbers["spearman with true growth"] = float(spearmanr(outcome.growth, study.truth["growth"]).statistic)
    return numbers


def write_outcome(folder: Path, outcome: cells.Outcome, numbers: dict[str, float], key: str) -> None:
    """cells.h5ad, cells.csv (one row a source cell), growth.csv (one row a type) and run.json.

    Raises:
        InputError: the folder cannot be written.
    """
    study = outcome.study
    cells.write_h5ad(outcome, folder / "cells.h5ad", key)
    growth = "".join(f'"{k.removeprefix("growth ")}",{v:.6g}\n' for k, v in numbers.items() if k.startswith("growth "))
    record = {"settings": plain(dict(outcome.settings)), "numbers": numbers, "about": plain(asdict(study.about)), "versions": versions()}
    try:
        write_text(folder / "cells.csv", cells.cells_table(outcome, key).to_csv(float_format="%.7g"))
        write_text(folder / "growth.csv", f"{study.type or 'type'},growth\n{growth}")
        write_text(folder / "run.json", to_json(record, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None
