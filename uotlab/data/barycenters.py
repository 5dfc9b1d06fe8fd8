"""Marginals that are made for their barycenter, because it is known exactly: Gaussians, and twisted bananas."""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from uotlab.costs import Feature
from uotlab.data.base import DATASETS, Dataset, data_rng, measure_of
from uotlab.problem import Draw, Problem, kind_of

SWEEPS, TOL = 1000, 1e-14  #: of the fixed point between covariances


def gaussian_barycenter(means: np.ndarray, covs: np.ndarray, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of the Wasserstein-2 barycenter of N(means[k], covs[k]) with weights lam on the simplex.

    S is the fixed point of S <- S^-1/2 (sum_k lam_k (S^1/2 S_k S^1/2)^1/2)² S^-1/2.
    Reference: alvarez2016fixed, Theorem 4.2.
    """
    S = np.einsum("k,kij->ij", lam, covs)
    for _ in range(SWEEPS):
        values, vectors = np.linalg.eigh(S)
        root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
        inner = sum(w * _root(root @ C @ root) for w, C in zip(lam, covs, strict=True))
        following = inverse @ inner @ inner @ inverse
        following = (following + following.T) / 2
        if np.abs(following - S).max() <= TOL * np.abs(S).max():
            return lam @ means, following
        S = following
    return lam @ means, S


def _root(S: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(S)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T  # type: ignore[no-any-return]


def gaussian_map(mean: np.ndarray, cov: np.ndarray, to_mean: np.ndarray, to_cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(A, b) of the optimal map x -> A x + b between two Gaussians."""
    values, vectors = np.linalg.eigh(cov)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    A = inverse @ _root(root @ to_cov @ root) @ inverse
    return A, to_mean - A @ mean


def _gaussian(n: int, rng: torch.Generator, *, mean: Tensor, root: Tensor) -> Draw:
    return Draw(mean + torch.randn(n, len(mean), generator=rng) @ root, {})


@DATASETS.register("barycenter-gaussians")
class BarycenterGaussians(Dataset):
    """K Gaussians N(radius u_k, S_k) in d dimensions, u_k at equal angles, S_k of random directions with deviations from 1/2 to 2.

    `truth["marginal_means"]` and `truth["marginal_covs"]` hold their moments; `gaussian_barycenter` gives the exact barycenter.
    """

    title: ClassVar[str] = "Gaussians with a known barycenter"
    group: ClassVar[str] = "Barycenters"
    kind = "plane"
    summary = "Long and round clouds around a circle. Their barycenter is a Gaussian that is known exactly, so that errors can be read off."
    reference = "alvarez2016fixed"
    order = 40
    marginals: int = Field(3, ge=2, le=5, description="Number of Gaussians")
    d: int = Field(2, ge=1, le=64, description="Dimension")
    radius: float = Field(4.0, ge=0, le=100, description="Distance of the means from the origin, in data units")

    def problem(self, n: int, seed: int) -> Problem:
        laws = np.random.default_rng(0)  # the laws are the same for all seeds
        K, d = self.marginals, self.d
        angles = 2 * np.pi * np.arange(K) / K + np.pi / 2
        means = np.zeros((K, d))
        means[:, 0] = self.radius * (np.cos(angles) if d > 1 else np.linspace(-1, 1, K))
        if d > 1:
            means[:, 1] = self.radius * np.sin(angles)
        roots = []
        for _ in range(K):
            Q = np.linalg.qr(laws.normal(size=(d, d)))[0]
            roots.append((Q * np.exp(laws.uniform(np.log(0.5), np.log(2.0), d))) @ Q.T)
        covs = np.stack([R @ R for R in roots])
        rng = data_rng(seed)
        laws_of = [partial(_gaussian, mean=torch.from_numpy(m).float(), root=torch.from_numpy(R).float()) for m, R in zip(means, roots)]
        truth = {"marginal_means": means, "marginal_covs": covs}
        return Problem(tuple(measure_of(law, n, rng) for law in laws_of), kind_of(d), self.name, truth=truth)


class Twist:
    """u(x): each point turned about the origin by `turn` times its distance; one to one."""

    def __init__(self, turn: float) -> None:
        self.turn = turn

    def __call__(self, x: Tensor) -> Tensor:
        return self.rotated(x, self.turn)

    def inverse(self, y: Tensor) -> Tensor:
        """x with u(x) = y."""
        return self.rotated(y, -self.turn)

    @staticmethod
    def rotated(x: Tensor, turn: float) -> Tensor:
        """Points turned by `turn` times their distance from the origin."""
        angle = turn * (x.square().sum(-1) + 1e-12).sqrt()
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], -1)


def _twisted(n: int, rng: torch.Generator, *, mean: Tensor, sd: float, twist: Twist) -> Draw:
    return Draw(twist.inverse(mean + sd * torch.randn(n, 2, generator=rng)), {})


@DATASETS.register("twister")
class Twister(Dataset):
    """Three round Gaussians, bent by the inverse of a twist u; the cost is |u(x) - u(y)|².

    In u the laws are translates of one, so that their barycenter for any weights is that law at the mean of the centres:
    `truth["twist_centres"]` (3, 2), `truth["twist_sd"]`, `truth["twist"]`.
    """

    title: ClassVar[str] = "Twister: three bananas"
    group: ClassVar[str] = "Barycenters"
    kind = "plane"
    summary = (
        "Three bent clouds under a cost that is itself bent: what is straight for it looks like a spiral. The barycenter is known exactly."
    )
    reference = "kolesov2024estimating"
    order = 41
    turn: float = Field(0.35, ge=0, le=2, description="Angle by which the twist turns a point at distance 1, in radians")
    radius: float = Field(4.0, gt=0, le=20, description="Distance of the three centres from the origin before the twist, in data units")
    sd: float = Field(0.8, gt=0.01, le=5, description="Standard deviation of each before the twist, in data units")

    def problem(self, n: int, seed: int) -> Problem:
        rng, twist = data_rng(seed), Twist(self.turn)
        angles = torch.tensor([0.5, 7 / 6, 11 / 6]) * torch.pi
        centres = self.radius * torch.stack([angles.cos(), angles.sin()], 1) + torch.tensor([1.0, 1.0])
        laws = [partial(_twisted, mean=c, sd=self.sd, twist=twist) for c in centres]
        truth: dict[str, Any] = {"twist_centres": centres.numpy(), "twist_sd": self.sd, "twist": twist}
        marginals = tuple(measure_of(law, n, rng) for law in laws)
        return Problem(marginals, "plane", self.name, cost=Feature(features=twist), truth=truth)
