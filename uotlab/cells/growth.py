"""Who grows: the scaling by cell type, against the genes of the cell cycle, and against the truth where it is known.

Scaling over its mean is growth only while the target is held (rho2 infinite): with both sides let go it also says which cells were
too dear to carry. The transported mass, which must be read beside it, tells how much that is.

Reference: tirosh2016dissecting (the genes of the two phases).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from uotlab.cells.outcome import Outcome
from uotlab.cells.study import Study
from uotlab.errors import InputError
from uotlab.views.base import Arrays

LOW_MASS = 0.5


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


S_GENES = _names(
    """
    MCM5 PCNA TYMS FEN1 MCM2 MCM4 RRM1 UNG GINS2 MCM6 CDCA7 DTL PRIM1 UHRF1 MLF1IP HELLS RFC2 RPA2 NASP RAD51AP1 GMNN WDR76
    SLBP CCNE2 UBR7 POLD3 MSH2 ATAD2 RAD51 RRM2 CDC45 CDC6 EXO1 TIPIN DSCC1 BLM CASP8AP2 USP1 CLSPN POLA1 CHAF1B BRIP1 E2F8
    """
)
G2M_GENES = _names(
    """
    HMGB2 CDK1 NUSAP1 UBE2C BIRC5 TPX2 TOP2A NDC80 CKS2 NUF2 CKS1B MKI67 TMPO CENPF TACC3 FAM64A SMC4 CCNB2 CKAP2L CKAP2
    AURKB BUB1 KIF11 ANP32E TUBB4B GTSE1 KIF20B HJURP CDCA3 HN1 CDC20 TTK CDC25C KIF2C RANGAP1 NCAPD2 DLGAP5 CDCA2 CDCA8
    ECT2 KIF23 HMMR AURKA PSRC1 ANLN LBR CKAP5 CENPE CTCF NEK2 G2E3 GAS2L3 CBX5 CENPA
    """
)
OTHER_NAMES = {"MLF1IP": "CENPU", "FAM64A": "PIMREG", "HN1": "JPT1"}  #: what three of them are called today


@dataclass(frozen=True, eq=False)
class Proliferation:
    """Scores of the source cells.

    Args:
        score: (n,) mean of the two phases' scores.
        s, g2m: (n,) scanpy's scores of the genes of S and of G2 and M.
        phase: (n,) "G1", "S" or "G2M".
        found: how many of the 97 genes are measured.
    """

    score: np.ndarray
    s: np.ndarray
    g2m: np.ndarray
    phase: np.ndarray
    found: int


@dataclass(frozen=True, eq=False)
class Recovery:
    """How well growth is recovered where it is known: over all cells, and of the types' means."""

    spearman: float
    spearman_types: float
    truth: np.ndarray
    by_type: Any


def mass_note(outcome: Outcome) -> str:
    """A warning where the scaling is no growth, or little mass is carried; empty where all is well."""
    rho2 = outcome.settings.get("rho2")
    if outcome.scaling is None:
        return "This method keeps every cell's mass, so it has no growth to show. Take an unbalanced one."
    if outcome.mass < LOW_MASS:
        return (
            f"Only {outcome.mass:.0%} of the mass is carried: the scaling then says which cells were too dear to move, not who grows. "
            "Raise rho, or hold the target (rho2 infinite)."
        )
    if rho2 is not None and np.isfinite(float(rho2)):
        return (
            f"The target is relaxed too (rho2 = {float(rho2):.3g}), so a small scaling may mean "
            "a cell without a partner. Hold it to read growth."
        )
    return ""


def growth_by_type(outcome: Outcome, key: str | None = None, level: float = 0.95, times: int = 1000, seed: int = 0) -> Any:
    """Mean growth of each cell type with a bootstrap interval over its cells.

    Args:
        key: an obs column; None is the cell type.
        level: of the interval.
        times: resamples.

    Returns:
        DataFrame: type, cells, mean, low, high, and truth where it is known; the strongest growth first.

    Raises:
        InputError: no such column, or a level that is no share.
    """
    import pandas as pd

    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95; it is {level:g}.")
    types = groups(outcome.study, key)
    rng, rows = np.random.default_rng(np.random.SeedSequence([seed, 9_1979])), []
    truth = outcome.study.truth.get("growth")
    for name in np.unique(types):
        here = types == name
        values = outcome.growth[here]
        means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(times)])
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        rows.append({"type": str(name), "cells": int(here.sum()), "mean": float(values.mean()), "low": float(low), "high": float(high)})
        if truth is not None:
            rows[-1]["truth"] = float(truth[here].mean())
    return pd.DataFrame(rows).sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def groups(study: Study, key: str | None = None, side: str = "source") -> np.ndarray:
    """(n,) texts of an obs column, the cell type by default; one group of all where there are no types and none is asked for."""
    if not key and not study.type:
        return np.full(len(study.rows(side)), "all cells")  # type: ignore[arg-type]
    values = study.labels(key or study.type, side)  # type: ignore[arg-type]
    if values.dtype.kind not in "US":
        raise InputError(f"The obs column '{key}' holds numbers; a table by group needs names. Choose a column of categories.")
    return values


def proliferation(study: Study) -> Proliferation:
    """scanpy's cell-cycle scores of the source cells, the genes matched whatever their case.

    Raises:
        InputError: no genes, or none of a phase's genes among them.
    """
    import anndata
    import scanpy as sc

    from uotlab.cells.genes import expression_of

    X = expression_of(study)
    place = {gene.casefold(): gene for gene in study.genes[::-1]}
    lists = [_measured(names, place) for names in (S_GENES, G2M_GENES)]
    if not all(lists):
        raise InputError(
            "None of the genes of a phase of the cell cycle is measured here, so there is no proliferation score. Keep more genes."
        )
    cells = anndata.AnnData(X)
    cells.var_names, cells.obs_names = list(study.genes), [str(i) for i in range(X.shape[0])]
    sc.tl.score_genes_cell_cycle(cells, s_genes=lists[0], g2m_genes=lists[1], use_raw=False, random_state=0)
    s, g2m = (cells.obs[k].to_numpy(np.float64) for k in ("S_score", "G2M_score"))
    return Proliferation((s + g2m) / 2, s, g2m, cells.obs["phase"].to_numpy(str), len(lists[0]) + len(lists[1]))


def _measured(names: tuple[str, ...], place: dict[str, str]) -> list[str]:
    both = [place.get(n.casefold()) or place.get(OTHER_NAMES.get(n, n).casefold()) for n in names]
    return [n for n in dict.fromkeys(both) if n]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of (n,) and (n,); NaN where one of them is constant."""
    from scipy.stats import spearmanr

    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def recovery(outcome: Outcome) -> Recovery:
    """Growth against the truth of simulated cells.

    Raises:
        InputError: the cells are real, and their growth is not known.
    """
    truth = outcome.study.truth.get("growth")
    if truth is None:
        raise InputError("The true growth of these cells is not known. Take a simulated tissue, such as zebrafish-simulated.")
    table = growth_by_type(outcome, times=200)
    means = spearman(table["mean"].to_numpy(), table["truth"].to_numpy())
    return Recovery(spearman(outcome.growth, truth), means, truth, table)


def rates(outcome: Outcome) -> np.ndarray:
    """(n,) growth in one unit of time, growth^(1/dt).

    Raises:
        InputError: the time between source and target is not known.
    """
    dt = outcome.study.dt
    if not dt or dt <= 0:
        raise InputError("The time between source and target is not known, so growth has no rate. Give times that read as numbers.")
    return np.asarray(outcome.growth ** (1 / dt))


def type_arrays(table: Any) -> Arrays:
    """What the view "growth-types" draws of a table of `growth_by_type`."""
    found = {f"growth/{k}": table[k].to_numpy(np.float32) for k in ("mean", "low", "high", "truth") if k in table}
    return {**found, "growth/cells": table["cells"].to_numpy(np.float32), "names/growth": table["type"].to_numpy(str)}


def against_arrays(outcome: Outcome, values: np.ndarray, title: str, key: str | None = None) -> Arrays:
    """What the view "growth-against" draws: growth against a number a source cell (n,), such as a score or the truth."""
    names, codes = np.unique(groups(outcome.study, key), return_inverse=True)
    return {
        "against/x": np.asarray(values, dtype=np.float32),
        "against/y": outcome.growth.astype(np.float32),
        "against/class": codes.astype(np.float32),
        "against/spearman": np.array([spearman(outcome.growth, np.asarray(values))], dtype=np.float32),
        "names/against": names.astype(str),
        "names/against/title": np.array([title]),
    }
