"""The two simulated tissues in numbers: who there is, how fast each type divides and dies, what it turns into, what marks it.

They are drawn after Farrell's zebrafish and Bastidas-Ponce's pancreas, and are no data of either.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Lineage:
    """Types at two times.

    Args:
        share: type -> share at the first time.
        birth, death: type -> events an hour.
        fates: type -> {type of a descendant: probability}.
        parents: type -> the type whose profile its own departs from, None for the root; parents come first.
        markers: type -> genes switched on in it and in what departs from it.
        cell_cycle, apoptosis: genes that rise with the rates of birth and death.
        hours: between the two times.
        species: whose symbols the genes carry.
        times: what the two times are called; unit and dt are those of growth rates.
    """

    share: Mapping[str, float]
    birth: Mapping[str, float]
    death: Mapping[str, float]
    fates: Table
    parents: Mapping[str, str | None]
    markers: Mapping[str, tuple[str, ...]]
    cell_cycle: tuple[str, ...]
    apoptosis: tuple[str, ...]
    hours: float
    species: str
    times: tuple[str, str]
    unit: str
    dt: float

    @property
    def named(self) -> tuple[str, ...]:
        """Every gene with a part to play."""
        listed = [gene for genes in self.markers.values() for gene in genes]
        return tuple(dict.fromkeys([*listed, *self.cell_cycle, *self.apoptosis]))


def _genes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _words(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: _genes(text) for key, text in table.items()}


ZEBRAFISH = Lineage(
    share={"Pluripotent": 0.62, "Margin": 0.16, "EVL": 0.12, "YSL-like": 0.04, "Stressed": 0.06},
    birth={"Pluripotent": 0.22, "Margin": 0.62, "EVL": 0.10, "YSL-like": 0.02, "Stressed": 0.05},
    death={"Pluripotent": 0.02, "Margin": 0.02, "EVL": 0.02, "YSL-like": 0.02, "Stressed": 0.35},
    fates={
        "Pluripotent": {"Ectoderm": 0.92, "Mesoderm": 0.08},
        "Margin": {"Mesoderm": 0.62, "Endoderm": 0.16, "Axial": 0.22},
        "EVL": {"EVL": 1.0},
        "YSL-like": {"YSL-like": 1.0},
        "Stressed": {"Ectoderm": 1.0},
    },
    parents={
        "Pluripotent": None,
        "Margin": "Pluripotent",
        "EVL": "Pluripotent",
        "YSL-like": "Margin",
        "Stressed": "Pluripotent",
        "Ectoderm": "Pluripotent",
        "Mesoderm": "Margin",
        "Endoderm": "Margin",
        "Axial": "Margin",
    },
    markers=_words(
        {
            "Pluripotent": "pou5f3 nanog sox19b sox3",
            "Margin": "tbxta tbx16 mixl1 ndr1 ndr2 lft1 lft2 wnt8a fgf8a fgf3 eve1 ved vox bmp4 aplnrb cdx4 her1 snai1a",
            "EVL": "krt4 krt5 krt18a.1 krt8 cldne klf17 agr2 icn",
            "YSL-like": "mxtx2 slc26a1 hnf4a gata3",
            "Stressed": "hsp70l hspb1 gadd45aa fosab junba",
            "Ectoderm": "sox2 otx2a otx2b zic2b zic3 tfap2a dlx3b her3 foxi1",
            "Mesoderm": "msgn1 tbx6 hand2 gata5 mespaa mespbb foxc1a meox1 fn1a",
            "Endoderm": "sox32 sox17 foxa2 gata6 cxcr4a",
            "Axial": "noto gsc chrd shha foxa3 frzb dkk1b",
        }
    ),
    cell_cycle=_genes("pcna mcm2 mcm4 mcm5 mcm6 tyms rrm1 rrm2 top2a cdk1 ccnb1 ccna2 aurkb bub1 tpx2 cenpf nusap1 mki67"),
    apoptosis=_genes("casp3a casp8 baxa bbc3 pmaip1 tp53 fas mdm2"),
    hours=2.7,
    species="zebrafish",
    times=("3.3", "6.0"),
    unit="h",
    dt=2.7,
)

PANCREAS = Lineage(
    share={"Ductal": 0.30, "Tip": 0.12, "Acinar": 0.18, "Ngn3 EP": 0.18, "Fev+": 0.10, "Alpha": 0.07, "Beta": 0.05},
    birth={"Ductal": 0.030, "Tip": 0.060, "Acinar": 0.065, "Ngn3 EP": 0.004, "Fev+": 0.002, "Alpha": 0.006, "Beta": 0.006},
    death=dict.fromkeys(("Ductal", "Tip", "Acinar", "Ngn3 EP", "Fev+", "Alpha", "Beta"), 0.002),
    fates={
        "Ductal": {"Ductal": 0.9, "Ngn3 EP": 0.1},
        "Tip": {"Acinar": 1.0},
        "Acinar": {"Acinar": 1.0},
        "Ngn3 EP": {"Fev+": 0.75, "Epsilon": 0.10, "Alpha": 0.15},
        "Fev+": {"Beta": 0.55, "Alpha": 0.25, "Delta": 0.20},
        "Alpha": {"Alpha": 1.0},
        "Beta": {"Beta": 1.0},
    },
    parents={
        "Ductal": None,
        "Tip": "Ductal",
        "Acinar": "Tip",
        "Ngn3 EP": "Ductal",
        "Fev+": "Ngn3 EP",
        "Alpha": "Fev+",
        "Beta": "Fev+",
        "Delta": "Fev+",
        "Epsilon": "Fev+",
    },
    markers=_words(
        {
            "Ductal": "Sox9 Spp1 Krt19 Hes1 Muc1 Cldn3",
            "Tip": "Cpa2 Ptf1a Myc Bhlha15",
            "Acinar": "Cpa1 Cel Pnlip Cela1 Prss1 Ctrb1 Rbpjl",
            "Ngn3 EP": "Neurog3 Hes6 Btbd17 Gadd45a Sox4 Neurod1 Pax4",
            "Fev+": "Fev Chgb Cck Vwa5b2 Runx1t1 Pax6",
            "Alpha": "Gcg Arx Irx2 Ttr Peg10",
            "Beta": "Ins1 Ins2 Iapp Nnat Pdx1 Mafa",
            "Delta": "Sst Hhex Rbp4",
            "Epsilon": "Ghrl Anpep Maged2",
        }
    ),
    cell_cycle=_genes("Pcna Mcm2 Mcm4 Mcm5 Mcm6 Tyms Rrm1 Rrm2 Top2a Cdk1 Ccnb1 Ccna2 Aurkb Bub1 Tpx2 Cenpf Nusap1 Mki67"),
    apoptosis=_genes("Casp3 Casp8 Bax Bbc3 Pmaip1 Trp53 Fas Mdm2"),
    hours=24.0,
    species="mouse",
    times=("14.5", "15.5"),
    unit="d",
    dt=1.0,
)
