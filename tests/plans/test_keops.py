"""KeOps' sweeps against those in blocks where pykeops is installed, and everywhere which of the two is chosen."""

import math
import sys
import types

import numpy as np
import pytest
import torch

import uotlab
from uotlab.costs import make_cost
from uotlab.plans import keops
from uotlab.plans.blocks import Blocks
from uotlab.plans.keops import MOST_DIMENSIONS, KeopsBlocks, blocks_for
from uotlab.plans.lazy import sinkhorn_lazy

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(160, 2)), RNG.normal(size=(130, 2)) * 0.7 + 1
A, B = RNG.uniform(0.2, 2, 160) / 160, RNG.uniform(0.2, 2, 130) / 130
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SQUARED = make_cost("sqeuclidean")


@pytest.fixture
def installed(monkeypatch):
    """Puts a pykeops that found CUDA (and works there or not), one that did not, or none in place of what is installed."""

    def put(gpu, works=True):
        monkeypatch.setattr(keops, "works_on_gpu", lambda: works)
        fake = None if gpu is None else types.ModuleType("pykeops")
        if fake is not None:
            fake.config = types.SimpleNamespace(gpu_available=gpu)
        monkeypatch.setitem(sys.modules, "pykeops", fake)  # None makes the import fail

    return put


@pytest.mark.parametrize("gpu", [True, False, None])
def test_auto_is_keops_on_cuda_where_it_works(installed, gpu):
    installed(gpu)
    assert blocks_for("auto", SQUARED, CUDA, 3) is (KeopsBlocks if gpu else Blocks)
    assert blocks_for("auto", SQUARED, CUDA, MOST_DIMENSIONS + 1) is Blocks
    assert blocks_for("auto", make_cost("euclidean"), CUDA, 3) is Blocks
    assert blocks_for("auto", SQUARED, CPU, 3) is Blocks
    assert blocks_for("blocks", SQUARED, CUDA, 3) is Blocks


def test_auto_is_not_a_keops_that_breaks_off(installed, monkeypatch):
    installed(True, works=False)
    assert blocks_for("auto", SQUARED, CUDA, 3) is Blocks
    assert blocks_for("keops", SQUARED, CUDA, 3) is KeopsBlocks, "who asks gets it"


@pytest.mark.parametrize(("probe", "works"), [("pass", True), ("import os; os.abort()", False), ("import time; time.sleep(60)", False)])
def test_the_probe_runs_in_a_process_of_its_own(monkeypatch, probe, works):
    monkeypatch.setattr(keops, "PROBE", probe)
    monkeypatch.setattr(keops, "PATIENCE", 3.0)
    assert keops.works_on_gpu.__wrapped__() is works


def test_keops_for_the_asking(installed):
    installed(False)
    assert blocks_for("keops", SQUARED, CPU, 300) is KeopsBlocks
    assert blocks_for("keops", make_cost("cosine"), CPU, 3) is Blocks


def test_what_is_missing_is_one_sentence(installed):
    installed(None)
    with pytest.raises(uotlab.InputError, match="pip install pykeops"):
        sinkhorn_lazy(X, Y, backend="keops")
    with pytest.raises(uotlab.InputError, match="backend must be 'auto', 'blocks' or 'keops'; it is 'cuda'"):
        sinkhorn_lazy(X, Y, backend="cuda")
    with pytest.raises(uotlab.InputError, match="backend"):
        uotlab.plan("sinkhorn-lazy", uotlab.load("moons-to-spiral"), n=20, backend="cuda")
    with pytest.raises(uotlab.InputError, match="pip install pykeops"):
        uotlab.plan("sinkhorn-lazy", uotlab.load("moons-to-spiral"), n=20, backend="keops")
    assert sinkhorn_lazy(X, Y, eps=0.5).converged  # nobody else needs it


def log_sums(self, z, w, h):
    return torch.logsumexp(h[None] - torch.cdist(z, w).square() / 2, 1)


def agree(rho1, rho2, eps, tol=1e-4):
    b = B * A.sum() / B.sum() if math.isinf(rho1) and math.isinf(rho2) else B
    keops, blocks = (sinkhorn_lazy(X, Y, A, b, eps=eps, rho1=rho1, rho2=rho2, tol=tol, backend=backend) for backend in ("keops", "blocks"))
    assert keops.converged
    assert 0 <= keops.certificate <= tol
    assert abs(keops.value - blocks.value) <= 2.1 * tol * max(abs(blocks.value), blocks.cost_scale * blocks.mass)
    assert np.abs(keops.P - blocks.P).sum() < 0.03 * blocks.mass
    for held, sums, wanted in ((rho1, keops.P.sum(1), A), (rho2, keops.P.sum(0), b)):
        if math.isinf(held):
            np.testing.assert_allclose(sums, wanted, atol=1e-6)
    np.testing.assert_allclose(keops.scaling(), keops.P.sum(1) / A, rtol=1e-4)
    if not math.isinf(rho2):  # else the plan is turned round, and its kernel made anew
        assert isinstance(keops.kernel.blocks, KeopsBlocks)


RHOS = [(0.05, 0.05), (0.3, 2.0), (math.inf, math.inf), (math.inf, 0.5), (0.5, math.inf)]


@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
@pytest.mark.parametrize("eps", [0.5, 0.05, 0.01])
def test_its_iterations_agree_with_the_blocks(installed, monkeypatch, rho1, rho2, eps):
    """The two reductions by torch in KeOps' place."""
    installed(False)
    monkeypatch.setattr(KeopsBlocks, "_log_sums", log_sums)
    agree(rho1, rho2, eps)


@pytest.mark.slow  # it compiles
@pytest.mark.parametrize(("rho1", "rho2"), RHOS)
def test_agrees_with_the_blocks(rho1, rho2):
    pytest.importorskip("pykeops")
    agree(rho1, rho2, 0.05)
    agree(rho1, rho2, 0.05, tol=1e-7)


@pytest.mark.slow  # it compiles
def test_its_sums_are_those_of_torch():
    pytest.importorskip("pykeops")
    blocks = sinkhorn_lazy(X, Y, eps=0.01, rho1=1, rho2=1, backend="keops").kernel.blocks
    h = torch.linspace(-30, 5, len(blocks.y), dtype=torch.float64) + 1e4
    wanted = log_sums(blocks, blocks.z, blocks.w, h)
    torch.testing.assert_close(blocks._log_sums(blocks.z, blocks.w, h), wanted, rtol=1e-6, atol=1e-4)
    blocks.dtype = torch.float64
    torch.testing.assert_close(blocks._log_sums(blocks.z, blocks.w, h), wanted, rtol=1e-12, atol=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_is_chosen_by_itself():
    pytest.importorskip("pykeops")
    x, y = torch.tensor(X, device=CUDA), torch.tensor(Y, device=CUDA)
    plan = sinkhorn_lazy(x, y, eps=0.05, rho1=1, rho2=1)
    assert isinstance(plan.kernel.blocks, KeopsBlocks)
    assert plan.converged
    assert plan.value == pytest.approx(sinkhorn_lazy(X, Y, eps=0.05, rho1=1, rho2=1).value, rel=2e-4)
