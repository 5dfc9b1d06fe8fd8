"""What the pages of sweeps and comparisons show, from numbers with no training."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def sweep(curves: int = 3, points: int = 4, seeds: int = 3, *, words: bool = False, end: bool = True) -> dict[str, np.ndarray]:
    """Curves over rho with a band over seeds; the last one is level where infinity has a place."""
    rng = np.random.default_rng(curves)
    x = np.arange(points) if words else 10.0 ** np.arange(points)
    of = np.repeat(np.arange(curves), points).astype(np.int32)
    values = rng.gamma(2, size=(curves, points, seeds))
    level = np.zeros(curves, np.int32)
    best = (
        np.array([points * k + int(values[k].mean(1).argmin()) for k in range(curves)], np.int32) if points else -np.ones(curves, np.int32)
    )
    if end and curves > 1 and points:
        keep = np.append(np.flatnonzero(of < curves - 1), points * (curves - 1))
        of, level[-1], best[-1] = of[keep], 1, -1
    else:
        keep = np.arange(curves * points)
    flat = values.reshape(-1, seeds)[keep]
    at = np.tile(x, curves)[keep] if points else np.zeros(0)
    names = {
        "curve": [f"method {k}" for k in range(curves)],
        "title": ["ρ", "W2"],
        "tick": [f"word {i}" for i in range(points)] if words else [],
    }
    return {
        "sweep/curve": of, "sweep/x": f(at), "sweep/mean": f(flat.mean(1)), "sweep/spread": f(flat.std(1)),
        "sweep/low": f(flat.min(1)), "sweep/high": f(flat.max(1)), "sweep/count": np.full(len(flat), seeds, np.int32),
        "sweep/tau": f(np.full((len(flat), 3), np.nan if words else 0.5)),
        "sweep/seed_curve": np.repeat(of, seeds), "sweep/seed_x": f(np.repeat(at, seeds)), "sweep/seed_value": f(flat.ravel()),
        "sweep/best": best, "sweep/level": level, "sweep/floor": f([0.1] if points else []),
        "sweep/end": f([3 * x.max()] if end and points else []), "sweep/tick": f(x if words else []),
        **{f"names/sweep/{key}": np.array(value, dtype=str) for key, value in names.items()},
    }  # fmt: skip


def comparison(count: int, d: int = 2, n: int = 200) -> dict[str, np.ndarray]:
    """Runs side by side: the last has neither a map nor a curve yet, the first no scaling."""
    rng = np.random.default_rng(count)
    arrays = {"compare/color": np.arange(count, dtype=np.int32), "compare/group": (np.arange(count) % 2).astype(np.int32)}
    arrays |= {"names/compare": np.array([f"run {k}" for k in range(count)]), "names/compare/title": np.array(["kl"])}
    for k in range(count - (count > 2)):
        arrays |= {f"compare/{k}/{name}": f(rng.normal(size=(n, d))) for name in ("x", "y", "Tx")}
        arrays |= {f"compare/{k}/step": f(np.arange(50)), f"compare/{k}/value": f(np.where(np.arange(50) % 5, np.nan, 1.0))}
        arrays |= {f"compare/{k}/xi": f(rng.gamma(1, size=n))} if k else {}
    return arrays


COMPARISONS = {
    "two runs": comparison(2),
    "five runs": comparison(5),
    "runs on a line": comparison(3, 1),
    "one run": comparison(1),
    "runs without a point": comparison(2, 2, 0),
    "no runs": comparison(0),
}
SWEEPS = {
    **COMPARISONS,
    "sweep": sweep(),
    "sweep over words": sweep(words=True, end=False),
    "sweep of one run": sweep(1, 1, 1, end=False),
    "sweep with nothing yet": sweep(2, 0, 1, end=False),
    "sweep of many": sweep(30, 6, 2),
}
