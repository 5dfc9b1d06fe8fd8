"""`python -m uotlab cells`: from a file of cells, or a dataset, to growth, genes and fates: an .h5ad, tables, figures and a report."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from uotlab import cells
from uotlab.cells.branches import check_branches
from uotlab.cells.bundle import accuracy_or_none, notes_of, numbers_of
from uotlab.cells.drawing import Format, browser
from uotlab.cells.embedding import KINDS, kinds_of
from uotlab.cells.enrich import EnrichmentTest, map_asked
from uotlab.cells.enriched import GeneAnalysis
from uotlab.cells.genes import Test
from uotlab.cells.growth import groups
from uotlab.cells.looking import look
from uotlab.cells.outcome import HIGH
from uotlab.cli import cells_many
from uotlab.cli.cells_data import add_data, branches_asked, method_of, study_asked, teller
from uotlab.cli.words import check_writable, settings_of, show_numbers
from uotlab.engine.files import plain, to_json, write_text
from uotlab.errors import InputError, short

SHOWN = 10  #: genes, terms and types that are printed
FIRST = "uotm"  #: the method where none is named


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    parser = commands.add_parser(
        "cells", help="growth, genes and fates of cells, from a file or a dataset", description="Growth, genes and fates of cells."
    )
    add_data(parser)
    group = parser.add_argument_group("training")
    group.add_argument(
        "--run", metavar="METHOD", help=f"method, or solver such as sinkhorn (default {FIRST}); --sweep and --perturb take several, A,B"
    )
    group.add_argument("--steps", type=int, help="training steps (default: the method's)")
    group.add_argument("--seed", type=int, default=0, help="seed of the run (default 0)")
    group.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="hyper-parameters of the method")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group = parser.add_argument_group("genes and fates")
    group.add_argument("--genes", action="store_true", help="genes and gene sets of the growing cells, beside shuffled scalings")
    group.add_argument("--gmt", type=Path, metavar="FILE", help="gene sets of your own (default: those of the cells' species)")
    group.add_argument("--percentile", type=float, default=HIGH, help=f"of growth, above which a cell counts as growing (default {HIGH:g})")
    group.add_argument("--test", choices=get_args(EnrichmentTest), default="mhg", help="of gene sets (default mhg)")
    group.add_argument("--de", choices=get_args(Test), default=get_args(Test)[0], help="of genes (default %(default)s)")
    group.add_argument("--shuffles", type=int, default=10, help="shuffled scalings beside every p-value (default 10)")
    group.add_argument("--fates", action="store_true", help="which type becomes which, and how much goes where it may")
    group.add_argument("--branches", type=Path, metavar="FILE", help="JSON of what may become what, for --fates")
    group.add_argument("--effect", action="store_true", help="distances of mapped to target cells, held out, and means of every feature")
    group.add_argument("--push", metavar="TYPE", help="where the source cells of a type go")
    group.add_argument("--pull", metavar="TYPE", help="where the target cells of a type come from")
    cells_many.add_options(parser)
    group = parser.add_argument_group("what is written")
    group.add_argument("--out", type=Path, metavar="DIR", help="write cells.h5ad, tables and run.json there")
    group.add_argument("--report", action="store_true", help="also report.html, one page with settings, figures, tables and warnings")
    group.add_argument("--figures", choices=get_args(Format), help="also figures; svg and png need Chromium, Chrome or Edge")
    group.add_argument("--map", choices=tuple(KINDS), default="pca", help="of the cells in the figures (default pca)")
    group.add_argument("--key", default="uot", help="beginning of the keys that are written (default uot)")
    group.add_argument("--json", action="store_true", help="print the numbers as JSON")
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(command=cells_command)


def cells_command(arguments: argparse.Namespace) -> None:
    """Prepare, train, say what was asked for, and write it."""
    if arguments.look:
        print(to_json(asdict(look(arguments.data, obs=arguments.obs, transpose=arguments.transpose)), indent=2))
        return
    _check_out(arguments)
    if arguments.sweep is not None or arguments.perturb:
        cells_many.run_many(arguments)
        return
    method = arguments.run or FIRST
    params = settings_of("--set", arguments.set, method_of(method))
    sets = None if arguments.gmt is None else cells.read_gmt(arguments.gmt)
    branches = branches_asked(arguments.branches)
    study = study_asked(arguments)
    _check_study(arguments, study, sets, branches)
    outcome = cells.run(study, method, arguments.steps, arguments.seed, arguments.device, not arguments.quiet, **params)
    told = teller(quiet=arguments.quiet)
    found: dict[str, Any] = dict(numbers_of(outcome))
    genes = None
    if arguments.genes:
        genes = cells.analyse(
            outcome, arguments.percentile, sets, arguments.test, arguments.de, arguments.shuffles, arguments.seed, progress=told
        )
    features = None
    if arguments.effect:
        effects, features = cells.held_out(outcome)
        found |= {f"effect {k}": v for k, v in effects.items()}
    moved = {way: cells.moved(outcome, kind, way) for way in ("push", "pull") if (kind := getattr(arguments, way))}  # type: ignore[arg-type]
    written: list[str] = []
    if arguments.out is not None:
        written = cells.export(
            outcome, arguments.out, genes=genes, branches=branches, figures=arguments.figures, page=arguments.report, kind=arguments.map,
            percentile=arguments.percentile, key_added=arguments.key, progress=told,
        )  # fmt: skip
        more = {way: table for way, (table, _) in moved.items()} | ({} if features is None else {"features": features})
        for name, table in more.items():
            write_text(arguments.out / f"{name}.csv", table.to_csv(index=False, float_format="%.7g"))
            written.append(f"{name}.csv")
    tables = _tables(arguments, outcome, genes, branches) | {way: each for way, (_, each) in moved.items()}
    if arguments.json:
        show_numbers(found | {name: plain(table.to_dict("records")) for name, table in tables.items()}, as_json=True)
        return
    show_numbers(found, as_json=False)
    for name, table in tables.items():
        print(f"\n{name}:\n{table.to_string(index=False, float_format=lambda v: f'{v:.3g}')}")
    for note in notes_of(outcome, genes):
        print(f"Note: {note}")
    if written:
        print(f"Written to {arguments.out}: {', '.join(written)}")


def _tables(arguments: argparse.Namespace, outcome: cells.Outcome, genes: GeneAnalysis | None, branches: Any) -> dict[str, Any]:
    """What is printed of genes and fates."""
    found: dict[str, Any] = {}
    if genes is not None:
        found["genes"] = genes.genes.head(SHOWN)
        if len(genes.terms):
            found["terms"] = genes.terms.head(SHOWN).drop(columns="genes")
    if arguments.fates or branches is not None:
        found["fates"] = cells.transition(outcome).reset_index()
        accurate = accuracy_or_none(outcome, branches)
        found |= {} if accurate is None else {"branches": accurate.branches}
    return found


def _check_out(arguments: argparse.Namespace) -> None:
    """What can be told before hours of training."""
    if arguments.out is None and (arguments.report or arguments.figures):
        raise InputError(f"--{'report' if arguments.report else 'figures'} writes files, so it needs a folder: --out DIR.")
    if arguments.out is not None:
        check_writable(arguments.out)
    if arguments.figures in ("svg", "png"):
        browser()
    if not 0 < arguments.percentile < 100:
        raise InputError(f"--percentile must lie between 0 and 100; it is {arguments.percentile:g}.")
    if not arguments.key.isidentifier():
        raise InputError(f"--key must be a plain name such as uot; it is '{short(arguments.key)}'.")


def _check_study(arguments: argparse.Namespace, study: cells.Study, sets: Any, branches: Any) -> None:
    """Whether these cells have the genes, sets and types that are asked for."""
    arguments.genes = arguments.genes or sets is not None
    if arguments.genes and not study.has_genes:
        raise InputError("These cells come without genes, so no gene can be tested. Leave out --genes, or take data with genes.")
    cls = method_of(arguments.run or FIRST)
    if arguments.genes and not (cls.relaxed[0] if isinstance(cls.relaxed, tuple) else cls.relaxed):
        raise InputError(f"{arguments.run} keeps every cell's mass, so no cell grows more than another: take an unbalanced one.")
    if arguments.figures and arguments.map not in kinds_of(study):
        raise InputError(f"There is no map '{arguments.map}' of these cells. Choose one of: {', '.join(kinds_of(study))}.")
    if sets is not None:
        map_asked(sets, study.species, study.genes)
    if branches is not None:
        ends = tuple(dict.fromkeys(t for table in branches.values() for to in table.values() for t in to))
        check_branches(branches, ends, *(set(groups(study, None, side)) for side in ("source", "target")))
    for way, side in (("push", "source"), ("pull", "target")):
        kind = getattr(arguments, way)
        types = sorted(set(groups(study, None, side))) if kind else []
        if kind and kind not in types:
            raise InputError(f"--{way}: no {side} cell has the type '{short(kind)}'; there are {', '.join(map(short, types))}.")
