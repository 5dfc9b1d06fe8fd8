"""Enriched terms from general to specific, as a graph.

A GMT file has no edges. A set that is contained in another is taken for its special case, which is exact for the Gene Ontology sets
here: they were propagated, so that a process holds the genes of all that it is made of. An arrow that others imply is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uotlab.cells.genes import minus_log10
from uotlab.views.base import Arrays

MOST_TERMS = 24
NOTE = "Arrows go from a set to the sets that it contains: gene set files have no edges, so inclusion stands in for them."


def inclusion(sets: Mapping[str, Sequence[str]]) -> list[tuple[int, int]]:
    """Edges (general, specific) of the transitive reduction of strict inclusion, by position; equal sets have none between them."""
    folded = [frozenset(gene.casefold() for gene in genes) for genes in sets.values()]
    inside = np.array([[a > b for b in folded] for a in folded], dtype=bool).reshape(len(folded), len(folded))
    implied = (inside.astype(np.int64) @ inside.astype(np.int64)) > 0
    return [(int(i), int(j)) for i, j in np.argwhere(inside & ~implied)]


def levels(n: int, edges: Sequence[tuple[int, int]]) -> np.ndarray:
    """(n,) the longest way from a most general term."""
    level = np.zeros(n, dtype=np.int64)
    for _ in range(n):
        before = level.copy()
        for a, b in edges:
            level[b] = max(level[b], level[a] + 1)
        if np.array_equal(before, level):
            break
    return level


def graph_arrays(terms: Any, sets: Mapping[str, Sequence[str]], most: int = MOST_TERMS, alpha: float = 0.05) -> Arrays:
    """What the view "term-graph" draws: the best significant terms of a table of `enrich`.

    Terms of one set of genes are one node. Those with no relative among the chosen stand on the first row.
    """
    few = terms[terms["p_adjusted"] < alpha].head(most)
    same: dict[frozenset[str], list[int]] = {}
    for row, term in enumerate(few["term"]):
        same.setdefault(frozenset(g.casefold() for g in sets[term]), []).append(row)
    rows = [found[0] for found in same.values()]
    names = [" = ".join(str(few["term"].iloc[r]) for r in found) for found in same.values()]
    edges = inclusion({name: sorted(genes) for name, genes in zip(names, same, strict=True)})
    level = levels(len(names), edges)
    picked = few.iloc[rows]
    return {
        "graph/x": _spread(level, edges),
        "graph/y": -level.astype(np.float32),
        "graph/p": minus_log10(picked["p"]),
        "graph/hits": picked["hits"].to_numpy(np.float32),
        "graph/size": picked["size"].to_numpy(np.float32),
        "graph/edges": np.array(edges, dtype=np.int32).reshape(-1, 2),
        "names/graph": np.array(names, dtype=str),
    }


def _spread(level: np.ndarray, edges: Sequence[tuple[int, int]]) -> np.ndarray:
    """Horizontal places (n,): each row evenly spread, its terms near the mean of what they hang on; a few sweeps of it."""
    x = np.zeros(len(level), dtype=np.float64)
    rows = [np.flatnonzero(level == k) for k in range(int(level.max(initial=-1)) + 1)]
    widest = max((len(r) for r in rows), default=1)
    for row in rows:
        x[row] = np.arange(len(row)) - (len(row) - 1) / 2
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            near = [[a for a, b in edges if b == i] + [b for a, b in edges if a == i] for i in row]
            wish = np.array([np.mean(x[list(n)]) if n else x[i] for i, n in zip(row, near, strict=True)])
            gap = widest / max(len(row), 1)
            x[row[np.argsort(wish, kind="stable")]] = (np.arange(len(row)) - (len(row) - 1) / 2) * gap
    return x.astype(np.float32)
