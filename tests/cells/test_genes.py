"""Genes and gene sets: planted ones are found, tables agree with their definitions, bad input is one sentence."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, ttest_ind

from uotlab import cells
from uotlab.cells.enrich import COLUMNS, LEAST, LEAST_SHIPPED, enrich, map_asked, map_sets
from uotlab.cells.enriched import analyse, analyse_group, null_p, term_arrays
from uotlab.cells.genes import differential, differential_of, dot_arrays, genes_of, volcano_arrays
from uotlab.cells.gmt import shipped
from uotlab.cells.hierarchy import graph_arrays, inclusion, levels
from uotlab.cells.mhg import mhg
from uotlab.cells.outcome import Outcome
from uotlab.errors import InputError
from uotlab.views.base import VIEWS


@pytest.fixture(scope="module")
def study():
    return cells.load("zebrafish-simulated", n=300, seed=0)


@pytest.fixture(scope="module")
def outcome(study):
    """The truth as scaling."""
    return Outcome(study, study.x, study.truth["growth"])


def planted(n=60, g=50, up=5, seed=0):
    rng = np.random.default_rng(seed)
    X, high = rng.gamma(2, 0.3, (n, g)).astype(np.float32), np.arange(n) < n // 3
    X[:, ::7] *= rng.random((n, len(X[0, ::7]))) < 0.6  # some genes are silent in some cells
    X[np.ix_(high, np.arange(up))] += 2
    return X, np.array([f"g{i}" for i in range(g)]), high


def test_differential_expression_is_what_it_says():
    X, genes, high = planted()
    table = differential_of(X, genes, high)
    assert set(table["gene"][:5]) == {f"g{i}" for i in range(5)}
    assert (np.diff(table["score"]) <= 0).all()
    for row in table.iloc[[0, 20, 49]].itertuples():
        v = X[:, int(row.gene[1:])]
        assert row.share_high == pytest.approx((v[high] > 0).mean())
        assert row.mean_rest == pytest.approx(v[~high].mean(), rel=1e-5)
        fold = np.log2((np.expm1(v[high].mean()) + 1e-9) / (np.expm1(v[~high].mean()) + 1e-9))
        assert row.logfc == pytest.approx(fold, rel=1e-4)
    wilcoxon = differential_of(X, genes, high, "wilcoxon")
    assert set(wilcoxon["gene"][:5]) == set(table["gene"][:5])
    # the overestimated variance takes the group's size for both
    v = X[:, int(table["gene"][0][1:])].astype(float)
    m = high.sum()
    t = (v[high].mean() - v[~high].mean()) / np.sqrt((v[high].var(ddof=1) + v[~high].var(ddof=1)) / m)
    assert table["score"][0] == pytest.approx(t, rel=1e-4)
    assert abs(t) < abs(ttest_ind(v[high], v[~high], equal_var=False).statistic)


def test_genes_of_a_study(study, outcome):
    table = genes_of(outcome, 90)
    assert len(table) == len(study.genes)
    assert not table.isna().any().any()
    assert len(set(table["gene"][:25]) & set(study.truth["markers"]["Margin"])) >= 5
    pd.testing.assert_frame_equal(table, differential(study, outcome.high(90)))
    arrays = volcano_arrays(table, most=100)
    assert arrays["genes/p"].shape == (100,)
    assert VIEWS["volcano"]().figure(arrays)
    few = list(table["gene"][:6])
    dots = dot_arrays(study, few, np.where(outcome.high(), "high", "rest"))
    assert VIEWS["dot-plot"]().figure(dots)
    for i, gene in enumerate(few):
        row = table[table["gene"] == gene].iloc[0]
        assert dots["dots/share"][:, i] == pytest.approx([row["share_high"], row["share_rest"]])
        assert dots["dots/mean"][:, i] == pytest.approx([row["mean_high"], row["mean_rest"]], rel=1e-4)


def test_sets_are_found_whatever_the_case_and_the_wrong_species_is_told():
    genes = np.array(["Tbx6", "MSGN1", "sox2", "noto", "gsc", "actb"])
    sets = {"a": ("tbx6", "msgn1", "SOX2", "zzz"), "tiny": ("gsc",), "all": tuple(genes)}
    mapped = map_sets(sets, genes, least=2)
    assert list(mapped.places) == ["a"]  # a set of all genes cannot be tested
    assert mapped.places["a"].tolist() == [0, 1, 2]
    assert mapped.share == 1.0
    assert len(mapped.notes) == 1
    other = {"a": ("tbx6", "msgn1"), "b": tuple(f"AT1G{i}" for i in range(20))}
    foreign = map_sets(other, np.array(["tbx6", "msgn1", *(f"ENS{i}" for i in range(20))]), least=2)
    assert foreign.share == pytest.approx(2 / 22)
    assert "another species" in foreign.notes[1]
    with pytest.raises(InputError, match="No gene set has 5 to 500"):
        map_sets(other, np.array(["x1", "x2"]))


def test_sets_of_another_species_that_share_names_are_told_by_their_letters():
    genes = np.array([f"Gene{i}" for i in range(40)])
    own, human = {"a": tuple(genes[:8])}, {"a": tuple(g.upper() for g in genes[:8])}
    assert len(map_asked(own, "mouse", genes).notes) == 1
    notes = map_asked(human, "mouse", genes).notes
    assert "8 of 8 symbols agree with the genes only when capital letters are ignored (GENE0 in the sets, Gene0 here)" in notes[-1]


@pytest.mark.parametrize("foreign", ["human", "mouse"])
def test_a_gmt_of_another_species_gets_a_sentence(study, outcome, foreign):
    told = " ".join(analyse(outcome, sets=shipped(foreign), shuffles=0).notes)
    assert "may be of another species" in told


def test_shipped_sets_need_more_genes_than_ones_own_where_they_can():
    symbols_of = shipped("zebrafish")
    genes = np.array(sorted({s for symbols in list(symbols_of.values())[:200] for s in symbols}))
    shippeds = map_asked(None, "zebrafish", genes)
    assert min(map(len, shippeds.places.values())) >= LEAST_SHIPPED
    assert min(map(len, map_asked(symbols_of, "zebrafish", genes).places.values())) < LEAST_SHIPPED
    small = min(symbols_of.values(), key=len)
    few = np.array([*small[:7], *(f"other{i}" for i in range(9))])
    assert LEAST <= max(map(len, map_asked(None, "zebrafish", few).places.values())) < LEAST_SHIPPED


@pytest.mark.parametrize("test", ["mhg", "over-representation", "prerank"])
def test_a_planted_set_comes_first(test):
    X, genes, high = planted(g=200, up=8)
    table = differential_of(X, genes, high)
    rng = np.random.default_rng(3)
    sets = {f"random {k}": tuple(rng.choice(genes[8:], 10, replace=False)) for k in range(20)}
    sets["planted"] = tuple(g.upper() for g in genes[:8])
    found = enrich(table, sets, test=test, permutations=200)
    assert list(found.table.columns) == list(COLUMNS)
    assert len(found.table) == 21
    first = found.table.iloc[0]
    assert (first["term"], first["hits"], first["size"]) == ("planted", 8, 8)
    assert set(first["genes"].split(";")) == set(genes[:8])
    if test == "mhg":
        member = table["gene"].isin(genes[:8]).to_numpy()
        assert first["p"] == mhg(member, int((table["score"] > 0).sum())).p
        assert first["cutoff"] == 8
    if test == "over-representation":
        up = table["gene"][(table["p_adjusted"] < 0.05) & (table["score"] > 0)]
        inside = int(up.isin(genes[:8]).sum())
        cross = [[inside, 8 - inside], [len(up) - inside, 200 - 8 - len(up) + inside]]
        assert first["p"] == pytest.approx(fisher_exact(cross, "greater").pvalue, rel=1e-6)


def test_analysis_with_its_null(outcome):
    seen = []
    found = analyse(outcome, shuffles=4, progress=lambda step, share: seen.append((step, share)))
    assert seen[-1] == ("done", 1.0)
    assert found.terms.set_index("term").loc["mesoderm development (GO:0007498)", "p_adjusted"] < 1e-3
    assert found.terms["null_p"].min() == pytest.approx(0.2)
    assert found.genes["null_p"].min() == pytest.approx(0.2)
    assert found.null_term.shape == (4,)
    assert "descriptive" in found.notes[0]
    again = analyse(outcome, shuffles=4)
    pd.testing.assert_frame_equal(found.terms, again.terms)
    assert VIEWS["terms"]().figure(term_arrays(found))
    graph = graph_arrays(found.terms, found.sets)
    assert len(graph["graph/x"])
    assert VIEWS["term-graph"]().figure(graph)


def test_a_random_group_finds_nothing_beyond_its_null(study):
    high = np.random.default_rng(5).permutation(300) < 30
    found = analyse_group(study, high, shuffles=9)
    assert found.terms["null_p"].min() > 0.1
    assert found.genes["null_p"].min() > 0.1


def test_null_p_counts_the_best_of_each_shuffle():
    assert null_p(np.array([0.01, 0.05, 0.5]), np.array([0.05, 0.2, 0.001])).tolist() == [0.5, 0.75, 1.0]
    assert null_p(np.array([3.0, 1.0]), np.array([2.0, 1.0]), larger=True).tolist() == [1 / 3, 1.0]
    assert np.isnan(null_p(np.array([0.1]), np.zeros(0))).all()


def test_inclusion_is_reduced():
    sets = {"all": "abcdef", "left": "abc", "a": "A", "right": "def", "b": "b", "other": "xy"}
    edges = inclusion({k: tuple(v) for k, v in sets.items()})
    assert edges == [(0, 1), (0, 3), (1, 2), (1, 4)]
    assert levels(6, edges).tolist() == [0, 1, 2, 1, 2, 0]
    terms = pd.DataFrame({"term": list(sets), "p": 0.001, "p_adjusted": [0.01] * 5 + [0.2], "hits": 2, "size": 3})
    graph = graph_arrays(terms, {k: tuple(v) for k, v in sets.items()})
    assert graph["names/graph"].tolist() == ["all", "left", "a", "right", "b"]
    assert graph["graph/y"].tolist() == [0, -1, -2, -1, -2]
    assert len({(x, y) for x, y in zip(graph["graph/x"], graph["graph/y"], strict=True)}) == 5
    same = graph_arrays(terms.iloc[:2].assign(term=["all", "twin"]), {"all": ("a", "b"), "twin": ("B", "A")})
    assert same["names/graph"].tolist() == ["all = twin"]


def test_bad_input(study, outcome):
    with pytest.raises(InputError, match="Each group needs at least 3 cells"):
        differential(study, np.arange(300) < 2)
    with pytest.raises(InputError, match="one True or False a source cell"):
        differential(study, np.ones(300))
    with pytest.raises(InputError, match="method must be one of"):
        differential(study, np.arange(300) < 30, "logreg")
    with pytest.raises(InputError, match="test must be one of"):
        enrich(pd.DataFrame({"gene": ["a"], "score": [1.0]}), {"a": ("a",)}, test="enrichr")
    with pytest.raises(InputError, match="species of these cells is not known"):
        enrich(pd.DataFrame({"gene": ["a"], "score": [1.0]}))
    with pytest.raises(InputError, match="All cells grow alike"):
        analyse(Outcome(study, study.x))
