"""Every solver on every small problem: shapes, kinds, marginals, potentials, certificates, settings and sentences."""

import math
import warnings

import numpy as np
import pytest
import torch

import uotlab
from uotlab import SOLVERS
from uotlab.arrays import as_tensor
from uotlab.costs import make_cost
from uotlab.parameters import make_model

every = pytest.mark.parametrize("name", list(SOLVERS))
RELAXED = [name for name, cls in SOLVERS.items() if cls.relaxed]
EXACT = [name for name, cls in SOLVERS.items() if not cls.entropic]


def cloud(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, 2)) + shift


def weights(n, seed, total=1.0, zeros=0):
    w = np.random.default_rng(seed).random(n) + 0.1
    w[:zeros] = 0
    return w * (total / w.sum())


PROBLEMS = {
    "clouds": (cloud(20, 0), cloud(25, 1, 1.0), None, None),
    "square": (cloud(16, 2), cloud(16, 3, 0.5), None, None),
    "weighted": (cloud(18, 4), cloud(12, 5, 1.0), weights(18, 6), weights(12, 7)),
    "heavy": (cloud(18, 4), cloud(12, 5, 1.0), weights(18, 6, 3.0), weights(12, 7, 3.0)),
    "zeros": (cloud(18, 4), cloud(12, 5, 1.0), weights(18, 6, zeros=3), weights(12, 7, zeros=2)),
    "duplicates": (cloud(6, 8).repeat(3, axis=0), cloud(5, 9, 1.0).repeat(2, axis=0), None, None),
    "one to one": (cloud(1, 10), cloud(1, 11), None, None),
    "one to many": (cloud(1, 10), cloud(7, 11), None, None),
    "same": (cloud(9, 12), cloud(9, 12), None, None),
    "one place": (np.ones((4, 2)), np.ones((5, 2)), None, None),
    "line": (cloud(15, 13)[:, :1], cloud(15, 14, 2.0)[:, :1], None, None),
}
UNEQUAL = (cloud(18, 4), cloud(12, 5, 1.0), weights(18, 6, 1.0), weights(12, 7, 2.0))


def made(name, rho=0.5, **settings):
    cls = SOLVERS[name]
    return cls(**{k: rho for k in ("rho1", "rho2") if k in cls.model_fields}, **settings)


def solved(solver, x, y, a=None, b=None):
    with warnings.catch_warnings():  # `converged` is looked at instead
        warnings.simplefilter("ignore", UserWarning)
        return solver.plan(x, y, a, b)


def checked(plan, x, y, a, b):
    """What every plan must be, whatever made it."""
    n, m = len(x), len(y)
    P = np.asarray(plan.P)
    assert P.shape == (n, m)
    assert (plan.f.shape, plan.g.shape, plan.a.shape, plan.b.shape) == ((n,), (m,), (n,), (m,))
    for array in (P, plan.f, plan.g):
        assert np.isfinite(array).all()
    assert (P >= 0).all()
    assert plan.value == pytest.approx(sum(plan.parts.values()))
    assert set(plan.parts) in ({"transport", "kl1", "kl2", "entropy"}, {"transport", "divergence1", "divergence2", "entropy"})
    C = make_cost(None).matrix(torch.tensor(x), torch.tensor(y)).numpy()
    assert plan.parts["transport"] == pytest.approx(float((P * C).sum()), rel=1e-5, abs=1e-7)
    assert math.isfinite(plan.certificate)
    assert plan.certificate >= 0
    assert plan.mass == pytest.approx(P.sum())
    if a is not None:
        assert not P[a == 0].any()
        assert not P[:, b == 0].any()
    return P


@every
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_plans_are_whole(name, problem):
    x, y, a, b = PROBLEMS[problem]
    plan = solved(made(name), x, y, a, b)
    P = checked(plan, x, y, a, b)
    assert plan.converged
    if not SOLVERS[name].relaxed:
        np.testing.assert_allclose(P.sum(1), plan.a, atol=1e-9)
        np.testing.assert_allclose(P.sum(0), plan.b, atol=1e-9)
    if not SOLVERS[name].entropic:
        C = make_cost(None).matrix(torch.tensor(x), torch.tensor(y)).numpy()
        assert (plan.f[:, None] + plan.g <= C + 1e-9 * (1 + C.max())).all()
        assert plan.parts["entropy"] == 0


@pytest.mark.parametrize("name", RELAXED)
def test_relaxed_solvers_take_unequal_masses(name):
    x, y, a, b = UNEQUAL
    plan = solved(made(name), x, y, a, b)
    checked(plan, x, y, a, b)
    assert plan.converged
    assert 0 < plan.mass < 2
    changes = plan.changes()
    assert plan.mass == pytest.approx(1 - changes["destroyed source"] + changes["created source"])
    assert plan.mass == pytest.approx(2 - changes["created target"] + changes["destroyed target"])


@pytest.mark.parametrize("name", [n for n in SOLVERS if n not in RELAXED])
def test_balanced_solvers_refuse_unequal_masses_in_a_sentence(name):
    with pytest.raises(uotlab.InputError, match="masses differ") as error:
        made(name).plan(*UNEQUAL)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize("name", [n for n, cls in SOLVERS.items() if {"rho1", "rho2"} <= set(cls.model_fields)])
def test_both_sides_held_with_unequal_masses(name):
    with pytest.raises(uotlab.InputError, match=r"masses differ|finite"):
        solved(made(name, rho=math.inf) if SOLVERS[name].entropic else make_model(SOLVERS[name], {"rho1": math.inf}), *UNEQUAL)


@every
@pytest.mark.parametrize("kind", ["float32", "float64", "torch", "list"])
def test_kind_in_kind_out(name, kind):
    x, y = cloud(12, 0), cloud(10, 1, 1.0)
    given = {
        "float32": lambda z: z.astype(np.float32), "float64": lambda z: z, "torch": lambda z: torch.tensor(z), "list": lambda z: z.tolist()
    }[kind]  # fmt: skip
    plan = solved(made(name), given(x), given(y))
    if kind == "torch":
        assert isinstance(plan.P, torch.Tensor)
        assert plan.f.dtype == torch.float64
    else:
        assert isinstance(plan.P, np.ndarray)
        assert plan.P.dtype == (np.float32 if kind == "float32" else np.float64)
    assert plan.value == pytest.approx(solved(made(name), x, y).value, rel=2e-3)


@every
def test_equal_inputs_give_equal_plans(name):
    x, y, a, b = PROBLEMS["weighted"]
    one, two = (solved(made(name), x, y, a, b) for _ in range(2))
    assert (np.asarray(one.P) == np.asarray(two.P)).all()


@pytest.mark.parametrize("name", [n for n, cls in SOLVERS.items() if "tol" in cls.model_fields])
def test_the_certificate_bounds_the_error(name):
    x, y, a, b = PROBLEMS["weighted"]
    exact = solved(made(name, tol=1e-8), x, y, a, b)
    assert exact.certificate <= 1e-8
    for tol in (1e-1, 1e-2, 1e-4):
        plan = solved(made(name, tol=tol), x, y, a, b)
        assert plan.certificate <= tol
        bound = plan.certificate * max(abs(plan.value), plan.cost_scale * plan.mass) + 1e-8 * abs(plan.value)
        assert abs(plan.value - exact.value) <= 1.01 * bound


@pytest.mark.parametrize("name", [n for n, cls in SOLVERS.items() if not cls.relaxed])
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_exact_solvers_agree(name, problem):
    x, y, a, b = PROBLEMS[problem]
    plan, exact = solved(made(name), x, y, a, b), uotlab.exact(x, y, a, b)
    assert plan.value == pytest.approx(exact.value, rel=2e-4, abs=1e-9)


@every
def test_settings_round_trip_through_json(name):
    cls = SOLVERS[name]
    for settings in ({}, {"cost": "power", "cost_parameter": 1.5}):
        solver = cls(**settings)
        assert cls.model_validate_json(solver.model_dump_json()) == solver
        assert cls(**solver.model_dump(mode="json")) == solver


@every
def test_solvers_describe_themselves(name):
    cls = SOLVERS[name]
    for attribute in ("title", "summary", "equation", "reference"):
        assert isinstance(getattr(cls, attribute), str)
        assert getattr(cls, attribute)
    assert cls.summary.count(".") >= 2, "two sentences: what it solves, when to use it"
    assert all(field.description for field in cls.model_fields.values())
    assert cls.most_pairs >= 2**12
    if cls.entropic:
        assert "eps" in cls.model_fields


@every
def test_costs_are_the_solvers_own(name):
    plan = solved(made(name, cost="euclidean"), *PROBLEMS["clouds"][:2])
    C = make_cost("euclidean").matrix(torch.tensor(PROBLEMS["clouds"][0]), torch.tensor(PROBLEMS["clouds"][1]))
    assert plan.parts["transport"] == pytest.approx(float((as_tensor(plan.P, "P") * C).sum()), rel=1e-5)


@every
@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_the_unit_of_the_data_does_not_matter(name, unit):
    x, y, a, b = PROBLEMS["weighted"]
    one, other = solved(made(name), x, y, a, b), solved(made(name), unit * x, unit * y, a, b)
    assert other.value == pytest.approx(unit**2 * one.value, rel=1e-3)
    assert np.asarray(other.P).sum() == pytest.approx(np.asarray(one.P).sum(), rel=1e-3)


@every
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"y": cloud(5, 0)[:, :1]}, "same number of columns"),
        ({"x": np.full((4, 2), np.nan)}, "NaN or infinite"),
        ({"x": np.zeros((0, 2))}, "empty"),
        ({"x": np.zeros(4)}, "shape"),
        ({"a": -np.ones(20)}, "must not be negative"),
        ({"a": np.zeros(20)}, "must have some mass"),
        ({"b": np.ones(3)}, "one weight a point"),
    ],
)
def test_bad_points_get_a_sentence(name, change, sentence):
    x, y, a, b = PROBLEMS["clouds"]
    with pytest.raises(uotlab.InputError, match=sentence) as error:
        made(name).plan(**{"x": x, "y": y, "a": a, "b": b, **change})
    assert "\n" not in str(error.value)


@every
@pytest.mark.parametrize("settings", [{"cost": "sqeuclidian"}, {"speed": 1}, {"cost": "power", "cost_parameter": -1}])
def test_bad_settings_get_a_sentence(name, settings):
    problem = uotlab.load("moons-to-spiral", n=40)
    with pytest.raises(uotlab.InputError) as error:
        uotlab.plan(name, problem, 20, **settings)
    assert "\n" not in str(error.value)


@every
def test_plans_of_a_problem(name):
    problem = uotlab.load("moons-to-spiral", n=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan = uotlab.plan(name, problem, 30)
    assert plan.P.shape == (30, 30)
    assert plan.barycentric_map().shape == (30, 2)
    i, j = plan.sample_pairs(50, torch.Generator().manual_seed(0))
    assert bool((as_tensor(plan.P, "P")[i, j] > 0).all())
    i, j, mass = plan.strongest(10)
    assert (mass.diff() <= 0).all()
    assert float(mass[0]) == pytest.approx(float(plan.P.max()))
    assert as_tensor(plan.P, "P")[i, j].double().tolist() == pytest.approx(mass.tolist())


@every
def test_cancel_ends_it_with_what_there_is(name):
    x, y, a, b = PROBLEMS["weighted"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan = made(name).plan(x, y, a, b, cancel=lambda: True)
    assert np.isfinite(np.asarray(plan.P)).all()


@pytest.mark.parametrize("name", [n for n, cls in SOLVERS.items() if not cls.relaxed or cls.entropic])
def test_warm_starts_agree(name):
    x, y, a, b = PROBLEMS["weighted"]
    cold = solved(made(name), x, y, a, b)
    warm = made(name).plan(x, y, a, b, init=(cold.f, cold.g))
    assert warm.value == pytest.approx(cold.value, rel=1e-4)
