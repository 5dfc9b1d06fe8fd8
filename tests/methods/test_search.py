"""The searched c-transform: against the least value over all points, and out of the valley that descent stays in."""

import math

import pytest
import torch

import uotlab
from uotlab.costs import make_cost
from uotlab.methods.base import METHODS
from uotlab.methods.search import pull, searched


def points(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_least_over_images_and_targets():
    x, y = points(7, 2, 0), points(9, 2, 1)
    Tx = x + torch.linspace(0, 3, 7, dtype=x.dtype)[:, None]  # from good images to bad ones
    cost, g = make_cost("sqeuclidean"), lambda z: z.sin().sum(1)
    C = cost.matrix(x, y)
    best, (better, j) = searched(g(Tx) - cost(x, Tx), C, g(y))
    for i in range(7):
        tried = [float(g(Tx[i : i + 1]) - cost(x[i : i + 1], Tx[i : i + 1])), *(g(y) - C[i]).tolist()]
        assert float(best[i]) == pytest.approx(max(tried))
        assert bool(better[i]) == (max(tried[1:]) > tried[0])
        assert j[i] == max(range(9), key=lambda k: tried[1 + k])
    assert 0 < float(better.sum()) < 7  # both kinds are there


def test_images_at_their_best_are_left_alone():
    """g = 0 and T the identity: no target point is nearer to x than x itself, so that nothing is pulled, in any dimension."""
    for d in (1, 2, 16):
        x, y = points(50, d, 3), points(60, d, 4)
        found = searched(torch.zeros(50, dtype=torch.float64), make_cost("sqeuclidean").matrix(x, y), torch.zeros(60, dtype=torch.float64))
        assert bool((found[0] == 0).all())
        assert float(pull(x, y, found[1], torch.tensor(1.0))) == 0


def test_the_pull_points_to_what_was_found():
    Tx = torch.tensor([[0.0, 0.0], [5.0, 5.0]], requires_grad=True)
    y = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    loss = pull(Tx, y, (torch.tensor([1.0, 0.0]), torch.tensor([1, 0])), torch.tensor(2.0))
    assert float(loss.detach()) == pytest.approx(9 / 2 / 4)
    (grad,) = torch.autograd.grad(loss, Tx)
    assert grad.tolist() == [[0.0, pytest.approx(-0.75)], [0.0, 0.0]]


@pytest.mark.parametrize("name", ["uotm", "otm", "fixedmu", "ubgan", "otmuot"])
def test_a_step_uses_what_was_found(name):
    """T is put far away: the potential's first step is then told of better answers, and more map steps bring T home sooner."""
    problem, moved, lost = uotlab.load("gaussian-to-8gaussians", n=300), {}, {}
    for search, map_steps in ((False, 1), (True, 1), (True, 4)):
        method = METHODS[name](batch_size=32, width=16, search=search, map_steps=map_steps, lr=0.01)
        state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
        with torch.no_grad():
            state.T.net[-1].bias += 20.0
        first = method.step(state)
        assert all(math.isfinite(float(v)) for v in first.values())
        lost[search] = float(first["critic loss" if name == "ubgan" else "potential loss"])
        moved[map_steps] = float((20.0 - state.T.net[-1].bias).mean().detach())
    assert moved[4] > 2 * moved[1] > 0
    if name == "ubgan":  # its critic sees xi f(y_j) in place of xi f(Tx)
        assert lost[True] != lost[False]
    else:  # a larger g - c, on which the loss increases
        assert lost[True] > lost[False]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shares"), [("uotm", {}), ("ubgan", {}), ("otm", {})])
def test_the_map_is_optimal_and_not_only_a_matching(name, shares):
    """A Gaussian to 8 Gaussians: each source point's blob is the right one for nearly all, which without the search it is not."""
    problem = uotlab.load("gaussian-to-8gaussians", n=2000)
    x = problem.source.fresh(2000, torch.Generator().manual_seed(5)).points
    angle = torch.atan2(x[:, 1], x[:, 0])
    wanted = torch.round(angle / (math.pi / 4)) % 8  # by symmetry every sector goes to its own blob
    fitted = uotlab.fit(name, problem, 500, device="cpu", width=64, batch_size=128, **shares)
    Tx = torch.as_tensor(fitted.transport(x))
    got = torch.round(torch.atan2(Tx[:, 1], Tx[:, 0]) / (math.pi / 4)) % 8
    assert float((got == wanted).float().mean()) > 0.9
