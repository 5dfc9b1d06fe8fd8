"""Snapshots as the engine makes them, from numbers with no training: what every view must draw."""

import numpy as np

from tests.views.synthetic_barycenters import BARYCENTERS
from tests.views.synthetic_cells import CELLS
from tests.views.synthetic_joints import JOINTS
from tests.views.synthetic_neural import NEURAL, learned
from tests.views.synthetic_pictures import pictures
from tests.views.synthetic_plans import PLANS
from tests.views.synthetic_sweeps import SWEEPS


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def history(n: int = 400) -> dict[str, np.ndarray]:
    """Two losses and three metrics; one metric is measured every tenth step only."""
    step = np.arange(1, n + 1)
    rng = np.random.default_rng(1)
    sparse = np.where(step % 10 == 0, 1 / step**0.5, np.nan)
    return {
        "history/step": f(step),
        "history/loss_v": f(np.exp(-step / 80) + 0.1 * rng.normal(size=n)),
        "history/loss_T": f(-np.exp(-step / 60) + 0.1 * rng.normal(size=n)),
        "history/mass": f(1 - 0.2 * np.exp(-step / 50)),
        "history/kl": f(sparse),
        "history/transport_cost": f(np.log1p(step)),
    }


def cloud(n: int, d: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A map of a Gaussian onto a ring (or a shifted Gaussian when d is not 2), with scalings and two classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = rng.normal(size=(n, d)) + 3
    if d == 2:
        angle = rng.uniform(0, 2 * np.pi, n)
        y = 3 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.15 * rng.normal(size=(n, 2))
        Tx = 3 * x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)
    else:
        Tx = x + 3
    label = (x[:, 0] > 0).astype(np.float32) if n else np.zeros(0)
    xi = np.exp(0.8 * x[:, 0])
    arrays = {"x": f(x), "y": f(y), "Tx": f(Tx), "xi": f(xi), "zeta": f(np.exp(0.3 * rng.normal(size=n)))}
    arrays |= {"x_label": f(label), "y_label": f(label), "xi_class": f([0.6, 1.7]), "true_ratio": f([0.5, 1.5])}
    arrays |= {"names/x_label": np.array(["left", "right"]), "names/y_label": np.array(["left", "right"])}
    return arrays | history()


def flow(n: int, d: int) -> dict[str, np.ndarray]:
    """As `cloud`, with paths of 40 points at 12 times."""
    arrays = cloud(n, d)
    t = np.linspace(0, 1, 12)
    a, b = arrays["x"][:40, None], arrays["Tx"][:40, None]
    path = (1 - t[None, :, None]) * a + t[None, :, None] * b
    path = path + 0.4 * np.sin(np.pi * t)[None, :, None]
    return arrays | {"path": f(path), "path_t": f(t)}


def images(k: int = 24, side: int = 28) -> dict[str, np.ndarray]:
    """Discs mapped to rings."""
    arrays = cloud(200, 8) | {"x2": cloud(200, 2)["x"], "y2": cloud(200, 2)["y"], "Tx2": cloud(200, 2)["Tx"]}
    grid = np.hypot(*(np.mgrid[:side, :side] - side / 2))
    radius = np.linspace(4, 12, k)[:, None, None]
    disc = (grid < radius).astype(float)
    ring = (np.abs(grid - radius) < 2).astype(float)
    return arrays | {"x_image": f(disc), "Tx_image": f(ring), "y_image": f(ring[::-1]), "xi_image": f(np.exp2(np.linspace(-2, 1, k)))}


def plan(n: int = 300, m: int = 220) -> dict[str, np.ndarray]:
    """A Gaussian coupling of points on a line."""
    x, y = np.random.default_rng(0).normal(size=(n, 1)), np.random.default_rng(1).normal(size=(m, 1))
    P = np.exp(-((x - y.T) ** 2) / 0.1)
    return {"x": f(x), "y": f(y), "Tx": f(x), "P": f(P / P.sum())}


DATA = {"x", "y", "x_label", "y_label", "x_image", "y_image"}  #: arrays that exist before a method has mapped anything
SNAPSHOTS = (
    {
        "plane": cloud(1000, 2),
        "balanced": {k: v for k, v in cloud(300, 2).items() if k not in {"xi", "zeta", "xi_class", "true_ratio"}},
        "unlabelled": {k: v for k, v in cloud(300, 2).items() if "label" not in k and "class" not in k},
        "stochastic": cloud(200, 2) | {"Tx_z": f(np.random.default_rng(3).normal(size=(20, 5, 2)))},
        "class without points": cloud(200, 2) | {"xi_class": f([0.5, np.nan]), "true_ratio": f([np.nan, 1.0])},
        "line": cloud(1000, 1),
        "table": cloud(500, 5) | {"x2": cloud(500, 2)["x"], "y2": cloud(500, 2)["y"], "Tx2": cloud(500, 2)["Tx"]},
        "flow": flow(400, 2),
        "flow on a line": flow(400, 1),
        "images": images(),
        "plan": plan(),
        "one point": cloud(1, 2),
        "one point on a line": cloud(1, 1),
        "no points": cloud(0, 2) | {k: f([]) for k in history()},
        "constant": {k: np.zeros_like(v) if v.dtype.kind == "f" else v for k, v in flow(50, 2).items()},
        "broken": cloud(50, 2) | {"Tx": f(np.full((50, 2), np.nan)), "xi": f(np.full(50, np.inf))},
        "before training": {k: v for k, v in cloud(300, 2).items() if k in DATA},
        "before training, on a line": {k: v for k, v in cloud(300, 1).items() if k in DATA},
        "before training, images": {k: v for k, v in images().items() if k in DATA},
        "broken on a line": cloud(50, 1) | {"Tx": f(np.full((50, 1), np.nan)), "xi": f(np.full(50, np.nan))},
    }
    | PLANS
    | BARYCENTERS
    | CELLS
    | JOINTS
    | SWEEPS
    | NEURAL
    | {
        "maps side by side": pictures("map", [cloud(60, 2), cloud(50, 2), {}, cloud(40, 2, 3)]),
        "scalings side by side": pictures("scaling", [cloud(60, 2), cloud(50, 2, 1)], classes=True),
        "curves side by side": pictures("metrics", [history(), history(30), history(5), history(9), history(2)], show="all others"),
        "images side by side": pictures("images", [images(6, 10), images(4, 10)]),
        "barycenters side by side": pictures("barycenter-plans", [learned(), learned((50, 60)), learned((70, 40))]),
        "nothing side by side": pictures("map", [{}, {}]),
    }
)
