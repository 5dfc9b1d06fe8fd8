"""Simulated tissues with known growth, fates and marker genes; labelled simulated wherever they are shown."""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from uotlab.cells.dataset import CellDataset
from uotlab.cells.lineages import PANCREAS, ZEBRAFISH, Lineage
from uotlab.cells.simulate import simulate
from uotlab.cells.study import About
from uotlab.data.base import DATASETS

NOTE = (
    "Simulated cells: their growth, fates and markers are known, so that a method can be checked against the truth. "
    "That is a positive control and says nothing about real tissue."
)


class _Simulated(CellDataset):
    lineage: ClassVar[Lineage]
    sized: ClassVar[bool] = True
    default_n: ClassVar[int] = 1500
    # nine types and six factors span about fifteen; what is left is counting noise, and costs Spearman up to .03
    pcs: int = Field(15, ge=2, le=200, description="Number of principal components")
    genes: int = Field(2000, ge=200, le=8000, description="Number of genes")

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        import anndata
        import pandas as pd

        lineage = self.lineage
        drawn = simulate(lineage, n, n, seed, self.genes)
        growth = np.r_[drawn.growth, np.full(n, np.nan)]
        obs = pd.DataFrame(
            {
                "cell_type": pd.Categorical(np.r_[drawn.source.type, drawn.target.type]),
                "time": pd.Categorical(np.repeat(lineage.times, n)),
                "true_growth": growth,
                "true_fate": pd.Categorical(np.r_[drawn.source.fate, drawn.target.fate]),
            },
            index=[f"cell{i}" for i in range(2 * n)],
        )
        adata = anndata.AnnData(drawn.counts, obs, pd.DataFrame(index=drawn.genes))
        about = About(
            f"{self.title}", species=lineage.species, simulated=True, truth=drawn.truth, notes=(NOTE,), dt=lineage.dt, unit=lineage.unit
        )
        first, last = lineage.times
        # no cell is left out: a study has exactly n of a side
        return adata, about, {"time": "time", "type": "cell_type", "source": first, "target": last, "min_genes": 0}


@DATASETS.register("zebrafish-simulated")
class ZebrafishSimulated(_Simulated):
    """A zebrafish-like embryo, 3.3 to 6 hours after fertilisation."""

    title: ClassVar[str] = "Zebrafish-like embryo (simulated)"
    summary = (
        "Simulated: within 2.7 hours the margin grows to four times the rest and becomes mesoderm, endoderm and axis. "
        "Scaling should find the margin; the truth is drawn beside it."
    )
    reference = "kendall1948generalized, farrell2018single, zappia2017splatter"
    order = 60
    lineage = ZEBRAFISH


@DATASETS.register("pancreas-simulated")
class PancreasSimulated(_Simulated):
    """A pancreas-like organ, E14.5 to E15.5."""

    title: ClassVar[str] = "Pancreas-like organ (simulated)"
    summary = (
        "Simulated: within a day acinar and tip cells divide fast while endocrine ones leave the cycle and turn into alpha, beta, "
        "delta and epsilon. Balanced transport has to send progenitors to acinar cells; watch the fates."
    )
    reference = "kendall1948generalized, bastidas2019comprehensive, zappia2017splatter"
    order = 61
    lineage = PANCREAS
