"""The lessons: every section opens, every divergence and method has its card, and the numbers are the library's."""

import math

import pytest
from streamlit.testing.v1 import AppTest

from uotlab.divergences import DIVERGENCES
from uotlab.methods.base import METHODS
from uotlab.paths import ROOT
from uotlab.penalty import rho_from_tau
from uotlab.ui import learn

PAGE = str(ROOT / "pages" / "learn.py")


def opened(lesson=None):
    at = AppTest.from_file(PAGE, default_timeout=60).run()
    if lesson is not None:
        at.segmented_control(key="lesson").set_value(lesson).run()
    assert not at.exception
    return at


def words(at):
    return "\n".join(m.value for m in (*at.markdown, *at.caption))


def test_every_divergence_can_be_drawn():
    at = opened()
    at.pills(key="divergences").set_value(list(DIVERGENCES)).run()
    assert not at.exception
    for name in DIVERGENCES:
        assert DIVERGENCES[name].title in words(at)
    at.select_slider(key="divergence_rho").set_value(0.05).run()
    assert not at.exception
    at.pills(key="divergences").set_value([]).run()
    assert "at least one" in at.info[0].value


@pytest.mark.parametrize("kind", ["psi", "star", "factor"])
def test_curves_leave_out_what_is_infinite(kind):
    names = list(DIVERGENCES)
    figure = learn.divergence_figure(kind, names, 0.5, dict.fromkeys(names, "#000000"), "t", "psi", [0, 5])
    for curve in figure.data:
        assert not any(math.isinf(v) for v in curve.y)
        assert any(math.isfinite(v) for v in curve.y)


def test_finiteness_is_said_of_every_divergence():
    sentences = {name: learn.finiteness(DIVERGENCES[name]()) for name in DIVERGENCES}
    assert "t < 1" in sentences["hellinger"]
    assert "t ≤ 1" in sentences["tv"]
    assert "s = 1 only" in sentences["balanced"]
    assert "no point may vanish" in sentences["reverse-kl"]


def test_the_three_taus_follow_each_other():
    at = opened("One τ")
    at.number_input(key="tau_cost-weight").set_value(0.02).run()
    rho = rho_from_tau("cost-weight", 0.02, 10.0)
    assert at.number_input(key="tau_rho").value == pytest.approx(rho)
    assert at.number_input(key="tau_divergence-weight").value == pytest.approx(rho * 10 / 2)
    at.number_input(key="tau_sinkhorn").set_value(0.9).run()
    assert at.number_input(key="tau_rho").value == pytest.approx(0.45)
    at.number_input(key="tau_s").set_value(4.0).run()
    assert at.number_input(key="tau_rho").value == pytest.approx(0.45)
    assert at.number_input(key="tau_cost-weight").value == pytest.approx(1 / (0.45 * 4))
    for extreme in (1e-12, 1e12):
        at.number_input(key="tau_cost-weight").set_value(extreme).run()
        assert not at.exception


def test_every_method_has_a_card_with_its_loss_and_defaults():
    at = opened("Methods")
    shown, code = words(at), "\n".join(c.value for c in at.code)
    for name in METHODS:
        cls = METHODS[name]
        assert cls.title in shown
        assert cls.summary in shown
        assert learn.citation(cls.reference) in shown
        assert learn.citation(cls.reference) != cls.reference
        for loss in cls.losses:
            assert f"def {loss.__name__}" in code
        assert {row["setting"] for row in learn.defaults(cls)} == set(cls.model_fields)


def test_two_points_move_the_mass_of_the_closed_form():
    at = opened("Two points")
    at.slider(key="toy_distance").set_value(2.0).run()
    assert at.metric[0].value == f"{math.exp(-2):.3f}"
    assert learn.transported(1, 2, 4, 2, 0.5) == pytest.approx(0.23191820, abs=1e-8)
