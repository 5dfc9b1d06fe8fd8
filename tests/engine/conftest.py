import pytest
import torch

from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec

from . import toy

toy.forget()
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def toy_method():
    toy.remember()
    yield
    toy.forget()


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def spec():
    def make(steps=30, seed=0, n=200, **params):
        return RunSpec(method="toy", dataset="two-squares", n=n, steps=steps, seed=seed, params=params)

    return make
