"""CellDataset: a dataset that is a Study. Files in `uotlab/cells/datasets` register them; one file is one family."""

from abc import abstractmethod
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from uotlab.cells.files import keep_prepared
from uotlab.cells.kept import file_digest, kept, key_of, mark_made, prune
from uotlab.cells.preparation import Preparation, quiet
from uotlab.cells.study import About, Study
from uotlab.data.base import Dataset
from uotlab.errors import InputError
from uotlab.parameters import make_model
from uotlab.paths import data_dir
from uotlab.problem import Problem


class CellDataset(Dataset):
    """A dataset of cells. The prepared study is kept in the store, so that the second time is quick."""

    group: ClassVar[str] = "Cells"
    kind = "cells"
    sized: ClassVar[bool] = False  #: whether the number of cells and the seed change the data, as they do where they are simulated
    pcs: int = Field(30, ge=2, le=200, description="Number of principal components")

    @abstractmethod
    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        """The raw AnnData, what is known of it, and settings of its preparation."""

    def content(self) -> str:
        """The hash of the file that the data come from."""
        return ""

    def study(self, n: int, seed: int) -> Study:
        """At most n cells a side, with all that is known of them."""
        drawn = [n, seed] if self.sized else []
        key = key_of("dataset", self.name, self.model_dump(), self.content(), drawn)
        study = kept(key) or self._prepared(n, seed, key)
        mark_made(key)
        origin = {"dataset": self.name, "n": n, "seed": seed, "params": self.model_dump(exclude_defaults=True)}
        return replace(study.subsample(n, seed), origin=origin)

    def problem(self, n: int, seed: int) -> Problem:
        return replace(self.study(n, seed).problem(), name=self.name)

    def _prepared(self, n: int, seed: int, key: str) -> Study:
        adata, about, settings = self.cells(n, seed)
        prune()
        return keep_prepared(adata, make_model(Preparation, {"pcs": self.pcs} | settings), quiet, about, key)


def own_file(*names: str, what: str) -> Path:
    """The first of these files that the user's data folder has.

    Raises:
        InputError: no folder, or none of them in it.
    """
    folder = data_dir()
    for name in names:
        if folder is not None and (folder / name).exists():
            return folder / name
    raise InputError(f"{what} is not here: put {names[0]} into the folder that UOTLAB_DATA names.")


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    return file_digest(path)


def digest_of(path: Path) -> str:
    """sha256 of a file, read again only where its size or time has changed."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)
