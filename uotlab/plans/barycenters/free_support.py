"""The barycenter of point clouds on points that move, through POT: alternate exact plans and means of what they bring.

    x_i = sum_k lam_k (P_k y_k)_i / b_i,   P_k the exact plan between the k-th cloud and (x, b), b equal weights

The problem is not convex: the points start from the clouds themselves, drawn with `seed`.
Reference: cuturi2014fast, Algorithm 2; alvarez2016fixed.
"""

import time
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import SquaredEuclidean
from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS, Barycenter
from uotlab.plans.barycenters.given import clouds, simplex
from uotlab.plans.barycenters.result import BarycenterResult, entropy
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel, Progress

MOST_PIVOTS = 5_000_000
MOST_PAIRS = 2**23


@BARYCENTERS.register("free-support")
class FreeSupport(Barycenter):
    """Clouds, points that move."""

    title, order, reference, takes = "Free support", 6, "cuturi2014fast", frozenset({"clouds"})
    summary = "Moves a given number of points until they are the mean of the clouds. For points in any dimension; no grid, no blur."
    equation = r"\min_{x_1,\dots,x_m} \sum_k \lambda_k\,\mathrm{OT}\Big(p_k,\tfrac1m\sum_i\delta_{x_i}\Big)"

    points: int = Field(200, ge=1, le=5000, json_schema_extra={"basic": True}, description="Number of points of the barycenter")
    iterations: int = Field(100, ge=1, le=10_000, title="Most rounds", description="Rounds after which it ends, converged or not")
    tol: float = Field(
        1e-6, gt=0, title="Tolerance", description="Mean squared move of the points in one round, over the mean cost, that ends the rounds"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the starting points")

    def of(
        self, measures: Any, weights: Any = None, support: Any = None, *,
        value: bool = True, progress: Progress | None = None, cancel: Cancel | None = None,
    ) -> BarycenterResult:  # fmt: skip
        started = time.perf_counter()
        if support is not None:
            raise InputError("support is not for 'free-support', whose points move; say how many with points=200.")
        given = clouds(measures)
        most = max(len(x) for x, _ in given) * self.points
        if most > MOST_PAIRS:
            raise InputError(f"Clouds and barycenter make {most:.2g} pairs, at most {MOST_PAIRS:.2g} fit. Take fewer points.")
        lam = simplex(weights, len(given))
        rng = torch.Generator().manual_seed(self.seed)
        pool = torch.cat([x for x, _ in given])
        chance = torch.cat([w * a / a.sum() for w, (_, a) in zip(lam, given, strict=True)])
        start = pool[torch.multinomial(chance, self.points, replacement=int((chance > 0).sum()) < self.points, generator=rng)]
        mean = chance @ pool
        scale = 2 * float(chance @ (pool - mean).square().sum(1)) or 1.0
        start = start + 1e-6 * scale**0.5 * torch.randn(start.shape, generator=rng, dtype=start.dtype)  # no two at one place
        X, moves = self._moved(given, lam.numpy(), start.numpy(), scale, progress, cancel)
        q, mass = np.full(self.points, 1 / self.points), float(given[0][1].sum())
        cost = float("nan")
        if value:
            cost = mass * sum(w * exact(x, a, X) for w, (x, a) in zip(lam.tolist(), given, strict=True) if w)
        return BarycenterResult(
            self.name, X, mass * q, lam.numpy(), cost, "exact", entropy(q), float("nan"), np.asarray(moves), np.arange(1, len(moves) + 1),
            len(moves), bool(moves) and moves[-1] <= self.tol, time.perf_counter() - started, scale,
            settings=self.model_dump(exclude_defaults=True),
        )  # fmt: skip

    def _moved(
        self,
        given: list[tuple[Tensor, Tensor]],
        lam: np.ndarray,
        X: np.ndarray,
        scale: float,
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> tuple[np.ndarray, list[float]]:
        """The points where they come to rest, and their mean squared move in each round over the mean cost."""
        places, shares = [x.numpy() for x, _ in given], [(a / a.sum()).numpy() for _, a in given]
        moves: list[float] = []
        for t in range(1, self.iterations + 1):
            new = pot().lp.free_support_barycenter(places, shares, X, weights=lam, numItermax=1)
            moves.append(float(np.square(new - X).sum(1).mean()) / scale)
            X = new
            if progress is not None:
                progress(t / self.iterations)
            if moves[-1] <= self.tol or (cancel is not None and cancel()):
                break
        return X, moves


def exact(x: Tensor, a: Tensor, X: np.ndarray) -> float:
    """The exact transport cost between a cloud of mass 1 and equally heavy points."""
    C = SquaredEuclidean().matrix(x, torch.from_numpy(X)).numpy()
    return float(pot().emd2((a / a.sum()).numpy(), np.full(len(X), 1 / len(X)), C, numItermax=MOST_PIVOTS))
