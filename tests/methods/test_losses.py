"""Losses at known optima, and the traps that the papers' codes fell into."""

import math

import pytest
import torch

import uotlab
from uotlab.divergences import DIVERGENCES
from uotlab.methods.base import METHODS
from uotlab.methods.fm import flow_matching_loss
from uotlab.methods.uotfm import rescaling_loss
from uotlab.methods.uotm import map_loss, potential_loss
from uotlab.penalty import Penalty


def tensors(n=64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(n, generator=rng, dtype=torch.float64) for _ in range(3))


def test_two_diracs_semi_dual():
    """One source point of mass a, one target point of mass b: the least potential loss is minus the closed-form value."""
    a, b, C, rho1, rho2 = 1.0, 2.0, 4.0, 2.0, 0.5
    g = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([g], max_iter=100, tolerance_grad=1e-12, tolerance_change=1e-14)
    kl = DIVERGENCES["kl"]()

    def closure():
        optimiser.zero_grad()
        loss = potential_loss(g, g, torch.full_like(g, C), kl, kl, Penalty(rho1, rho2), (a, b))
        loss.backward()
        return loss

    optimiser.step(closure)
    assert -float(closure().detach()) == pytest.approx(2.42020450, abs=1e-7)
    xi = float(kl.star_grad((g.detach() - C) / rho1))
    assert a * xi == pytest.approx(0.23191820, abs=1e-6)
    assert b * float(kl.star_grad(-g.detach() / rho2)) == pytest.approx(0.23191820, abs=1e-6)


def test_balanced_loss_is_the_kantorovich_semi_dual():
    g_Tx, g_y, c = tensors()
    hard = DIVERGENCES["balanced"]()
    loss = potential_loss(g_Tx, g_y, c, hard, hard, Penalty())
    assert float(loss) == pytest.approx(float((g_Tx - c).mean() - g_y.mean()))


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_large_rho_tends_to_the_balanced_loss(name):
    g_Tx, g_y, c = tensors()
    psi, hard = DIVERGENCES[name](), DIVERGENCES["balanced"]()
    if name == "softplus-raw":
        pytest.skip("its star is not 0 at 0: that is why it is only a paper ablation")
    soft = potential_loss(g_Tx, g_y, c, psi, psi, Penalty(1e6, 1e6))
    assert float(soft) == pytest.approx(float(potential_loss(g_Tx, g_y, c, hard, hard, Penalty())), abs=1e-5)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_losses_stay_finite_far_out(name):
    psi = DIVERGENCES[name]()
    far = torch.tensor([-1e4, -10.0, 0.0, 10.0, 1e4], requires_grad=True)
    loss = potential_loss(far, psi.activation(far), torch.zeros(5), psi, psi, Penalty(0.5, 0.5))
    (grad,) = torch.autograd.grad(loss, far)
    assert math.isfinite(float(loss.detach()))
    assert bool(torch.isfinite(grad).all())


def test_map_loss_pushes_towards_the_c_transform():
    y = torch.tensor([0.3], requires_grad=True)
    (grad,) = torch.autograd.grad(map_loss(-((y - 1.0) ** 2), (y - 0.0) ** 2), y)
    assert float(grad) < 0  # the minimum of y² + (y-1)² is at 1/2, to the right


def test_flow_matching_loss_of_the_true_velocity_is_zero():
    x, y = torch.randn(8, 2), torch.randn(8, 2)
    assert float(flow_matching_loss(lambda t, x_t: y - x, x, y, torch.rand(8), torch.zeros(8, 2), 0.0)) == 0


def test_rescaling_loss_is_zero_at_the_marginals():
    p1, p2 = torch.rand(5), torch.rand(7)
    assert float(rescaling_loss(p1, p2, p1, p2)) == 0


@pytest.fixture(scope="module")
def problem():
    return uotlab.load("moons-to-spiral", n=200, seed=0)


@pytest.mark.parametrize("name", list(METHODS))
def test_potentials_and_scalings_are_vectors(name, problem):
    """(n, 1) minus (n,) would broadcast to (n, n) and train on silently."""
    method = METHODS[name](batch_size=16, width=8)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    x = problem.source.take(torch.arange(9))
    for ability in ("potential", "scaling", "target_scaling"):
        if hasattr(method, ability):
            with torch.no_grad():
                assert getattr(method, ability)(state, x).shape == (9,)
    assert method.transport(state, x).shape == (9, 2)


def test_scaling_of_uotm_is_the_formula(problem):
    fitted = uotlab.fit("uotm", problem, steps=3, rho=0.5, divergence1="chi2", divergence2="kl", batch_size=32, width=8, device="cpu")
    x, state = torch.from_numpy(problem.source.points), fitted.state
    Tx = fitted.transport(x)
    wanted = DIVERGENCES["chi2"]().star_capped_grad((fitted.potential(Tx) - state.cost(x, Tx)) / state.penalty.rho1)
    assert torch.allclose(fitted.scaling(x), wanted, atol=1e-5)


def test_tau_means_the_papers_own_quantity(problem):
    uotm = uotlab.fit("uotm", problem, steps=1, tau=0.01, batch_size=8, width=8, device="cpu").state
    assert uotm.penalty.rho1 == pytest.approx(1 / (0.01 * uotm.cost.scale))
    uotfm = uotlab.fit("uotfm", problem, steps=1, tau=0.9, eps=0.1, batch_size=8, width=8, device="cpu").state
    assert uotfm.penalty.rho2 == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("uotm", {"tau": 0.1, "rho1": 1.0}, "not both"),
        ("uotm", {"divergence": "kul"}, "Did you mean 'kl'"),
        ("uotm", {"lr": -1}, "lr of uotm"),
        ("uotm", {"widht": 3}, "Did you mean 'width'"),
        ("otm", {"rho": 1.0}, "keeps both marginals"),
        ("fixedmu", {"rho1": 1.0}, "keeps marginal 1"),
        ("uotfm", {"divergence": "chi2"}, "must be one of kl, balanced"),
        ("uotfm", {"tau": 1.5}, r"must lie in \(0, 1\]"),
        ("uotmm", {}, "Did you mean 'uotm'"),
    ],
)
def test_wrong_values_name_the_rule(method, params, sentence, problem):
    with pytest.raises(uotlab.InputError, match=sentence):
        uotlab.fit(method, problem, steps=1, **params)


def test_held_marginals_of_different_mass_are_refused():
    import numpy as np

    x = np.random.default_rng(0).normal(size=(20, 2))
    unequal = uotlab.Problem.from_arrays(x, x + 1, b=np.full(20, 0.1))
    for name in ("otm", "otfm"):
        with pytest.raises(uotlab.InputError, match="masses differ"):
            uotlab.fit(name, unequal, steps=1)


def test_stochastic_maps_depend_on_z(problem):
    fitted = uotlab.fit("uotm", problem, steps=2, noise=3, batch_size=16, width=8, device="cpu")
    x = problem.source.points[:5]
    z = np_normal(5, 3)
    assert (fitted.transport(x, z) != fitted.transport(x, z + 1)).any()
    assert (fitted.transport(x) == fitted.transport(x)).all()


def np_normal(n, k):
    import numpy as np

    return np.random.default_rng(0).normal(size=(n, k)).astype(np.float32)


def test_plan_of_a_fit_is_of_the_kind_it_was_asked_with(problem):
    fitted = uotlab.fit("uotfm", problem, steps=1, batch_size=16, width=8, device="cpu")
    x, y = (m.points[:7] for m in problem.marginals)
    assert type(fitted.plan(x, y).P) is type(x)
    assert isinstance(fitted.plan(torch.from_numpy(x), torch.from_numpy(y)).scaling(), torch.Tensor)


def test_scaling_follows_the_schedule_of_rho():
    """What is trained at alpha rho is read at alpha rho: by the end that is alpha_max rho."""
    problem = uotlab.load("p-to-q", n=200)
    fitted = uotlab.fit("uotm", problem, 5, device="cpu", rho=0.3, divergence="hellinger", schedule="linear", alpha_steps=5, alpha_max=4.0)
    x, method, state = problem.source.points[:20], fitted.method, fitted.state
    end = METHODS["uotm"](rho=1.2, divergence="hellinger")
    state.penalty, held = Penalty(1.2, 1.2), state.penalty
    with torch.no_grad():
        wanted = end.scaling(state, torch.as_tensor(x)), end.potential(state, torch.as_tensor(x))
    state.penalty = held
    assert method.scheduled(state).rho1 == pytest.approx(1.2)
    assert fitted.scaling(x) == pytest.approx(wanted[0].numpy(), rel=1e-5)
    assert fitted.potential(x) == pytest.approx(wanted[1].numpy(), rel=1e-5, abs=1e-6)


def test_noise_follows_the_seed():
    problem = uotlab.load("p-to-q", n=200)
    fitted = uotlab.fit("uotm", problem, 2, device="cpu", noise=2)
    x = problem.source.points[:20]
    assert (fitted.transport(x, seed=1) == fitted.transport(x, seed=1)).all()
    assert (fitted.transport(x, seed=1) != fitted.transport(x, seed=2)).any()


@pytest.mark.parametrize(("solver", "nfe", "used"), [("euler", 61, 61), ("midpoint", 7, 6), ("rk4", 1, 4), ("rk4", 16, 16)])
def test_fixed_step_solvers_use_the_evaluations_they_are_given(solver, nfe, used):
    fitted = uotlab.fit("fm", uotlab.load("p-to-q", n=200), 1, device="cpu", solver=solver, nfe=nfe)
    calls, net = [], fitted.state.v_ema
    net.register_forward_hook(lambda *_: calls.append(1))
    fitted.transport(torch.zeros(3, 1))
    assert len(calls) == used
    path = fitted.path(torch.zeros(3, 1), [0.5, 1.0])
    assert torch.allclose(path[:, 1], fitted.transport(torch.zeros(3, 1)), atol=1e-5)


def test_pairs_of_a_plan_whose_mass_is_below_the_smallest_number():
    rng = torch.Generator().manual_seed(0)
    x, y = 0.01 * torch.randn(64, 2, generator=rng), 5 + 0.01 * torch.randn(64, 2, generator=rng)
    method = METHODS["uotfm"](eps=1e-3, rho=1e-4)
    state = method.init(uotlab.Problem.from_arrays(x, y), rng, torch.device("cpu"))
    paired, _, extra = method.pairs(state, x, y)
    assert float(extra["plan mass"]) == 0
    assert len(paired.unique(dim=0)) > 1
