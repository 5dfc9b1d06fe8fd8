"""Metrics against the reference: nothing where the answers are exact, and the known amount where they are off by a known amount."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from uotlab.data.gaussians import GaussianOptimum, gaussian_optimum
from uotlab.metrics.base import METRICS, Answers, Evaluation, Scores, evaluate
from uotlab.metrics.reference import closed_form, discrete, gaussian_kl

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


def exactly(q) -> tuple[GaussianOptimum, dict]:
    """The closed form as Gaussians, and the problem's truth."""
    t, (one, two) = q.truth, (r * q.cost.scale for r in q.rho)
    laws = (t["source_mean"], t["source_cov"], t["target_mean"], t["target_cov"])
    return gaussian_optimum(*laws, a=t["source_mass"], b=t["target_mass"], rho1=one, rho2=two), dict(t)


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


@pytest.mark.parametrize("size", [0.0, 0.05, 0.15])
def test_the_objective_of_a_linear_map_in_16_dimensions_is_exact(size):
    """T = A (I + E): its re-weighted image is a Gaussian, so cost and divergence are known; 4000 points read it to a percent."""
    rho = 68.0  # about the mean cost
    q = gaussians(4000, rho, rho, d=16)
    best, (optimum, truth) = closed_form(q), exactly(q)
    off = np.eye(16) + size * np.random.default_rng(0).standard_normal((16, 16)) / 4
    A, p = optimum.A @ off, optimum.mass
    gap = np.eye(16) - A
    m = gap @ optimum.mean - optimum.shift
    image = (A @ optimum.mean + optimum.shift, A @ optimum.cov @ A.T)
    shape = gaussian_kl(*image, truth["target_mean"], truth["target_cov"])
    before = gaussian_kl(optimum.target_mean, optimum.target_cov, truth["target_mean"], truth["target_cov"])
    was = optimum.mean - optimum.target_mean
    there = np.eye(16) - optimum.A
    moved = m @ m + np.trace(gap @ optimum.cov @ gap.T) - was @ was - np.trace(there @ optimum.cov @ there.T)
    wanted = 100 * p * (moved + rho * (shape - before)) / optimum.value
    Tx = torch.from_numpy(q.x.numpy() @ A.T + optimum.shift)
    value = METRICS["objective"]()(scored(q, best, shift=Tx - best.Tx))["objective gap %"]
    assert value == pytest.approx(wanted, abs=0.9 if size else 0.02, rel=0.05)


@pytest.mark.parametrize(("d", "rho"), [(2, 22.0), (16, 68.0), (16, 20.0)])
def test_the_floor_of_the_objective_is_what_training_points_leave(d, rho):
    """The closed form of a sample's own moments, scored on the law's: four samples in the mean."""
    n, gaps = 2000, []
    q = dataclasses.replace(gaussians(20_000, rho, rho, d=d), trained=(n, n))
    best, (_, t) = closed_form(q), exactly(q)
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, y = (rng.multivariate_normal(t[f"{side}_mean"], t[f"{side}_cov"], n) for side in ("source", "target"))
        own = {"source_mean": x.mean(0), "source_cov": np.cov(x.T), "target_mean": y.mean(0), "target_cov": np.cov(y.T)}
        learned = gaussian_optimum(*own.values(), a=1.0, b=1.4, rho1=rho, rho2=rho)
        xi = closed_form(dataclasses.replace(q, truth=t | own)).xi
        Tx = torch.from_numpy(q.x.numpy() @ learned.A.T + learned.shift)
        e = scored(q, best)
        scores = METRICS["objective"]()(dataclasses.replace(e, answers=dataclasses.replace(e.answers, Tx=Tx, xi=xi)))
        gaps.append(scores["objective gap %"])
    assert np.mean(gaps) == pytest.approx(scores["objective gap % floor"], rel=0.25)
    assert ("points trained on" in scores.notes["objective"]) == (scores["objective gap % floor"] > 1)


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
