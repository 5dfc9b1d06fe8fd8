"""Prepared studies on disk: a folder in the store with what training needs (light.npz, about.json) and the cells (cells.h5ad).

The folder's name is the hash of all that the preparation depends on. A folder is either whole or absent.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.cells.study import About, Column, Study
from uotlab.data.npz import read_arrays
from uotlab.data.upload import pack_arrays
from uotlab.errors import InputError
from uotlab.paths import store_dir

FORMAT = 2  #: of what is kept and how it is prepared: another number makes all anew
MADE, MOST_MADE, DAY = "made", 100, 86_400.0
BACKED = 128 * 2**20  #: bytes of a .h5ad from which on it is read bit by bit


def folder_of(key: str) -> Path:
    """Where a study of this key lies, or will lie."""
    return store_dir() / "cells" / key


def key_of(*parts: Any) -> str:
    """The key of what these JSON-ready parts describe."""
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of a folder's files."""
    whole = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            whole.update(f"{file.name}\0".encode() if path.is_dir() else b"")
            with open(file, "rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def keep(study: Study, key: str | None = None) -> str:
    """Write a study into the store and return its key. Without a key it gets that of its points, labels and sides."""
    light = _packed(study)
    key = key or key_of(hashlib.sha256(light).hexdigest(), asdict(study.about))
    place = folder_of(key)
    if (place / "about.json").is_file():
        return key
    part = place.with_name(f".{key[:16]}.{secrets.token_hex(4)}.part")
    part.mkdir(parents=True)
    try:
        if isinstance(study.held, Path):
            _link(study.held, part / "cells.h5ad")
        else:
            _plain_strings(study.held).write_h5ad(part / "cells.h5ad", compression="lzf")
        (part / "light.npz").write_bytes(light)
        (part / "about.json").write_text(json.dumps(asdict(study.about), allow_nan=False), encoding="utf-8")
        try:
            os.rename(part, place)
        except OSError:  # another process was quicker
            if not (place / "about.json").is_file():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return key


def kept(key: str, origin: Mapping[str, Any] | None = None) -> Study | None:
    """The study of a key, or None where the store has none."""
    place = folder_of(key)
    try:
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        arrays = read_arrays((place / "light.npz").read_bytes(), "the prepared cells")
    except FileNotFoundError:
        return None
    except (InputError, ValueError):
        raise InputError(
            f"The prepared cells {key[:8]} in the store are damaged; delete the folder {place.name} and prepare again."
        ) from None
    columns = {}
    for i, name in enumerate(arrays["columns"]):
        names = arrays.get(f"names{i}")
        columns[str(name)] = Column(arrays[f"values{i}"], None if names is None else tuple(str(v) for v in names))
    about |= {k: tuple(about.get(k, ())) for k in ("notes", "steps", "axes")}
    return Study(arrays["points"], columns, arrays["source"], arrays["target"], About(**about), place / "cells.h5ad", origin)


def prune(most: int = MOST_MADE) -> None:
    """Delete the oldest of the studies that their dataset can make again, and what a process that died left half written."""
    folder = store_dir() / "cells"
    made = sorted(folder.glob(f"*/{MADE}"), key=lambda mark: mark.stat().st_mtime)
    for mark in made[: max(len(made) - most, 0)]:
        shutil.rmtree(mark.parent, ignore_errors=True)
    for part in folder.glob(".*.part"):
        if time.time() - part.stat().st_mtime > DAY:
            shutil.rmtree(part, ignore_errors=True)


def mark_made(key: str) -> None:
    """Say that a dataset can make this study again, and when it was last used."""
    with suppress(OSError):
        (folder_of(key) / MADE).touch()


def open_cells(path: Path) -> Any:
    """The AnnData of a kept study, in memory where it is small."""
    import anndata

    return anndata.read_h5ad(path, backed="r" if path.stat().st_size > BACKED else None)


def _packed(study: Study) -> bytes:
    arrays: dict[str, np.ndarray] = {
        "points": study.points.astype(np.float32),
        "source": study.source.astype(np.int64),
        "target": study.target.astype(np.int64),
        "columns": np.array(list(study.columns), dtype=str),
    }
    for i, column in enumerate(study.columns.values()):
        arrays[f"values{i}"] = column.values
        if column.names is not None:
            arrays[f"names{i}"] = np.array(column.names, dtype=str)
    return pack_arrays(arrays)


def _plain_strings(adata: Any) -> Any:
    """The cells without what a reader of .h5ad files elsewhere may stumble over."""
    adata.uns = {k: v for k, v in adata.uns.items() if isinstance(v, np.ndarray | str | float | int)}
    return adata


def _link(path: Path, place: Path) -> None:
    """The same file under another name, without a copy where the disk allows it."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
