"""Snapshots of learned barycenters: two and three marginals, in the plane, on a line, in a table, of images; before training too."""

import numpy as np


def f(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def learned(counts=(200, 180), d: int = 2, *, classes: bool = True) -> dict[str, np.ndarray]:
    """Gaussians around a circle and their mean; a tenth of each far away, of which nothing is taken."""
    rng = np.random.default_rng(len(counts) + d)
    arrays = {"lambda": f(np.full(len(counts), 1 / len(counts))), "barycenter": f(rng.normal(size=(300, d)))}
    for k, n in enumerate(counts):
        z, far = rng.normal(size=(n, d)), np.arange(n) % 10 == 9
        x = z + 5 * np.eye(max(d, 5))[k][:d] + 9 * far[:, None]
        arrays |= {f"marginal/{k}": f(x), f"image/{k}": f(z), f"weight/{k}": f(np.where(far, 0.01, np.exp(z[:, 0] / 4)))}
        arrays |= {f"accepted/{k}": f(~far)}
        if classes:
            arrays |= {f"marginal_label/{k}": f(far), f"names/marginal_label/{k}": np.array(["in", "outlier"])}
    return arrays | masses(len(counts))


def masses(k: int, n: int = 200) -> dict[str, np.ndarray]:
    step = np.arange(1, n + 1)
    values = {f"history/mass of marginal {i + 1}": f(np.where(step % 3, 1 + np.exp(-step / 50) * (i + 1), np.nan)) for i in range(k)}
    return {"history/step": f(step)} | values


def projected(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With two components of each cloud."""
    stems = ("marginal/", "image/")
    flat = {k.replace("/", "2/"): f(v[:, :2]) for k, v in arrays.items() if k.startswith(stems)}
    return arrays | flat | {"barycenter2": f(arrays["barycenter"][:, :2])}


def images(j: int = 20, side: int = 12) -> dict[str, np.ndarray]:
    """Grey images and colours, both mapped to coloured images; of some little is taken."""
    rng = np.random.default_rng(j)
    made = {"marginal_image/0": rng.uniform(size=(j, side, side)), "image_image/0": rng.uniform(size=(j, side, side, 3))}
    made |= {"marginal_image/1": rng.uniform(size=(j, 1, 1, 3)).repeat(side, 1).repeat(side, 2)}
    made |= {"image_image/1": rng.uniform(size=(j, side, side, 3)), "image_weight/0": rng.uniform(size=j)}
    return {k: f(v) for k, v in made.items()}


def apart(j: int = 12, classes: int = 3) -> dict[str, np.ndarray]:
    """Marginals on spaces of their own, which share no plane: images by class, what is accepted, samples."""
    rng, made = np.random.default_rng(classes), {k: v for k, v in images(j).items() if not k.startswith("image_weight")}
    for k in range(2):
        made |= {f"weight/{k}": f(rng.uniform(size=100)), f"accepted/{k}": f(rng.uniform(size=100) > 0.5)}
        made |= {f"marginal_label/{k}": f(np.arange(100) % classes), f"image_label/{k}": f(np.arange(j) % classes)}
        made |= {f"image_weight/{k}": made[f"weight/{k}"][:j], f"image_accepted/{k}": made[f"accepted/{k}"][:j]}
        made |= {f"names/marginal_label/{k}": np.array([f"class {i}" for i in range(classes)])}
    return made | {
        "lambda": f([0.5, 0.5]),
        "barycenter": f(rng.normal(size=(30, 4))),
        "barycenter_image": f(rng.uniform(size=(14, 12, 12, 3))),
    }


NEURAL = {
    "learned barycenter between spaces": apart(),
    "learned barycenter between spaces, many classes": apart(30, 10),
    "marginals on spaces of their own": {k: v for k, v in apart().items() if k.startswith(("marginal_", "image_label", "names"))},
    "learned barycenter of images": projected(learned((20, 30), 9)) | images(),
    "images of one marginal": {k: v for k, v in images(1).items() if k.endswith("0")},
    "images of nobody": {k: f(np.zeros((0, *v.shape[1:]))) for k, v in images(2).items()},
    "learned barycenter": learned(),
    "learned barycenter of three": learned((150, 140, 160)),
    "learned barycenter of five": learned((50, 40, 60, 30, 20), classes=False),
    "learned barycenter on a line": learned((100, 90), 1),
    "learned barycenter in a table": projected(learned((60, 70), 6)),
    "learned barycenter, with its reference": learned() | {"reference": f(np.random.default_rng(1).normal(size=(40, 2)))},
    "learned barycenter, balanced": {k: v for k, v in learned().items() if not k.startswith(("accepted", "weight"))},
    "learned barycenter, nothing accepted": learned() | {"accepted/0": f(np.zeros(200)), "weight/0": f(np.zeros(200))},
    "learned barycenter, broken": learned((30, 30)) | {"image/0": f(np.full((30, 2), np.nan)), "weight/1": f(np.full(30, np.inf))},
    "marginals before training": {k: v for k, v in learned().items() if k.startswith(("marginal", "lambda", "names"))},
    "one point each": learned((1, 1)),
}
