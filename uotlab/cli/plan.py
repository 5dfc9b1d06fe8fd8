"""`python -m uotlab plan`: solve a dataset's discrete problem."""

import argparse
import csv
import io
import math
import time
import warnings
from pathlib import Path
from typing import Any

from uotlab import DATASETS, SOLVERS, Plan, load, plan
from uotlab.cli.words import check_writable, settings_of, show_numbers, versions
from uotlab.engine.files import to_json, write_text, write_whole
from uotlab.errors import InputError, short
from uotlab.parameters import check_count
from uotlab.plans.setting import MOST_PAIRS


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
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


def plan_command(arguments: argparse.Namespace) -> None:
    """Solve, say what came out, and write what was asked for."""
    settings = settings_of("--set", arguments.set, SOLVERS[arguments.solver])
    data = settings_of("--data", arguments.data, DATASETS[arguments.dataset])
    most = MOST_PAIRS if SOLVERS[arguments.solver].most_pairs < MOST_PAIRS else 10**14  # before so many points are drawn
    check_count("n", arguments.n, least=1, most=math.isqrt(most))
    if arguments.out is not None:
        check_writable(arguments.out)
    problem = load(arguments.dataset, max(arguments.n, 2), data.pop("seed", arguments.seed), **data)
    before = time.perf_counter()
    with warnings.catch_warnings():  # `converged` says it
        warnings.simplefilter("ignore", UserWarning)
        found = plan(arguments.solver, problem, arguments.n, arguments.seed, **settings)
    numbers = plan_numbers(found) | {"seconds": time.perf_counter() - before}
    if arguments.out is not None:
        write_plan(arguments.out, found, {"solver": arguments.solver, "dataset": arguments.dataset, "n": arguments.n,
            "seed": arguments.seed, "set": settings, "data": data, "numbers": numbers, "versions": versions()})  # fmt: skip
    show_numbers(numbers, arguments.json)
    if arguments.json:
        return
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
