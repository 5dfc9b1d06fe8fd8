"""From a file to a Study, once: the preparation is kept in the store by the hash of the content and the settings."""

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.cells.chunked import prepared_on_disk
from uotlab.cells.kept import file_digest, folder_of, keep, kept, key_of
from uotlab.cells.preparation import Preparation, Progress, prepared
from uotlab.cells.reading import beside, existing, read
from uotlab.cells.study import About, Study
from uotlab.cells.tables import plain_suffix
from uotlab.data.files import UPLOAD_LIMIT
from uotlab.errors import InputError, short
from uotlab.paths import store_dir

HASH = re.compile(r"[0-9a-f]{64}")


def prepared_file(path: Path, how: Preparation, progress: Progress, about: About | None, reading: Mapping[str, Any]) -> Study:
    """The Study of a file or folder; from the store where the same was asked before.

    Args:
        reading: arguments of `read`: transpose, labels, obs.
    """
    path = existing(path)
    progress("Looking at the file", 0.0)
    known = {k: list(v) if isinstance(v, tuple) else v for k, v in reading.items() if v and k != "obs"}
    key = key_of("file", content_digest(path), how.model_dump(), known, _digest_of_table(reading.get("obs")))
    found = kept(key)
    if found is not None:
        progress("Done", 1.0)
        return replace(found, origin=origin_of(key))
    progress("Reading", 0.01)
    adata = read(path, layer=how.layer, **reading)
    study = keep_prepared(adata, how.model_copy(update={"layer": ""}), progress, about or About(short(title_of(path))), key)
    return replace(study, origin=origin_of(key))


def prepared_backed(adata: Any, how: Preparation, progress: Progress, about: About) -> Study:
    """The Study of an AnnData whose X is in a file; kept by the file's hash, its obs and the settings."""
    place = Path(getattr(adata.X, "group", adata.X).file.filename)
    key = key_of("backed", file_digest(place), getattr(adata.X, "group", adata.X).name, _digest_of_table(adata.obs), how.model_dump())
    study = kept(key) or keep_prepared(adata, how, progress, about, key)
    return replace(study, origin=origin_of(key))


def keep_prepared(adata: Any, how: Preparation, progress: Progress, about: About, key: str) -> Study:
    """Prepare cells, in memory or on disk wherever their X is, and keep the study under a key."""
    if stays_on_disk(adata.X):
        part = folder_of(f".{secrets.token_hex(8)}.part")
        part.mkdir(parents=True)
        try:
            keep(prepared_on_disk(adata, how, progress, about, part / "cells.h5ad"), key)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    else:
        keep(prepared(adata, how, progress, about), key)
    study = kept(key)
    assert study is not None
    return study


def origin_of(key: str) -> dict[str, Any]:
    """What makes the problem of kept cells again."""
    return {"dataset": "cells-study", "n": 10_000_000, "seed": 0, "params": {"digest": key}}


def stays_on_disk(X: Any) -> bool:
    """Whether a matrix is read bit by bit."""
    return X is not None and not isinstance(X, np.ndarray) and not hasattr(X, "tocsr")


def content_digest(path: Path) -> str:
    """The hash of a file, or of all the files that are read with it."""
    if path.is_file() and plain_suffix(path) == ".mtx":
        return hashlib.sha256("".join(file_digest(f) for f in beside(path)).encode()).hexdigest()
    return file_digest(path)


def _digest_of_table(obs: Any) -> str:
    if obs is None:
        return ""
    if isinstance(obs, str | Path):
        path = Path(obs).expanduser()
        return file_digest(path) if path.is_file() else ""
    return hashlib.sha256(obs.to_csv().encode()).hexdigest()


def title_of(path: Path) -> str:
    """The name of a file or folder; of an uploaded folder, which is named by a hash, the names of its files."""
    if not path.is_dir() or not HASH.fullmatch(path.name):
        return path.name
    first, *more = sorted(file.name for file in path.iterdir())
    return f"{first} and {len(more)} more" if more else first


# ---- uploads ----------------------------------------------------------------------------------------
def store_upload(files: Mapping[str, bytes]) -> Path:
    """Keep uploaded files, {name: content}, in the store; returns the path that `read` and `prepare` take.

    One file keeps its ending; several, as of a 10x folder, become a folder. Equal files give equal paths.

    Raises:
        InputError: none, an empty one, or more bytes than UPLOAD_LIMIT.
    """
    size = sum(len(content) for content in files.values())
    if not files or not size:
        raise InputError("The upload is empty (0 bytes). Choose a file of cells.")
    if size > UPLOAD_LIMIT:
        raise InputError(
            f"The upload has {size / 2**20:.0f} MB; at most {UPLOAD_LIMIT // 2**20} MB can be uploaded. Put the file on the server and "
            "give its path."
        )
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{Path(name).name}\0{len(files[name])}\0".encode())
        whole.update(files[name])
    folder = store_dir() / "uploads" / "cells" / whole.hexdigest()
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name[:16]}.{secrets.token_hex(4)}.part")
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / _safe(name)).write_bytes(content)
        try:
            part.rename(folder)
        except OSError:  # another session was quicker
            shutil.rmtree(part, ignore_errors=True)
    return folder / _safe(next(iter(files))) if len(files) == 1 else folder


def _safe(name: str) -> str:
    """A file's name without any folder, fit for the disk."""
    kept_ones = "".join(c if c.isalnum() or c in "._-" else "_" for c in Path(name.replace("\\", "/")).name)
    return kept_ones.lstrip(".")[-100:] or "cells"
