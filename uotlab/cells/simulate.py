"""Two destructive samples of a growing, differentiating tissue whose growth, fates and markers are known.

A cell of type k on its way to f has log-means (1 - s) profile[k] + s profile[f], plus six sparse nuisance factors. Its rates are
b = b_k exp(.25 z) and d = d_k an hour; after t hours a linear birth-death process has left it N descendants, drawn exactly:
P(N = 0) = alpha, P(N = n) = (1 - alpha)(1 - beta) beta^(n - 1). Each descendant picks its type from a known table. Counts are
gamma-Poisson, with a library size of LogNormal(log 2500, .35) and a biological coefficient of variation of .15 + .5/sqrt(mu + .1).

The two samples are independent: no cell of the second descends from a cell of the first. What is known and returned is each
source cell's expected growth exp((b - d) t), the table of fates, and the marker genes.

References: kendall1948generalized; zappia2017splatter.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from uotlab.cells.gmt import symbols
from uotlab.cells.lineages import Lineage
from uotlab.errors import InputError

DEPTH, DEPTH_SD = 2500.0, 0.35
RATE_SD = 0.25
DRIFT, DRIFT_SHARE, MARKER = 1.05, 0.08, 2.2  #: sd of log-means that drift with an edge, the share of genes that do, a marker's rise
FACTORS, FACTOR_SD, FACTOR_SHARE = 6, 0.25, 0.05
STRESS, STRESS_RATE = 4.0, 0.35  #: rise of apoptosis genes, reached at this rate of death an hour
ANCESTORS = 6  #: hidden founders of the second sample, for each of its cells
BLOCK = 2048  #: cells whose counts are drawn at once


class Cells(NamedTuple):
    """Latent states: type, fate (n,) str; progress, birth, death (n,)."""

    type: np.ndarray
    fate: np.ndarray
    progress: np.ndarray
    birth: np.ndarray
    death: np.ndarray


@dataclass(frozen=True)
class Simulated:
    """Counts (n + m, g), csr float32, of source cells and then target cells, and the truth.

    Args:
        genes: (g,) symbols.
        source, target: latent states.
        growth: (n,) expected descendants of each source cell, mean 1.
        truth: "transition", "growth_by_type" (mean 1 over the source), "markers", "cell_cycle", "apoptosis".
    """

    counts: Any
    genes: np.ndarray
    source: Cells
    target: Cells
    growth: np.ndarray
    truth: dict[str, Any] = field(default_factory=dict)


def simulate(lineage: Lineage, n: int, m: int, seed: int, genes: int = 2000) -> Simulated:
    """Draw n source and m target cells with `genes` genes."""
    names = gene_names(lineage, genes)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 20_180_427]))
    place = {gene: i for i, gene in enumerate(names)}
    profiles = _profiles(lineage, place, rng)
    factors = rng.normal(0, FACTOR_SD, (FACTORS, genes)) * (rng.random((FACTORS, genes)) < FACTOR_SHARE)
    source = founders(lineage, n, rng)
    target = descendants(lineage, m, rng)
    usual = float(np.log(source.birth.mean()))
    draw = _Counts(lineage, place, profiles, factors, usual)
    counts = sp.vstack([draw(source, 0.6, rng), draw(target, 0.3, rng)]).tocsr()
    growth = np.exp((source.birth - source.death) * lineage.hours)
    growth /= growth.mean()
    truth = {
        "transition": {k: dict(v) for k, v in lineage.fates.items()},
        "growth_by_type": {k: float(growth[source.type == k].mean()) for k in lineage.share if (source.type == k).any()},
        "markers": {k: list(v) for k, v in lineage.markers.items()},
        "cell_cycle": list(lineage.cell_cycle),
        "apoptosis": list(lineage.apoptosis),
    }
    return Simulated(counts, names, source, target, growth, truth)


def gene_names(lineage: Lineage, genes: int) -> np.ndarray:
    """(genes,) the named genes, then a fixed choice of the species' other symbols: enrichment needs a real background.

    Raises:
        InputError: fewer genes than the named ones, or more than there are symbols.
    """
    named = list(lineage.named)
    taken = {gene.casefold() for gene in named}
    others = [gene for gene in symbols(lineage.species) if gene.casefold() not in taken]
    if not len(named) <= genes <= len(named) + len(others):
        raise InputError(f"genes must be a whole number from {len(named)} to {len(named) + len(others)}; it is {genes}.")
    chosen = np.random.default_rng(0).permutation(len(others))[: genes - len(named)]
    return np.array([*named, *(others[i] for i in np.sort(chosen))])


def descendants_of(birth: np.ndarray, death: np.ndarray, hours: float, rng: np.random.Generator) -> np.ndarray:
    """Numbers of descendants (n,) of cells that divide and die at rates (n,) an hour: Kendall's law, drawn exactly."""
    r = np.exp((birth - death) * hours)
    alpha, beta = death * (r - 1) / (birth * r - death), birth * (r - 1) / (birth * r - death)
    alive = rng.random(birth.shape) >= alpha
    return np.where(alive, rng.geometric(np.clip(1 - beta, 1e-12, 1)), 0)


def founders(lineage: Lineage, n: int, rng: np.random.Generator) -> Cells:
    """n cells at the first time."""
    kinds = np.array(list(lineage.share))
    share = np.array(list(lineage.share.values()))
    type_ = rng.choice(kinds, n, p=share / share.sum())
    birth = _rates(lineage.birth, type_) * np.exp(RATE_SD * rng.normal(size=n))
    return Cells(type_, _fates(lineage, type_, rng), rng.beta(1.2, 3, n), birth, _rates(lineage.death, type_))


def descendants(lineage: Lineage, m: int, rng: np.random.Generator) -> Cells:
    """m cells at the second time: a sample of the descendants of a hidden population, without repeats."""
    hidden = founders(lineage, ANCESTORS * m, rng)
    numbers = descendants_of(hidden.birth, hidden.death, lineage.hours, rng)
    ancestor = rng.choice(np.repeat(np.arange(len(numbers)), numbers), m, replace=False)
    type_ = _fates(lineage, hidden.type[ancestor], rng)
    usual = float(np.mean(list(lineage.birth.values())))
    birth = np.array([lineage.birth.get(k, usual) for k in type_])
    return Cells(type_, _fates(lineage, type_, rng), rng.beta(1.2, 5, m), birth, np.zeros(m))


def _rates(table: Any, type_: np.ndarray) -> np.ndarray:
    return np.array([table[k] for k in type_])


def _fates(lineage: Lineage, type_: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The type that each cell's descendants take; types that end here keep their own."""
    out, u = type_.astype("U32"), rng.random(len(type_))
    for kind, table in lineage.fates.items():
        rows = type_ == kind
        steps = np.cumsum(list(table.values()))
        out[rows] = np.array(list(table))[np.searchsorted(steps / steps[-1], u[rows]).clip(max=len(steps) - 1)]
    return out


def _profiles(lineage: Lineage, place: dict[str, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Log-means (g,) of every type, along the tree."""
    g, named = len(place), len(lineage.named)
    base = np.where(np.arange(g) < named, rng.normal(-0.5, 0.5, g), rng.normal(0, 1.5, g))
    profiles: dict[str, np.ndarray] = {}
    for kind, parent in lineage.parents.items():
        drifts = (rng.random(g) < DRIFT_SHARE) & (np.arange(g) >= named)
        profiles[kind] = (base if parent is None else profiles[parent]) + drifts * rng.normal(0, DRIFT, g)
        profiles[kind][[place[gene] for gene in lineage.markers[kind]]] += MARKER
    return profiles


@dataclass(frozen=True)
class _Counts:
    lineage: Lineage
    place: dict[str, int]
    profiles: dict[str, np.ndarray]
    factors: np.ndarray
    usual: float  # log of the source's mean rate of birth

    def __call__(self, cells: Cells, most_progress: float, rng: np.random.Generator) -> Any:
        """Counts (n, g) csr float32; a cell has gone at most `most_progress` of the way to its fate."""
        n = len(cells.type)
        blocks = [self._block(Cells(*(v[i : i + BLOCK] for v in cells)), most_progress, rng) for i in range(0, n, BLOCK)]
        return sp.vstack(blocks).tocsr()

    def _block(self, cells: Cells, most_progress: float, rng: np.random.Generator) -> Any:
        own, next_ = (np.stack([self.profiles[k] for k in v]) for v in (cells.type, cells.fate))
        log_mean = own + (most_progress * cells.progress)[:, None] * (next_ - own)
        log_mean += rng.normal(size=(len(own), FACTORS)) @ self.factors
        cycle, dying = ([self.place[g] for g in genes] for genes in (self.lineage.cell_cycle, self.lineage.apoptosis))
        log_mean[:, cycle] += np.clip(np.log(cells.birth) - self.usual, -1.5, 2)[:, None]
        log_mean[:, dying] += STRESS * np.minimum(cells.death / STRESS_RATE, 1)[:, None]
        mean = np.exp(log_mean)
        mean *= (rng.lognormal(np.log(DEPTH), DEPTH_SD, len(own)) / mean.sum(1))[:, None]
        spread = (0.15 + 0.5 / np.sqrt(mean + 0.1)) ** 2
        return sp.csr_matrix(rng.poisson(rng.gamma(1 / spread, mean * spread)).astype(np.float32))
