"""Who becomes whom on the pancreas simulator, balanced and unbalanced: the metric of Eyring et al. 2024, Appendix F.5.4, by branch.

    python benchmarks/cells_fates.py [oticnn uoticnn ...] [--seeds 0 1 2] [--steps 3000] [--set rho1=0.283 rho2=0.283] [--keep FOLDER]

Wanted: UOT-ICNN better on every branch where OT-ICNN is below .8. Two maps of no method stand beside: "still", in which no cell moves, and
"knowing", which sends each cell to the nearest cells of a type that its own type truly becomes. Numbers of --set go to all but oticnn.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from uotlab import cells
from uotlab.cells.fates import accuracy
from uotlab.cells.outcome import Outcome
from uotlab.cells.study import Study

COLUMNS = ("kernel", "plan")


def knowing(study: Study) -> Outcome:
    """The map that knows: the mean of the 10 nearest target cells of the types that a cell's type truly becomes."""
    truth, rng = study.truth["transition"], np.random.default_rng(0)
    target, mapped = study.types("target"), np.empty_like(study.x)
    for i, kind in enumerate(study.types("source")):
        chances = {k: p for k, p in truth[str(kind)].items() if (target == k).sum() >= 5}
        names = list(chances)
        fate = names[rng.choice(len(names), p=np.array(list(chances.values())) / sum(chances.values()))]
        rows = np.flatnonzero(target == fate)
        near = rows[np.argsort(cdist(study.x[i : i + 1], study.y[rows])[0])[:10]]
        mapped[i] = study.y[near].mean(0)
    return Outcome(study, mapped)


def measured(study: Study, method: str, seed: int, steps: int | None, params: dict, keep: Path | None) -> tuple[Outcome, float]:
    """The outcome and the CPU seconds of training; none where FOLDER already holds it."""
    if method in ("still", "knowing"):
        return (knowing(study) if method == "knowing" else Outcome(study, study.x)), 0.0
    words = "-".join([method, str(seed), str(steps), *(f"{k}={v:g}" for k, v in params.items())])
    path = keep / f"{words}.npz" if keep else None
    if path and path.exists():
        held = np.load(path)
        return Outcome(study, held["mapped"], held["scaling"] if len(held["scaling"]) else None, mass=float(held["mass"])), 0.0
    start = time.process_time()
    more = {} if method in ("sinkhorn", "ipot", "exact") else {"steps": steps}
    outcome = cells.run(study, method, seed=seed, **more, **params)
    if path:
        scaling = np.zeros(0) if outcome.scaling is None else outcome.scaling
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, mapped=outcome.mapped, scaling=scaling, mass=outcome.mass)
    return outcome, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["oticnn", "uoticnn"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--n", type=int, default=None)
    parser.add_argument("--dataset", default="pancreas-simulated")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER")
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    params = {k: float(v) for k, v in (word.split("=") for word in given.set)}
    for method in given.methods:
        for seed in given.seeds:
            study = cells.load(given.dataset, given.n, seed)
            outcome, took = measured(study, method, seed, given.steps, params if method != "oticnn" else {}, given.keep)
            found = accuracy(outcome)
            for column in COLUMNS:
                shown = ", ".join(f"{row['branch']} {row[column]:.3f}" for _, row in found.branches.iterrows())
                print(f"| {method} | seed {seed} | {column} | {shown} | mass {outcome.mass:.3f} | {took:.0f} s |", flush=True)
            each = ", ".join(f"{row['type']} {row['kernel']:.2f} ({row['plan']:.2f})" for _, row in found.table.iterrows())
            print(f"|  |  | each type, kernel (plan) | {each} |  |  |", flush=True)


if __name__ == "__main__":
    main()
