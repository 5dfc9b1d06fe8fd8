"""The warm start: every method that has it begins near the discrete plan's map and potentials, copies and all."""

from dataclasses import fields

import pytest
import torch

import uotlab
from uotlab.methods import warm
from uotlab.methods.base import METHODS
from uotlab.methods.warm import COPIES, WarmStart, lessons


@pytest.fixture(autouse=True)
def _few_points(monkeypatch):
    monkeypatch.setattr(warm, "POINTS", 400)


NAMES = [name for name in METHODS if issubclass(METHODS[name], WarmStart)]


def begun(name, **settings):
    rho = {} if METHODS[name].relaxed == (False, False) else {"rho": 1.0}
    method = METHODS[name](**rho, **settings)
    problem = uotlab.load("gaussians", n=1000)
    return method, method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))


def test_lessons_are_the_optimal_map_and_potentials():
    """Gaussians: the mean images are near the exact map, the potentials near their plan's."""
    _, state = begun("otmg")
    A, shift = state.problem.truth["balanced_map"]
    taught = lessons(state)
    x, image = taught["map"]
    truth = x.double() @ torch.from_numpy(A).T + torch.from_numpy(shift)
    assert float((image - truth).square().sum(1).mean().sqrt()) < 0.2 * float(truth.std(0).norm())
    (x, f), (y, g) = taught["f"], taught["g"]
    gap = state.cost.matrix(x, y) - f[:, None] - g[None]  # feasible but for eps, and tight somewhere in each row
    assert float(gap.min()) > -0.2
    assert float(gap.min(1).values.max()) < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_training_begins_near_the_plan(name):
    method, state = begun(name, warm_start=150)
    taught = lessons(state)
    for pupil in method.pupils(state):
        z, answer = taught[pupil.lesson]
        with torch.no_grad():
            error = (pupil.answer(z) - answer).square().mean() / answer.var(0).mean()
        assert float(error) < 0.2, pupil.lesson
    for f in fields(state):
        for end in (end for end in COPIES if f.name.endswith(end)):
            pairs = zip(getattr(state, f.name).parameters(), getattr(state, f.name.removesuffix(end)).parameters(), strict=True)
            assert all(torch.equal(p, q) for p, q in pairs), f.name
    if hasattr(state, "f") and hasattr(state.f, "negativity"):
        assert (state.f.negativity() + state.g.negativity()).item() == 0
    assert all(bool(torch.isfinite(v)) for v in method.step(state).values())


def test_without_it_nothing_is_drawn():
    """The lever left alone changes no number of a run."""
    plain, again = (begun("otmg", warm_start=0)[1] for _ in range(2))
    taught = begun("otmg", warm_start=1)[1]
    assert torch.equal(plain.rng.get_state(), again.rng.get_state())
    assert not torch.equal(plain.rng.get_state(), taught.rng.get_state())
