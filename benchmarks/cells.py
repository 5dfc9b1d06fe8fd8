"""Cells: growth against the truth, real cells, memory and time from a file to training.

    python benchmarks/cells.py [growth zebrafish gyrus time memory] [--seeds 3]

`growth`: Spearman of scaling with the true growth on both simulators at tau = .95 of the source, the target held (rho1 = .95, rho2
infinite, eps = .05 mean costs); discrete on 1500 cells a side, neural methods trained on four fifths of the same cells.
`zebrafish`: Sinkhorn divergence (eps .01) of the mapped, re-weighted cells to the target, over that of the source, on the 2019 paper's
components (from UOTLAB_DATA); of all mapped cells, of those held out, and of as many real target cells. `gyrus`: mean scaling of granule
cells and neuroblasts. `time`: 5000 cells x 2000 genes from upload to components and to UMAP. `memory`: anonymous memory of 100000 cells x
2000 genes from an .h5ad to 200 steps of training (Linux).
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.stats import spearmanr

import uotlab
from uotlab import cells

Row = tuple[str, str, str]
HELD = {"rho1": 0.95, "rho2": math.inf}
NEURAL: dict[str, dict] = {"uotm": {}, "ubgan": {}, "uotfm": {"steps": 2000}}  #: beside what each asks for with the target held


def shown(values: list[float]) -> str:
    return ", ".join(f"{v:.2f}" for v in values)


# ---- growth on simulated cells ------------------------------------------------------------------------
def growth(seeds: int) -> Iterator[Row]:
    for name, wanted in (("zebrafish-simulated", 0.60), ("pancreas-simulated", 0.87)):
        found: dict[str, list[float]] = {"oracle of types": [], "sinkhorn": []} | {m: [] for m in NEURAL}
        masses: dict[str, list[float]] = {m: [] for m in NEURAL}
        for seed in range(seeds):
            study = cells.load(name, n=1500, seed=seed)
            truth, types = study.truth["growth"], study.types("source")
            means = {k: truth[types == k].mean() for k in set(types)}
            found["oracle of types"].append(spearmanr([means[k] for k in types], truth).statistic)
            plan = uotlab.sinkhorn(study.x, study.y, eps=0.05, tol=1e-4, **HELD)
            found["sinkhorn"].append(spearmanr(plan.scaling(), truth).statistic)
            for method, settings in NEURAL.items():
                outcome = cells.run(study, method, seed=seed, device="cpu", **HELD, **settings)
                found[method].append(spearmanr(outcome.growth, truth).statistic)
                masses[method].append(outcome.mass)
        discrete = statistics.mean(found["sinkhorn"])
        for method, values in found.items():
            told = f"{statistics.mean(values):.3f} ({shown(values)})" + (f", mass {shown(masses[method])}" if method in masses else "")
            goal = (
                ""
                if method.startswith("oracle")
                else f"at least {wanted:.2f}"
                if method == "sinkhorn"
                else f"at least {0.9 * discrete:.3f}"
            )
            yield f"{name}, {method}", told, goal


# ---- real zebrafish -----------------------------------------------------------------------------------
def zebrafish(seeds: int) -> Iterator[Row]:
    whole = cells.load("zebrafish-dome-50")
    title, wanted = "zebrafish dome to 50% epiboly", "under 10%"

    def share(points: np.ndarray, before: float, weights: np.ndarray | None = None, y: np.ndarray = whole.y) -> float:
        return 100 * uotlab.sinkhorn_divergence(points, y, weights, eps=0.01, tol=1e-3) / before

    befores = {"all": share(whole.x, 100.0)}
    for n in (len(whole.x), round(len(whole.x) / 5)):
        floors = []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(whole.y))
            floors.append(share(whole.y[order[:n]], befores["all"], y=whole.y[order[n:]]))
        yield f"{title}, {n} real target cells against the rest: what sampling alone reads", f"{shown(floors)}%", ""
    for method, settings in NEURAL.items():
        found: dict[str, list[float]] = {"all": [], "held": [], "mass": []}
        for seed in range(seeds):
            outcome = cells.run(whole, method, seed=seed, device="cpu", **HELD, **settings)
            held = np.searchsorted(whole.source, whole.split(seed)[1].source)
            found["all"].append(share(outcome.mapped, befores["all"], outcome.growth / outcome.growth.sum()))
            found["held"].append(share(outcome.mapped[held], befores["all"], outcome.growth[held] / outcome.growth[held].sum()))
            found["mass"].append(outcome.mass)
        told = f"{statistics.mean(found['all']):.1f}% ({shown(found['all'])}); held out {shown(found['held'])}; mass {shown(found['mass'])}"
        yield f"{title}, {method}, all mapped cells", told, wanted


# ---- dentate gyrus --------------------------------------------------------------------------------------
def gyrus(seeds: int) -> Iterator[Row]:
    study = cells.load("dentate-gyrus")
    types = study.types("source")
    groups = {"granule": np.char.startswith(types, "Granule"), "neuroblast": types == "Neuroblast"}
    plan = uotlab.sinkhorn(study.x, study.y, eps=0.05, **HELD)
    outcomes = {"sinkhorn": [cells.Outcome.of_plan(plan, study)]}
    for method, settings in NEURAL.items():
        outcomes[method] = [cells.run(study, method, seed=seed, device="cpu", **HELD, **settings) for seed in range(seeds)]
    for method, found in outcomes.items():
        means = {k: [float(o.growth[rows].mean()) for o in found] for k, rows in groups.items()}
        told = f"granule {shown(means['granule'])}; neuroblast {shown(means['neuroblast'])}; mass {shown([o.mass for o in found])}"
        yield f"dentate gyrus, {method}", told, "granule above 1, neuroblast below 1"


# ---- time -----------------------------------------------------------------------------------------------
def write_big(path: Path, n: int, genes: int = 2000, density: float = 0.35) -> None:
    """A sparse .h5ad of counts, written in pieces."""
    import anndata
    import h5py
    import pandas as pd

    with h5py.File(path, "w") as file:
        for start in range(0, n, 5000):
            block = sp.random(min(5000, n - start), genes, density, format="csr", dtype=np.float32, rng=np.random.default_rng(start))
            block.data = np.ceil(5 * block.data)
            if start == 0:
                anndata.io.write_elem(file, "X", block, dataset_kwargs={"compression": "gzip"})
            else:
                anndata.io.sparse_dataset(file["X"]).append(block)
        obs = pd.DataFrame({"day": np.repeat(["1", "2"], [n // 2, n - n // 2])}, index=[f"cell{i}" for i in range(n)]).astype("category")
        anndata.io.write_elem(file, "obs", obs)
        anndata.io.write_elem(file, "var", pd.DataFrame(index=[f"Gene{i}" for i in range(genes)]))
        for key in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
            anndata.io.write_elem(file, key, {})
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})


TIME = """
import sys, time
start, cpu = time.perf_counter(), time.process_time()
import uotlab
from uotlab import cells
from uotlab.cells.embedding import embedding
from uotlab.cells.files import store_upload
content = open(sys.argv[1], "rb").read()
study = cells.prepare(store_upload({"cells.h5ad": content}), pcs=30)
embedding(study)
fitted = uotlab.fit("uotm", study.problem(), steps=20, device="cpu")
print(f"{time.perf_counter() - start:.1f} s ({time.process_time() - cpu:.1f} s of CPU)")
embedding(study, "umap")
print(f"{time.perf_counter() - start:.1f} s ({time.process_time() - cpu:.1f} s of CPU)")
"""


def timed(seeds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_big(path, 5000)
        first, second = in_process(TIME, path, folder).splitlines()[-2:]
    yield "5000 x 2000, new process: imports, upload, components, first 20 steps", first, "60 s to the first live picture"
    yield "the same, to UMAP", second, ""


# ---- memory ---------------------------------------------------------------------------------------------
MEMORY = """
import sys, threading, time
from pathlib import Path
peak = [0.0]
def watch():
    while True:
        line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("RssAnon"))
        peak[0] = max(peak[0], int(line.split()[1]) / 1024)
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
import uotlab
from uotlab import cells
cpu = time.process_time()
study = cells.prepare(sys.argv[1], pcs=30)
took = time.process_time() - cpu
uotlab.fit("uotm", study.problem(), steps=200, device="cpu", width=64)
print(f"{peak[0]:.0f} MB at the most, {took:.0f} s of CPU to the components")
"""


def memory(seeds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_big(path, 100_000)
        told = in_process(MEMORY, path, folder).splitlines()[-1]
    yield "100000 x 2000, 35% filled, .h5ad to 200 steps", told, "under 1500 MB"


def in_process(script: str, path: Path, folder: str) -> str:
    """What a script prints in a process and a store of its own."""
    command = [sys.executable, "-W", "ignore", "-c", script, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "UOTLAB_STORE": folder}).stdout


PARTS = {"growth": growth, "zebrafish": zebrafish, "gyrus": gyrus, "time": timed, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| what | measured | wanted |\n|---|---|---|", flush=True)
    for part in options.parts or PARTS:
        try:
            for what, measured, wanted in PARTS[part](options.seeds):
                print(f"| {what} | {measured} | {wanted} |", flush=True)
        except uotlab.InputError as error:
            print(f"| {part} | left out: {error} | |", flush=True)


if __name__ == "__main__":
    main()
