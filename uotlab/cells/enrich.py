"""Which gene sets gather among the genes that growing cells switch on.

Three tests with one table: the minimum hypergeometric test down the ranked list (GOrilla's), gseapy's pre-ranked enrichment and its
over-representation of the significant genes among all genes that were measured. All offline.

References: eden2007discovering; fang2023gseapy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from uotlab.cells.gmt import SPECIES, shipped
from uotlab.cells.mhg import mhg_at
from uotlab.errors import InputError, did_you_mean, short

EnrichmentTest = Literal["mhg", "prerank", "over-representation"]
LEAST, MOST = 5, 500  #: measured genes of a set that is tested
LEAST_SHIPPED = 15  #: of a shipped one, as GSEA has it: thousands of them overlap, and the smallest crowd the others out
FEW_MAPPED = 0.5
SIGNIFICANT = 0.05
COLUMNS = ("term", "p", "p_adjusted", "stat", "hits", "size", "cutoff", "genes")


@dataclass(frozen=True, eq=False)
class Mapped:
    """Sets in terms of a study's genes.

    Args:
        places: term -> numbers of its genes in `genes`.
        genes: (g,) the study's symbols.
        share: symbols in common, as a share of the smaller of the two lists.
        known: share of the study's genes that stand in some set.
        notes: sentences; a warning where fewer than half map.
    """

    places: dict[str, np.ndarray]
    genes: np.ndarray
    share: float
    known: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Enrichment:
    """Terms with COLUMNS, best first, with the share of symbols that mapped and sentences to read."""

    table: Any
    test: str
    share: float
    notes: tuple[str, ...] = ()


def sets_of(sets: Mapping[str, Sequence[str]] | None, species: str) -> Mapping[str, Sequence[str]]:
    """A person's own sets, or the ones that are shipped for a species.

    Raises:
        InputError: neither is known.
    """
    if sets is not None:
        return sets
    if not species:
        raise InputError(f"The species of these cells is not known. Say species={' or '.join(SPECIES)}, or give a GMT file.")
    return shipped(species)


def map_sets(sets: Mapping[str, Sequence[str]], genes: np.ndarray, least: int = LEAST, most: int = MOST) -> Mapped:
    """Finds the symbols of sets among genes, whatever their case; sets keep from `least` to `most` measured genes.

    Raises:
        InputError: no set is left.
    """
    place: dict[str, int] = {}
    for i, gene in enumerate(genes):
        place.setdefault(str(gene).casefold(), i)
    folded = {term: {symbol.casefold() for symbol in symbols} for term, symbols in sets.items()}
    universe: set[str] = set().union(*folded.values()) if folded else set()
    common = len(universe & place.keys())
    share = common / max(min(len(universe), len(place)), 1)
    found = {}
    for term, symbols in folded.items():
        rows = [place[symbol] for symbol in symbols if symbol in place]
        if least <= len(rows) <= most and len(rows) < len(place):
            found[term] = np.sort(np.array(rows, dtype=np.int64))
    counted = f"{common} of the {len(place)} genes measured stand in a gene set"
    if not found:
        raise InputError(
            f"No gene set has {least} to {most} of the genes of these cells ({counted}). The sets may be of another species or use other "
            "names than symbols; take those of the cells' own species."
        )
    notes: tuple[str, ...] = (f"{counted}; {len(found)} of {len(sets)} sets have {least} to {most} of them.",)
    if share < FEW_MAPPED:
        notes += (
            f"Only {share:.0%} of the symbols map: the gene sets may be of another species, or the genes may be named by identifiers "
            "instead of symbols. What follows rests on few genes.",
        )
    return Mapped(found, np.asarray(genes, dtype=str), share, common / max(len(place), 1), notes)


def map_asked(sets: Mapping[str, Sequence[str]] | None, species: str, genes: np.ndarray) -> Mapped:
    """`map_sets` of a person's own sets, or of the shipped ones of a species, which need more measured genes where some have them.

    Raises:
        InputError: as `sets_of` and `map_sets`.
    """
    found = sets_of(sets, species)
    if sets is None:
        try:
            return map_sets(found, genes, LEAST_SHIPPED)
        except InputError:  # few genes are measured
            pass
    mapped = map_sets(found, genes)
    return mapped if sets is None else replace(mapped, notes=(*mapped.notes, *_other_letters(found, genes)))


def _other_letters(sets: Mapping[str, Sequence[str]], genes: np.ndarray) -> tuple[str, ...]:
    """A sentence where symbols agree only without regard to capital letters, as those of human, mouse and zebrafish do."""
    written = {symbol.casefold(): symbol for symbols in sets.values() for symbol in symbols}
    common = [(written[gene.casefold()], gene) for gene in map(str, genes) if gene.casefold() in written]
    other = [(theirs, ours) for theirs, ours in common if theirs != ours]
    if len(other) <= len(common) / 2:
        return ()
    theirs, ours = other[0]
    return (
        f"{len(other)} of {len(common)} symbols agree with the genes only when capital letters are ignored ({short(theirs)} in the sets, "
        f"{short(ours)} here): the sets may be of another species, whose gene of the same name need not do the same.",
    )


def enrich(
    table: Any,
    sets: Mapping[str, Sequence[str]] | Mapped | None = None,
    species: str = "",
    test: EnrichmentTest = "mhg",
    seed: int = 0,
    permutations: int = 1000,
) -> Enrichment:
    """Tests every set against the genes of a table of `differential`, its order being the ranking.

    Args:
        table: gene and score, the highest first; over-representation also takes p_adjusted.
        sets: own sets, or mapped ones; None takes the shipped ones of the species.
        test: one of three.
        seed, permutations: of the pre-ranked test.

    Raises:
        InputError: an unknown test, or sets that do not map.
    """
    if test not in _TESTS:
        raise InputError(
            f"test must be one of {', '.join(get_args(EnrichmentTest))}; it is '{short(str(test))}'. {did_you_mean(str(test), _TESTS)}"
        )
    mapped = sets if isinstance(sets, Mapped) else map_asked(sets, species, table["gene"].to_numpy(str))
    if len(mapped.genes) != len(table):
        raise InputError(f"The sets were mapped to {len(mapped.genes)} genes; the table has {len(table)}. Map them to this table's genes.")
    found, notes = _TESTS[test](table, mapped, seed, permutations)
    return Enrichment(found, test, mapped.share, (*mapped.notes, *notes))


def adjusted(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's adjusted p-values (k,)."""
    from scipy.stats import false_discovery_control

    found: np.ndarray = false_discovery_control(np.clip(p, 0, 1)) if len(p) else np.zeros(0)
    return found


def ranks(table: Any, mapped: Mapped) -> np.ndarray:
    """(g,) place in the table of each of the mapped genes."""
    order = {gene: i for i, gene in enumerate(table["gene"])}
    return np.array([order[gene] for gene in mapped.genes], dtype=np.int64)


def mhg_p_values(rank: np.ndarray, mapped: Mapped, most: int) -> list[Any]:
    """The minimum hypergeometric test of every set."""
    return [mhg_at(np.sort(rank[places]), len(rank), most) for places in mapped.places.values()]


def upregulated(table: Any) -> int:
    """How many genes of a table have a positive score: the cutoffs that are tried."""
    return int((table["score"].to_numpy() > 0).sum())


def _by_mhg(table: Any, mapped: Mapped, *_: Any) -> tuple[Any, tuple[str, ...]]:
    import pandas as pd

    rank, names = ranks(table, mapped), table["gene"].to_numpy(str)
    tests = mhg_p_values(rank, mapped, upregulated(table))
    p = np.array([t.p for t in tests])
    rows = []
    for (term, places), t, q in zip(mapped.places.items(), tests, adjusted(p), strict=True):
        leading = np.sort(rank[places])
        leading = leading[leading < t.cutoff]
        rows.append((term, t.p, q, t.stat, len(leading), len(places), t.cutoff, ";".join(names[leading])))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["p", "stat"], kind="stable", ignore_index=True), ()


def _by_prerank(table: Any, mapped: Mapped, seed: int, permutations: int) -> tuple[Any, tuple[str, ...]]:
    import gseapy
    import pandas as pd

    ranking = pd.Series(table["score"].to_numpy(np.float64), index=table["gene"].to_numpy(str))
    sets = {term: list(mapped.genes[places]) for term, places in mapped.places.items()}
    how = {"min_size": 1, "max_size": len(ranking), "permutation_num": permutations, "seed": seed, "threads": 1, "outdir": None}
    found = gseapy.prerank(rnk=ranking, gene_sets=sets, no_plot=True, **how).res2d
    rows = pd.DataFrame(
        {
            "term": found["Term"].astype(str),
            "p": found["NOM p-val"].astype(np.float64),
            "p_adjusted": found["FDR q-val"].astype(np.float64),
            "stat": found["NES"].astype(np.float64),
            "hits": found["Tag %"].str.split("/").str[0].astype(int),
            "size": [len(mapped.places[t]) for t in found["Term"]],
            "cutoff": 0,
            "genes": found["Lead_genes"].astype(str),
        }
    )
    note = (
        f"p is a share of {permutations} permutations of genes: 0 means below {1 / permutations:g}. Where stat is negative, a set is off."
    )
    down = rows["stat"] < 0
    order = np.lexsort((-rows["stat"].to_numpy(), rows["p"].to_numpy(), down.to_numpy()))
    return rows.iloc[order].reset_index(drop=True), (note,)


def _by_over_representation(table: Any, mapped: Mapped, *_: Any) -> tuple[Any, tuple[str, ...]]:
    import gseapy
    import pandas as pd

    chosen = table["gene"][(table["p_adjusted"] < SIGNIFICANT) & (table["score"] > 0)].tolist()
    sets = {term: list(mapped.genes[places]) for term, places in mapped.places.items()}
    note = f"{len(chosen)} of {len(table)} genes are up with an adjusted p below {SIGNIFICANT:g}; the background is all genes measured."
    rows = {term: (term, 1.0, 1.0, 1.0, 0, len(places), len(chosen), "") for term, places in mapped.places.items()}
    if chosen:
        found = gseapy.enrich(
            gene_list=chosen, gene_sets=sets, background=list(mapped.genes), outdir=None, no_plot=True, cutoff=1.0
        ).results
        for row in found.to_dict("records") if isinstance(found, pd.DataFrame) else []:
            term = row["Term"]
            hits = int(str(row["Overlap"]).split("/")[0])
            rows[term] = (term, float(row["P-value"]), 1.0, float(row["Odds Ratio"]), hits, len(sets[term]), len(chosen), str(row["Genes"]))
    made = pd.DataFrame(list(rows.values()), columns=list(COLUMNS))
    made["p_adjusted"] = adjusted(made["p"].to_numpy())  # over all sets tested, those without a hit too
    return made.sort_values("p", kind="stable", ignore_index=True), (note,)


_TESTS: dict[str, Any] = {"mhg": _by_mhg, "prerank": _by_prerank, "over-representation": _by_over_representation}
