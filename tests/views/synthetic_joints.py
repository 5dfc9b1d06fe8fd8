"""Snapshots of couplings that points are drawn from: matches of two and three marginals, and a joint density on a line."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def matches(k: int, m: int, d: int) -> dict[str, np.ndarray]:
    """k matches of m marginals, each a Gaussian one step to the right of the former; data of the first two."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(k, d))
    parts = np.stack([z * (1 + 0.2 * i) + 3 * i for i in range(m)], axis=1)
    return {"x": f(rng.normal(size=(k, d))), "y": f(rng.normal(size=(k, d)) + 3), "Tx": f(parts[:, 1]), "pairs": f(parts)}


def density(g: int = 40) -> dict[str, np.ndarray]:
    """A correlated Gaussian on a grid."""
    x, y = np.linspace(-3, 3, g), np.linspace(0, 6, g)
    joint = np.exp(-(x[:, None] ** 2) / 2 - (y[None] - 3 - x[:, None]) ** 2)
    return matches(200, 2, 1) | {"joint": f(joint), "joint_x": f(x), "joint_y": f(y)}


JOINTS = {
    "matches in the plane": matches(300, 2, 2),
    "matches of three": matches(300, 3, 2),
    "matches in a table": matches(100, 2, 5) | {f"{k}2": v[..., :2].copy() for k, v in matches(100, 2, 5).items()},
    "matches on a line": matches(500, 2, 1),
    "three on a line": matches(50, 3, 1),
    "a joint density": density(),
    "one match": matches(1, 2, 1),
    "broken matches": matches(50, 2, 2) | {"pairs": f(np.full((50, 2, 2), np.nan))},
    "broken matches on a line": matches(50, 2, 1) | {"pairs": f(np.full((50, 2, 1), np.nan))},
}
