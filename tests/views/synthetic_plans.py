"""What the plans page shows: a plan with its clouds, masses and potentials, and what its further pictures need."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def plan_scene(n: int, m: int, d: int) -> dict[str, np.ndarray]:
    """A Gaussian coupling of two clouds whose masses are not equal, with all that the pictures of a plan may ask for."""
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
    K = np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / 0.3)
    a, b = rng.uniform(0.5, 1.5, n) / max(n, 1), 2 * rng.uniform(0.5, 1.5, m) / max(m, 1)
    P = 0.8 * K / max(K.sum(), 1e-30)
    k, lines = 8, min(50, n)
    pairs = np.stack([rng.integers(0, max(n, 1), (k, lines)), rng.integers(0, max(m, 1), (k, lines)), rng.uniform(size=(k, lines))], axis=2)
    steps = np.arange(1, 101)
    return {
        "x": f(x), "y": f(y), "a": f(a), "b": f(b), "P": f(P), "f": f(x.sum(1)), "g": f(-y.sum(1)),
        "balanced/progress": f([1]), "balanced/P": f(K / max(K.sum(), 1e-30)),
        "strip/rho": f([np.inf, 10, 3, 1, 0.3, 0.1, 0.03, 0.01]), "strip/mass": f([1, 1, 0.9, 0.8, 0.5, 0.2, np.nan, np.nan]),
        "strip/pairs": f(pairs), "strip/source": f(rng.uniform(size=(k, n))), "strip/target": f(rng.uniform(size=(k, m))),
        "convergence/progress": f([1]), "convergence/at": f(np.tile(steps, (4, 1))), "convergence/error": f(1 / np.tile(steps, (4, 1))),
        "names/convergence": np.array(["Sinkhorn ε = 0.1", "Sinkhorn ε = 0.01", "Sinkhorn ε = 0.001", "IPOT β = 0.1"]),
        "sparsity/progress": f([1]), "sparsity/plans": f(rng.uniform(size=(12, 20, 24))), "sparsity/exact": f(rng.integers(0, 20, (30, 2))),
        "names/sparsity": np.array([f"{name}, after {at}" for name in ("Sinkhorn .1", "Sinkhorn", "IPOT") for at in (10, 50, 200, 1000)]),
    }  # fmt: skip


WAITING = {"P", "x", "y", "a", "b"}
PLANS = {
    "plan in the plane": plan_scene(300, 220, 2),
    "plan on a line": plan_scene(300, 220, 1),
    "plan of single points": plan_scene(1, 1, 2),
    "plan of single points on a line": plan_scene(1, 1, 1),
    "plan under way": {k: v for k, v in plan_scene(60, 50, 2).items() if k in WAITING}
    | {
        "balanced/progress": f([1]),
        "convergence/progress": f([0.2]),
        "sparsity/progress": f([0]),
        "names/balanced/said": np.array(["No plan exists."]),
        "names/strip/said": np.array(["No."]),
    },
    "empty plan": {**plan_scene(40, 30, 2), "P": np.zeros((40, 30), np.float32), "balanced/P": np.zeros((40, 30), np.float32)},
    "empty plan on a line": {**plan_scene(40, 30, 1), "P": np.zeros((40, 30), np.float32)},
}
