"""Which genes tell the cells that grow from the rest of the source cells.

scanpy's tests on log1p values, all genes, source cells only. The cells were chosen by a quantity that was computed from the very same
expression, so the p-values describe how different the two groups are; they are no evidence that chance did not make them so.

Reference: yang2019scalable, Section 5.
"""

from typing import Any, Literal, get_args

import numpy as np

from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.study import Study
from uotlab.errors import InputError, did_you_mean, short
from uotlab.views.base import Arrays

Test = Literal["t-test_overestim_var", "wilcoxon"]
DESCRIPTIVE = (
    "The p-values are descriptive: the cells were chosen by a scaling that was computed from the same expression, so they say how far the "
    "groups lie apart, not that chance could not do it. Read them beside the shuffled scaling."
)
FEWEST = 3  #: cells in a group that can be tested
MOST_DRAWN = 4000  #: genes in a volcano plot


def differential(study: Study, high: np.ndarray, method: Test = "t-test_overestim_var") -> Any:
    """A DataFrame of all genes, the highest score first.

    Args:
        study: the cells.
        high: (n,) bool, the source cells that are compared with the other source cells.
        method: scanpy's t-test with overestimated variance, or Wilcoxon's rank sum test.

    Returns:
        DataFrame: gene, score, logfc (log2 fold change of expm1 means), p, p_adjusted (Benjamini and Hochberg), share_high and share_rest
            (of cells that express it), mean_high and mean_rest (of log1p values).

    Raises:
        InputError: no genes, a group of fewer than three cells, or an unknown method.
    """
    return differential_of(expression_of(study), study.genes, high, method)


def expression_of(study: Study) -> Any:
    """The source cells' log1p values (n, g), csr float32.

    Raises:
        InputError: the study has no genes.
    """
    import scipy.sparse as sp

    if not study.has_genes:
        raise InputError("These cells come without genes, so no gene can be tested. Take data with an expression matrix.")
    return sp.csr_matrix(study.cells("source").X, dtype=np.float32)


def differential_of(X: Any, genes: np.ndarray, high: np.ndarray, method: Test = "t-test_overestim_var") -> Any:
    """As `differential`, from log1p values (n, g)."""
    import anndata
    import pandas as pd
    import scanpy as sc

    high = checked_group(high, X.shape[0])
    if method not in get_args(Test):
        raise InputError(
            f"method must be one of {', '.join(get_args(Test))}; it is '{short(str(method))}'. {did_you_mean(str(method), get_args(Test))}"
        )
    groups = pd.Categorical(np.where(high, "high", "rest"), categories=["high", "rest"])
    cells = anndata.AnnData(X, pd.DataFrame({"group": groups}, index=[str(i) for i in range(len(high))]), pd.DataFrame(index=list(genes)))
    more = {"tie_correct": True} if method == "wilcoxon" else {}
    sc.tl.rank_genes_groups(cells, "group", groups=["high"], reference="rest", method=method, use_raw=False, pts=True, **more)
    found = sc.get.rank_genes_groups_df(cells, "high")
    table = pd.DataFrame(
        {
            "gene": found["names"].astype(str),
            "score": found["scores"].astype(np.float64),
            "logfc": found["logfoldchanges"].astype(np.float64),
            "p": found["pvals"].astype(np.float64),
            "p_adjusted": found["pvals_adj"].astype(np.float64),
            "share_high": found["pct_nz_group"].astype(np.float64),
            "share_rest": found["pct_nz_reference"].astype(np.float64),
        }
    )
    means = pd.DataFrame({"mean_high": _mean(X, high), "mean_rest": _mean(X, ~high)}, index=list(genes))
    table = table.join(means, on="gene").fillna({"score": 0.0, "logfc": 0.0, "p": 1.0, "p_adjusted": 1.0})
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def genes_of(outcome: Outcome, percentile: float = HIGH, method: Test = "t-test_overestim_var") -> Any:
    """`differential` of the cells above a percentile of growth against the rest of the source."""
    return differential(outcome.study, outcome.high(percentile), method)


def scanpy_ranks(table: Any, method: str = "t-test_overestim_var") -> dict[str, Any]:
    """A table of `differential` as scanpy keeps it in uns["rank_genes_groups"], for `sc.get.rank_genes_groups_df(adata, "high")`."""
    import pandas as pd

    def held(column: str, kind: Any) -> np.ndarray:
        return np.array([(v,) for v in table[column]], dtype=[("high", kind)]).view(np.recarray)

    found: dict[str, Any] = {
        "params": {"groupby": "uot_high", "reference": "rest", "method": method, "use_raw": False, "corr_method": "benjamini-hochberg"},
        "names": held("gene", object),
    }
    kinds = {"scores": "score", "pvals": "p", "pvals_adj": "p_adjusted", "logfoldchanges": "logfc"}
    found |= {key: held(column, np.float64) for key, column in kinds.items()}
    index = pd.Index(table["gene"].to_numpy(), name="names")
    shares = {"pts": "share_high", "pts_rest": "share_rest"}
    return found | {key: pd.DataFrame({"high": table[column].to_numpy()}, index=index) for key, column in shares.items()}


def checked_group(high: np.ndarray, n: int) -> np.ndarray:
    """The group as bool (n,).

    Raises:
        InputError: another shape, or too few cells on a side.
    """
    high = np.asarray(high)
    if high.shape != (n,) or high.dtype != bool:
        raise InputError(f"high must be one True or False a source cell, ({n},); it has shape {high.shape} and type {high.dtype}.")
    least = min(int(high.sum()), int((~high).sum()))
    if least < FEWEST:
        raise InputError(
            f"Each group needs at least {FEWEST} cells to be tested; the smaller one has {least}. Choose a percentile nearer to 50."
        )
    return high


def shown(table: Any, most: int = MOST_DRAWN) -> Any:
    """The genes that a picture draws: all of them, or those with the smallest p-values."""
    return table if len(table) <= most else table.nsmallest(most, "p")


def volcano_arrays(table: Any, most: int = MOST_DRAWN) -> Arrays:
    """What the view "volcano" draws of a table of `differential`."""
    few = shown(table, most)
    numbers = {f"genes/{k}": few[k].to_numpy(np.float32) for k in ("logfc", "score", "share_high", "share_rest")}
    logs = {f"genes/{k}": minus_log10(few[column]) for k, column in (("p", "p"), ("adjusted", "p_adjusted"))}
    return {**numbers, **logs, "names/genes": few["gene"].to_numpy(str)}


def dot_arrays(study: Study, genes: Any, groups: np.ndarray) -> Arrays:
    """What the view "dot-plot" draws: how many cells of each group express each gene, and how much.

    Args:
        study: the cells.
        genes: names.
        groups: (n,) texts, one a source cell; such as the cell types, or "high" and "rest".
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    values = study.expression(list(genes))
    size = np.bincount(codes, minlength=len(names))[:, None]
    sums = [np.stack([np.bincount(codes, weights=v, minlength=len(names)) for v in part.T], 1) for part in (values, values > 0)]
    mean, share = (np.asarray(total / size, dtype=np.float32) for total in sums)
    return {"dots/mean": mean, "dots/share": share, "names/dots/group": names, "names/dots/gene": np.array(list(genes), dtype=str)}


def minus_log10(p: Any) -> np.ndarray:
    """-log10 of p-values, float32; 0 counts as the smallest number there is."""
    values = np.clip(np.asarray(p, dtype=np.float64), np.finfo(np.float64).tiny, 1)
    return np.asarray(-np.log10(values) + 0.0, dtype=np.float32)


def _mean(X: Any, rows: np.ndarray) -> np.ndarray:
    return np.asarray(X[rows].mean(axis=0), dtype=np.float64).ravel()
