"""What the methods reach, against exact answers and known ratios: one command, one table.

    python benchmarks/quality.py [p-to-q outliers squares mnist] [--seeds 3] [--device cpu]

Every figure is on fresh draws (or the held-out fifth, for images). "wanted" is the figure to reach; "exact" the optimum.
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

import uotlab

Row = tuple[str, str, str, str]


def trained(
    method: str, dataset: str, seed: int, device: str, steps: int | None = None, n: int | None = None, data: dict | None = None, **params
):
    """(Fitted, seconds of training) on a seeded problem."""
    problem = uotlab.load(dataset, n=n, seed=seed, **(data or {}))
    start = time.perf_counter()
    fitted = uotlab.fit(method, problem, steps=steps, seed=seed, device=device, **params)
    return fitted, time.perf_counter() - start


def p_to_q(seeds: int, device: str) -> Iterator[Row]:
    """k-NN KL(T#mu | nu) on p to q with cost tau |x-y|² against the exact unbalanced optimum, and order inversions."""
    exact = {("uotm", 0.1): 0.053, ("uotm", 0.05): 0.024, ("uotm", 0.02): 0.006, ("fixedmu", 0.1): 0.0275, ("fixedmu", 0.02): 0.0019}
    cases = [(m, {"tau": t}) for m, t in exact] + [("otm", {}), ("otm", {"r1_half": 300})]
    for method, params in cases:
        kls, inversions, seconds = [], [], []
        for seed in range(seeds):
            fitted, took = trained(method, "p-to-q", seed, device, steps=3000, n=4000, **params)
            values = fitted.evaluate(n=4000)
            kls.append(values["kl"])
            inversions.append(values["inversions"])
            seconds.append(took)
        tau = params.get("tau")
        target = exact.get((method, tau))
        wanted = f"exact {target:g} ± .03" if target is not None else "reported (exact 0)"
        shown = f"median {statistics.median(kls):.3f} ({', '.join(f'{k:.3f}' for k in kls)}), inversions at most {max(inversions):.1%}"
        yield (
            f"p-to-q {method} " + ", ".join(f"{k} = {v:g}" for k, v in params.items()),
            "KL(T#μ|ν), 3000 steps",
            f"{shown}, {max(seconds):.0f} s",
            wanted,
        )


def outliers(seeds: int, device: str) -> Iterator[Row]:
    """Share of mass nearer the outlier at -8: xi-weighted and plain."""
    for method, params, wanted in (("uotm", {"rho": 0.3}, "weighted at most .3%"), ("otm", {}, "at least .7% (exact 1.00%)")):
        weighted, plain, seconds = [], [], []
        for seed in range(seeds):
            fitted, took = trained(method, "outliers-1d", seed, device, **params)
            values = fitted.evaluate(n=100_000)
            weighted.append(values["outlier share"])
            plain.append(values["outlier share plain"])
            seconds.append(took)
        shown = f"weighted {', '.join(f'{v:.2%}' for v in weighted)}; plain {', '.join(f'{v:.2%}' for v in plain)}; {max(seconds):.0f} s"
        yield f"outliers-1d {method}", "share nearer the outlier", shown, wanted


def squares(seeds: int, device: str) -> Iterator[Row]:
    """Share of source points that stay on their side of the two squares."""
    for method, params, wanted in (("uotfm", {"tau": 0.9}, "at least 95%"), ("otfm", {}, "at most 85%")):
        kept, seconds = [], []
        for seed in range(seeds):
            fitted, took = trained(method, "two-squares", seed, device, steps=1500, **params)
            kept.append(fitted.evaluate(n=4000)["label kept plain"])
            seconds.append(took)
        shown = f"{', '.join(f'{k:.1%}' for k in kept)}; {max(seconds):.0f} s"
        yield f"two-squares {method}" + (" Sinkhorn τ = .9" if params else ""), "stay on their side", shown, wanted


def mnist(seeds: int, device: str) -> Iterator[Row]:
    """Class means of the scaling on MNIST to imbalanced MNIST, against the true ratios of shares."""
    for scheme, rho1 in (("linear", 0.1), ("three-level", 0.3)):
        for method, params in (("uotm", {"rho": 0.3}), ("uotfm", {"rho1": rho1, "rho2": math.inf, "eps": 0.02})):
            correlations: dict[str, list[float]] = {"Spearman": [], "Pearson of logs": []}
            levels, seconds = [], []
            for seed in range(seeds):
                fitted, took = trained(method, "mnist-imbalance", seed, device, steps=1500, data={"scheme": scheme}, **params)
                values = fitted.evaluate(n=2000)
                correlations["Spearman"].append(values["class scaling spearman"])
                correlations["Pearson of logs"].append(values["class scaling pearson"])
                levels.append(three_levels(fitted))
                seconds.append(took)
            shown = "; ".join(f"{name} {', '.join(f'{v:.3f}' for v in values)}" for name, values in correlations.items())
            shown += f"; {max(seconds):.0f} s"
            wanted = "both at least .9 within 180 s"
            if scheme == "three-level":
                low, high = min(least for least, _ in levels), max(most for _, most in levels)
                shown += f"; class means of 0-3 at least {low:.2f}, of 6-9 at most {high:.2f}"
                wanted = "0-3 above 1, 6-9 below 1"
            yield (
                f"MNIST {scheme} {method} {', '.join(f'{k} = {v:g}' for k, v in params.items())}",
                "class scaling against truth",
                shown,
                wanted,
            )


def three_levels(fitted: uotlab.Fitted) -> tuple[float, float]:
    """(least class mean of the scaling among digits 0-3, largest among 6-9)."""
    source = fitted.problem.source
    xi, labels = fitted.scaling(source.points), np.asarray(next(iter(source.labels.values()))).astype(str)
    means = {k: float(xi[labels == k].mean()) for k in np.unique(labels)}
    return min(means[k] for k in "0123"), max(means[k] for k in "6789")


PARTS = {"p-to-q": p_to_q, "outliers": outliers, "squares": squares, "mnist": mnist}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"uotlab {uotlab.__version__}, torch {torch.__version__}, {options.seeds} seeds\n")
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    for part in options.parts or PARTS:
        for row in PARTS[part](options.seeds, options.device):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
