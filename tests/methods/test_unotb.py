"""Barycenters: congruence, the signs and the level m, the consistent penalty, exact Gaussians, who is taken."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab.data.barycenters import Twist, gaussian_barycenter, gaussian_map
from uotlab.divergences import DIVERGENCES
from uotlab.engine.begin import begin
from uotlab.engine.frames import Camera, portrait
from uotlab.engine.spec import RunSpec
from uotlab.methods.marginals import weights_from_text
from uotlab.methods.unotb import barycenter_map_loss, barycenter_potential_loss
from uotlab.metrics.barycenter_map_error import BarycenterMapError
from uotlab.nets.congruent import CongruentPotentials
from uotlab.nets.mlp import Standard
from uotlab.resampling import acceptance_rate, allotted, effective_share, rejection, retained, systematic

SMALL = {"width": 8, "depth": 1, "batch_size": 16}


def three() -> uotlab.Problem:
    return uotlab.load("outlier-mixture", n=64, marginals=3)


@pytest.mark.parametrize("lam", [[0.5, 0.5], [0.3, 0.7], [0.5, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]])
def test_potentials_are_congruent_for_any_weights(lam):
    weights, rng = torch.tensor(lam), torch.Generator().manual_seed(0)
    f = CongruentPotentials(Standard(torch.zeros(3), 1.0), weights, 3, 16, 2, rng, "relu", free=True)
    with torch.no_grad():
        f.level.fill_(0.07)
        values = f(torch.randn(50, 3, generator=rng))
    assert torch.allclose(values @ weights, f.m.expand(50), atol=1e-5)
    assert float(values.std(0).min()) > 0
    held = CongruentPotentials(Standard(torch.zeros(3), 1.0), weights, 3, 16, 2, rng, "relu", free=False)
    assert float(held.m) == 0
    assert "level" not in dict(held.named_parameters())


def test_the_level_holds_the_mass():
    """The gradient in m is E psi*' - 1 over K marginals of equal gap: with the paper's sign m would run away."""
    lam, kl = torch.tensor([0.3, 0.7], dtype=torch.float64), DIVERGENCES["kl"]()
    m = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    gap = torch.tensor([[-0.5, 0.1, 0.3], [0.2, -0.4, 0.0]], dtype=torch.float64)
    f = gap + (m / (2 * lam))[:, None]
    a = torch.ones(2, dtype=torch.float64)
    loss = barycenter_potential_loss(f, torch.zeros_like(f), [kl, kl], [2.0, 3.0], lam, m, a)
    (grad,) = torch.autograd.grad(loss, m)
    taken = [float((row / rho).exp().mean()) for row, rho in zip(f.detach(), (2.0, 3.0))]
    assert float(grad) == pytest.approx(sum(taken) / 2 - 1, abs=1e-12)


def test_maps_seek_the_potential_and_flee_the_cost():
    f, c = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[0.5, 0.5], [1.0, 2.0]])
    assert float(barycenter_map_loss(f, c, torch.tensor([0.25, 0.75]))) == pytest.approx(0.25 * -1.0 + 0.75 * 1.0)


def test_the_papers_tau_and_the_consistent_penalty():
    """rho = 2 tau / s, and the plan between two marginals has rho_1 / lam_2 and rho_2 / lam_1."""
    problem = uotlab.load("class-imbalance", n=64)
    method = uotlab.METHODS["unotb"](tau1=4.0, tau2=5.0, weights="0.3,0.7", **SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    s = state.cost.scale
    assert state.rho.tolist() == pytest.approx([8 / s, 10 / s])
    settled = method.settled(state)
    assert (settled.rho1, settled.rho2) == pytest.approx((8 / s / 0.7, 10 / s / 0.3))
    for held, known in ((False, False), (True, True)):  # the mass of a held one is that of the plan, whatever the other's divergence
        of_one = {"divergence1": "balanced", "divergence2": "chi2"} if held else {"divergence": "chi2"}
        method = uotlab.METHODS["unotb"](**of_one, **SMALL)
        state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
        assert (method.settled(state) is not None) == known


def test_the_consistent_penalty_on_three_points():
    """lam_1 OT(P1, Q) + lam_2 SUOT(P2, Q) at the discrete barycenter is lam_1 lam_2 times the plan's value at tau / lam_1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 2)), rng.normal(1.0, 1.0, size=(3, 2))
    lam, tau = (0.3, 0.7), 0.8
    plan = uotlab.sinkhorn(x, y, eps=1e-3, rho1=math.inf, rho2=2 * tau / lam[0], scale_cost=False, tol=1e-8)
    P, C = np.asarray(plan.P), 0.5 * ((x[:, None] - y[None]) ** 2).sum(-1)
    P = P / P.sum()
    of_pairs = lam[0] * lam[1] * ((P * C).sum() + tau / lam[0] * _kl(P.sum(0), np.full(3, 1 / 3)))
    Q = lam[0] * x[:, None] + lam[1] * y[None]  # where each pair meets
    to_x, to_y = 0.5 * ((x[:, None] - Q) ** 2).sum(-1), 0.5 * ((y[None] - Q) ** 2).sum(-1)
    own = lam[0] * (P * to_x).sum() + lam[1] * ((P * to_y).sum() + tau * _kl(P.sum(0), np.full(3, 1 / 3)))
    assert own == pytest.approx(of_pairs, rel=1e-9)


def _kl(p, q):
    return float((p * np.log(np.maximum(p, 1e-300) / q)).sum() - p.sum() + q.sum())


def test_marginals_three_to_five():
    method = uotlab.METHODS["unotb"](tau=3.0, divergence3="chi2", weights="2,1,1", **SMALL)
    state = method.init(three(), torch.Generator().manual_seed(0), torch.device("cpu"))
    assert state.lam.tolist() == [0.5, 0.25, 0.25]
    assert method.psi(3).name == "chi2"
    assert method.psi(4).name == "kl"
    assert state.rho.tolist() == pytest.approx([6 / state.cost.scale] * 3)
    held = uotlab.METHODS["unotb"](tau=3.0, divergence3="balanced", **SMALL)
    state = held.init(three(), torch.Generator().manual_seed(0), torch.device("cpu"))
    assert math.isinf(float(state.rho[2]))
    assert not state.f.free


def test_one_rho_for_all_is_the_rho_of_two_marginals_given_apart():
    """So that the lab, which names two, does not take a run of the page of barycenters for another."""
    cls = uotlab.METHODS["unotb"]
    assert cls(rho=0.1) == cls(rho1=0.1, rho2=0.1)
    assert cls(rho=0.1).rhos(3, 1.0) == [0.1, 0.1, 0.1]
    assert cls(rho=0.1, rho3=0.4).rhos(4, 1.0) == [0.1, 0.1, 0.4, 0.1]
    assert cls(divergence="chi2").psi(5).name == "chi2"


@pytest.mark.parametrize("text", ["1", "a,b", "1,-1", "1,0", "1,nan", "1,2,3,4,5,6"])
def test_bad_weights(text):
    with pytest.raises(uotlab.InputError, match="weights"):
        weights_from_text(text)
    with pytest.raises(uotlab.InputError, match="weights"):
        uotlab.fit("unotb", three(), 1, weights=text)


def test_as_many_weights_as_marginals():
    with pytest.raises(uotlab.InputError, match="3 marginals"):
        uotlab.fit("unotb", three(), 1, weights="0.5,0.5", device="cpu", **SMALL)


def test_frames_of_three_marginals():
    problem = three()
    method = uotlab.METHODS["unotb"](**SMALL)
    run = begin(RunSpec(method="unotb", dataset=None, steps=1, device="cpu"), method, problem)
    camera = Camera(method, run.state, problem)
    arrays, again = camera.arrays(), camera.arrays()
    for k in range(3):
        n = len(arrays[f"marginal/{k}"])
        assert arrays[f"image/{k}"].shape == (n, 2)
        assert arrays[f"weight/{k}"].shape == arrays[f"accepted/{k}"].shape == (n,)
        assert np.array_equal(arrays[f"accepted/{k}"], again[f"accepted/{k}"])
    assert camera.labels["marginal_label/0"] == ("bulk", "outlier")
    assert arrays["lambda"].tolist() == pytest.approx([1 / 3] * 3)
    assert len(arrays["barycenter"]) == len(arrays["barycenter_of"])
    assert set(np.unique(arrays["barycenter_of"])) == {0, 1, 2}
    assert {f"mass of marginal {k}" for k in (1, 2, 3)} <= set(camera.metrics(still=True))
    assert {"marginal/2", "marginal_label/1"} <= set(portrait(problem)[0])


def test_resampling():
    rng, w = torch.Generator().manual_seed(0), torch.tensor([0.0, 1.0, 3.0, 4.0])
    counts = torch.bincount(systematic(w, 800, rng), minlength=4)
    assert counts.tolist() == [0, 100, 300, 400]
    u = torch.rand(200_000, generator=rng)
    rows = torch.arange(200_000) % 4
    kept = torch.bincount(rows[rejection(w[rows], u)], minlength=4).double() / 50_000
    assert kept.tolist() == pytest.approx([0, 0.25, 0.75, 1.0], abs=0.02)
    let_be = torch.bincount(rows[retained(w[rows], u)], minlength=4).double() / 50_000  # w / mean w is 0, 0.5, 1.5, 2
    assert let_be.tolist() == pytest.approx([0, 0.5, 1, 1], abs=0.02)
    assert acceptance_rate(w) == 0.5
    assert effective_share(w) == pytest.approx(64 / (4 * 26))
    assert allotted(torch.tensor([1 / 3, 1 / 3, 1 / 3]), 10) == [3, 4, 3]


def test_gaussian_barycenter():
    """On a line deviations average; between two laws it is the middle of the optimal map; and the maps average to the identity."""
    mean, cov = gaussian_barycenter(np.array([[0.0], [3.0]]), np.array([[[1.0]], [[4.0]]]), np.array([0.25, 0.75]))
    assert mean == pytest.approx([2.25])
    assert cov[0, 0] == pytest.approx((0.25 * 1 + 0.75 * 2) ** 2)
    problem = uotlab.load("barycenter-gaussians", n=4, marginals=4, d=3)
    means, covs, lam = problem.truth["marginal_means"], problem.truth["marginal_covs"], np.array([0.1, 0.2, 0.3, 0.4])
    mean, cov = gaussian_barycenter(means, covs, lam)
    back = [gaussian_map(mean, cov, m, C) for m, C in zip(means, covs)]
    assert np.allclose(sum(w * A for w, (A, _) in zip(lam, back)), np.eye(3), atol=1e-9)
    for m, C in zip(means, covs):
        A, b = gaussian_map(m, C, mean, cov)
        assert np.allclose(A @ C @ A.T, cov, atol=1e-9)
        assert np.allclose(A @ m + b, mean)


def test_twist_is_one_to_one():
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    twist = Twist(0.7)
    assert torch.allclose(twist.inverse(twist(x)), x, atol=1e-9)
    assert torch.allclose(twist(x).norm(dim=1), x.norm(dim=1))


def test_balanced_gaussians_are_learned():
    problem = uotlab.load("barycenter-gaussians", n=2000)
    fitted = uotlab.fit("notb", problem, 150, device="cpu", width=32, batch_size=128, lr=5e-3)
    errors = [v for k, v in fitted.evaluate(1000, reference=False).items() if k.startswith("map error")]
    assert len(errors) == 3
    assert max(errors) < 15
    assert BarycenterMapError.of == "barycenter"


def test_the_search_finds_the_best_of_its_candidates():
    """max of f_k - c_k over T_k(x), all images and the weighted means, by trying each; never less than at T_k(x)."""
    method = uotlab.METHODS["unotb"](weights="0.5,0.3,0.2", **SMALL)
    state = method.init(three(), torch.Generator().manual_seed(0), torch.device("cpu"))
    points = [state.batch(k, 16) for k in range(3)]
    images, c = method._images(state, points)
    values = [state.f(image) for image in images]
    gain = torch.stack([value[:, k] for k, value in enumerate(values)]) - c
    best, tried, found = method._searched(state, points, images, values, gain)
    means = sum(w * x for w, x in zip((0.5, 0.3, 0.2), points))
    torch.testing.assert_close(tried, torch.cat([*images, means]))
    for k, x in enumerate(points):
        all_gains = state.f(tried)[:, k] - state.cost_of(k).matrix(x, tried)
        torch.testing.assert_close(best[k], torch.maximum(gain[k], all_gains.max(1).values), atol=1e-5, rtol=1e-5)
        assert bool((best[k] >= gain[k] - 1e-6).all())
        better, j = found[k]
        assert 0 < float(better.mean()) <= 1
        torch.testing.assert_close(best[k][better > 0], all_gains[torch.arange(16), j][better > 0], atol=1e-5, rtol=1e-5)


def test_who_does_not_search():
    """Maps with noise: pulled to one best image they would lose their spread. Steps are those of search=False."""
    problem = three()
    runs = [uotlab.fit("unotb", problem, 3, device="cpu", noise=2, search=search, **SMALL) for search in (True, False)]
    x = problem.source.points
    assert np.array_equal(runs[0].transport(x), runs[1].transport(x))
    runs = [uotlab.fit("unotb", problem, 3, device="cpu", search=search, **SMALL) for search in (True, False)]
    assert not np.array_equal(runs[0].transport(x), runs[1].transport(x))


@pytest.mark.parametrize("held", [{}, {"divergence1": "balanced"}])
def test_averaged_potentials_are_levelled(held):
    """Steps of _level alone bring the mass of each relaxed marginal to 1; congruence stays, with m = 0 where one is held."""
    problem = uotlab.load("class-imbalance", n=256)
    method = uotlab.METHODS["unotb"](tau=20.0, **held, **SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    every = [torch.from_numpy(m.points) for m in problem.marginals]
    for _ in range(600):
        method._level(state, every)
    for k, x in enumerate(every):
        assert float(method.acceptance(state, k, x).mean()) == pytest.approx(1, abs=0.01)
    assert float(method.congruence(state, every[0]).abs().max()) < 1e-5
    if held:
        assert float(state.f_ema.m) == pytest.approx(0, abs=1e-6)
    assert state.f.shift.tolist() == [0.0, 0.0]


def test_asking_a_fit():
    fitted = uotlab.fit("unotb", three(), 2, device="cpu", **SMALL)
    x = fitted.problem.marginals[2].points[:20]
    assert fitted.barycenter_map(2, x).shape == (20, 2)
    assert fitted.acceptance(2, x).shape == (20,)
    assert fitted.sample_barycenter(50).shape == (50, 2)
    assert len(fitted.accepted(2, x, how="systematic")) == 20
    assert set(fitted.accepted(2, x)) <= set(range(20))
    with pytest.raises(uotlab.InputError, match="k must be"):
        fitted.acceptance(3, x)
    with pytest.raises(uotlab.InputError, match="how must be"):
        fitted.accepted(0, x, how="luck")
    with pytest.raises(uotlab.InputError, match="sample_barycenter"):
        uotlab.fit("uotm", uotlab.load("two-squares", n=64), 1, device="cpu").sample_barycenter(5)


def test_unequal_masses():
    """Masses count relative to the barycenter's, which is the held marginal's."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    problem = uotlab.Problem.from_arrays(x, y, np.full(30, 1 / 30), np.full(40, 2 / 40))
    method = uotlab.METHODS["unotb"](divergence1="balanced", **SMALL)
    state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert state.a.tolist() == pytest.approx([1.0, 2.0])
    with pytest.raises(uotlab.InputError, match="masses differ"):
        uotlab.fit("notb", problem, 1, device="cpu", **SMALL)
