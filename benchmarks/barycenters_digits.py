"""Digits of three hands, and shapes and colours on a learned manifold, at the gallery's settings: what is accepted, what becomes of all.

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
VOTES = 7  #: nearest images that say which digit one is
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


def hands(seeds: int) -> Iterator[Row]:
    """Three collections: acceptance of digits and of negatives, and the share of images whose neighbours are still their digit."""
    spec = RECIPES["bary-hands"].run
    assert spec is not None
    problem = uotlab.load(str(spec.dataset))
    every = np.concatenate([m.points for m in problem.marginals])
    names = np.concatenate([m.labels["digit"] for m in problem.marginals])
    columns: dict[str, list[float]] = {}
    for seed in range(seeds):
        start = time.process_time()
        fitted = uotlab.fit(spec.method, problem, spec.steps, seed, "cpu", **spec.params)
        found = {"seconds": time.process_time() - start}
        near, far, _ = accepted(fitted, 0, "negative")
        found |= {"near": near, "far": far}
        masses = [v for k, v in fitted.evaluate(reference=False).items() if k.startswith("mass of marginal")]
        found |= {"low": min(masses), "high": max(masses)}
        for k, m in enumerate(problem.marginals):
            own = m.labels["digit"] != "negative"
            there = torch.as_tensor(fitted.barycenter_map(k, m.points[own]))
            next_to = names[torch.cdist(there, torch.from_numpy(every)).topk(VOTES, largest=False).indices.numpy()]
            found[f"kept {k}"] = float(((next_to == m.labels["digit"][own][:, None]).sum(1) > VOTES / 2).mean())
        for name, value in found.items():
            columns.setdefault(name, []).append(value)
    c = columns
    yield "digit-hands, K = 3, τ = 8", "acceptance of digits; of negatives", f"{spread(c['near'])}; {spread(c['far'], '.3f')}", "well under"
    yield "digit-hands, K = 3, τ = 8", "masses of the three plans", f"{min(c['low']):.2f} to {max(c['high']):.2f}", "1"
    kept = "; ".join(spread(c[f"kept {k}"]) for k in range(len(problem.marginals)))
    yield "digit-hands, K = 3, τ = 8", "share of images that stay their digit, of MNIST, maps, 8 x 8", kept, ""
    yield "digit-hands, K = 3, τ = 8", f"CPU seconds of {spec.steps} steps", spread(c["seconds"], ".0f"), ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    torch.set_num_threads(1)
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    seeds = parser.parse_args().seeds
    for part in (hands, shape_colour):
        for row in part(seeds):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
