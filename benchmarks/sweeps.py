"""How many threads of a local sweep gain: cells a minute with 1, 2, ... workers, in turns, each with one torch thread.

    python benchmarks/sweeps.py [--methods uotm uotfm] [--workers 1 2] [--cells 4] [--steps 500] [--rounds 3]

Small nets spend much of a step in Python, whose lock the threads share: what is asked is whether a second one gains at all. CPU seconds
stand beside the wall's: on a machine that others use too, more of them than wall seconds says that the threads did run beside each other.
"""

import argparse
import os
import statistics
import tempfile
import time

import torch

import uotlab
from uotlab.engine.runner import warm_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["uotm", "uotfm"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    with tempfile.TemporaryDirectory() as store:
        os.environ["UOTLAB_STORE"] = store
        for method in options.methods:
            measure(method, options)


def measure(method: str, options: argparse.Namespace) -> None:
    taken: dict[int, list[tuple[float, float]]] = {w: [] for w in options.workers}
    for k in range(options.rounds + 1):
        for workers in options.workers:
            seeds = [1000 * k + 100 * workers + i for i in range(options.cells)]  # never a cell that is there already
            wall, cpu = time.perf_counter(), time.process_time()
            uotlab.sweep(method, "moons-to-spiral", {"rho": [1.0]}, seeds=seeds, steps=options.steps, n=1000, workers=workers)
            if k:  # the first round warms up
                taken[workers].append((time.perf_counter() - wall, time.process_time() - cpu))
    one = statistics.median(wall for wall, _ in taken[options.workers[0]])
    for workers, times in taken.items():
        wall, cpu = (statistics.median(t[i] for t in times) for i in (0, 1))
        print(
            f"{method}, {workers} at a time: {options.cells} cells in {wall:.1f} s ({cpu:.1f} CPU s), "
            f"{one / wall:.2f} times as fast as {options.workers[0]} at a time"
        )


if __name__ == "__main__":
    main()
