"""Robust barycenters at U-NOTB's defaults: Table 1 of the paper with its baselines, its two toys, and barycenters known exactly.

    make bench-barycenters        or: python benchmarks/barycenters.py [table ...] [--seeds 3] [--results FILE] [--runs N]

table: L2 = E|T_1(x) - T*_1(x)|² where the discrete barycenter takes x, and W2²/2 between both barycenters, on fresh points. "consistent"
is against the discrete barycenter at rho_2 / lam_1, "published" at rho_2, as the paper's own reference has it; the baselines, half way
between x and its image, are trained at the consistent rho_2. classes: shares of mass by mode. outliers: who is accepted. E ψ*' is over
the marginal as it is given, all of its points. known: errors of the maps of NOTB. Seconds are CPU seconds of training on one thread.

With `--results FILE` finished runs are kept there, one JSON line each, and not run again while the method's defaults are the same;
`--runs N` makes at most N new ones: a table of an hour fills little by little.
"""

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import uotlab
from uotlab.engine import references
from uotlab.metrics.barycenter_optimum import EPS, SWEEPS, TOL
from uotlab.metrics.barycenter_reference import half_w2
from uotlab.resampling import acceptance_rate

Row = tuple[str, str, str, str]
Numbers = dict[str, Any]
POINTS, COMPARED = 3000, 2000  #: points a side of the reference, and of those the ones whose W2 is computed
TAU = 5.0
WANTED = {"spiral-to-8gaussians": (0.25, 0.12), "moons-to-spiral": (0.52, 0.81)}
RELU = {"activation": "relu", "lr": 1e-3, "potential_share": 0.5}  #: nearer than their defaults to maps with tears, which these are
BASELINES: dict[str, tuple[str, dict[str, Any], int | None]] = {  #: method, settings, steps; UOTM as quality.md found it best
    "UOTM's map, half way": ("uotm", {"map_steps": 3} | RELU, 3000),
    "OTM of unbalanced mini-batches, half way": ("otmuot", RELU, None),
}
KNOWN = {"twister": "three bananas, K = 3", "barycenter-gaussians": "three Gaussians, K = 3"}


@dataclass(frozen=True)
class Job:
    """One training of `method` with `params`, at its default steps unless others are given; `who` names it in the table."""

    part: str
    problem: str
    who: str
    method: str
    seed: int
    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None

    def key(self) -> list[Any]:
        """What a kept run must share with this one; the settings come last, and fields that the method has got since do not count."""
        cls = uotlab.METHODS[self.method]
        made = {**cls(**self.params).model_dump(mode="json"), "steps": self.steps or cls.default_steps}
        return json.loads(json.dumps([self.part, self.problem, self.data, self.method, self.seed, made]))  # type: ignore[no-any-return]


# ---- what is measured of one run -----------------------------------------------------------------
def discrete(problem: uotlab.Problem, penalty: float) -> tuple[Tensor, Tensor]:
    """x (n, 2) and where the discrete barycenter of equal weights puts it: half way to its most likely partner, as in the authors' code."""
    rng = torch.Generator().manual_seed(7)
    x, y = (m.fresh(POINTS, rng).points.double() for m in problem.marginals)
    plan = uotlab.sinkhorn(x, y, eps=0.1, rho1=math.inf, rho2=2 * penalty, scale_cost=False, tol=1e-4)
    return x, (x + y[plan.P.argmax(1)]) / 2


def table(fitted: Any) -> Numbers:
    """L2 and W2²/2 against both references."""
    found: Numbers = {}
    for kind, penalty in (("consistent", TAU / 0.5), ("published", TAU)):
        x, best = discrete(fitted.problem, penalty)
        Tx = fitted.transport(x)
        Tx = Tx if fitted.method.name == "unotb" else (x + Tx) / 2
        found[kind] = gaps(Tx, best)
    return found


def gaps(Tx: Tensor, best: Tensor) -> list[float]:
    """[L2, W2²/2] between images of the same points."""
    ones = torch.ones(COMPARED, dtype=torch.float64)
    return [float((Tx - best).square().sum(1).mean()), half_w2(Tx[:COMPARED], best[:COMPARED], ones, ones)]


def classes(fitted: Any) -> Numbers:
    """Shares of each marginal's barycenter above, in the middle and below, where the modes are: (0, 4), (0, 0) and (0, -4)."""
    modes = torch.tensor([[0.0, 4.0], [0.0, 0.0], [0.0, -4.0]])
    shares, masses = [], []
    for k, marginal in enumerate(fitted.problem.marginals):
        x = marginal.fresh(20_000, torch.Generator().manual_seed(11)).points
        w, Tx = torch.as_tensor(fitted.acceptance(k, x)), torch.as_tensor(fitted.barycenter_map(k, x))
        nearest = torch.cdist(Tx, modes).argmin(1)
        shares.append([float(w[nearest == mode].sum() / w.sum()) for mode in range(3)])
        masses.append(mass(fitted, k))
    return {"shares": shares, "masses": masses}


def mass(fitted: Any, k: int) -> float:
    """E psi_k*' over all points of marginal k: of another draw of 20,000 it is some percent off, where few points carry much weight."""
    return float(torch.as_tensor(fitted.acceptance(k, fitted.problem.marginals[k].points)).mean())


def outliers(fitted: Any) -> Numbers:
    """Acceptance of outliers and of the rest of marginals 1 and 2, which have them, in three readings; and the masses."""
    found: Numbers = {"far": [], "far as printed": [], "of 4000": [], "of 256": [], "as printed": [], "masses": []}
    for k in range(3):
        draw = fitted.problem.marginals[k].fresh(4000, torch.Generator().manual_seed(11))
        w = torch.as_tensor(fitted.acceptance(k, draw.points))
        found["masses"].append(mass(fitted, k))
        if k < 2:
            out = torch.from_numpy(draw.labels["kind"] == "outlier")
            found["far"].append(float(w[out].mean() / w.max()))
            found["far as printed"].append(float(w[out].clamp(max=1).mean()))
            found["of 4000"].append(float(w[~out].mean() / w.max()))
            found["of 256"].append(statistics.mean(acceptance_rate(part) for part in w[~out].split(256)[:-1]))
            found["as printed"].append(float(w[~out].clamp(max=1).mean()))
    return found


def at_the_optimum() -> Numbers:
    """The same of the discrete optimum of 400 points, which no method can improve on."""
    problem, method = uotlab.load("outlier-mixture", n=20_000, marginals=3), uotlab.METHODS["unotb"](tau=1.0)
    question: Any = references.question(method, method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu")), problem)
    plan = question.joint().solve(EPS, TOL, SWEEPS)
    found: Numbers = {"far": [], "rest": [], "as printed": []}
    for k in range(2):
        w, out = plan.factors(k), question.points[k][:, 0].abs() > 8
        found["far"].append(float(w[out].mean() / w.max()))
        found["rest"].append(float(w[~out].mean() / w.max()))
        found["as printed"].append(float(w[~out].clamp(max=1).mean()))
    return found


def known(fitted: Any) -> Numbers:
    """Map errors, % of the barycenter's variance."""
    values = fitted.evaluate(reference=False)
    return {"errors": [v for k, v in values.items() if k.startswith("map error of marginal")]}


MEASURED: dict[str, Callable[[Any], Numbers]] = {"table": table, "classes": classes, "outliers": outliers, "known": known}


# ---- runs ----------------------------------------------------------------------------------------
def jobs(part: str, seeds: int) -> Iterator[Job]:
    """All runs of a part, seed by seed."""
    for seed in range(seeds):
        if part == "table":
            for name in WANTED:
                yield Job(part, name, "U-NOTB", "unotb", seed, {"divergence1": "balanced", "tau2": TAU})
                scale = uotlab.METHODS["unotb"]().calibrated_cost(uotlab.load(name, n=20_000)).scale
                held = {"divergence1": "balanced", "rho2": 2 * TAU / 0.5 / scale}
                for who, (method, params, steps) in BASELINES.items():
                    yield Job(part, name, who, method, seed, held | params, steps=steps)
        elif part == "classes":
            for who, method, params in (("τ = 1", "unotb", {"tau": 1.0}), ("τ = 200", "unotb", {"tau": 200.0}), ("NOTB", "notb", {})):
                yield Job(part, "class-imbalance", who, method, seed, params)
        elif part == "outliers":
            yield Job(part, "outlier-mixture", "τ = 1", "unotb", seed, {"tau": 1.0}, {"marginals": 3})
        else:
            for name in KNOWN:
                yield Job(part, name, "NOTB", "notb", seed)


def measure(job: Job) -> Numbers:
    """Train, then score; a pure function of the job but for the seconds."""
    problem = uotlab.load(job.problem, n=20_000, **job.data)
    start = time.process_time()
    fitted = uotlab.fit(job.method, problem, job.steps, seed=job.seed, device="cpu", **job.params)
    took = time.process_time() - start
    return {**MEASURED[job.part](fitted), "seconds": took}


def settled(todo: Sequence[Job], path: Path | None, most: int) -> list[tuple[Job, Numbers]]:
    """Runs with their numbers: from the file, or measured now and kept there, at most so many."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path is not None and path.exists() else []
    found = []
    for job in todo:
        key = job.key()
        same = [line["numbers"] for line in lines if line["run"][:-1] == key[:-1] and line["run"][-1].items() <= key[-1].items()]
        if not same and most > 0:
            most -= 1
            same = [measure(job)]
            if path is not None:
                with path.open("a") as file:
                    file.write(json.dumps({"run": key, "numbers": same[0]}) + "\n")
        if same:
            found.append((job, same[-1]))
    return found


# ---- rows of the table ---------------------------------------------------------------------------
def spread(values: Sequence[float], form: str = ".3f") -> str:
    return f"{statistics.median(values):{form}} ({', '.join(f'{v:{form}}' for v in values)})"


def rows(part: str, done: list[tuple[Job, Numbers]]) -> Iterator[Row]:
    runs: dict[tuple[str, str], list[Numbers]] = {}
    for job, numbers in done:
        runs.setdefault((job.problem, job.who), []).append(numbers)
    took = {key: f"{max(v['seconds'] for v in found):.0f} s" for key, found in runs.items()}
    if part == "table":
        for (name, who), found in runs.items():
            for kind in ("consistent", "published"):
                L2, W = zip(*(v[kind] for v in found), strict=True)
                goal = "at most {} and {}".format(*WANTED[name]) if who == "U-NOTB" else "behind U-NOTB"
                yield f"{name}, {who}, {kind}", "L2; W2²/2; training", f"{spread(L2)}; {spread(W)}; {took[name, who]}", goal
        for name in WANTED:
            problem = uotlab.load(name, n=20_000)
            (_, best), (_, other) = (discrete(problem, penalty) for penalty in (TAU / 0.5, TAU))
            yield f"{name}, the consistent optimum itself, published", "L2; W2²/2", "; ".join(f"{v:.3f}" for v in gaps(best, other)), ""
    elif part == "classes":
        of = {who: found for (_, who), found in runs.items()}
        apart = [1 - max(share[1] for share in v["shares"]) for v in of.get("τ = 1", [])]
        if apart:
            yield "unequal classes, τ = 1", "mass between nearest modes", spread(apart, ".1%"), "at least 95%"
        for who, found in of.items():
            masses = [m for v in found for m in v["masses"]]
            yield (
                f"unequal classes, {who}",
                "E ψ*', marginals",
                f"{min(masses):.3f} to {max(masses):.3f}; {took['class-imbalance', who]}",
                "1",
            )
            shares = "; ".join(", ".join("/".join(f"{s:.3f}" for s in share) for share in v["shares"]) for v in found)
            yield f"unequal classes, {who}", "above/middle/below, marginals 1 and 2; seeds", shares, ""
        both = list(zip(of.get("τ = 200", []), of.get("NOTB", []), strict=False))
        if both:
            differ = [
                max(abs(p - q) for a, b in zip(u["shares"], v["shares"], strict=True) for p, q in zip(a, b, strict=True)) for u, v in both
            ]
            yield "unequal classes, τ = 200", "largest difference of a mode's share to NOTB", spread(differ, ".1%"), "at most 5%"
    elif part == "outliers":
        for found in runs.values():
            for name, words, goal in (
                ("far", "acceptance of outliers, w / max w", "under 5%"), ("far as printed", "the same, u < w as printed", "under 5%"),
                ("of 4000", "acceptance of the rest, w / max w of 4000", "over 60%"), ("of 256", "the same, of batches of 256", "over 60%"),
                ("as printed", "the same, u < w as printed", "over 60%"), ("masses", "E ψ*', three marginals", "1"),
            ):  # fmt: skip
                form = ".3f" if name == "masses" else ".1%"
                yield "outliers, τ = 1", words, spread([x for v in found for x in v[name]], form), goal
            yield "outliers, τ = 1", "training", took["outlier-mixture", "τ = 1"], ""
        best = at_the_optimum()
        shown = "; ".join(spread(best[name], ".1%") for name in ("far", "rest", "as printed"))
        yield "outliers, τ = 1, the discrete optimum of 400", "outliers, the rest, w / max w; the rest, u < w", shown, ""
    else:
        for (name, _), found in runs.items():
            seeds = "; ".join(", ".join(f"{x:.2f}" for x in v["errors"]) for v in found)
            yield f"{KNOWN[name]}, NOTB", "map error of each marginal, % of variance; seeds", f"{seeds}; {took[name, 'NOTB']}", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(MEASURED)}; none is all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="file that keeps finished runs")
    parser.add_argument("--runs", type=int, default=10**6, help="most new runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    for part in given.parts or MEASURED:
        todo = sorted(jobs(part, given.seeds), key=lambda job: job.who in BASELINES)  # baselines last
        for row in rows(part, settled(todo, given.results, given.runs)):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
