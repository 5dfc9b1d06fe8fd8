"""A study of one's own cells that was kept in the store: what the lab, sweeps and the command line train on."""

from typing import Any, ClassVar

from pydantic import Field

from uotlab.cells.dataset import CellDataset
from uotlab.cells.kept import kept
from uotlab.cells.study import About, Study
from uotlab.data.base import DATASETS
from uotlab.errors import InputError


@DATASETS.register("cells-study")
class OwnCells(CellDataset):
    """Prepared cells by their key in the store."""

    title: ClassVar[str] = "Your own cells"
    group: ClassVar[str] = "Your own"
    summary = "Cells from your own file, prepared on the page of cells or with uotlab.cells.prepare(...)."
    default_n: ClassVar[int] = 10_000_000
    order = 92
    digest: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="Key of the prepared cells; the page of cells fills it in")
    source: str = Field("", max_length=200, description="Another value of the time or condition column for the source; empty: as prepared")
    target: str = Field("", max_length=200, description="Another value for the target; empty: as prepared")
    pcs: int = Field(0, ge=0, le=200, description="Use the first so many components only; 0: all")

    def study(self, n: int, seed: int) -> Study:
        from dataclasses import replace

        if not self.digest:
            raise InputError("Your own cells need a file: prepare one on the page of cells, or pass digest=uotlab.cells.keep(study).")
        study = kept(self.digest)
        if study is None:
            raise InputError(f"The prepared cells {self.digest[:8]} are not in this store; prepare them again.")
        if self.source or self.target:
            study = study.between(self.source or study.source_value, self.target or study.target_value)
        if self.pcs:
            study = replace(study, points=study.points[:, : self.pcs])
        origin = {"dataset": self.name, "n": n, "seed": seed, "params": self.model_dump(exclude_defaults=True)}
        return replace(study.subsample(n, seed), origin=origin)

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        raise NotImplementedError  # `study` reads the prepared cells
