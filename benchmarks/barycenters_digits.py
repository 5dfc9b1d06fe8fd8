"""Shapes and colours on a learned manifold, at the settings of the gallery's recipe: what is accepted, and what becomes of both.

    python benchmarks/barycenters_digits.py [--seeds 3]

On all images and colours, of which training saw four in five; acceptance is w / max w over 1000 draws by weight. Seconds are CPU seconds.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

import uotlab
from uotlab.recipes.base import RECIPES

Row = tuple[str, str, str, str]
RECIPE = "gazdieva-4"
DRAWN, NEAR = 1000, 0.3  #: draws of a marginal; the distance in [0, 1]³ within which a colour is red or green


def spread(values: Sequence[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({', '.join(f'{v:{form}}' for v in values)})"


def accepted(fitted: uotlab.Fitted, k: int, outlier: str) -> tuple[float, float, float]:
    """Acceptance of what is no outlier and of outliers, and the mass of marginal k."""
    marginal = fitted.problem.marginals[k]
    draw = marginal.sample_labelled(DRAWN, torch.Generator().manual_seed(5))
    drawn = torch.as_tensor(fitted.acceptance(k, draw.points))
    every = torch.as_tensor(fitted.acceptance(k, marginal.points)) / drawn.max()  # all outliers, of which few are drawn
    out = torch.from_numpy(np.asarray(next(iter(marginal.labels.values()))).astype(str) == outlier)
    return float(every[~out].mean()), float(every[out].mean()), float(drawn.mean())


def shape_colour(seeds: int) -> Iterator[Row]:
    spec = RECIPES[RECIPE].run
    assert spec is not None
    start = time.process_time()
    problem = uotlab.load(str(spec.dataset))
    made = time.process_time() - start
    net, columns = problem.truth["generator"], {}
    for seed in range(seeds):
        start = time.process_time()
        fitted = uotlab.fit(spec.method, problem, spec.steps, seed, "cpu", **spec.params)
        seconds = time.process_time() - start
        (near, far, mass1), (pure, white, mass2) = accepted(fitted, 0, "7"), accepted(fitted, 1, "white")
        shapes, colours = problem.marginals
        with torch.no_grad():
            codes = [torch.as_tensor(fitted.barycenter_map(k, m.points)) for k, m in enumerate(problem.marginals)]
            own, new = shapes.labels["digit"] != 7, shapes.labels["generator"] == "new"
            error = (net.ink(codes[0]) - torch.from_numpy(shapes.points)).square().sum(1).numpy()
            variance = float(torch.from_numpy(shapes.points[own]).var(0).sum())
            two = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
            painted = (torch.cdist(net.colour(codes[0]), two).amin(1) < NEAR).numpy()[own]
            named = colours.labels["colour"] != "white"
            kept = (net.colour(codes[1]) - torch.from_numpy(colours.points) / problem.space.costs[1].h.unit).norm(dim=1).numpy()[
                named
            ] < NEAR
            lively = float(net.ink(codes[1][torch.from_numpy(named)]).var(0).sum()) / float(
                net.ink(codes[0][torch.from_numpy(own)]).var(0).sum()
            )
        found = {
            "near": near, "far": far, "pure": pure, "white": white, "mass1": mass1, "mass2": mass2, "painted": painted.mean(),
            "kept": kept.mean(), "error": error[own].mean() / variance, "new": error[own & new].mean() / variance, "lively": lively,
            "seconds": seconds,
        }  # fmt: skip
        for name, value in found.items():
            columns.setdefault(name, []).append(float(value))
    c = columns
    yield "shape-colour, generator", problem.notes[0], f"{made:.0f} s", "a quality check"
    yield "shape-colour, τ = 2", "acceptance of 2s and 3s; of 7s", f"{spread(c['near'])}; {spread(c['far'])}", "paper, τ = 10: .63; .19"
    yield "shape-colour, τ = 2", "acceptance of red and green; of white", f"{spread(c['pure'])}; {spread(c['white'], '.3f')}", "well under"
    yield "shape-colour, τ = 2", "masses of the two plans", f"{spread(c['mass1'])}; {spread(c['mass2'])}", "1"
    words = "2s and 3s: share painted red or green; squared error of the shape over its variance, of all and of those new to the generator"
    yield "shape-colour, τ = 2", words, f"{spread(c['painted'])}; {spread(c['error'])}; {spread(c['new'])}", ""
    words = "red and green: share that keep their colour; variance of the digits they paint over that of the others"
    yield "shape-colour, τ = 2", words, f"{spread(c['kept'])}; {spread(c['lively'])}", "1; 1"
    yield "shape-colour, τ = 2", f"CPU seconds of {spec.steps} steps", spread(c["seconds"], ".0f"), "some minutes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    torch.set_num_threads(1)
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    for row in shape_colour(parser.parse_args().seeds):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
