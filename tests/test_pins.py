"""Versions that are known to work together: what requirements.txt pins, is what runs, and the one bad combination stays out."""

import importlib.metadata
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[A-Za-z0-9_.!+-]+)$")


def pins(file: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    found = {}
    for line in filter(None, lines):
        if line.startswith("-r "):
            continue
        match = PIN.match(line)
        assert match, f"{file}: '{line}' is not pinned with =="
        found[match["name"]] = match["version"]
    return found


FILES = ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")


@pytest.mark.parametrize("file", FILES)
def test_what_is_pinned_is_installed(file: str) -> None:
    wrong = {n: (v, got) for n, v in pins(file).items() if (got := importlib.metadata.version(n).split("+")[0]) != v}
    assert not wrong, f"installed versions differ from {file}: {wrong}"


def test_every_requirement_of_a_pin_is_pinned() -> None:
    """The lock is whole: pip has nothing left to choose, CUDA packages of torch aside."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    held = {canonicalize_name(n): v for file in FILES for n, v in pins(file).items()}
    missing = set()
    for name in held:
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            other = canonicalize_name(need.name)
            if other.startswith(("nvidia-", "cuda-", "triton")):
                continue
            if other not in held:
                missing.add(f"{other} (for {name})")
            else:
                assert need.specifier.contains(held[other], prereleases=True), f"{name} needs {need}, but {held[other]} is pinned"
    assert not missing


@pytest.mark.slow
@pytest.mark.timeout(600)  # numba compiles for most of it
@pytest.mark.filterwarnings("default")  # scanpy's own, and numba's while it compiles
def test_scanpy_neighbours_on_20000_cells() -> None:
    """pynndescent 0.7.0 fails here: 'csr_array' object has no attribute 'getnnz'."""
    import anndata
    import scanpy

    points = np.random.default_rng(0).normal(size=(20_000, 50)).astype(np.float32)
    cells = anndata.AnnData(points)
    scanpy.pp.neighbors(cells, n_neighbors=15, use_rep="X")
    graph = cells.obsp["connectivities"]
    assert graph.shape == (20_000, 20_000)
    assert graph.nnz >= 15 * 20_000 * 0.9
