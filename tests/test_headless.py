"""The library without its page: importing and training must not pull in Streamlit, nor what only some tasks need."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("streamlit", "scanpy", "anndata", "ot", "sklearn", "pandas", "umap", "numba", "matplotlib", "plotly")

SCRIPT = """
import json, sys
import numpy as np
import uotlab
at_import = sorted(set(sys.modules) & set({heavy!r}))
x, y = np.random.default_rng(0).normal(size=(2, 64, 2)).astype(np.float32)
fitted = uotlab.fit("uotm", uotlab.Problem.from_arrays(x, y + 1), steps=2, seed=0, device="cpu", batch_size=16)
Tx = fitted.transport(x)
print(json.dumps(dict(at_import=at_import, after_fit=sorted(set(sys.modules) & set({heavy!r})), shape=Tx.shape, dtype=str(Tx.dtype))))
"""


def test_import_and_fit_stay_light() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(heavy=HEAVY)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    assert got["at_import"] == [], "import uotlab must be quick: import these inside the functions that need them"
    assert got["after_fit"] == [], "a fit needs torch, numpy and scipy only"
    assert (got["shape"], got["dtype"]) == ([64, 2], "float32")
