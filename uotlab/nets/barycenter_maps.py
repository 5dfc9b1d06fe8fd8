"""Maps from each marginal to where their barycenter lies: within one space, or from spaces of their own into another."""

import torch
from torch import nn

from uotlab.nets.mlp import STANDARD_SAMPLE, Standard
from uotlab.nets.transport_map import MapBetween, TransportMap
from uotlab.problem import Problem

NOISE_BETWEEN = 8  #: dimensions of z between spaces unless said otherwise: one colour has many images


def noise_of(problem: Problem, wanted: int | None) -> int:
    """Dimensions of the noise z: what is wanted, else none within one space and 8 between spaces."""
    return wanted if wanted is not None else 0 if problem.space is None else NOISE_BETWEEN


def barycenter_maps(
    problem: Problem, width: int, depth: int, rng: torch.Generator, noise: int, activation: str
) -> tuple[Standard, nn.ModuleList]:
    """The scale of what potentials see of the barycenter's space, and a fresh map T_k into it from each marginal."""
    space, form = problem.space, (width, depth, rng, noise, activation)
    if space is None:
        standard = Standard.of_problem(problem)
        return standard, nn.ModuleList(TransportMap(standard, problem.d, *form) for _ in problem.marginals)
    y = space.draw(STANDARD_SAMPLE, torch.Generator().manual_seed(0))
    standard, seen = Standard.of(y), Standard.of(y if space.features is None else space.features(y))
    own = [Standard.of(m.sample(min(m.n, STANDARD_SAMPLE), torch.Generator().manual_seed(0))) for m in problem.marginals]
    return seen, nn.ModuleList(MapBetween(s, standard, *form, space.inside) for s in own)
