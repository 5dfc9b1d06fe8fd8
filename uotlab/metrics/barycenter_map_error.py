"""How far learned maps are from the exact ones, where a balanced barycenter is known: Gaussians, and twisted ones."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uotlab.data.barycenters import gaussian_barycenter, gaussian_map
from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("barycenter-map-error")
class BarycenterMapError(Metric):
    """100 E|T_k(x) - T*_k(x)|² / trace Cov of the barycenter, the unexplained variance, of each marginal; balanced problems only."""

    begins = ("map error of marginal",)
    title, unit, of, live, order = "Map error", "% of variance", "barycenter", True, 5
    summary = "Squared error of each map to the barycenter, as a share of the barycenter's variance, where the exact map is known."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.barycenter is None or not e.barycenter.balanced:
            return {}
        for known, maps in (("marginal_means", _gaussian_maps), ("twist_centres", _twisted_maps)):
            if known in e.truth:
                lam = e.barycenter.weights.double().numpy()
                found, variance = maps(e.truth, lam / lam.sum())
                pairs = zip(found, e.barycenter.x, e.barycenter.images, strict=True)
                errors = [float((T.double() - exact(x.double())).square().sum(1).mean()) for exact, x, T in pairs]
                return {f"map error of marginal {k}": 100 * error / variance for k, error in enumerate(errors, 1)}
        return {}


def _gaussian_maps(truth: Mapping[str, Any], lam: np.ndarray) -> tuple[Sequence[Callable[[Tensor], Tensor]], float]:
    means, covs = truth["marginal_means"], truth["marginal_covs"]
    mean, cov = gaussian_barycenter(means, covs, lam)
    linear = [tuple(map(torch.from_numpy, gaussian_map(m, C, mean, cov))) for m, C in zip(means, covs, strict=True)]
    return [partial(_linear, A=A, b=b) for A, b in linear], float(np.trace(cov))


def _linear(x: Tensor, *, A: Tensor, b: Tensor) -> Tensor:
    return x @ A.T + b


def _twisted_maps(truth: Mapping[str, Any], lam: np.ndarray) -> tuple[Sequence[Callable[[Tensor], Tensor]], float]:
    twist, centres = truth["twist"], truth["twist_centres"].astype(np.float64)
    shifts = torch.from_numpy(lam @ centres - centres)
    maps = [partial(_shifted, twist=twist, shift=shift) for shift in shifts]
    draw = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    there = twist.inverse(torch.from_numpy(lam @ centres) + truth["twist_sd"] * draw)
    return maps, float(there.var(0).sum())


def _shifted(x: Tensor, *, twist: Any, shift: Tensor) -> Tensor:
    return twist.inverse(twist(x) + shift)  # type: ignore[no-any-return]
