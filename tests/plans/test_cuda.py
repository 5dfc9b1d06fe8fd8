"""Every solver of plans and of barycenters on a CUDA device, against itself on the CPU. Skipped where there is none."""

import warnings

import numpy as np
import pytest
import torch

from uotlab import BARYCENTERS, SOLVERS, barycenter
from uotlab.penalty import Penalty
from uotlab.plans.dense import solve

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
X, Y = (torch.from_numpy(np.random.default_rng(seed).normal(size=(40, 2)) + seed) for seed in (0, 1))
GRID = torch.linspace(-6, 6, 81, dtype=torch.float64)
TWO = torch.stack([torch.exp(-((GRID - m) ** 2) / 2) for m in (-2, 2)])


@pytest.mark.parametrize("name", list(SOLVERS))
def test_plans_are_those_of_the_cpu(name):
    cls = SOLVERS[name]
    solver = cls(**{k: 0.5 for k in ("rho1", "rho2") if k in cls.model_fields})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        here, there = solver.plan(X, Y), solver.plan(X.cuda(), Y.cuda())
    assert there.value == pytest.approx(here.value, rel=1e-5)
    for part in ("P", "f", "g"):
        got = getattr(there, part)
        assert isinstance(got, torch.Tensor), part
        assert got.device.type == "cuda", f"{part} must be where the points are"
    P, Q = torch.as_tensor(here.P).double(), torch.as_tensor(there.P).cpu().double()
    assert float((P - Q).abs().sum()) < 0.01 * float(P.sum())  # plans of equal value to 1e-5 may be so far apart


@pytest.mark.parametrize("name", [name for name in BARYCENTERS if "densities" in BARYCENTERS[name].takes])
def test_barycenters_of_tensors_there_are_those_of_the_cpu(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        here, there = barycenter(name, TWO, (0.5, 0.5), GRID), barycenter(name, TWO.cuda(), (0.5, 0.5), GRID.cuda())
    torch.testing.assert_close(torch.as_tensor(there.q).cpu(), torch.as_tensor(here.q), rtol=1e-4, atol=1e-7, check_dtype=False)


def test_a_batch_is_solved_where_it_is_quicker():
    """Small plans of tensors on a device come back to it, with the CPU's digits."""
    C = torch.cdist(X, Y).square()
    C, a = C / C.mean(), torch.full((40,), 1 / 40, dtype=torch.float64)
    here = solve(C, a, a, 0.05, Penalty(0.5, 0.5), 1e-4)
    there = solve(C.cuda(), a.cuda(), a.cuda(), 0.05, Penalty(0.5, 0.5), 1e-4)
    assert there.f.device.type == there.g.device.type == "cuda"
    torch.testing.assert_close(there.f.cpu(), here.f, rtol=1e-12, atol=1e-12)
