"""The simulator against what is known of it: Kendall's law, the table of fates, growth, and a solver that finds it again."""

import numpy as np
import pytest
from scipy.stats import chisquare, spearmanr

import uotlab
from uotlab.cells.gmt import read_gmt, shipped, symbols
from uotlab.cells.lineages import PANCREAS, ZEBRAFISH
from uotlab.cells.simulate import descendants, descendants_of, gene_names, simulate

LINEAGES = {"zebrafish": ZEBRAFISH, "pancreas": PANCREAS}


@pytest.mark.parametrize(("b", "d", "t"), [(0.6, 0.02, 2.7), (0.05, 0.35, 2.7), (0.065, 0.002, 24.0)])
def test_descendants_follow_kendalls_law(b, d, t):
    n = 200_000
    drawn = descendants_of(np.full(n, b), np.full(n, d), t, np.random.default_rng(0))
    growth = np.exp((b - d) * t)
    variance = (b + d) / (b - d) * growth * (growth - 1)
    assert drawn.mean() == pytest.approx(growth, abs=5 * np.sqrt(variance / n))
    assert drawn.var() == pytest.approx(variance, rel=0.05)
    dead = d * (growth - 1) / (b * growth - d)
    assert (drawn == 0).mean() == pytest.approx(dead, abs=5 * np.sqrt(dead / n))


@pytest.mark.parametrize("lineage", LINEAGES.values(), ids=LINEAGES)
def test_the_second_sample_has_the_types_that_growth_and_fates_say(lineage):
    rng = np.random.default_rng(0)
    cells = descendants(lineage, 4000, rng)
    expected: dict[str, float] = {}
    spread = np.exp(0.25 * rng.normal(size=100_000))
    for kind, share in lineage.share.items():
        growth = np.exp((lineage.birth[kind] * spread - lineage.death[kind]) * lineage.hours).mean()
        for child, p in lineage.fates[kind].items():
            expected[child] = expected.get(child, 0) + share * growth * p
    total = sum(expected.values())
    counts = [int((cells.type == k).sum()) for k in expected]
    assert sum(counts) == 4000
    # the hidden ancestors are a sample too, so the counts scatter a little more than multinomial ones
    assert chisquare(counts, [4000 * v / total for v in expected.values()]).pvalue > 1e-4


@pytest.mark.parametrize("lineage", LINEAGES.values(), ids=LINEAGES)
def test_genes_are_real_and_tables_are_whole(lineage):
    names = gene_names(lineage, 2000)
    assert len(set(names)) == 2000
    known = {g.casefold() for g in symbols(lineage.species)}
    assert np.mean([g.casefold() in known for g in names]) > 0.97
    for table in lineage.fates.values():
        assert sum(table.values()) == pytest.approx(1)
    assert sum(lineage.share.values()) == pytest.approx(1)
    assert set(lineage.share) == set(lineage.birth) == set(lineage.death) == set(lineage.fates)
    assert {k for t in lineage.fates.values() for k in t} <= set(lineage.parents) == set(lineage.markers)
    with pytest.raises(uotlab.InputError, match="genes must be"):
        gene_names(lineage, 10)


def test_counts_have_the_papers_depth_and_markers_mark():
    made = simulate(PANCREAS, 400, 400, seed=1)
    assert made.counts.shape == (800, 2000)
    assert np.array_equal(made.counts.data, np.rint(made.counts.data))
    totals = np.asarray(made.counts.sum(1)).ravel()
    assert np.log(totals).mean() == pytest.approx(np.log(2500), abs=0.05)
    assert np.log(totals).std() == pytest.approx(0.35, abs=0.05)
    source = made.counts[:400].toarray()
    beta, rest = source[made.source.type == "Beta"], source[made.source.type == "Ductal"]
    for gene in PANCREAS.markers["Beta"]:
        place = int(np.flatnonzero(made.genes == gene)[0])
        assert beta[:, place].mean() > 2 * rest[:, place].mean(), gene
    assert made.growth.mean() == pytest.approx(1)
    assert made.truth["growth_by_type"]["Acinar"] > 1 > made.truth["growth_by_type"]["Beta"]
    again = simulate(PANCREAS, 400, 400, seed=1)
    assert np.array_equal(made.counts.data, again.counts.data)
    assert made.counts.nnz != simulate(PANCREAS, 400, 400, seed=2).counts.nnz


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("zebrafish-simulated", 0.5), ("pancreas-simulated", 0.8)])
def test_a_discrete_solver_finds_growth_again(name, least):
    """Source-only relaxation: rho = eps tau / (1 - tau) = .95 is tau .95. The benchmark has the numbers at full size."""
    study = uotlab.cells.load(name, n=600)
    plan = uotlab.sinkhorn(study.x, study.y, eps=0.05, rho1=0.95, rho2=float("inf"), tol=1e-2)
    outcome = uotlab.cells.Outcome.of_plan(plan, study)
    assert outcome.mass == pytest.approx(1, abs=1e-3)  # the target is held
    assert spearmanr(outcome.growth, study.truth["growth"]).statistic > least


# ---- gene sets ---------------------------------------------------------------------------------------
def test_shipped_sets_have_the_promised_sizes():
    for species, words in (("mouse", "Sox2"), ("zebrafish", "tbxta"), ("human", "SOX2")):
        sets = shipped(species)
        assert len(sets) > 3000
        assert all(8 <= len(genes) <= 500 for genes in sets.values())
        assert words in symbols(species)
    with pytest.raises(uotlab.InputError, match="Gene sets are shipped for"):
        shipped("yeast")


def test_own_gmt_files(tmp_path):
    assert read_gmt(b"A\tnote\tg1\tg2\tg1\n\nB\t\tg3\n") == {"A": ("g1", "g2"), "B": ("g3",)}
    path = tmp_path / "sets.gmt"
    path.write_text("A\tx\tg1\n", encoding="utf-8")
    assert read_gmt(path) == {"A": ("g1",)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no gene sets"),
        (b"A\tnote\n", "Line 1 of sets.gmt is no gene set"),
        (b"\x1f\x8b\x00\x00", "cannot be unpacked"),
        (b"\xff\xfe\x00bad", "not text"),
    ],
)
def test_bad_gmt_files_get_a_sentence(content, says):
    with pytest.raises(uotlab.InputError, match=says):
        read_gmt(content, "sets.gmt")
