"""Anonymous memory of training on a memory-mapped 20 000 000 x 50 float32 source, against the same run at n = 1000.

    python benchmarks/memory.py [--rows 20000000] [--steps 300]

Each run is a process of its own; the figure is RssAnon of /proc/self/status after training (Linux).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def anonymous_mb() -> float:
    """RssAnon of this process, MB."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def train(rows: int, steps: int) -> float:
    import uotlab

    with tempfile.TemporaryDirectory() as folder:
        x = np.memmap(Path(folder) / "source.f32", dtype=np.float32, mode="w+", shape=(rows, 50))  # a sparse file
        rng = np.random.default_rng(0)
        for i in range(0, rows, max(1, rows // 200)):
            x[i] = rng.normal(size=50)  # a few hundred rows of numbers, the rest holes that read as 0
        y = rng.normal(size=(1000, 50)).astype(np.float32) + 1
        fitted = uotlab.fit("uotm", uotlab.Problem.from_arrays(x, y), steps=steps, seed=0, device="cpu", width=64)
        fitted.evaluate(n=1000)
        return anonymous_mb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--one", action="store_true", help="run here and print the figure")
    options = parser.parse_args()
    if options.one:
        print(train(options.rows, options.steps))
        return
    used = {}
    for rows in (1000, options.rows):
        command = [sys.executable, __file__, "--one", "--rows", str(rows), "--steps", str(options.steps)]
        used[rows] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    more = used[options.rows] - used[1000]
    print(f"n = 1000: {used[1000]:.0f} MB; n = {options.rows}: {used[options.rows]:.0f} MB; more by {more:.0f} MB (wanted: at most 150)")


if __name__ == "__main__":
    main()
