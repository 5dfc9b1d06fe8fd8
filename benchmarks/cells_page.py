"""The page of cells: seconds from the upload of an .h5ad to its first live picture in components, and to UMAP in its place.

    python benchmarks/cells_page.py [--cells 5000] [--genes 2000] [--memory]

A fresh server with an empty store and headless Chromium, as a person would: the file of raw counts is uploaded, Prepare is pressed as soon
as it is there, and the picture counts once it is drawn; then Play, and the first mapped cells. `--memory`: the server's largest anonymous
memory on the way (Linux).

Wanted: 60 s to the picture in components for 5000 cells x 2000 genes; UMAP when it is ready (its import alone compiles for 40 s).
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
GRAPH = "document.querySelector('.st-key-cells_live .js-plotly-plot')"


def written(path: Path, cells: int, genes: int) -> None:
    """Raw counts of a simulated tissue with its day and type, nothing prepared."""
    import anndata
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    profiles = np.exp(rng.normal(size=(8, genes)))
    kinds = rng.integers(0, 8, cells)
    means = profiles[kinds] / profiles[kinds].sum(1, keepdims=True) * rng.lognormal(np.log(2500), 0.35, (cells, 1))
    obs = pd.DataFrame({"day": np.where(np.arange(cells) < cells // 2, "12", "14"), "type": [f"type {k}" for k in kinds]})
    obs.index = [f"cell{i}" for i in range(cells)]
    counts = sp.csr_matrix(rng.poisson(means).astype(np.float32))
    anndata.AnnData(counts, obs, pd.DataFrame(index=[f"Gene{i}" for i in range(genes)])).write_h5ad(path, compression="gzip")


def anonymous(pid: int) -> float:
    """Anonymous memory of a process now, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Anonymous:"))


def watch(pid: int, most: list[float], ending: threading.Event) -> None:
    while not ending.wait(0.5):
        most[0] = max(most[0], anonymous(pid))


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "cells.h5ad"
        written(path, options.cells, options.genes)
        print(f"{options.cells} cells x {options.genes} genes, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        environment = {**os.environ, "UOTLAB_STORE": str(Path(folder) / "store")}
        server = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        browser = driver.chromium.launch(executable_path=options.chromium, args=ARGS)
        most, ending = [0.0], threading.Event()
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            if options.memory:
                threading.Thread(target=watch, args=(server.pid, most, ending), daemon=True).start()
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(300_000)
            page.goto(f"{address}/cells")
            page.locator(".st-key-open_cells button").first.click()
            field = page.locator(".st-key-cells_upload input[type=file]")
            field.wait_for(state="attached")
            start = time.perf_counter()

            def told(what: str) -> None:
                print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)

            field.set_input_files(str(path))
            prepare = page.locator(".st-key-cells_prepare button").first
            prepare.wait_for()
            told("looked at, Prepare can be pressed")
            prepare.click()
            page.wait_for_function(f"{GRAPH}?._fullData?.some(t => t.x?.length > 1000)")
            axis = page.evaluate(f"{GRAPH}.layout.xaxis.title.text")
            told(f"first live picture ({axis})")
            page.wait_for_function(f"{GRAPH}?.layout?.xaxis?.title?.text === 'UMAP 1'")
            told("UMAP in its place")
            page.locator(".st-key-play button:not([disabled])").first.click()
            begun = time.perf_counter()
            page.wait_for_function(f"{GRAPH}?.data?.some(t => t.name === 'mapped')")
            print(f"first mapped cells after Play: {time.perf_counter() - begun:.1f} s")
        finally:
            ending.set()
            browser.close()
            server.terminate()
            server.wait(20)
        if options.memory:
            print(f"largest anonymous memory of the server: {most[0]:.0f} MB")


if __name__ == "__main__":
    main()
