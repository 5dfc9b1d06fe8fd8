"""BarycenterResult: where the mass of a barycenter lies, what it costs, and how sharp it is."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class BarycenterResult:
    """A barycenter q of measures p_k with weights lam.

    Args:
        method: name of the method; settings: what it was called with.
        support: points, (n, d); shape: (h, w) where they are the pixels of an image.
        q: masses, (n,).
        weights: lam, (K,).
        value: sum_k lam_k OT(p_k, q) without any entropy, in the cost's own units; NaN where it was not asked for.
        value_by: "exact" (network simplex, or sorted quantiles on a line), or "transport" (what the unbalanced plans carry, the
            penalties left out).
        sharpness: how many points hold the inputs over how many hold q (see `effective_points`), the inputs' mean under
            the weights: 1 as sharp as the inputs, less is blurred. NaN on a free support, whose size is given.
        errors: marginal error (share of the mass), one number an iteration that was looked at; iterations: which.
        carried: how much of each measure takes part, (K, n), for methods that let go of mass; None where all of it does.
        plans: the K plans between q (rows) and p_k (columns) where the support is small, else None.
        cost_scale: s, the one mean cost that eps, beta and rho are counted in.
    """

    method: str
    support: np.ndarray
    q: np.ndarray
    weights: np.ndarray
    value: float
    value_by: str
    entropy: float
    sharpness: float
    errors: np.ndarray
    iterations: np.ndarray
    n_iter: int
    converged: bool
    seconds: float
    cost_scale: float
    shape: tuple[int, int] | None = None
    plans: Sequence[np.ndarray] | None = None
    carried: np.ndarray | None = None
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def mass(self) -> float:
        """Total mass of q."""
        return float(self.q.sum())

    @property
    def image(self) -> np.ndarray | None:
        """q as an image (h, w), or None."""
        return None if self.shape is None else self.q.reshape(self.shape)

    def csv(self) -> str:
        """One row a point: its coordinates (row and column of an image's pixel) and its mass."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*(["row", "column"] if self.shape else [f"x{i + 1}" for i in range(self.support.shape[1])]), "mass"])
        writer.writerows([f"{v:.7g}" for v in (*point, mass)] for point, mass in zip(self.support, self.q, strict=True))
        return text.getvalue()

    def npz(self, measures: Sequence[np.ndarray] = ()) -> bytes:
        """A file of numpy arrays: support, q, weights, and what was averaged as measure0, measure1, ..."""
        held: dict[str, Any] = {f"measure{k}": np.asarray(m) for k, m in enumerate(measures)}
        file = io.BytesIO()
        np.savez_compressed(file, support=self.support, q=self.q, weights=self.weights, **held)
        return file.getvalue()


def entropy(q: np.ndarray) -> float:
    """-sum q log q of q over its mass, in nats."""
    share = q[q > 0] / q.sum()
    return float(-(share * np.log(share)).sum())


def effective_points(q: np.ndarray) -> float:
    """exp(entropy): the number of equally heavy points that are as spread out as q."""
    return float(np.exp(entropy(q)))


def sharpness(q: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """sum_k lam_k exp(H(p_k)) / exp(H(q)), for q (n,) and p (K, n)."""
    return float(sum(w * effective_points(row) for w, row in zip(weights, p, strict=True)) / effective_points(q))
