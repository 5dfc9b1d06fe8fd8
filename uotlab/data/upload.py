"""Uploads: two checked tables become one npz in the store, named by the sha256 of its content; a dataset reads it back."""

import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from uotlab.data.base import DATASETS, Dataset
from uotlab.data.files import Table
from uotlab.data.npz import read_arrays
from uotlab.errors import InputError
from uotlab.paths import store_dir
from uotlab.problem import Measure, Problem, constant_columns, kind_of


def uploads_dir() -> Path:
    """Where cleaned uploads lie; made when missing."""
    path = store_dir() / "uploads"
    path.mkdir(parents=True, exist_ok=True)
    return path


def store_upload(source: Table, target: Table) -> str:
    """Keep two checked tables; returns the digest that the dataset `upload` takes. Equal tables give equal digests.

    Raises:
        InputError: different dimensions.
    """
    check_dimensions(source, target)
    arrays = {"x": source.points, "y": target.points, "names": np.array(source.names)}
    for key, value in (("a", source.weights), ("b", target.weights)):
        if value is not None:
            arrays[key] = value.astype(np.float32)
    for key, value in (("x_labels", source.labels), ("y_labels", target.labels)):
        if value is not None:
            arrays[key] = value.astype(str)
    content = pack_arrays(arrays)
    digest = hashlib.sha256(content).hexdigest()
    path = uploads_dir() / f"{digest}.npz"
    if not path.exists():
        write_atomically(path, content)
    return digest


def check_dimensions(source: Table, target: Table) -> None:
    """Raises InputError where the two sides have different numbers of columns."""
    d, e = source.points.shape[1], target.points.shape[1]
    if d != e:
        raise InputError(
            f"Source and target must have the same number of columns; the source has {d} and the target {e}. Keep the same in both."
        )


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz whose bytes depend on the arrays only: numpy.savez writes the time of day into it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for key, value in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(value), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0)), member.getvalue())
    return out.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """All of `content` at `path`, or nothing: a temporary name, fsync, rename."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def checked_content(digest: str) -> bytes:
    """The stored file of this sha256.

    Raises:
        InputError: it is not here, or is not what it was.
    """
    path = uploads_dir() / f"{digest}.npz"
    if not path.is_file():
        raise InputError(f"The uploaded file {digest[:8]} is not in this store; upload it again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"The stored upload {digest[:8]} was changed or damaged; upload it again.")
    return content


@DATASETS.register("upload")
class Upload(Dataset):
    """Points that a person uploaded, by the digest of the cleaned file in the store."""

    title: ClassVar[str] = "Your own file"
    group: ClassVar[str] = "Your own"
    kind = "table"
    summary = "Your points from a csv, tsv, txt, npy or npz file, one for the source and one for the target."
    default_n = 10_000_000
    order = 91
    digest: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="sha256 of the uploaded file; the data page fills it in")

    def problem(self, n: int, seed: int) -> Problem:
        if not self.digest:
            raise InputError(
                "Upload needs a file: upload a source and a target on the data page, or pass digest=store_upload(source, target)."
            )
        arrays = read_arrays(checked_content(self.digest), "the stored upload")
        names = tuple(str(v) for v in arrays["names"])
        source, target = (
            Measure(
                arrays[points],
                arrays[weights].astype(np.float64) if weights in arrays else None,
                {"label": arrays[f"{points}_labels"]} if f"{points}_labels" in arrays else {},
                names,
            ).subsample(n, seed)
            for points, weights in (("x", "a"), ("y", "b"))
        )
        constant = constant_columns(source, target)
        return Problem((source, target), kind_of(source.d), self.name, notes=(constant,) if constant else ())
