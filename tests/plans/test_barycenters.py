"""Barycenters against closed forms: Gaussians, Diracs, translations, the paper's demo; symmetry, limits and bad input."""

import math

import numpy as np
import pytest
import torch

import uotlab
from uotlab import BARYCENTERS, InputError, barycenter
from uotlab.costs import make_cost
from uotlab.data.densities import Density, density_from_text, placed_digits, shape_cloud, text_of_density
from uotlab.parameters import make_model
from uotlab.paths import ASSETS
from uotlab.plans.barycenters.given import histograms, log_product
from uotlab.plans.barycenters.objective import objective
from uotlab.plans.barycenters.result import effective_points
from uotlab.plans.pot import pot

X = np.linspace(-6, 6, 121)
FIXED = [name for name in BARYCENTERS if "densities" in BARYCENTERS[name].takes]
BALANCED = [name for name in FIXED if not BARYCENTERS[name].relaxed]


def gaussian(mean, sd, x=X):
    heights = np.exp(-((x - mean) ** 2) / (2 * sd * sd))
    return heights / heights.sum()


def moments(q, x=X):
    mean = q @ x / q.sum()
    return mean, math.sqrt(q @ (x - mean) ** 2 / q.sum())


def w2(p, q, x=X):
    """The 2-Wasserstein distance on a line, by quantiles."""
    u = (np.arange(20_000) + 0.5) / 20_000
    at = [x[np.searchsorted(np.cumsum(r / r.sum()), u).clip(max=len(x) - 1)] for r in (p, q)]
    return math.sqrt(np.square(at[0] - at[1]).mean())


TWO = np.stack([gaussian(-2, 0.4), gaussian(2, 0.8)])
SHARP = {"ipot": {"iterations": 500}, "sinkhorn": {"eps": 0.003}, "debiased": {"eps": 0.01}}


# ---- closed forms -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", BALANCED)
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.25, 0.75)])
def test_the_barycenter_of_gaussians_is_the_gaussian_of_mean_moments(name, weights):
    found = barycenter(name, TWO, weights, X, **SHARP[name])
    mean, sd = moments(found.q)
    assert mean == pytest.approx(-2 * weights[0] + 2 * weights[1], abs=0.01)
    assert sd == pytest.approx(0.4 * weights[0] + 0.8 * weights[1], abs=0.02)
    # sum lam W2²(p_k, q) = lam1 lam2 (16 + 0.4²) at the optimum
    assert found.value == pytest.approx(weights[0] * weights[1] * 16.16, rel=2e-3)
    assert found.mass == pytest.approx(1)
    assert found.converged


def test_ipot_comes_nearer_the_exact_barycenter_than_sinkhorn_in_as_many_rounds():
    sharp = barycenter("ipot", TWO, None, X, iterations=100)
    blurred = {eps: barycenter("sinkhorn", TWO, None, X, eps=eps, iterations=100) for eps in (0.05, 0.02, 0.01)}
    errors = {eps: abs(moments(r.q)[1] - 0.6) for eps, r in blurred.items()}  # W2 of equal means and Gaussian shapes
    assert abs(moments(sharp.q)[1] - 0.6) < 0.6 * min(errors.values())
    assert w2(sharp.q, gaussian(0, 0.6)) < min(w2(r.q, gaussian(0, 0.6)) for r in blurred.values())
    assert sharp.value < min(r.value for r in blurred.values())
    assert sharp.sharpness > max(r.sharpness for r in blurred.values())
    assert errors[0.05] > errors[0.02] > errors[0.01]


def test_after_t_rounds_ipot_is_sinkhorn_at_beta_over_t():
    sharp = barycenter("ipot", TWO, None, X, beta=0.5, iterations=50, inner=20)
    blurred = barycenter("sinkhorn", TWO, None, X, eps=0.01, variant="log", tol=1e-9, iterations=5000)
    np.testing.assert_allclose(sharp.q, blurred.q, atol=1e-6)


def test_the_demo_of_the_thesis():
    """Two bumps and one on 100 points, C over its largest entry: .023353 by IPOT, .023366 by Sinkhorn at .001."""
    x = np.arange(100)
    two = gaussian(20, 5, x) + gaussian(40, 5, x)
    measures = [two / two.sum(), gaussian(60, 8, x)]
    unit = 1 / histograms(measures, None, None, make_cost(None)).scale  # the largest cost on [0, 1] is 1
    assert barycenter("ipot", measures, beta=0.01 * unit, iterations=100).value == pytest.approx(0.023353, abs=1e-6)
    assert barycenter("sinkhorn", measures, eps=0.001 * unit, variant="exp").value == pytest.approx(0.023366, abs=1e-6)


@pytest.mark.parametrize("name", FIXED)
def test_two_diracs_meet_in_the_middle(name):
    p = np.zeros((2, 41))
    p[0, 5] = p[1, 25] = 1
    settings = {"ipot": {"iterations": 300, "beta": 1.0}, "unbalanced": {"rho1": math.inf, "eps": 0.003}}.get(name, {"eps": 0.003})
    found = barycenter(name, p, None, np.arange(41.0), **settings)
    mean, sd = moments(found.q, np.arange(41.0))
    assert mean == pytest.approx(15, abs=1e-3)
    assert sd < 0.8
    assert found.value == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("name", FIXED)
def test_all_weight_on_one_measure_returns_it(name):
    settings = {"ipot": {"iterations": 500}, "unbalanced": {"rho1": math.inf, "eps": 0.002}}.get(name, {"eps": 0.002})
    found = barycenter(name, TWO[::-1], (1, 0), X, **settings)
    assert w2(found.q, TWO[1]) < 0.06
    assert moments(found.q)[1] == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("name", FIXED)
def test_the_order_of_the_measures_does_not_matter(name):
    three = np.stack([*TWO, gaussian(1, 0.3) / 2 + gaussian(-1, 0.2) / 2])
    lam, order = np.array([0.2, 0.5, 0.3]), [2, 0, 1]
    one, other = barycenter(name, three, lam, X), barycenter(name, three[order], lam[order], X)
    np.testing.assert_allclose(one.q, other.q, atol=1e-9)
    assert one.value == pytest.approx(other.value, rel=1e-6)


@pytest.mark.parametrize("name", FIXED)
def test_masses_scale_the_answer_and_the_cost_scale_is_common(name):
    one, three = barycenter(name, TWO, None, X), barycenter(name, 3 * TWO, None, X)
    np.testing.assert_allclose(three.q, 3 * one.q, rtol=1e-6, atol=1e-12)
    assert three.value == pytest.approx(3 * one.value, rel=1e-6)
    assert one.cost_scale == pytest.approx(2 * (4 + (0.16 + 0.64) / 2), rel=1e-3)
    assert three.sharpness == pytest.approx(one.sharpness)


# ---- one method against another ---------------------------------------------------------------------
def test_log_and_exp_domains_agree():
    for name, settings in (
        ("ipot", {"domain": "{}"}),
        ("sinkhorn", {"variant": "{}", "tol": 1e-8}),
        ("debiased", {"variant": "{}", "tol": 1e-5}),
    ):
        exp, log = (
            barycenter(name, TWO, None, X, **{k: v.format(d) if v == "{}" else v for k, v in settings.items()}) for d in ("exp", "log")
        )
        np.testing.assert_allclose(exp.q, log.q, atol=5e-6, err_msg=name)


@pytest.mark.slow
def test_sinkhorn_stays_finite_and_right_where_a_plain_kernel_fails():
    found = barycenter("sinkhorn", TWO, None, X, eps=1e-3, tol=1e-6)
    assert found.converged
    other = pot().bregman.barycenter(TWO.T.copy(), ((X[:, None] - X) ** 2) / found.cost_scale, 1e-3, method="sinkhorn_log", stopThr=1e-6)
    np.testing.assert_allclose(found.q, other, atol=1e-4)
    with pytest.raises(InputError, match="raise eps"):
        barycenter("sinkhorn", TWO, None, X, eps=1e-5, variant="exp")


@pytest.mark.slow
def test_unbalanced_at_large_rho_is_balanced():
    balanced = barycenter("sinkhorn", TWO, None, X, eps=0.01)
    for settings in ({"rho1": math.inf}, {"rho1": 1e6}, {"rho1": 1e6, "rho2": 1e6}, {"rho1": math.inf, "rho2": 1e6}):
        found = barycenter("unbalanced", TWO, None, X, eps=0.01, iterations=2000, tol=1e-8, **settings)
        np.testing.assert_allclose(found.q, balanced.q, atol=1e-4, err_msg=str(settings))


def test_unbalanced_solves_its_scaling_equations():
    """POT's plain iterations on the same kernel, which hold at a large eps only, end at the same q."""
    eps, rho1, rho2 = 0.2, 0.7, 1.3
    found = barycenter("unbalanced", [TWO[0], 2 * TWO[1]], (0.3, 0.7), X, eps=eps, rho1=rho1, rho2=rho2, tol=1e-12, iterations=5000)
    p, lam = np.stack([TWO[0], 2 * TWO[1]]), np.array([0.3, 0.7])[:, None]
    K = np.exp(-((X[:, None] - X) ** 2) / found.cost_scale / eps) / len(X)
    u, v = np.ones_like(p), np.ones_like(p)
    tau1, tau2 = rho1 / (rho1 + eps), rho2 / (rho2 + eps)
    for _ in range(2000):
        u = (v @ K) ** -tau1
        T = (u * p) @ K
        q = (lam * T ** (1 - tau2)).sum(0) ** (1 / (1 - tau2))
        v = (q / T) ** tau2
    np.testing.assert_allclose(found.q, q, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.carried, p * u * (v @ K), rtol=1e-5, atol=1e-12)
    second = v * T
    np.testing.assert_allclose(q, (lam * second).sum(0), rtol=1e-6, atol=1e-12)  # q is the mean of the second marginals


def test_unbalanced_lets_go_of_outliers():
    x = np.linspace(-5, 5, 121)
    measures = [Density("gaussian", -1, 0.4, 1.0, 0.1, at=4.5).on(x), Density("gaussian", 1, 0.4).on(x)]
    kept, let_go = barycenter("sinkhorn", measures, None, x, eps=0.01), barycenter("unbalanced", measures, None, x, eps=0.01, rho1=0.2)
    far = x > 2
    assert kept.q[far].sum() > 0.05
    assert let_go.q[far].sum() / let_go.mass < 0.5 * kept.q[far].sum()
    assert let_go.carried[0][far].sum() < 0.1 * measures[0][far].sum()
    assert let_go.value_by == "transport"


def test_free_support_of_translated_clouds_is_the_cloud_at_the_mean_shift():
    rng = np.random.default_rng(0)
    cloud, shifts, lam = rng.normal(size=(40, 2)), np.array([[0, 0], [4, 0], [0, 3.0]]), np.array([0.5, 0.25, 0.25])
    found = barycenter("free-support", [cloud + s for s in shifts], lam, points=40)
    exact = cloud + lam @ shifts
    distances = np.linalg.norm(found.support[:, None] - exact, axis=2)
    assert distances.min(0).max() < 1e-6
    assert found.value == pytest.approx(float(lam @ np.square(shifts - lam @ shifts).sum(1)), rel=1e-9)
    assert math.isnan(found.sharpness)


def test_plans_have_the_marginals_they_should():
    for domain in ("exp", "log"):
        found = barycenter("ipot", TWO, None, X, domain=domain, iterations=50)
        assert len(found.plans) == 2
        for P, p in zip(found.plans, TWO, strict=True):
            np.testing.assert_allclose(P.sum(0), p, atol=1e-12)
            assert np.abs(P.sum(1) - found.q).sum() < 2 * found.errors[-1] + 1e-6


# ---- images ------------------------------------------------------------------------------------------
def images(side=16):
    at = np.indices((side, side)).reshape(2, -1).T
    blob = lambda c, s: np.exp(-np.square(at - c).sum(1) / (2 * s * s)).reshape(side, side)  # noqa: E731
    made = np.stack([blob((4, 5), 1.0), blob((11, 9), 1.6)])
    return made / made.sum((1, 2), keepdims=True)


@pytest.mark.parametrize("name", [n for n in BARYCENTERS if "images" in BARYCENTERS[n].takes])
def test_images_move_and_stretch(name):
    settings = {"ipot": {"iterations": 200}, "unbalanced": {"rho1": math.inf, "eps": 0.01}}.get(name, {"eps": 0.01})
    found = barycenter(name, images(), **settings)
    assert found.image.shape == (16, 16)
    mean = found.q @ found.support
    np.testing.assert_allclose(mean, (7.5, 7.0), atol=0.1)
    sd = math.sqrt(found.q @ np.square(found.support - mean).sum(1) / 2)
    assert sd == pytest.approx(1.3, abs=0.25)


def test_grids_and_matrices_give_the_same_sums():
    given = histograms(images(), None, None, make_cost(None))
    v = 300 * torch.randn(2, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v[0, :100] = -torch.inf
    for eps in (0.5, 0.01, 1e-4):  # the smallest is beyond what a float64 kernel holds
        direct = torch.logsumexp(v[:, None, :] - given.C / given.scale / eps, 2)
        torch.testing.assert_close(given.log_sums(v, eps), direct, rtol=1e-12, atol=1e-9)
        torch.testing.assert_close(log_product(v, given.C / given.scale / eps), direct, rtol=1e-12, atol=1e-9)


def test_the_objective_is_exact_on_a_line_and_on_a_grid():
    given = histograms(TWO, (0.3, 0.7), X, make_cost(None))
    q = torch.from_numpy(gaussian(0.3, 0.5))
    C = (X[:, None] - X) ** 2
    exact = sum(w * pot().emd2(gaussian(0.3, 0.5), p, C) for w, p in zip((0.3, 0.7), TWO, strict=True))
    assert objective(given, q) == pytest.approx(exact, rel=1e-9)
    picture = histograms(images(), None, None, make_cost(None))
    assert objective(picture, picture.p[0]) == pytest.approx(pot().emd2(*picture.p.numpy(), picture.C.numpy()) / 2, rel=1e-6)


def test_effective_points_count_equal_masses():
    assert effective_points(np.array([0, 2, 2, 2, 2.0])) == pytest.approx(4)
    assert barycenter("ipot", TWO, (1, 0), X, iterations=1000).sharpness == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_digits_are_sharper_by_ipot_than_by_sinkhorn():
    threes = placed_digits(3, 4)
    sharp = barycenter("ipot", threes, iterations=200, value=False)
    blurred = barycenter("convolutional", threes, eps=0.02, value=False)
    assert effective_points(sharp.q) < 0.75 * effective_points(blurred.q)


# ---- what every method must do -----------------------------------------------------------------------
@pytest.mark.parametrize("name", BARYCENTERS)
def test_a_method_says_what_it_is_and_can_be_cancelled(name):
    cls = BARYCENTERS[name]
    assert cls.title
    assert cls.summary.endswith(".")
    assert f"{{{cls.reference}," in (ASSETS / "references.bib").read_text()
    assert all(f.description for f in cls.model_fields.values())
    assert make_model(cls, {}).model_dump_json()
    measures = [shape_cloud("ring", 30), shape_cloud("cross", 30)] if "clouds" in cls.takes else images()
    shares = []
    found = barycenter(name, measures, progress=shares.append, cancel=lambda: len(shares) >= 1)
    assert np.isfinite(found.q).all()
    assert all(0 <= s <= 1 for s in shares)
    assert found.method == name


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize(
    ("measures", "weights", "part"),
    [
        ([], None, "at least one"),
        (5, None, "list of arrays"),
        ([[1.0, 2], [1, 2, 3]], None, "same shape"),
        ([[1.0, -2], [1, 2]], None, "not be negative"),
        ([[0.0, 0], [1, 2]], None, "some mass"),
        ([[1.0, math.nan], [1, 2]], None, "NaN"),
        ([[1.0, 2], [2, 1]], (0.5, 0.6), "sum 1"),
        ([[1.0, 2], [2, 1]], (1.5, -0.5), "at least 0"),
        ([[1.0, 2], [2, 1]], (1,), "one number for each"),
        ([[["a"]]], None, "numbers only"),
    ],
)
def test_bad_measures_and_weights_are_one_sentence(name, measures, weights, part):
    with pytest.raises(InputError, match=part):
        barycenter(name, measures, weights)


def test_more_bad_input():
    with pytest.raises(InputError, match="different masses"):
        barycenter("ipot", [TWO[0], 2 * TWO[1]])
    with pytest.raises(InputError, match="different masses"):
        barycenter("unbalanced", [TWO[0], 2 * TWO[1]], rho1=math.inf)
    assert barycenter("unbalanced", [TWO[0], 2 * TWO[1]], iterations=20).mass > 0
    with pytest.raises(InputError, match="Did you mean 'ipot'"):
        barycenter("ipots", TWO)
    with pytest.raises(InputError, match="no setting 'betta'"):
        barycenter("ipot", TWO, betta=1)
    with pytest.raises(InputError, match="beta of ipot"):
        barycenter("ipot", TWO, beta=-1)
    with pytest.raises(InputError, match="takes images"):
        barycenter("convolutional", TWO)
    with pytest.raises(InputError, match="square"):
        barycenter("convolutional", np.ones((2, 4, 5)))
    with pytest.raises(InputError, match="support"):
        barycenter("ipot", TWO, None, X[:5])
    with pytest.raises(InputError, match="support"):
        barycenter("ipot", images(), None, X)
    with pytest.raises(InputError, match="at most"):
        barycenter("sinkhorn", np.ones((1, 80, 80)))
    with pytest.raises(InputError, match="same number of columns"):
        barycenter("free-support", [np.zeros((3, 2)), np.zeros((3, 3))])
    with pytest.raises(InputError, match="different masses"):
        barycenter("free-support", [np.zeros((3, 2)), (np.zeros((3, 2)), [1, 1, 1])])


def test_one_point_and_equal_points_are_answered():
    for name in FIXED:
        assert barycenter(name, [[2.0]]).q == pytest.approx([2.0], rel=1e-3)
        same = barycenter(name, [[0.0, 1, 0], [0.0, 1, 0]])
        assert same.q.argmax() == 1
    assert barycenter("free-support", [np.zeros((3, 2))], points=4).value == pytest.approx(0, abs=1e-9)


# ---- named measures ----------------------------------------------------------------------------------
def test_densities_read_and_write():
    for text in ("gaussian,-2,0.5", "box,1,0.7,2", "spikes,0,1,1,0.1"):
        made = density_from_text(text)
        assert text_of_density(made) == text
        assert made.on(X).sum() == pytest.approx(made.mass)
    for text in ("gaussian,a", "gausian,0,1", "gaussian,0,-1", "gaussian,900,0.1", "gaussian,0,1,1,2", "gaussian,0,1,1,.1,7"):
        with pytest.raises(InputError):
            density_from_text(text)


def test_digits_are_placed_by_seed():
    one, same, other = placed_digits(3, 5), placed_digits(3, 5), placed_digits(3, 5, seed=1)
    assert one.shape == (5, 50, 50)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_allclose(one.sum((1, 2)), 1)
    with pytest.raises(InputError):
        placed_digits(10)
    assert uotlab.BarycenterResult
