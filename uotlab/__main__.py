"""The command line: `python -m uotlab list | run | sweep | plan | barycenter | fetch`. Bad input is one sentence on stderr and exit code 2."""

import argparse
import csv
import io
import math
import platform
import sys
import tempfile
import time
import types
import typing
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from uotlab import COSTS, DATASETS, DIVERGENCES, METHODS, METRICS, SOLVERS, VIEWS, Fitted, InputError, Plan, __version__, fit, load, plan
from uotlab.cli import sweep as sweep_cli
from uotlab.engine.files import floats, to_json, write_text, write_whole
from uotlab.engine.loop import NotFinite
from uotlab.errors import did_you_mean, short
from uotlab.parameters import check_count, value_of_text
from uotlab.plans.barycenters.base import BARYCENTERS, barycenter
from uotlab.plans.setting import MOST_PAIRS
from uotlab.registry import Registry

REGISTRIES: dict[str, Registry] = {
    "methods": METHODS,
    "datasets": DATASETS,
    "divergences": DIVERGENCES,
    "costs": COSTS,
    "metrics": METRICS,
    "solvers": SOLVERS,
    "barycenters": BARYCENTERS,
    "views": VIEWS,
}
SHOWN = ("title", "summary", "group", "family", "reference", "default_steps", "default_n", "latex", "equation", "unit", "better")
BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (InputError, NotFinite) as error:
        print(f"uotlab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nuotlab: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as `| head`
        sys.stderr.close()
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m uotlab", description="Unbalanced optimal transport with neural networks.")
    parser.add_argument("--version", action="version", version=f"uotlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="what there is to choose from")
    listing.add_argument("what", choices=REGISTRIES)
    listing.add_argument("--json", action="store_true", help="JSON, with every parameter's type, default and range")
    listing.set_defaults(command=list_command)

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

    solving = commands.add_parser("plan", help="solve a dataset's discrete problem")
    solving.add_argument("solver", metavar="SOLVER")
    solving.add_argument("dataset", metavar="DATASET")
    solving.add_argument("--n", type=int, default=500, help="points a side (default 500)")
    solving.add_argument("--seed", type=int, default=0, help="seed of the points that are drawn (default 0)")
    solving.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings of the solver")
    solving.add_argument("--data", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="parameters of the dataset")
    solving.add_argument("--out", type=Path, metavar="DIR", help="write plan.json, plan.npz and pairs.csv there")
    solving.add_argument("--json", action="store_true", help="print the numbers as JSON")
    solving.set_defaults(command=plan_command)

    mean = commands.add_parser("barycenter", help="average densities, images of digits, or clouds")
    mean.add_argument("method", metavar="METHOD")
    given = mean.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--densities", nargs="+", metavar="TEXT", help="shape,mean,width[,mass[,outlier]], such as gaussian,-2,0.5 box,2,0.6"
    )
    given.add_argument("--images", nargs="+", metavar="TEXT", help="digits of MNIST, digit or digit/hand, such as 3/0 3/1")
    given.add_argument("--clouds", nargs="+", metavar="TEXT", help="outline,x,y,size, such as ring,-2,0,1 heart,2,0,1")
    given.add_argument("--digit", type=int, help="many images of one digit, scaled and shifted at random")
    mean.add_argument("--count", type=int, default=8, help="how many images of --digit (default 8)")
    mean.add_argument("--weights", nargs="+", type=float, metavar="W", help="of sum 1 (default: equal)")
    mean.add_argument("--points", type=int, default=160, help="points of the line, or of each cloud (default 160)")
    mean.add_argument("--seed", type=int, default=0, help="seed of images and clouds (default 0)")
    mean.add_argument("--centred", action="store_true", help="leave images at their size, in the middle")
    mean.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings of the method")
    mean.add_argument("--out", type=Path, metavar="DIR", help="write barycenter.json, barycenter.npz and barycenter.csv there")
    mean.add_argument("--json", action="store_true", help="print the numbers as JSON")
    mean.set_defaults(command=barycenter_command)

    sweep_cli.add_parser(commands)

    fetch = commands.add_parser("fetch", help="download a dataset, with checksum")
    fetch.add_argument("name", metavar="NAME", help="such as mnist")
    fetch.add_argument("--file", type=Path, help="take this file, which you already have, instead of downloading")
    fetch.set_defaults(command=fetch_command)
    return parser


# ---- list ----------------------------------------------------------------------------------------
def list_command(arguments: argparse.Namespace) -> None:
    """Names with titles, or everything as JSON."""
    entries = [entry(name, cls) for name, cls in REGISTRIES[arguments.what].items()]
    if arguments.json:
        print(to_json(entries, indent=2))
        return
    width = max((len(e["name"]) for e in entries), default=0)
    for e in entries:
        print(f"{e['name']:<{width}}  {e.get('title', '')}")


def entry(name: str, cls: type) -> dict[str, Any]:
    """What `list --json` says of one registered class."""
    values = {key: value for key in SHOWN if isinstance(value := getattr(cls, key, None), str | int | float)}
    if not values.get("summary"):
        values["summary"] = (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    found: dict[str, Any] = {"name": name, "title": name} | values
    if issubclass(cls, BaseModel):
        found["parameters"] = parameters(cls)
    return found


def parameters(cls: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Type, default, bounds and description of every field."""
    described: dict[str, dict[str, Any]] = {}
    for name, field in cls.model_fields.items():
        bounds = {b: getattr(m, b) for m in field.metadata for b in BOUNDS if getattr(m, b, None) is not None}
        choices = [c for kind in _kinds(field.annotation) if typing.get_origin(kind) is typing.Literal for c in typing.get_args(kind)]
        described[name] = {
            "type": " or ".join(_kind_name(k) for k in _kinds(field.annotation)),
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "range": ", ".join(f"{BOUNDS[b]} {v:g}" for b, v in bounds.items()),
            "description": field.description or "",
        } | bounds | ({"choices": choices} if choices else {})  # fmt: skip
    return described


def _kinds(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _kind_name(kind: Any) -> str:
    if kind is type(None):
        return "none"
    return "choice" if typing.get_origin(kind) is typing.Literal else getattr(kind, "__name__", str(kind))


# ---- run -----------------------------------------------------------------------------------------
def run_command(arguments: argparse.Namespace) -> None:
    """Train, score, and write what was asked for."""
    params = _settings("--set", arguments.set, METHODS[arguments.method])
    data = _settings("--data", arguments.data, DATASETS[arguments.dataset])
    if arguments.out is not None:
        _writable(arguments.out)
    problem = load(arguments.dataset, arguments.n, data.pop("seed", 0), **data)
    fitted = fit(arguments.method, problem, arguments.steps, arguments.seed, arguments.device, not arguments.quiet, **params)
    metrics = {**fitted.metrics, **fitted.evaluate(reference=not arguments.no_reference)}
    if arguments.out is not None:
        write_run(arguments.out, fitted, metrics)
    if arguments.json:
        print(to_json(metrics, indent=2))
        return
    width = max(map(len, metrics), default=0)
    for name, value in metrics.items():
        print(f"{name:<{width}}  {value:.6g}")
    print(fitted.evaluated_on)
    for note in fitted.notes.values():
        print(f"Note: {note}")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: run.json, history.csv, weights.pt, mapped.csv")


def write_run(folder: Path, fitted: Fitted, metrics: dict[str, float]) -> None:
    """run.json (spec, metrics, versions), history.csv, weights.pt (`Fitted.load` reads it) and mapped.csv.

    Raises:
        InputError: the folder cannot be written.
    """
    record = {"spec": fitted.spec.model_dump(), "metrics": floats(metrics), "evaluated_on": fitted.evaluated_on}
    record |= {"notes": fitted.notes, "versions": _versions()}
    try:
        write_text(folder / "run.json", to_json(record, indent=2) + "\n")
        write_text(folder / "history.csv", fitted.history_csv())
        write_text(folder / "mapped.csv", mapped_csv(fitted))
        fitted.save(folder / "weights.pt")
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None


def _writable(folder: Path) -> None:
    """Make the folder, before hours of training end at one that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None


def mapped_csv(fitted: Fitted, most: int = 20_000) -> str:
    """Source points, their images and, where the method has it, their scaling xi: one row a point, at most 20000."""
    few = fitted.problem.source.subsample(most)
    columns = list(few.names) or [f"x{i}" for i in range(few.d)]
    table = [few.points[:], fitted.transport(few.points[:])]
    header = [*columns, *(f"T{name}" for name in columns)]
    if hasattr(fitted.method, "scaling"):
        table.append(fitted.scaling(few.points[:])[:, None])
        header.append("xi")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for rows in zip(*table, strict=True):
        writer.writerow([f"{value:.7g}" for row in rows for value in row])
    return text.getvalue()


# ---- plan ----------------------------------------------------------------------------------------
def plan_command(arguments: argparse.Namespace) -> None:
    """Solve, say what came out, and write what was asked for."""
    settings = _settings("--set", arguments.set, SOLVERS[arguments.solver])
    data = _settings("--data", arguments.data, DATASETS[arguments.dataset])
    most = MOST_PAIRS if SOLVERS[arguments.solver].most_pairs < MOST_PAIRS else 10**14  # before so many points are drawn
    check_count("n", arguments.n, least=1, most=math.isqrt(most))
    if arguments.out is not None:
        _writable(arguments.out)
    problem = load(arguments.dataset, max(arguments.n, 2), data.pop("seed", arguments.seed), **data)
    before = time.perf_counter()
    with warnings.catch_warnings():  # `converged` says it
        warnings.simplefilter("ignore", UserWarning)
        found = plan(arguments.solver, problem, arguments.n, arguments.seed, **settings)
    numbers = plan_numbers(found) | {"seconds": time.perf_counter() - before}
    if arguments.out is not None:
        write_plan(arguments.out, found, {"solver": arguments.solver, "dataset": arguments.dataset, "n": arguments.n,
            "seed": arguments.seed, "set": settings, "data": data, "numbers": numbers, "versions": _versions()})  # fmt: skip
    if arguments.json:
        print(to_json(numbers, indent=2))
        return
    width = max(map(len, numbers))
    for name, value in numbers.items():
        print(f"{name:<{width}}  {value:.6g}")
    if not found.converged:
        print(f"The solver stopped early: its value is proven to {found.certificate:.1%} only. Give more max_iter, a larger eps or rho.")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: plan.json, plan.npz, pairs.csv")


def plan_numbers(found: Plan) -> dict[str, float]:
    """Value and its parts in the cost's own units, masses, certificate and iterations."""
    named: dict[str, float] = {"value": found.value, **found.parts, "mass": found.mass}
    named |= {"mass source": float(found.a.sum()), "mass target": float(found.b.sum()), **found.changes()}
    return named | {
        "mean cost": found.cost_scale, "certificate": found.certificate, "marginal error": found.marginal_error,
        "iterations": found.n_iter, "converged": int(found.converged),
    }  # fmt: skip


def write_plan(folder: Path, found: Plan, record: dict[str, Any], most: int = 2**22, pairs: int = 1000) -> None:
    """plan.json (what was asked, numbers, versions), plan.npz and pairs.csv (the `pairs` heaviest).

    plan.npz holds x, y, a, b, f, g, scaling, target_scaling and P, or for more than `most` entries the heaviest of them as i, j, mass.

    Raises:
        InputError: the folder cannot be written.
    """
    import numpy as np
    import torch

    i, j, mass = found.strongest(most if len(found.a) * len(found.b) > most else pairs)
    held = {name: getattr(found, name) for name in ("x", "y", "a", "b", "f", "g")}
    held |= {"scaling": found.scaling(), "target_scaling": found.target_scaling()}
    held |= {"i": i, "j": j, "mass": mass} if len(found.a) * len(found.b) > most else {"P": found.P}
    arrays: dict[str, Any] = {name: np.asarray(torch.as_tensor(value).cpu()) for name, value in held.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["i", "j", "mass"])
    writer.writerows([int(p), int(q), f"{float(w):.9g}"] for p, q, w in zip(i[:pairs], j[:pairs], mass[:pairs]))
    try:
        write_text(folder / "plan.json", to_json(record, indent=2) + "\n")
        write_whole(folder / "plan.npz", lambda file: np.savez_compressed(file, **arrays))
        write_text(folder / "pairs.csv", text.getvalue())
    except OSError as error:
        raise InputError(f"--out {short(folder)} cannot be written ({error.strerror}); choose another folder.") from None


# ---- barycenter ------------------------------------------------------------------------------------
def barycenter_command(arguments: argparse.Namespace) -> None:
    """Average, say what came out, and write what was asked for."""
    from uotlab.data.densities import measures_of_texts, placed_digits

    settings = _settings("--set", arguments.set, BARYCENTERS[arguments.method])
    check_count("seed", arguments.seed, least=0, most=2**31 - 1)
    if arguments.out is not None:
        _writable(arguments.out)
    if arguments.digit is not None:
        measures, support = placed_digits(arguments.digit, arguments.count, arguments.seed, moved=not arguments.centred), None
    else:
        form = next(k for k in ("densities", "images", "clouds") if getattr(arguments, k))
        takes = BARYCENTERS[arguments.method].takes
        if form not in takes:
            able = ", ".join(name for name, cls in BARYCENTERS.items() if form in cls.takes)
            raise InputError(f"{arguments.method} takes {' or '.join(sorted(takes))}, not {form}; for {form} take {able}.")
        texts = getattr(arguments, form)
        measures, support = measures_of_texts(form, texts, arguments.points, arguments.seed, moved=not arguments.centred)
    found = barycenter(arguments.method, measures, arguments.weights, support, **settings)
    numbers = {
        "objective": found.value, "sharpness": found.sharpness, "entropy": found.entropy, "mass": found.mass, "mean cost": found.cost_scale,
        "rounds": found.n_iter, "converged": int(found.converged), "seconds": found.seconds,
    }  # fmt: skip
    numbers = {name: value for name, value in numbers.items() if not math.isnan(value)}  # points that are free to move have no sharpness
    if arguments.out is not None:
        asked = {k: v for k, v in vars(arguments).items() if k not in ("command", "out", "json", "set")}
        record = to_json({**asked, "set": settings, "numbers": numbers, "versions": _versions()}, indent=2) + "\n"
        arrays = found.npz(list(measures))

        def write(file: typing.BinaryIO) -> None:
            file.write(arrays)

        try:
            write_text(arguments.out / "barycenter.json", record)
            write_whole(arguments.out / "barycenter.npz", write)
            write_text(arguments.out / "barycenter.csv", found.csv())
        except OSError as error:
            raise InputError(f"--out {short(arguments.out)} cannot be written ({error.strerror}); choose another folder.") from None
    if arguments.json:
        print(to_json(numbers, indent=2))
        return
    width = max(map(len, numbers))
    for name, value in numbers.items():
        print(f"{name:<{width}}  {value:.6g}")
    if not found.converged:
        print("The method stopped early: give more iterations, or a larger eps or beta.")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: barycenter.json, barycenter.npz, barycenter.csv")


def _versions() -> dict[str, str]:
    import numpy as np
    import torch

    return {"uotlab": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def _settings(option: str, pairs: Sequence[str], cls: type[BaseModel]) -> dict[str, Any]:
    """`key=value` words as numbers, booleans or, for fields that hold text, text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"{option} takes key=value; it got '{short(pair)}'.")
        key = key.strip().replace("-", "_")
        field = cls.model_fields.get(key)
        if key in ("n", "steps", "seed", "device") and field is None and (option, key) != ("--data", "seed"):
            raise InputError(f"{option} does not take {key}, which has an option of its own: write --{key} {short(text)}.")
        if key in ("name", "method", "problem", "dataset", "progress") and field is None:
            raise InputError(f"{option} takes no '{key}'. {did_you_mean(key, cls.model_fields)}")
        texts = field is not None and not {int, float, bool} & set(_kinds(field.annotation))
        settings[key] = text if texts and text.lower() != "none" else _value(text)
    return settings


def _value(text: str) -> Any:
    return None if text.lower() in ("none", "null") else value_of_text(text)


# ---- fetch ---------------------------------------------------------------------------------------
def fetch_command(arguments: argparse.Namespace) -> None:
    """Download a dataset into the user's data folder, or take a file that is already there."""
    from uotlab.data.fetch import fetch

    path = fetch(arguments.name, file=arguments.file, progress=True)
    print(f"{arguments.name} is at {path}")


if __name__ == "__main__":
    sys.exit(main())
