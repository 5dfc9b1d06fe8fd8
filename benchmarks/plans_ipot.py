"""IPOT against POT's network simplex, side by side in one process on the same arrays.

    taskset -c 0 .venv/bin/python benchmarks/plans_ipot.py [--sizes 256 1024 4096] [--rounds 3] [--tol 1e-4]

Data: two clouds of n points, uniform in 16 dimensions, squared Euclidean cost over its mean, made once in float64 and given to all; fresh
seeds each round. Every figure is CPU seconds on one thread, from the cost matrix to a plan with exact marginals.

* ot.emd: POT's network simplex, float64, with its duals, as everyone calls it.
* scipy: linear_sum_assignment, for equal weights; it gives no duals.
* exact: `uotlab.exact`, one of those two and potentials that prove the answer.
* IPOT: `uotlab.ipot` at its defaults (beta = .1, one inner step, float32 steps). It stops where a user's would: on its certificate, the
  cost of its plan (brought to the marginals as the best plan on the pairs that carry mass) minus its dual bound, at most `--tol`.
* IPOT, as printed: the same steps without that finish; the plan is rounded to the nearest one with the marginals, and it stops on the
  same certificate, or gives up after `--most` iterations. "Oracle" is the moment at which its rounded cost came within `--tol` of the
  exact value, where only one who knows the value could stop (looked at every 5 iterations; looking is not counted).

Errors are relative to ot.emd's value; "pairs" are entries above 1e-9 of the largest, over n.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
import torch
from torch import Tensor

from uotlab.plans.certificate import round_plan
from uotlab.plans.emd import optimal
from uotlab.plans.ipot import Steps, proximal_points
from uotlab.plans.pot import pot

DIMENSION, BETA = 16, 0.1


def problem(n: int, seed: int, equal: bool) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.random((n, DIMENSION))) for _ in range(2))
    a, b = (torch.full((n,), 1 / n, dtype=torch.float64) if equal else torch.from_numpy(rng.random(n) + 0.1) for _ in range(2))
    C = torch.cdist(x, y).square()
    return C / C.mean(), a / a.sum(), b / b.sum()


def timed(work):
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def oracle(C: Tensor, a: Tensor, b: Tensor, value: float, tol: float, most: int) -> float:
    """CPU seconds of plain steps until the rounded cost is within tol; infinity where it never is."""
    steps, spent = Steps(C, a, b, BETA, torch.float32), 0.0
    while steps.t < most:
        seconds, _ = timed(lambda: steps.advance(5))
        spent += seconds
        if abs(float((round_plan(steps.plan().double(), a, b) * C).sum()) / value - 1) <= tol:
            return spent
    return float("inf")


def one_round(n: int, seed: int, equal: bool, tol: float, most: int, plain: bool) -> dict[str, tuple[float, float, float, int]]:
    """Seconds, relative error, pairs over n and iterations of each."""
    from scipy.optimize import linear_sum_assignment

    C, a, b = problem(n, seed, equal)
    seconds, P = timed(lambda: pot().emd(a.numpy(), b.numpy(), C.numpy(), numItermax=10**8))
    value = float((P * C.numpy()).sum())

    def row(seconds: float, P: np.ndarray | Tensor, iterations: int = 0) -> tuple[float, float, float, int]:
        held = torch.as_tensor(P)
        return seconds, float((held * C).sum()) / value - 1, int((held > 1e-9 * float(held.max())).sum()) / n, iterations

    rows = {"ot.emd": row(seconds, P)}
    if equal:
        seconds, (i, j) = timed(lambda: linear_sum_assignment(C.numpy()))
        P = np.zeros((n, n))
        P[i, j] = 1 / n
        rows["scipy"] = row(seconds, P)
    seconds, (P, _, _) = timed(lambda: optimal(C, a, b))
    rows["exact"] = row(seconds, P)
    seconds, found = timed(lambda: proximal_points(C, a, b, BETA, tol))
    rows["IPOT"] = row(seconds, found.P, found.n_iter)
    if plain:
        seconds, found = timed(lambda: proximal_points(C, a, b, BETA, tol, finish=False, max_iter=most))
        rows["IPOT, as printed"] = row(seconds if found.certificate <= tol else float("inf"), found.P, found.n_iter)
        rows["IPOT, as printed, oracle"] = (oracle(C, a, b, value, tol, most), tol, float("nan"), 0)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--most", type=int, default=1000, help="iterations after which the printed algorithm gives up")
    parser.add_argument("--plain-up-to", type=int, default=1024, help="largest n at which the printed algorithm is run too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    one_round(64, 0, True, options.tol, 50, True)  # what is imported and compiled at the first call
    one_round(64, 0, False, options.tol, 50, False)
    print(f"CPU seconds, median of {options.rounds}; d = {DIMENSION}; times ot.emd in brackets; tol {options.tol:g}")
    for equal in (True, False):
        for n in options.sizes:
            rounds = [one_round(n, 100 * n + k, equal, options.tol, options.most, n <= options.plain_up_to) for k in range(options.rounds)]
            print(f"\nn = {n}, {'equal' if equal else 'unequal'} weights")
            for name in rounds[0]:
                columns = list(zip(*(r[name] for r in rounds)))
                ratios = [r["ot.emd"][0] / r[name][0] for r in rounds]
                seconds, error, pairs, steps = (statistics.median(c) for c in columns)
                print(
                    f"  {name:<25} {seconds:9.4f} s  [{statistics.median(ratios):5.2f}; {min(ratios):.2f} to {max(ratios):.2f}]  "
                    f"error {error:9.1e}  pairs {pairs:6.2f} n  iterations {steps:.0f}"
                )


if __name__ == "__main__":
    main()
