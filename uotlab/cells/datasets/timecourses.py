"""Two small real time courses that come with the project: mouse dentate gyrus and human myoblasts."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from uotlab.cells.dataset import CellDataset, digest_of
from uotlab.cells.study import About
from uotlab.data.base import DATASETS
from uotlab.paths import ASSETS


def _read(name: str) -> Any:
    import anndata

    return anndata.read_h5ad(ASSETS / "data" / name)


@DATASETS.register("dentate-gyrus")
class DentateGyrus(CellDataset):
    """200 cells of the mouse dentate gyrus, 12 and 35 days after birth."""

    title: ClassVar[str] = "Dentate gyrus, P12 to P35"
    summary = (
        "200 real mouse cells of 14 types: granule cells mature from 3 to 71 while neuroblasts fall from 21 to 7. "
        "Watch the scaling of neuroblasts and granule cells."
    )
    reference = "hochgerner2018conserved"
    default_n: ClassVar[int] = 127
    order = 55
    file: ClassVar[str] = "dentategyrus_p12_p35_200cells.h5ad"

    def content(self) -> str:
        return digest_of(ASSETS / "data" / self.file)

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        adata = _read(self.file)
        adata.obsm["X_umap_given"] = adata.obsm["X_umap"]  # the authors' own map, shown beside ours
        del adata.obsm["X_umap"]
        note = "200 of the study's 24185 cells, 530 genes: enough to look at, too few for fine conclusions."
        about = About(self.title, species="mouse", notes=(note,), dt=23.0, unit="d")
        return adata, about, {"time": "age_days", "type": "clusters", "source": "12", "target": "35"}


@DATASETS.register("hsmm")
class Hsmm(CellDataset):
    """271 human skeletal muscle myoblasts after the change from growth to differentiation medium."""

    title: ClassVar[str] = "Human myoblasts, 0 h to 24, 48 or 72 h"
    summary = (
        "271 real human myoblasts that stop dividing and fuse to muscle after a change of medium, 2000 genes. "
        "Cells that still divide should scale differently from those that differentiate."
    )
    reference = "trapnell2014dynamics"
    default_n: ClassVar[int] = 80
    order = 56
    file: ClassVar[str] = "hsmm_2000genes.h5ad"
    hours: Literal[24, 48, 72] = Field(24, description="Hours after the change of medium, the target; the source is 0 h")

    def content(self) -> str:
        return digest_of(ASSETS / "data" / self.file)

    def cells(self, n: int, seed: int) -> tuple[Any, About, dict[str, Any]]:
        about = About(self.title, species="human", dt=float(self.hours), unit="h")
        settings = {"time": "hours", "type": "none", "source": "0", "target": str(self.hours), "others": True}
        return _read(self.file), about, settings
