"""Several problems at once against the dense solver, one by one."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.penalty import Penalty
from uotlab.plans.batched import Task, sinkhorn_batch
from uotlab.plans.batched_sweeps import Together, together
from uotlab.plans.certificate import certified
from uotlab.plans.relaxed import relaxed

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 40, 2)), RNG.normal(size=(5, 50, 2)) * 0.7 + 1
C = ((X[:, :, None] - Y[:, None]) ** 2).sum(-1)
A, B = RNG.uniform(0.2, 2, size=(5, 40)) / 40, RNG.uniform(0.2, 2, size=(5, 50)) / 50
EPS = np.array([0.5, 0.05, 0.02, 0.05, 0.1])
RHO1, RHO2 = np.array([0.05, 2.0, 1.0, math.inf, 0.5]), np.array([0.05, 0.3, math.inf, 0.5, 20.0])


def dense(k, eps, rho1, rho2, tol=1e-8):
    return uotlab.sinkhorn(X[k], Y[k], A[k], B[k], eps=eps, rho1=rho1, rho2=rho2, tol=tol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_problem_is_solved_to_its_certificate(dtype):
    plans = sinkhorn_batch(C, A, B, EPS, RHO1, RHO2, scale_cost=True, dtype=dtype)
    tol = 1e-4 if dtype == torch.float32 else 1e-6
    assert len(plans) == 5
    assert plans.converged.all()
    assert plans.P.shape == (5, 40, 50)
    for k in range(5):
        one = dense(k, EPS[k], RHO1[k], RHO2[k])
        assert 0 <= plans.certificate[k] <= tol
        assert plans.value[k] == pytest.approx(one.value, rel=2 * tol)
        assert plans.mass[k] == pytest.approx(one.mass, rel=1e-2)
        assert np.abs(plans.P[k] - one.P).sum() < 3 * math.sqrt(tol) * one.mass
        np.testing.assert_allclose(plans.f[k], one.f, atol=0.1 * one.cost_scale)
    np.testing.assert_allclose(plans.scaling() * A, plans.P.sum(2), rtol=1e-6)
    np.testing.assert_allclose(plans.target_scaling() * B, plans.P.sum(1), rtol=1e-6)


@pytest.mark.parametrize(("rho1", "rho2"), [(0.05, 2.0), (math.inf, 0.5), (1e6, 1e6)])
def test_the_quick_certificate_is_the_certificate(rho1, rho2):
    cost, a, b = torch.tensor(C[0]), torch.tensor(A[0]), torch.tensor(B[0])
    f, g = torch.tensor(RNG.normal(size=40)), torch.tensor(RNG.normal(size=50))
    quick, slow = (way(cost, 2.0, a, b, f, g, 0.1, Penalty(rho1, rho2)) for way in (relaxed, certified))
    assert quick.certificate == pytest.approx(slow.certificate, rel=1e-9)
    assert dict(quick.parts) == pytest.approx(dict(slow.parts), rel=1e-9, abs=1e-12)
    torch.testing.assert_close(quick.P, slow.P)
    torch.testing.assert_close(quick.f, slow.f)


def test_units_of_the_cost():
    """eps and rho in the units of C, or of its mean: the same problem twice."""
    mean = np.einsum("bn,bnm,bm->b", A, C, B) / (A.sum(1) * B.sum(1))
    scaled = sinkhorn_batch(C, A, B, 0.05, 1.0, 2.0, scale_cost=True)
    own = sinkhorn_batch(C, A, B, 0.05 * mean, mean, 2 * mean)
    np.testing.assert_allclose(own.value, scaled.value, rtol=1e-5)
    np.testing.assert_allclose(own.f, scaled.f, atol=1e-2)


def test_a_strip_of_rho_on_one_pair_of_clouds():
    rhos = np.geomspace(0.02, 20, 8)
    one = sinkhorn_batch(C[:1], A[0], B[0], 0.05, rhos, rhos, scale_cost=True)
    flat = sinkhorn_batch(C[0], A[:1], B[:1], [0.05], list(rhos), rhos[::-1][::-1], scale_cost=True)
    np.testing.assert_array_equal(one.P, flat.P)
    assert one.P.shape == (8, 40, 50)
    for k, rho in enumerate(rhos):
        assert one.value[k] == pytest.approx(dense(0, 0.05, rho, rho).value, rel=2e-6)
    cold = [sinkhorn_batch(C[:1], A[0], B[0], 0.05, r, r, scale_cost=True).n_iter[0] for r in rhos]
    assert one.n_iter.sum() < sum(cold)  # each starts where its neighbour ended


def test_both_sides_held():
    b = B * (A.sum(1) / B.sum(1))[:, None]
    plans = sinkhorn_batch(C, A, b, 0.05, tol=1e-5)
    np.testing.assert_allclose(plans.P.sum(2), A, atol=1e-7)
    np.testing.assert_allclose(plans.P.sum(1), b, atol=1e-7)
    with pytest.raises(uotlab.InputError, match="masses differ"):
        sinkhorn_batch(C, A, B)


def test_extreme_potentials_and_masses():
    a, b = A.copy(), B.copy()
    a[:, :4], a[0, 4:7], b[:, :3] = 1e-6, 0, 1e3
    cost = C.copy()
    cost[:, -1] = 1e4
    start = RNG.normal(size=(5, 40)) * 50, RNG.normal(size=(5, 50)) * 50
    for rho in (0.02, 1.0, 1e5):
        cold = sinkhorn_batch(cost, a, b, 0.02, rho, rho, scale_cost=True)
        warm = sinkhorn_batch(cost, a, b, 0.02, rho, rho, scale_cost=True, init=start)
        assert cold.converged.all()
        assert warm.converged.all()
        np.testing.assert_allclose(warm.value, cold.value, rtol=1e-5)
        assert np.isfinite(cold.f).all()
        assert not cold.P[0, 4:7].any()


def test_iterating_all_together():
    """What other devices than the CPU do: batched products; the potentials are near the optimum for every task."""
    tasks = []
    for k in range(5):
        b = B[k] * A[k].sum() / B[k].sum()
        rho1, rho2 = (math.inf, math.inf) if k == 3 else (RHO1[k], RHO2[k])
        c = torch.tensor(C[k])
        tasks.append(
            Task(c, float(A[k] @ C[k] @ b / A[k].sum() ** 2), torch.tensor(A[k]), torch.tensor(b), EPS[k], Penalty(rho1, rho2), False)
        )
    found = together(tasks, 1e-5, 5000)
    for task, (f, g) in zip(tasks, found, strict=True):
        search, _ = task.solve((f, g), 1e-4, 1000, torch.float32, None)
        assert search.n_iter <= 4
    run = Together(tasks, 1.0, torch.zeros(5, 40).double(), torch.full((5, 50), 300.0).double())
    gaps = run.iterate(200)
    assert bool((gaps[torch.tensor([0, 1, 4])] < 1e-3).all())
    assert bool(run.f.isfinite().all())


def test_progress_and_cancel():
    shares = []
    sinkhorn_batch(C, progress=shares.append)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    plans = sinkhorn_batch(C, cancel=lambda: True)
    assert not plans.converged.any()
    assert np.isfinite(plans.P).all()


def test_arrays_come_back_as_they_came():
    plans = sinkhorn_batch(torch.tensor(C, dtype=torch.float32), eps=0.1)
    for array in (plans.P, plans.f, plans.g, plans.mass, plans.certificate):
        assert isinstance(array, torch.Tensor)
        assert array.dtype == torch.float32
    assert plans.converged.dtype == torch.bool
    assert isinstance(sinkhorn_batch(C.astype("f4"), eps=0.1).n_iter, np.ndarray)


def test_too_few_iterations_are_said():
    with pytest.warns(UserWarning, match="of 5 problems stopped"):
        plans = sinkhorn_batch(C, eps=0.005, max_iter=2)
    assert not plans.converged.all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"C": C[0, 0]}, "C must have shape"),
        ({"eps": 0}, "eps must be a positive"),
        ({"eps": [0.1, 0.2]}, "eps must hold one or 5 problems"),
        ({"rho1": -1}, "rho1 must be positive"),
        ({"a": A[:, :3]}, "a must have one weight a point"),
        ({"a": A[:2]}, "a must hold one or 5 problems"),
        ({"tol": 0}, "tol must be a positive"),
        ({"dtype": torch.int32}, "dtype must be"),
        ({"init": (A, A)}, "init must be potentials"),
        ({"init": 1}, "init must be a pair"),
        ({"rho2": "x"}, "rho2 must be a number"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(uotlab.InputError, match=sentence):
        sinkhorn_batch(**{"C": C, **arguments})
