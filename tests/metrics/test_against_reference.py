"""Metrics against the reference: nothing where the answers are exact, and the known amount where they are off by a known amount."""

import dataclasses
import math

import pytest
import torch

from uotlab.metrics.base import METRICS, Answers, Evaluation, Scores, evaluate
from uotlab.metrics.reference import closed_form, discrete

from .test_reference import HELD, gaussians


def scored(q, reference, *, shift=0.0, factor=1.0, up=0.0, **more) -> Evaluation:
    """An evaluation of the exact answers at the reference's points, with an image moved, a scaling multiplied, a potential raised."""
    best = reference if reference.exact else closed_form(q)
    Tx = best.Tx + shift
    s = q.cost.scale
    g_Tx = ((q.x - best.Tx.double()).square().sum(1) - best.f) / s  # g(Tx) = c(x, Tx) - f(x) along the optimal map
    answers = Answers(Tx, factor * best.xi, factor * best.zeta, (g_Tx + up).float(), (best.g / s + up).float())
    masses = (float(q.a.sum()), float(q.b.sum()))
    return Evaluation(
        q.x.float(), q.y.float(), Tx, factor * best.xi.float(), factor * best.zeta.float(), masses, q.cost, q.penalty,
        truth=q.truth, reference=reference, answers=answers, **more,
    )  # fmt: skip


@pytest.mark.parametrize(("rho", "mass", "d"), [(1.0, 1.4, 2), (1.0, 1.4, 16), (20.0, 1.4, 2), (HELD, 1.0, 2), (HELD, 1.0, 16)])
def test_exact_answers_have_no_error(rho, mass, d):
    q = gaussians(2000, rho, rho, d, mass)
    best = closed_form(q)
    values = evaluate(scored(q, best))
    for name in ("map error", "map error share", "objective gap %", "semi-dual gap %"):
        assert values[name] == pytest.approx(0, abs=0.02), name
    assert values["semi-dual value"] == pytest.approx(best.value, rel=1e-3)
    if math.isfinite(rho):
        assert values["scaling error"] == pytest.approx(0, abs=1e-5)
        assert values["scaling error spearman"] == pytest.approx(1)
        assert values["mass error"] == pytest.approx(0, abs=1e-5)
        assert values["objective"] == pytest.approx(best.value, rel=0.05)
        assert values["marginal kl optimum"] == pytest.approx(values["marginal kl"], abs=0.05)
    else:
        assert "scaling error" not in values


def test_known_errors_have_their_size():
    q = gaussians(4000, 1.0, 1.0)
    best = closed_form(q)
    moved = evaluate(scored(q, best, shift=torch.tensor([0.3, 0.4])))
    assert moved["map error"] == pytest.approx(0.5, rel=1e-4)
    assert moved["map error share"] == pytest.approx(0.5 / best.spread, rel=1e-4)
    assert moved["objective gap %"] > 0.5
    heavier = evaluate(scored(q, best, factor=1.1))
    assert heavier["scaling error"] == pytest.approx(math.log(1.1), rel=1e-4)
    assert heavier["scaling error target"] == pytest.approx(math.log(1.1), rel=0.1)  # points with hardly any mass do not count
    assert heavier["mass error"] == pytest.approx(0.1, rel=1e-4)
    assert heavier["objective gap %"] > 0


def test_the_objective_of_a_heavier_plan_is_known():
    """The optimum times t: transport and shapes cost t times as much, masses enter by themselves."""
    q = gaussians(4000, 1.0, 1.0)
    best, t = closed_form(q), 1.2
    p = best.mass
    # J(t) = t K + sum_i rho_i (t p log t - t p + mass_i), K being what is proportional to t; rho is 1 on both sides
    masses = (1.0, 1.4)
    K = best.value - sum(m - p for m in masses)
    wanted = t * K + sum(t * p * math.log(t) - t * p + m for m in masses)
    value = METRICS["objective"]()(scored(q, best, factor=t))
    assert value["objective gap %"] == pytest.approx(100 * (wanted - best.value) / best.value, rel=0.1)


def test_a_potential_that_is_off_proves_less():
    q = gaussians(2000, 1.0, 1.0)
    best = closed_form(q)
    for up in (0.02, -0.02):
        gap = METRICS["semi-dual"]()(scored(q, best, up=up))["semi-dual gap %"]
        assert gap < -1e-3
    held = gaussians(2000, HELD, HELD, mass=1.0)
    gap = METRICS["semi-dual"]()(scored(held, closed_form(held), up=0.5))["semi-dual gap %"]
    assert gap == pytest.approx(0, abs=0.02)  # a constant cancels where both marginals are held


def test_against_points_the_noise_is_printed_and_named():
    q = gaussians(800, 1.0, 1.0)
    rough = discrete(q)
    values = evaluate(scored(q, rough))  # the exact answers: what is left is the reference's own error
    assert values["map error share"] == pytest.approx(values["map error share floor"], rel=0.8)
    assert "may be better than this figure" in values.notes["map-error"]
    assert abs(values["objective gap %"]) < 6
    assert -300 * rough.noise["value"] < values["semi-dual gap %"] <= 0.1


def test_what_cannot_be_resolved_is_a_sentence():
    q = gaussians(300, 1.0, 1.0, d=8)
    e = dataclasses.replace(scored(q, closed_form(q)), truth={})
    values = evaluate(e)
    assert "marginal kl" not in values
    assert "8 dimensions" in values.notes["marginal-kl"]
    assert "8 dimensions" in values.notes["knn-kl"]
    assert "own target scaling" in values.notes["objective"]  # and the objective says what it was made of
    nothing = dataclasses.replace(e, answers=dataclasses.replace(e.answers, zeta=None), zeta=None)
    assert "objective" not in evaluate(nothing)
    assert evaluate(nothing).notes["objective"].startswith("No objective")


def test_without_a_reference_there_are_no_errors_and_the_reason_is_given():
    q = gaussians(300, 1.0, 1.0)
    e = dataclasses.replace(scored(q, closed_form(q)), reference=None, answers=None, waiting="The reference is being computed.")
    values = evaluate(e, "live")
    assert not [name for name in values if "error" in name or "gap" in name]
    assert values.notes == {"reference": "The reference is being computed."}


def test_scores_carry_notes():
    scores = Scores({"a": 1.0}, {"one": "s"})
    scores.take(Scores({"b": 2.0}, {"two": "t"}))
    scores.take({"c": 3.0})
    assert scores == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert scores.notes == {"one": "s", "two": "t"}


def test_paces_share_the_metrics():
    q = gaussians(300, 1.0, 1.0)
    e = scored(q, closed_form(q))
    live, slow, both = (evaluate(e, pace) for pace in ("live", "slow", "all"))
    assert not set(live) & set(slow)
    assert set(live) | set(slow) == set(both)
    assert {"map error", "scaling error", "mass error", "mass", "ess"} <= set(live)


def test_a_metric_that_a_solver_refuses_leaves_a_sentence_and_the_others():
    q = gaussians(300, 1.0, 1.0)
    e = scored(q, closed_form(q))
    far = dataclasses.replace(e, Tx=1e6 * e.Tx)
    values = evaluate(far)
    assert "unbalanced divergence" not in values
    assert values.notes["unbalanced-divergence"].startswith("No Unbalanced divergence: eps must be")
    assert values["map error"] == 0
