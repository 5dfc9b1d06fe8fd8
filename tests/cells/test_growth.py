"""Growth by type, intervals, the cell cycle, the truth, and the warnings that belong beside them."""

import math

import numpy as np
import pytest

import uotlab
from uotlab import cells
from uotlab.cells.growth import (
    G2M_GENES,
    S_GENES,
    against_arrays,
    growth_by_type,
    mass_note,
    proliferation,
    rates,
    recovery,
    spearman,
    type_arrays,
)
from uotlab.cells.outcome import Outcome
from uotlab.errors import InputError
from uotlab.views.base import VIEWS


@pytest.fixture(scope="module")
def study():
    return cells.load("pancreas-simulated", n=250, seed=0)


def test_means_and_intervals_by_type(study):
    growth = np.random.default_rng(0).gamma(2, size=250) * np.where(study.types("source") == "Acinar", 3, 1)
    table = growth_by_type(Outcome(study, study.x, growth * 7))
    assert table["cells"].sum() == 250
    assert table["type"][0] == "Acinar"
    for row in table.itertuples():
        here = study.types("source") == row.type
        values = growth[here] / growth.mean()
        assert row.mean == pytest.approx(values.mean())
        assert row.low <= row.mean <= row.high
        assert row.truth == pytest.approx(study.truth["growth_by_type"][row.type])
        if row.cells > 20:  # the interval of the mean: normal theory, roughly
            assert row.high - row.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(row.cells), rel=0.25)
    assert (table["mean"] * table["cells"]).sum() / 250 == pytest.approx(1)
    assert VIEWS["growth-types"]().figure(type_arrays(table))
    wide = growth_by_type(Outcome(study, study.x, growth), level=0.999).set_index("type")
    assert (wide["high"] >= table.set_index("type")["high"]).all()


def test_truth_is_recovered_from_the_truth_and_by_the_plan(study):
    truth = study.truth["growth"]
    exact = recovery(Outcome(study, study.x, truth * 3))
    assert exact.spearman == pytest.approx(1)
    assert exact.spearman_types == pytest.approx(1)
    plan = uotlab.sinkhorn(study.x, study.y, eps=0.05, rho1=0.95, rho2=math.inf)
    outcome = Outcome.of_plan(plan, study, {"rho1": 0.95, "rho2": math.inf})
    assert recovery(outcome).spearman > 0.75
    assert mass_note(outcome) == ""
    assert VIEWS["growth-against"]().figure(against_arrays(outcome, truth, "true growth"))


def test_the_cell_cycle_is_scored_whatever_the_case_of_genes(study):
    found = proliferation(study)
    assert found.score.shape == (250,)
    listed = {gene.casefold() for gene in (*S_GENES, *G2M_GENES)}
    assert found.found == len(listed & {gene.casefold() for gene in study.genes}) >= 15
    assert set(found.phase) <= {"G1", "S", "G2M"}
    assert spearman(found.score, study.truth["growth"]) > 0.5


def test_rank_correlation_against_ranks():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=40), rng.normal(size=40)
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    assert spearman(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert math.isnan(spearman(a, np.ones(40)))


def test_warnings(study):
    scaling = study.truth["growth"]
    assert "Only 4%" in mass_note(Outcome(study, study.x, scaling, mass=0.04))
    assert "relaxed too" in mass_note(Outcome(study, study.x, scaling, settings={"rho2": 1.0}))
    assert "keeps every cell" in mass_note(Outcome(study, study.x))


def test_rates_are_growth_in_one_unit_of_time():
    study = cells.load("zebrafish-simulated", n=60)
    outcome = Outcome(study, study.x, study.truth["growth"])
    assert rates(outcome) ** 2.7 == pytest.approx(outcome.growth)


def test_bad_input(study):
    outcome = Outcome(study, study.x, study.truth["growth"])
    with pytest.raises(InputError, match="level must lie between"):
        growth_by_type(outcome, level=95)
    with pytest.raises(InputError, match="no obs column"):
        growth_by_type(outcome, "sort")
    with pytest.raises(InputError, match="holds numbers"):
        growth_by_type(outcome, "true_growth")
    real = cells.load("dentate-gyrus", n=60)
    with pytest.raises(InputError, match="true growth of these cells is not known"):
        recovery(Outcome(real, real.x, np.ones(len(real.x))))
