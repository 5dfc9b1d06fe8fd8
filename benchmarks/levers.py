"""What each lever of the adversarial methods is worth: one command, one row a lever, against the method's default.

    python benchmarks/levers.py [spiral 8gaussians gaussians-2 gaussians-16] [--method uotm] [--levers "no search" ...] [--steps 1000]
        [--seeds 1] [--workers 2]

Figures are those of `neural.py`, whose problems they are, each run in a process of its own. A lever that is not in the list:
`--levers "r1=1 r1_half=300"`, settings of the method.
"""

import argparse
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from neural import PROBLEMS, apart

PLAIN: dict[str, Any] = {"search": False, "map_steps": 1}
#: by method, what each lever changes in its defaults; "share" is the opponent's learning rate as a share of the map's
LEVERS: dict[str, dict[str, Any]] = {
    "default": {},
    "no search": {"search": False},
    "one map step": {"map_steps": 1},
    "slower opponent": {"share": 0.5},
    "neither": PLAIN,
    "ReLU": {"activation": "relu"},
    "ReLU at the rates before": {"activation": "relu", "lr": 0.001, "share": 0.5},
    "SiLU": {"activation": "silu"},
    "no average": {"ema": 0.0},
    "longer average": {"ema": 0.999},
    "betas (0, .9)": {"beta1": 0.0},
    "betas (.9, .999)": {"beta1": 0.9, "beta2": 0.999},
    "quicker decay": {"lr_half": 200},
    "larger batches": {"batch_size": 512},
    "R1": {"r1": 0.5},
    "R1 that decays": {"r1": 0.5, "r1_half": 300},
    "warm start": {"warm_start": 1000},
    "two opponent steps": {"steps of it": 2},
    "five opponent steps, the first 200": {"opponent_steps_early": 5, "early_until": 200},
    "batches of 1024, the last half": {"batch_size_late": 1024, "batch_late_from": 500},
    "optimistic": {"dynamics": "optimistic"},
    "optimistic, betas (0, .9)": {"dynamics": "optimistic", "beta1": 0.0},
    "optimistic, half the rate": {"dynamics": "optimistic", "lr": 0.001},
    "optimistic, no search": {"dynamics": "optimistic", "search": False},
    "extragradient": {"dynamics": "extragradient"},
    "extragradient, one map step": {"dynamics": "extragradient", "map_steps": 1},
    "extragradient, no search": {"dynamics": "extragradient", "search": False},
}
NAMES = {
    "uotm": {"share": "potential_share", "steps of it": "potential_steps"},
    "ubgan": {"share": "critic_share", "steps of it": "critic_steps"},
}
SHOWN = ("w2 over floor", "map error share", "objective gap %", "semi-dual gap %")


def settings_of(lever: str, method: str) -> dict[str, Any] | None:
    """The settings of a lever in the method's own words; None where it has no such lever."""
    from uotlab import METHODS

    if lever in LEVERS:
        found = {NAMES.get(method, NAMES["uotm"]).get(k, k): v for k, v in LEVERS[lever].items()}
        return found if set(found) <= set(METHODS[method].model_fields) else None
    return {k: json.loads(v) if v[:1] in "0123456789-tf." else v for k, v in (part.split("=") for part in lever.split())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", metavar="problem", help="of benchmarks/neural.py; without one, spiral")
    parser.add_argument("--method", default="uotm")
    parser.add_argument("--levers", nargs="+", default=[*LEVERS], help="names of the list above, or settings")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for problem in options.problems or ["spiral"]:
        print(
            f"\n**{problem}, {options.method}, {options.steps} steps**\n\n| lever | {' | '.join(SHOWN)} | CPU s |\n|{'---|' * 6}",
            flush=True,
        )
        with ThreadPoolExecutor(options.workers) as pool:
            for row in pool.map(partial(measured, problem, options), options.levers):
                if row:
                    print(row, flush=True)


def measured(problem: str, options: argparse.Namespace, lever: str) -> str:
    """A row of the table: the median of the seeds."""
    settings = settings_of(lever, options.method)
    if settings is None:
        return ""
    given = {**PROBLEMS[problem][2], **settings, "steps": options.steps}
    found = [apart(problem, options.method, seed, given) for seed in range(options.seeds)]
    read = {key: [v[key] for v in found if key in v] for key in (*SHOWN, "cpu")}
    cells = [f"{statistics.median(values):.3g}" if values else "–" for values in read.values()]
    return f"| {lever} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
