"""What the page of barycenters draws, from numbers with no solver: densities, clouds, images, rows of methods."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


X = np.linspace(-5, 5, 80)
P = np.stack([np.exp(-((X - m) ** 2)) for m in (-2, 0, 2)])
IMAGES = np.random.default_rng(0).uniform(size=(7, 10, 12)) ** 4
CLOUD = np.random.default_rng(1).normal(size=(90, 2))
LINE = {"bary/x": f(X), "bary/p": f(P), "bary/q": f(P.mean(0))}
ROWS = {"rows/input": f(IMAGES[None, :5].repeat(2, 0)), "rows/image": f(IMAGES[:6].reshape(3, 2, 10, 12))}

BARYCENTERS = {
    "barycenter": LINE | {"bary/other": f(P[:2]), "names/bary/other": np.array(["Sinkhorn a", "Sinkhorn b"])},
    "barycenter, unbalanced": LINE | {"bary/carried": f(P / 2), "names/bary/p": np.array(["one", "two", "three"])},
    "barycenter of clouds": {
        "bary/points": f(CLOUD),
        "bary/group": f(np.arange(90) % 3),
        "bary/support": f(CLOUD[:20] / 2),
        "names/bary/group": np.array(["ring", "cross", "heart"]),
    },
    "barycenter of images": {"tiles/input": f(IMAGES[:3]), "tiles/image": f(IMAGES[:6]), "names/tiles/image": np.array(list("abcdef"))},
    "barycenter of images, waiting": {"tiles/input": f(IMAGES[:2]), "tiles/image": f(np.full((1, 10, 12), np.nan))},
    "barycenter of images, nothing yet": {"tiles/input": f(IMAGES[:2]), "tiles/image": f(np.zeros((0, 10, 12)))},
    "rows": ROWS | {"rows/sharpness": f([[0.5, 0.6], [0.7, np.nan], [np.nan, np.nan]]), "names/rows/image": np.array(["a", "b", "c"])},
    "rows, bare": ROWS,
    "sharpness": {"sharp/value": f([0.9, 0.5, 0.3]), "names/sharp/value": np.array(["IPOT", "a", "b"])},
    "no sharpness": {"sharp/value": f([])},
}
