"""Re-balancing: what a batch's plan gives, what the two nets learn, and that it serves any balanced estimator."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

import uotlab
from uotlab.data.gaussians import gaussian_optimum
from uotlab.engine.begin import begin
from uotlab.engine.loop import train
from uotlab.engine.spec import RunSpec
from uotlab.methods.base import METHODS, Method, State
from uotlab.methods.rebalance import Batch, Coupling, Rebalanced, RebalancedState


@dataclass(eq=False)
class ShiftState(State):
    shift: Tensor


class Shift(Method):
    """The simplest balanced estimator: T(x) = x + (mean of y - mean of x), by a running mean over batches."""

    name: ClassVar[str] = "shift"
    title = family = summary = equation = "shift"
    reference = "makkuva2020optimal"
    convention = "sinkhorn"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 100
    lr: float = 5e-3
    lr_half: int = 500
    ema: float = 0.98

    def init(self, problem, rng, device):
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        return ShiftState(problem, device, rng, cost, penalty, torch.zeros(problem.d))

    def draw(self, state):
        return Batch.plain(state.batch(0, self.batch_size), state.batch(1, self.batch_size)), {}

    def step(self, state):
        batch, extra = self.draw(state)
        state.step += 1
        state.shift = state.shift.lerp(batch.b @ batch.y - batch.a @ batch.x, 1 / min(state.step, 50))
        return {"loss": torch.zeros(()), **extra}

    def transport(self, state, x):
        return x + state.shift


class UShift(Rebalanced, Shift):
    """The same, unbalanced: nothing else is needed."""

    name: ClassVar[str] = "ushift"
    relaxed = (True, True)


def outliers(target_mass: float = 1.0) -> uotlab.Problem:
    """A cloud moved by 1, and one point in ten of the target 20 away."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 2)), rng.normal((1.0, 0.0), size=(400, 2))
    y[:40] += [0.0, 20.0]
    return uotlab.Problem.from_arrays(x, y, b=np.full(400, target_mass / 400))


def state_of(method, problem, seed=0):
    return method.init(problem, torch.Generator().manual_seed(seed), torch.device("cpu"))


def test_any_balanced_estimator_becomes_unbalanced():
    problem, shifts = outliers(), {}
    for cls in (Shift, UShift):
        method = cls(batch_size=128) if cls is Shift else cls(batch_size=128, rho=1.0, eps=0.02)
        state = state_of(method, problem)
        train(method, state, 50)
        shifts[cls] = state.shift
    assert float(shifts[Shift][1]) == pytest.approx(2.0, abs=0.3)  # a tenth of 20
    assert shifts[UShift].numpy() == pytest.approx([0.92, 0.0], abs=0.2)  # held points shift by 1 less what is cheaper to re-weigh


def test_state_has_the_estimators_fields_and_its_own_and_goes_on(tmp_path):
    problem, method = outliers(), UShift(batch_size=32, rho=0.5)
    whole, half, again = (state_of(method, problem) for _ in range(3))
    assert isinstance(whole, ShiftState)
    assert isinstance(whole, RebalancedState)
    train(method, whole, 6)
    train(method, half, 3)
    again.load_state_dict(half.state_dict())
    train(method, again, 6)
    assert torch.equal(whole.shift, again.shift)
    assert all(torch.equal(p, q) for (_, p), (_, q) in zip(whole.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("masses", [(1.0, 1.0), (1.0, 1.4)])
def test_densities_are_those_of_the_discrete_plan(masses):
    problem, method = outliers(masses[1]), UShift(batch_size=64, rho=0.5, plan_tol=1e-7)
    state = state_of(method, problem)
    x, y = state.batch(0, 50), state.batch(1, 64)
    found = method.couple(state, x, y)
    s = state.cost.scale
    a, b = np.full(50, masses[0] / 50), np.full(64, masses[1] / 64)
    plan = uotlab.sinkhorn(x.double(), y.double(), a, b, "sqeuclidean", 0.05 * s, 0.5 * s, 0.5 * s, 1e-9, scale_cost=False)
    assert found.p1.numpy() == pytest.approx(plan.scaling().numpy(), rel=1e-3)
    assert found.p2.numpy() == pytest.approx(plan.target_scaling().numpy(), rel=1e-3)
    assert float(found.mass) == pytest.approx(plan.mass, rel=1e-4)
    batch = found.batch(x, y)
    assert float(batch.a.sum()) == pytest.approx(1, abs=1e-5)
    assert batch.b.numpy() == pytest.approx(plan.P.sum(0).numpy() / plan.mass, rel=1e-3)


def test_resampling_has_the_shares_as_frequencies():
    x = torch.arange(4.0)[:, None].repeat_interleave(1000, 0)
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4]).repeat_interleave(1000) / 1000
    drawn, _ = Batch(x, x, shares, shares).resampled(torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn[:, 0].long(), minlength=4) / len(drawn)
    assert counts.numpy() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)


def test_nets_learn_the_plan_of_the_whole_problem():
    problem = outliers()
    method = UShift(batch_size=200, rho=0.2, debias=False, scaling_lr=5e-3)
    state = state_of(method, problem)
    train(method, state, 150)
    x, y = (m.take(torch.arange(m.n)) for m in problem.marginals)
    plan = method.plan(state, x, y)
    with torch.no_grad():
        u, w = method.scaling(state, x), method.target_scaling(state, y)
    assert float((u - plan.scaling()).abs().mean()) < 0.1
    assert float((w - plan.target_scaling()).abs().mean()) < 0.1
    assert float(w[:40].mean()) < 0.05 < 0.5 < float(w[40:].mean())  # the outliers are let go
    assert float(u.mean()) == pytest.approx(plan.mass, abs=0.06)  # not normalised: its mean is the plan's mass


@pytest.mark.parametrize("d", [2, 16])
def test_densities_have_the_optimum_s_mass(d):
    """Gaussians, whose mass is known: plans of few points lose up to a sixth of it, and a side's plan to itself says how much."""
    problem, means = uotlab.load("gaussians", n=2000, target_mass=1.4, d=d), {}
    for debias in (False, True):
        method = UShift(batch_size=256, rho=1.0, debias=debias)
        state = state_of(method, problem)
        found = [method.coupled(state, state.batch(0, 256), state.batch(1, 256)) for _ in range(12)]
        means[debias] = sum(float(c.p1.mean() + 1.4 * c.p2.mean()) / 24 for c in found)
    t, s = problem.truth, state.cost.scale
    best = gaussian_optimum(t["source_mean"], t["source_cov"], t["target_mean"], t["target_cov"], b=1.4, rho1=s, rho2=s)
    assert means[True] == pytest.approx(best.mass, rel=0.03)
    assert means[False] < means[True] - 0.025


def test_a_point_that_its_own_side_does_not_meet_again_keeps_its_factor_within_twice():
    found = Coupling(torch.ones(1, 1), torch.zeros(()), torch.tensor([0.9, 0.1]), torch.tensor([1.0]))
    better = found.debiased(torch.tensor([0.9, 1e-9]), torch.tensor([0.8]))
    assert better.p1.tolist() == pytest.approx([1.0, 0.1 / 0.225])  # half of the mean, .45
    assert better.p2.tolist() == pytest.approx([1.25])


def test_a_held_marginal_has_density_one():
    method = UShift(batch_size=32, rho1=math.inf, rho2=0.5)
    state = state_of(method, outliers())
    method.step(state)
    x = state.batch(0, 9)
    with torch.no_grad():
        assert torch.equal(method.scaling(state, x), torch.ones(9))
        assert not torch.equal(method.target_scaling(state, x), torch.ones(9))


def test_both_held_is_the_balanced_estimator_on_its_own_draws():
    problem = outliers()
    runs = []
    for method in (Shift(batch_size=32), UShift(batch_size=32, rho=math.inf)):
        state = state_of(method, problem)
        state.rng.manual_seed(7)
        train(method, state, 5)
        runs.append(state.shift)
    assert torch.equal(*runs)


@pytest.mark.parametrize("name", [n for n, cls in METHODS.items() if issubclass(cls, Rebalanced)])
def test_registered_twins_share_the_mechanism(name):
    method = METHODS[name](batch_size=16, width=8)
    run = begin(RunSpec(method=name, dataset="two-squares", n=64, device="cpu"), method)
    assert isinstance(run.state, RebalancedState)
    assert METHODS[name].model_fields["eps"] is not None
    losses = method.step(run.state)
    assert ("plan mass" in losses) or run.state.penalty.balanced


@pytest.mark.parametrize("seed", [0, 1])
def test_exact_pairs_of_a_batch_are_the_cheapest_permutation(seed):
    from scipy.optimize import linear_sum_assignment

    from uotlab.methods.otfm import assigned

    x, y = torch.randn(2, 60, 3, generator=torch.Generator().manual_seed(seed))
    C = torch.cdist(x, y).square()
    columns = assigned(C)
    assert sorted(columns.tolist()) == list(range(60))
    rows, best = linear_sum_assignment(C.double().numpy())
    assert float(C[rows, columns].sum()) == pytest.approx(float(C[rows, best].sum()), rel=1e-6)
