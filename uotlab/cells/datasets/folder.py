"""Real data that may not be passed on: read from the folder that UOTLAB_DATA names, or one sentence where they are not there."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from uotlab.cells.dataset import CellDataset, digest_of, own_file
from uotlab.cells.study import About
from uotlab.data.base import DATASETS
from uotlab.data.npz import read_arrays
from uotlab.errors import InputError


class _FromFolder(CellDataset):
    files: ClassVar[tuple[str, ...]]

    def path(self) -> Path:
        return own_file(*self.files, what=self.title)

    def content(self) -> str:
        return digest_of(self.path())


@DATASETS.register("zebrafish-dome-50")
class ZebrafishDome(_FromFolder):
    """The cells of the 2019 paper: dome stage to 50% epiboly in 50 principal components."""

    title: ClassVar[str] = "Zebrafish, dome to 50% epiboly"
    summary = (
        "The very cells of the 2019 paper, 1158 at the dome stage and 5716 at 50% epiboly an hour later, as principal components. "
        "Maps and scaling run on them; there are no genes."
    )
    reference = "farrell2018single, yang2019scalable"
    default_n: ClassVar[int] = 5716
    order = 62
    files = ("zebrafish_dome_50_pca50.npz",)

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        import anndata
        import pandas as pd

        arrays = read_arrays(self.path().read_bytes(), self.files[0])
        if not {"dome", "epi50"} <= set(arrays):
            raise InputError(f"{self.files[0]} must hold the arrays dome and epi50; it holds {', '.join(arrays)}.")
        dome, later = arrays["dome"], arrays["epi50"]
        obs = pd.DataFrame({"stage": pd.Categorical(np.repeat(["dome", "50% epiboly"], [len(dome), len(later)]))})
        obs.index = obs.index.astype(str)
        points = np.concatenate([dome, later]).astype(np.float32)
        about = About(self.title, species="zebrafish", notes=("Principal components only: there are no genes to test.",), dt=1.0, unit="h")
        settings = {"time": "stage", "type": "none", "source": "dome", "target": "50% epiboly", "space": "X_pca"}
        return anndata.AnnData(obs=obs, obsm={"X_pca": points}), about, settings


@DATASETS.register("wot-reprogramming")
class WotReprogramming(_FromFolder):
    """Reprogramming of fibroblasts to stem cells in serum, days 10 to 11."""

    title: ClassVar[str] = "Reprogramming, day 10 to 11"
    summary = "250 real mouse cells on the way from fibroblast to stem cell at days 10, 10.5 and 11, with cell types and 1479 genes."
    reference = "schiebinger2019optimal"
    default_n: ClassVar[int] = 85
    order = 63
    files = ("wot_reprogramming_250cells.h5ad",)
    target: Literal["10.5", "11"] = Field("11", description="Day of the target; the source is day 10")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        import anndata

        about = About(self.title, species="mouse", dt=float(self.target) - 10, unit="d")
        settings = {"time": "day", "type": "cell_type", "source": "10", "target": self.target, "others": True}
        return anndata.read_h5ad(self.path()), about, settings


@DATASETS.register("pancreas-e155")
class PancreasHalves(_FromFolder):
    """One day of the mouse pancreas, E15.5, its cells dealt into two halves: a null experiment."""

    title: ClassVar[str] = "Pancreas E15.5, two halves"
    summary = (
        "A null experiment: 100 real mouse cells of one day, dealt at random into two halves. Nothing grows here, so that whatever "
        "a method reports as growth or enriched genes is noise."
    )
    reference = "bastidas2019comprehensive"
    default_n: ClassVar[int] = 50
    order = 64
    files = ("pancreas_e155_100cells.h5ad",)
    deal: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the deal")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        import anndata

        adata = anndata.read_h5ad(self.path())
        half = np.repeat(["first", "second"], [adata.n_obs - adata.n_obs // 2, adata.n_obs // 2])
        adata.obs["half"] = np.random.default_rng(self.deal).permutation(half)
        note = "Both sides are random halves of one day: the true scaling is 1 everywhere, and no gene is enriched."
        about = About(self.title, species="mouse", notes=(note,))
        return adata, about, {"time": "half", "type": "none", "source": "first", "target": "second", "min_cells": 3}


@DATASETS.register("memantine")
class Memantine(_FromFolder):
    """Protein levels in mice given saline or memantine, with missing values; no single cells."""

    title: ClassVar[str] = "Saline to memantine (mouse proteins)"
    summary = (
        "A real perturbation with missing values: 77 protein levels, 510 measurements of mice given saline to 570 given memantine. "
        "Each mouse was measured 15 times; the proteins are no single cells."
    )
    reference = "higuera2015self"
    default_n: ClassVar[int] = 570
    order = 65
    files = ("mice_protein_memantine.csv.gz",)
    pcs: int = Field(20, ge=2, le=76, description="Number of principal components")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        import anndata
        import pandas as pd

        table = pd.read_csv(self.path())
        proteins = [c for c in table.columns if c.endswith("_N")]
        if not proteins or "Treatment" not in table:
            raise InputError(f"{self.files[0]} must have the column Treatment and protein columns that end in _N.")
        obs = table[[c for c in ("Genotype", "Treatment", "Behavior", "class") if c in table]].copy()
        obs["mouse"] = table["MouseID"].str.rsplit("_", n=1).str[0] if "MouseID" in table else ""
        obs.index = obs.index.astype(str)
        var = pd.DataFrame(index=[p.removesuffix("_N") for p in proteins])
        adata = anndata.AnnData(table[proteins].to_numpy(np.float32), obs, var)
        about = About(self.title, species="mouse", notes=("Rows are 15 measurements of each of 72 mice: they are not independent.",))
        settings = {"time": "Treatment", "type": "Genotype", "source": "Saline", "target": "Memantine", "missing": "mean"}
        return adata, about, settings | {"values": "log", "scale": True, "genes": 0, "min_genes": 0}
