"""Options of the games: optimistic and extragradient steps settle where plain Adam circles, schedules keep to their steps, runs go on."""

import math

import pytest
import torch
from torch import nn

import uotlab
from uotlab.engine.begin import begin
from uotlab.engine.files import load_tensors, save_tensors
from uotlab.engine.loop import train
from uotlab.engine.spec import RunSpec
from uotlab.methods.schedules import GameOptions
from uotlab.nets.optimistic import OptimisticAdam, end_turn, game_adam

NAMES = [name for name in uotlab.METHODS if issubclass(uotlab.METHODS[name], GameOptions)]


class Number(nn.Module):
    """One parameter."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value], dtype=torch.float64))


def played(dynamics: str, turns: int = 2000) -> float:
    """The greatest distance of min_x max_y xy from (0, 0) in the last quarter; it begins at 1.4."""
    x, y = Number(1.0), Number(1.0)
    players = [game_adam(net, 0.02, (0.0, 0.99), dynamics) for net in (x, y)]
    distances = []
    for _ in range(turns):
        x.w.grad, y.w.grad = y.w.detach().clone(), -x.w.detach().clone()  # both move at the same time
        for player in players:
            player.step()
        end_turn(*players)
        distances.append(math.hypot(float(x.w.detach()), float(y.w.detach())))
    return max(distances[-turns // 4 :])


def test_a_bilinear_game_settles_where_plain_adam_circles():
    assert played("plain") > 0.5
    assert played("optimistic") < 0.2
    assert played("extragradient") < 0.2


def test_optimistic_is_twice_the_step_less_the_former():
    net, twin = Number(1.0), Number(1.0)
    ours, plain = OptimisticAdam(net.parameters(), lr=0.1), torch.optim.Adam(twin.parameters(), lr=0.1)
    former, where = 0.0, 1.0
    for grad in (1.0, -0.5, 2.0):
        for p in (net.w, twin.w):
            p.grad = torch.tensor([grad], dtype=torch.float64)
        before = float(twin.w.detach())
        ours.step(), plain.step()
        taken = float(twin.w.detach()) - before
        where, former = where + 2 * taken - former, taken
        assert float(net.w.detach()) == pytest.approx(where, abs=1e-12)


def test_extragradient_steps_from_where_the_look_began():
    net = Number(1.0)
    player = game_adam(net, 0.1, (0.0, 0.0), "extragradient")  # each step is lr times the sign of the gradient
    for grad, after in ((1.0, 0.9), (-1.0, 1.1), (1.0, 1.0), (1.0, 1.0)):
        net.w.grad = torch.tensor([grad], dtype=torch.float64)
        player.step()
        end_turn(player)
        assert float(net.w.detach()) == pytest.approx(after, abs=1e-6)


def test_plain_is_the_fused_adam_itself():
    assert type(game_adam(Number(1.0), 1e-3, (0.5, 0.9), "plain")) is torch.optim.Adam


def test_schedules():
    method = uotlab.METHODS["uotm"](opponent_steps_early=5, early_until=3, batch_size=8, batch_size_late=32, batch_late_from=2)
    assert [method.opponent_steps(k, 1) for k in range(5)] == [5, 5, 5, 1, 1]
    assert [method.points(k) for k in range(4)] == [8, 8, 32, 32]
    plain = uotlab.METHODS["uotm"]()
    assert [plain.opponent_steps(0, 2), plain.points(10**6)] == [2, plain.batch_size]


@pytest.mark.parametrize("dynamics", ["plain", "optimistic", "extragradient"])
@pytest.mark.parametrize("name", NAMES)
def test_going_on_equals_never_stopping(name, dynamics, tmp_path):
    """Stopped between a look ahead and its step, with both schedules changing after that."""
    cls, steps, stop = uotlab.METHODS[name], 6, 3
    wanted = {"width": 8, "depth": 1, "batch_size": 8, "batch_size_late": 16, "batch_late_from": 4}
    method = cls(**wanted, dynamics=dynamics, opponent_steps_early=3, early_until=2)
    problem = uotlab.load("two-squares", n=64)
    spec = RunSpec(method=name, dataset=None, steps=steps, device="cpu")
    whole, first, second = (begin(spec, method, problem) for _ in range(3))
    train(method, whole.state, steps)
    train(method, first.state, stop)
    save_tensors(tmp_path / "c.pt", first.state.state_dict())
    second.state.load_state_dict(load_tensors(tmp_path / "c.pt"))
    train(method, second.state, steps)
    for (label, p), (_, q) in zip(whole.state.parameters(), second.state.parameters(), strict=True):
        assert torch.equal(p, q), label
        assert torch.isfinite(p).all(), label
