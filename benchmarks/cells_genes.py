"""Cells: which genes and which terms; measured on the simulated tissues, whose answers are known.

    python benchmarks/cells_genes.py [sets terms time] [--seeds 3]

The scaling is the discrete solver's between 1500 cells a side, at tau = .95 of the source, the target held (rho1 = .95, eps = .05 mean
costs), and its top decile is compared with the rest. `sets`: rank of the Margin markers (zebrafish) and of the cell cycle (pancreas)
among the sets of the simulator. `terms`: rank of "mesoderm development" among the Gene Ontology terms of the minimum hypergeometric
test. `time`: genes and terms of 5000 cells.
"""

import argparse
import math
import time
from collections.abc import Iterator

import numpy as np

from uotlab import cells
from uotlab.cells.enrich import enrich, map_sets
from uotlab.cells.enriched import SHUFFLES, analyse
from uotlab.cells.genes import differential
from uotlab.cells.gmt import shipped

Row = tuple[str, str, str]
HELD = {"rho1": 0.95, "rho2": math.inf}
TERM = "mesoderm development (GO:0007498)"


def solved(name: str, seed: int, n: int = 1500) -> cells.Outcome:
    return cells.run(cells.load(name, n=n, seed=seed), "sinkhorn", **HELD)


def truth_sets(study: cells.Study) -> dict[str, list[str]]:
    """The simulator's own sets: markers of each type, the cell cycle, apoptosis."""
    truth = study.truth
    return {**truth["markers"], "cell cycle": truth["cell_cycle"], "apoptosis": truth["apoptosis"]}


def sets(seeds: int) -> Iterator[Row]:
    for name, wanted, others in (("zebrafish-simulated", "Margin", "markers"), ("pancreas-simulated", "cell cycle", "all")):
        ranks, ps, second, nulls = [], [], [], []
        for seed in range(seeds):
            outcome = solved(name, seed)
            given = {k: v for k, v in truth_sets(outcome.study).items() if others == "all" or k in outcome.study.truth["markers"]}
            given = {k: v for k, v in given.items() if len(v) >= 3}
            study, high = outcome.study, outcome.high()
            mapped = map_sets(given, study.genes, least=3)
            terms = enrich(differential(study, high), mapped).table
            ranks.append(1 + terms["term"].tolist().index(wanted))
            ps.append(float(terms["p"][terms["term"] == wanted].iloc[0]))
            second.append(f"{terms['term'][int(ranks[-1] == 1)]} {terms['p'][int(ranks[-1] == 1)]:.0e}")
            shuffled = (np.random.default_rng(k).permutation(high) for k in range(SHUFFLES))
            nulls.append(min(float(enrich(differential(study, rows), mapped).table["p"].min()) for rows in shuffled))
        told = f"rank {', '.join(map(str, ranks))} of {len(given)}; p {', '.join(f'{p:.0e}' for p in ps)}"
        told += f"; next best {', '.join(second)}; best of any set in ten shuffles {', '.join(f'{p:.0e}' for p in nulls)}"
        yield f"{name}: {wanted} among {'type markers' if others == 'markers' else 'all sets'}", told, "first"


def terms(seeds: int) -> Iterator[Row]:
    for n in (1500, 3000):
        ranks, ps = [], []
        for seed in range(seeds):
            table = analyse(solved("zebrafish-simulated", seed, n), shuffles=0).terms
            ranks.append(1 + table["term"].tolist().index(TERM))
            ps.append(float(table["p"][table["term"] == TERM].iloc[0]))
        told = f"rank {', '.join(map(str, ranks))} of {len(table)}; p {', '.join(f'{p:.0e}' for p in ps)}"
        yield f'zebrafish-simulated: "mesoderm development" among GO terms, {n} cells a side', told, "among the first ten"


def time_of_genes(seeds: int) -> Iterator[Row]:
    study = cells.load("zebrafish-simulated", n=5000, seed=0)
    outcome = cells.Outcome(study, study.x, study.truth["growth"])
    size = f"5000 cells x {len(study.genes)} genes"
    wall, cpu = time.perf_counter(), time.process_time()
    mapped = map_sets(shipped("zebrafish"), study.genes, least=1)
    found = enrich(differential(study, outcome.high()), mapped).table
    yield (
        f"DE and mHG, all sets with a measured gene, {size}, first in the process",
        f"{spent(wall, cpu)}; {len(found)} sets tested",
        "60 s",
    )
    for shuffles in (0, 10):
        wall, cpu = time.perf_counter(), time.process_time()
        tested = analyse(outcome, shuffles=shuffles).terms
        yield f"DE and mHG as by default, {shuffles} shuffles, {size}, then", f"{spent(wall, cpu)}; {len(tested)} sets tested", "60 s"


def spent(wall: float, cpu: float) -> str:
    """Seconds since two readings of the clocks."""
    return f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s of CPU"


PARTS = {"sets": sets, "terms": terms, "time": time_of_genes}


def main() -> None:
    """Print a table of Markdown, a row as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help="any of " + ", ".join(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print("| what | measured | wanted |\n| --- | --- | --- |", flush=True)
    for part in arguments.parts:
        for row in PARTS[part](arguments.seeds):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
