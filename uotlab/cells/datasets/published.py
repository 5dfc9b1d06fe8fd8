"""Published data as their authors share them, from a file that the user has: zebrafish and pancreas of GEO, CellOT's two perturbations.

The files may not be passed on, or are too large to: put them into the folder that UOTLAB_DATA names, or give their place.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from uotlab.cells.dataset import CellDataset, digest_of, own_file
from uotlab.cells.preparation import scanpy_quietly
from uotlab.cells.reading import read
from uotlab.cells.study import About
from uotlab.cells.tables import read_table
from uotlab.cells.values import as_text, in_order
from uotlab.data.base import DATASETS
from uotlab.errors import InputError, did_you_mean, short

#: hours after fertilisation of Farrell's stages, by the beginning of a cell's name
HOURS = {
    "ZFHIGH": 3.3, "ZFOBLONG": 3.7, "ZFDOME": 4.3, "ZF30": 4.7, "ZF50": 5.3, "ZFS": 6.0, "ZF60": 6.7, "ZF75": 8.0, "ZF90": 9.0,
    "ZFB": 10.0, "ZF3S": 11.0, "ZF6S": 12.0,
}  # fmt: skip
PERIODS = {"blastula": ("ZFHIGH", "ZFOBLONG", "ZFDOME", "ZF30"), "gastrula": ("ZF50", "ZFS", "ZF60", "ZF75", "ZF90", "ZFB")}
Stage = Literal[
    "ZFHIGH", "ZFOBLONG", "ZFDOME", "ZF30", "ZF50", "ZFS", "ZF60", "ZF75", "ZF90", "ZFB", "ZF3S", "ZF6S", "blastula", "gastrula"
]


class _Published(CellDataset):
    files: ClassVar[tuple[str, ...]]
    default_n: ClassVar[int] = 10_000
    file: str = Field("", max_length=1000, description="Place of the file on this machine; empty: the folder that UOTLAB_DATA names")

    def path(self) -> Path:
        if not self.file:
            return own_file(*self.files, what=self.title)
        path = Path(self.file).expanduser()
        if not path.is_file():
            raise InputError(f"There is no file {short(path.name)} at the place given for {self.name}. Check the path.")
        return path

    def content(self) -> str:
        return digest_of(self.path())


@DATASETS.register("zebrafish-farrell")
class ZebrafishFarrell(_Published):
    """Zebrafish embryos with all genes, twelve stages: GEO GSE106474."""

    title: ClassVar[str] = "Zebrafish of twelve stages (GSE106474)"
    summary = (
        "38731 real zebrafish cells from 3.3 to 12 hours after fertilisation, with all genes: choose two stages, or blastula to gastrula. "
        "Download GSE106474_UMICounts.txt.gz from GEO first."
    )
    reference = "farrell2018single"
    order = 66
    files = ("GSE106474_UMICounts.txt.gz", "GSE106474_UMICounts.txt")
    source: Stage = Field("ZFDOME", description="Stage of the source: the beginning of its cells' names, or a whole period")
    target: Stage = Field("ZF50", description="Stage of the target")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        sides = {side: PERIODS.get(side, (side,)) for side in (self.source, self.target)}
        side_of = {stage: side for side, stages in sides.items() for stage in stages}
        if len(side_of) < sum(map(len, sides.values())) or self.source == self.target:
            raise InputError(f"The stages {self.source} and {self.target} have cells in common; choose two that have none.")
        path = self.path()
        with scanpy_quietly():
            adata = read_table(path, short(path.name), transpose=True, only=lambda cell: cell.split("_")[0] in side_of)
        parts = [str(name).split("_") for name in adata.obs_names]
        stages = np.array([p[0] for p in parts])
        adata.obs["side"] = np.array([side_of[s] for s in stages])
        adata.obs["stage"] = stages
        adata.obs["hours"] = np.array([HOURS[s] for s in stages])
        adata.obs["run"] = np.array([p[2] if len(p) > 3 else "" for p in parts])
        missing = [side for side in sides if not (adata.obs["side"] == side).any()]
        if missing:
            raise InputError(f"{short(path.name)} has no cells of {missing[0]}; cells are named as in ZFDOME_WT_DS5_AAAATCAAGAGG.")
        both = self.source in HOURS and self.target in HOURS and HOURS[self.target] > HOURS[self.source]
        dt = round(HOURS[self.target] - HOURS[self.source], 6) if both else None
        about = About(self.title, species="zebrafish", dt=dt, unit="h")
        return adata, about, {"time": "side", "type": "none", "source": self.source, "target": self.target, "min_cells": 3}


@DATASETS.register("pancreas-bastidas")
class PancreasBastidas(_Published):
    """The mouse pancreas with cell types, E12.5 to E15.5: GEO GSE132188."""

    title: ClassVar[str] = "Pancreas E14.5 to E15.5 (GSE132188)"
    summary = (
        "36351 real cells of the developing mouse pancreas with cell types: where do progenitors go within a day? "
        "Download GSE132188_adata.h5ad.h5 from GEO first."
    )
    reference = "bastidas2019comprehensive, eyring2024unbalancedness"
    order = 67
    files = ("GSE132188_adata.h5ad.h5", "GSE132188_adata.h5ad")
    source: Literal["12.5", "13.5", "14.5"] = Field("14.5", description="Day of the source")
    target: Literal["13.5", "14.5", "15.5"] = Field("15.5", description="Day of the target")
    types: Literal["broad", "fine"] = Field("broad", description="Cell types: clusters_fig6_broad_final or clusters_fig6_fine_final")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        if float(self.target) <= float(self.source):
            raise InputError(f"The target must be later than the source; they are days {self.target} and {self.source}.")
        adata = read(self.path())
        about = About(self.title, species="mouse", dt=float(self.target) - float(self.source), unit="d")
        types = f"clusters_fig6_{self.types}_final"
        return adata, about, {"time": "day", "type": types, "source": self.source, "target": self.target, "min_cells": 3}


class _CellOt(_Published):
    """Controls and treated cells, obs `drug`; cells of all drugs share the space, so that a study can go to each."""

    drug: str = Field("", max_length=200, description="Drug of the target; empty: the first one by name")

    def sides(self, adata: Any) -> dict[str, Any]:
        if "drug" not in adata.obs:
            raise InputError(
                f"The cells have no obs column 'drug'; CellOT's files have one, with 'control' for the source: {self.files[0]}."
            )
        drugs = [d for d in in_order(as_text(adata.obs["drug"])) if d and d != "control"]
        if self.drug and self.drug not in drugs:
            raise InputError(f"No cell was given '{short(self.drug)}'. {did_you_mean(self.drug, drugs)}")
        if not drugs:
            raise InputError("All cells are controls: there is no drug to go to.")
        return {"time": "drug", "source": "control", "target": self.drug or drugs[0], "others": True}


@DATASETS.register("cellot-4i")
class CellOt4i(_CellOt):
    """Melanoma cells under drugs, imaged features: CellOT's datasets/4i."""

    title: ClassVar[str] = "Drugs on melanoma cells, imaged (CellOT 4i)"
    summary = (
        "Real melanoma cells 8 hours after a drug, as features of shape and staining: control to treated. "
        "Download CellOT's data first; 8h.h5ad and features.txt lie in datasets/4i."
    )
    reference = "bunne2023learning"
    order = 68
    files = ("datasets/4i/8h.h5ad", "4i/8h.h5ad", "8h.h5ad")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        adata = read(self.path())
        names = self.features([str(v) for v in adata.var_names])
        adata = adata[:, names].copy()
        X = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
        adata.obsm["X_features"] = X.astype(np.float32)
        about = About(self.title, species="human", axes=tuple(names), dt=8.0, unit="h")
        settings = {"space": "X_features", "pcs": 200, "values": "log", "min_genes": 0, "min_cells": 0, "type": "none"}
        return adata, about, settings | self.sides(adata)

    def content(self) -> str:
        features = self.path().with_name("features.txt")
        return super().content() + (digest_of(features) if features.is_file() else "")

    def features(self, known: list[str]) -> list[str]:
        """The columns that features.txt beside the file names; all where there is none."""
        path = self.path().with_name("features.txt")
        if not path.is_file():
            return known
        try:
            named = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError):
            raise InputError("features.txt cannot be read: it must name one feature a line.") from None
        missing = [v for v in named if v not in known]
        if missing or not named:
            raise InputError(f"features.txt names '{short(missing[0]) if missing else ''}', which {self.path().name} does not have.")
        return named


@DATASETS.register("cellot-sciplex3")
class CellOtSciplex(_CellOt):
    """Cancer cells under drugs, RNA: CellOT's scrna-sciplex3."""

    title: ClassVar[str] = "Drugs on cancer cells, RNA (CellOT sciPlex 3)"
    summary = (
        "Real cancer cells of three lines a day after a drug, 1000 genes: control to treated. "
        "Download CellOT's data first; hvg-top1k-train-only.h5ad lies in datasets/scrna-sciplex3."
    )
    reference = "srivatsan2020massively, bunne2023learning"
    order = 69
    files = ("datasets/scrna-sciplex3/hvg-top1k-train-only.h5ad", "scrna-sciplex3/hvg-top1k-train-only.h5ad", "hvg-top1k-train-only.h5ad")
    pcs: int = Field(50, ge=2, le=200, description="Number of principal components")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        adata = read(self.path())
        return adata, About(self.title, species="human", dt=24.0, unit="h"), {"min_genes": 0} | self.sides(adata)
