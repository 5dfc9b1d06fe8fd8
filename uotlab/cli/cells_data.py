"""Which cells a command works on: its options, and the study that they name."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uotlab import DATASETS, METHODS, SOLVERS, cells
from uotlab.cells.branches import Branches
from uotlab.cli.words import settings_of
from uotlab.errors import InputError, did_you_mean, short

NAMED = ("time", "source", "target", "type", "layer", "space")  #: fields of a preparation with an option of their own


def add_data(parser: Any) -> None:
    """Options that say which cells."""
    parser.add_argument("data", metavar="FILE|DATASET", help=".h5ad, 10x folder or .h5, .loom, .csv, .tsv, .mtx, or a dataset of cells")
    group = parser.add_argument_group("the cells")
    group.add_argument("--look", action="store_true", help="only say what the file holds, as JSON")
    for name in NAMED:
        group.add_argument(f"--{name}", default="", help=str(cells.Preparation.model_fields[name].description))
    group.add_argument("--obs", metavar="TABLE", help="a csv of what is known of the cells, their names first")
    group.add_argument("--transpose", action="store_true", help="the rows of the table are genes")
    group.add_argument("--prepare", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="further settings, such as pcs=50")
    group.add_argument("--data", dest="data_set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="of a dataset")
    group.add_argument("--n", type=int, help="most cells a side (default: all of a file, the dataset's own number)")


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
    told = teller(quiet=arguments.quiet)
    study = cells.prepare(Path(arguments.data), told, obs=arguments.obs, transpose=arguments.transpose, **named, **settings)
    return study if arguments.n is None else study.subsample(arguments.n)


def teller(*, quiet: bool) -> Callable[[str, float], None] | None:
    """Progress on stderr, one line a step."""
    return None if quiet else (lambda step, share: print(f"{share:4.0%} {step}", file=sys.stderr, flush=True))


def method_of(name: str) -> Any:
    """The class of a method, or of a solver.

    Raises:
        InputError: there is none of that name.
    """
    if name not in METHODS and name not in SOLVERS:
        raise InputError(f"There is no method or solver named '{short(name)}'. {did_you_mean(name, [*METHODS, *SOLVERS])}")
    return METHODS[name] if name in METHODS else SOLVERS[name]


def branches_asked(path: Path | None) -> Branches | None:
    """{branch: {source type: [target types]}} from a JSON file.

    Raises:
        InputError: no such file, or something else in it.
    """
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{short(path.name)} cannot be read ({error.strerror}); check the path.") from None
    except ValueError:
        raise InputError(f"{short(path.name)} is no JSON. {EXAMPLE}") from None
    good = isinstance(found, dict) and all(
        isinstance(table, dict) and all(isinstance(to, list) and all(isinstance(v, str) for v in to) for to in table.values())
        for table in found.values()
    )
    if not good:
        raise InputError(f"{short(path.name)} holds no branches. {EXAMPLE}")
    return {branch: {kind: tuple(to) for kind, to in table.items()} for branch, table in found.items()}


EXAMPLE = 'Branches are {"branch": {"source type": ["target type", ...]}}.'
