"""The sweep over rho: rows by their definitions, streamed; what seeds share; the picture."""

import math

import numpy as np
import pytest

from uotlab import cells
from uotlab.cells.fates import accuracy
from uotlab.cells.growth import recovery
from uotlab.cells.running import run
from uotlab.cells.sweeping import MEASURES, RHOS, TAUS, Row, frame, jaccard, subsample, sweep_arrays, tau_of, tau_sweep
from uotlab.errors import InputError
from uotlab.views.base import VIEWS


@pytest.fixture(scope="module")
def study():
    return cells.load("zebrafish-simulated", n=150, seed=0)


def test_rows_come_one_by_one_and_are_what_the_analyses_say(study):
    rows = tau_sweep(study, rhos=(0.2, 0.95), seeds=(0, 1), genes=False)
    first = next(rows)
    seen = subsample(study, 0)
    assert len(seen.source) == 135
    outcome = run(seen, "sinkhorn", rho1=0.2, rho2=math.inf)
    assert first.mass == pytest.approx(outcome.mass)
    assert first.recovery == pytest.approx(recovery(outcome).spearman)
    assert first.accuracy_plan == pytest.approx(accuracy(outcome).branches["plan"].mean())
    assert first.high == set(seen.source[outcome.high()])
    rest = list(rows)
    assert [(r.rho, r.seed) for r in rest] == [(0.2, 1), (0.95, 0), (0.95, 1)]
    table = frame([first, *rest])
    assert table["seeds"].tolist() == [2, 2]
    assert table["agreement"].min() > 0.5
    assert table["terms"].isna().all()
    arrays = sweep_arrays(table)
    assert len(arrays["names/cells-sweep/measure"]) == len(MEASURES) - 1
    np.testing.assert_allclose(table[["tau", "rho"]], [[0.8, 0.2], [0.95, 0.95]])
    figure = VIEWS["cells-sweep"]().figure(arrays)
    assert not figure.layout.shapes
    assert list(figure.layout.xaxis.ticktext) == ["0.8", "0.95"]
    assert list(figure.data[0].text) == ["τ 0.8, ρ 0.2", "τ 0.95, ρ 0.95"]
    marked = VIEWS["cells-sweep"]().figure(sweep_arrays(table, 0.95))
    assert [shape.x0 for shape in marked.layout.shapes] == pytest.approx([math.log10(0.95)] * (len(MEASURES) - 1))
    assert not VIEWS["cells-sweep"]().figure(sweep_arrays(table, 5.0)).layout.shapes


def test_terms_and_learned_methods(study):
    rows = list(tau_sweep(study, ("uotfm", "otfm"), (0.95,), (0,), steps=3))
    assert [r.method for r in rows] == ["uotfm", "otfm"]
    assert len(rows[0].terms) == 10
    assert not rows[0].error
    assert rows[1].high == frozenset()
    assert rows[1].mass == 1


def test_what_seeds_share_is_compared_on_common_cells():
    a = Row("m", 1.0, 0, cells=np.array([0, 1, 2, 3]), growth=np.array([1.0, 2, 3, 4]), high=frozenset({2, 3}), terms=frozenset("ab"))
    b = Row("m", 1.0, 1, cells=np.array([1, 2, 3, 9]), growth=np.array([2.0, 3, 4, 0]), high=frozenset({3, 9}), terms=frozenset("bc"))
    line = frame([a, b, Row("m", 1.0, 2, error="no")]).iloc[0]
    assert line["agreement"] == pytest.approx(1)
    assert line["top"] == 0.5
    assert line["terms"] == pytest.approx(1 / 3)
    assert line["seeds"] == 2
    assert math.isnan(jaccard(frozenset(), frozenset()))
    assert len(sweep_arrays(frame([]))["cells-sweep/rho"]) == 0


def test_the_default_values_are_those_of_tau():
    assert RHOS[3] == pytest.approx(0.95)
    assert [tau_of(rho) for rho in (*RHOS, math.inf)] == [*TAUS, 1]


def test_bad_input(study):
    with pytest.raises(InputError, match="at least one method"):
        next(tau_sweep(study, ()))
    with pytest.raises(InputError, match="rho must be above 0"):
        next(tau_sweep(study, rhos=(0,)))
    assert "no method named" in next(tau_sweep(study, ("sinkhorm",), (1.0,))).error
