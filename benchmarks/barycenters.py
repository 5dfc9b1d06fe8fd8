"""Robust barycenters: Table 1 of the paper, its toys, and steps per second against the plain loop of the same maths.

    make bench-barycenters        or: python benchmarks/barycenters.py [table classes outliers steps] [--seeds 3]

Table: L2 = E|T_1(x) - T*_1(x)|² where the discrete barycenter takes x, and W2²/2 between both barycenters, on fresh points. "consistent"
is against the discrete barycenter at rho_2 / lam_1, "published" at rho_2, as the paper's own reference has it. The baselines are trained
at the consistent rho_2. Seconds are CPU seconds of training on one thread.
"""

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

import uotlab
from uotlab.metrics.barycenter_reference import half_w2
from uotlab.resampling import acceptance_rate

Row = tuple[str, str, str, str]
POINTS, COMPARED = 3000, 2000  #: points a side of the reference, and of those the ones whose W2 is computed
TAU = 5.0
WANTED = {"spiral-to-8gaussians": (0.25, 0.12), "moons-to-spiral": (0.52, 0.81)}
BASELINES = {"UOTM's map, half way": "uotm", "OTM of unbalanced mini-batches, half way": "otmuot"}


def spread(values: Sequence[float], form: str = ".3f") -> str:
    return f"{statistics.median(values):{form}} ({', '.join(f'{v:{form}}' for v in values)})"


def discrete(problem: uotlab.Problem, penalty: float) -> tuple[Tensor, Tensor]:
    """x (n, 2) and where the discrete barycenter of equal weights puts it: half way to its most likely partner, as in the authors' code."""
    rng = torch.Generator().manual_seed(7)
    x, y = (m.fresh(POINTS, rng).points.double() for m in problem.marginals)
    plan = uotlab.sinkhorn(x, y, eps=0.1, rho1=math.inf, rho2=2 * penalty, scale_cost=False, tol=1e-4)
    return x, (x + y[plan.P.argmax(1)]) / 2


def scores(Tx: Tensor, best: Tensor) -> tuple[float, float]:
    """(L2, W2²/2)."""
    ones = torch.ones(COMPARED, dtype=torch.float64)
    return float((Tx - best).square().sum(1).mean()), half_w2(Tx[:COMPARED], best[:COMPARED], ones, ones)


def table(seeds: int) -> Iterator[Row]:
    for name, wanted in WANTED.items():
        problem = uotlab.load(name, n=20_000)
        references = {"consistent": discrete(problem, TAU / 0.5), "published": discrete(problem, TAU)}
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        seconds: dict[str, list[float]] = {}
        for seed in range(seeds):
            for who in ("U-NOTB", *BASELINES):
                start = time.process_time()
                if who == "U-NOTB":
                    fitted = uotlab.fit("unotb", problem, seed=seed, divergence1="balanced", tau2=TAU)
                    scale = fitted.state.cost.scale
                else:
                    rho2 = 2 * TAU / 0.5 / scale
                    fitted = uotlab.fit(BASELINES[who], problem, seed=seed, divergence1="balanced", rho2=rho2)
                seconds.setdefault(who, []).append(time.process_time() - start)
                for kind, (x, best) in references.items():
                    Tx = fitted.transport(x)
                    found.setdefault((who, kind), []).append(scores(Tx if who == "U-NOTB" else (x + Tx) / 2, best))
        for (who, kind), pairs in found.items():
            L2, W = zip(*pairs, strict=True)
            goal = f"at most {wanted[0]} and {wanted[1]}" if who == "U-NOTB" else "behind U-NOTB"
            yield f"{name}, {who}, {kind}", "L2; W2²/2", f"{spread(L2)}; {spread(W)}; {max(seconds[who]):.0f} s", goal


def nearest_pairs(points: Tensor) -> tuple[float, float, float]:
    """Shares of barycenter mass above, in the middle and below: the modes lie at (0, 4), (0, 0) and (0, -4)."""
    modes = torch.tensor([[0.0, 4.0], [0.0, 0.0], [0.0, -4.0]])
    share = torch.bincount(torch.cdist(points, modes).argmin(1), minlength=3).double() / len(points)
    return float(share[0]), float(share[1]), float(share[2])


def classes(seeds: int) -> Iterator[Row]:
    """Shares of the barycenter's mass by mode; only the middle one joins classes that do not belong together."""
    problem = uotlab.load("class-imbalance", n=20_000)
    found: dict[str, list[tuple[float, float, float]]] = {}
    masses: list[float] = []
    for seed in range(seeds):
        for who, method, params in (("τ = 1", "unotb", {"tau": 1.0}), ("τ = 200", "unotb", {"tau": 200.0}), ("NOTB", "notb", {})):
            fitted = uotlab.fit(method, problem, seed=seed, **params)
            found.setdefault(who, []).append(nearest_pairs(torch.from_numpy(fitted.sample_barycenter(20_000))))
            if who == "τ = 1":
                masses += [v for k, v in fitted.evaluate(reference=False).items() if k.startswith("mass of marginal")]
    kept = [1 - middle for _, middle, _ in found["τ = 1"]]
    yield "class-imbalance, τ = 1", "mass between nearest modes", spread(kept, ".1%"), "at least 95%"
    yield "class-imbalance, τ = 1", "E ψ*', all marginals", f"{min(masses):.3f} to {max(masses):.3f}", "1"
    apart = [max(abs(p - q) for p, q in zip(one, two, strict=True)) for one, two in zip(found["τ = 200"], found["NOTB"], strict=True)]
    yield "class-imbalance, τ = 200", "largest difference of a mode's share to NOTB", spread(apart, ".1%"), "at most 5%"


def outliers(seeds: int) -> Iterator[Row]:
    """Acceptance w / max w of outliers and of the rest, over a batch of 4000 fresh points and over one of 256, as in the paper."""
    problem = uotlab.load("outlier-mixture", n=20_000, marginals=3)
    far, near, small, capped = [], [], [], []
    for seed in range(seeds):
        fitted = uotlab.fit("unotb", problem, seed=seed, tau=1.0)
        for k in range(2):
            draw = problem.marginals[k].fresh(4000, torch.Generator().manual_seed(11))
            w = torch.as_tensor(fitted.acceptance(k, draw.points))
            out = torch.from_numpy(draw.labels["kind"] == "outlier")
            chance = w / w.max()
            far.append(float(chance[out].mean()))
            near.append(float(chance[~out].mean()))
            bulk = w[~out]
            small.append(statistics.mean(acceptance_rate(part) for part in bulk.split(256)[:-1]))
            capped.append(float(bulk.clamp(max=1).mean()))
    yield "outliers, τ = 1", "acceptance of outliers, marginals 1 and 2", spread(far, ".1%"), "under 5%"
    yield "outliers, τ = 1", "acceptance of the rest, of 4000", spread(near, ".1%"), "over 60%"
    yield "outliers, τ = 1", "the same, of batches of 256", spread(small, ".1%"), "over 60%"
    yield "outliers, τ = 1", "the same, by u < w as printed", spread(capped, ".1%"), "over 60%"


# ---- steps per second ----------------------------------------------------------------------------
def plain_net(d_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, d_out))


def plain_loop(problem: uotlab.Problem, batch: int, map_steps: int, tau: float, *, shortcut: bool) -> Callable[[], object]:
    """What a reader of the paper writes first: OneCycle Adam, a graph through the maps in the potential step, losses read each step.

    A net for each g_k, as the paper has them for any weights; or one net and its negative (`shortcut`), as the authors' code has for
    two marginals of equal weight, where nothing else is asked.
    """
    K = len(problem.marginals)
    maps, g = [plain_net(2) for _ in range(K)], [plain_net(1) for _ in range(1 if shortcut else K)]
    data = [torch.from_numpy(m.points) for m in problem.marginals]

    def optimiser(nets: list[nn.Sequential]) -> tuple[torch.optim.Adam, torch.optim.lr_scheduler.OneCycleLR]:
        adam = torch.optim.Adam([p for net in nets for p in net.parameters()], lr=1e-3)
        return adam, torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=1e-3, total_steps=1_000_000)

    T_adam, T_cycle = optimiser(maps)
    f_adam, f_cycle = optimiser(g)
    losses: list[float] = []

    def gaps(points: list[Tensor]) -> list[Tensor]:
        images = [T(p) for T, p in zip(maps, points, strict=True)]
        cost = [(p - q).square().sum(1) / 2 for p, q in zip(points, images, strict=True)]
        if shortcut:
            return [sign * g[0](q)[:, 0] - c for sign, q, c in zip((1, -1), images, cost, strict=True)]
        found = []
        for k, (q, c) in enumerate(zip(images, cost, strict=True)):
            values = [net(q)[:, 0] for net in g]
            found.append(values[k] - sum(values[n] for n in range(K) if n != k) / (K - 1) - c)
        return found

    def step() -> None:
        for _ in range(map_steps):
            points = [z[torch.randint(len(z), (batch,))] for z in data]
            loss = -sum(gap.mean() / K for gap in gaps(points))
            T_adam.zero_grad()
            loss.backward()
            T_adam.step()
            T_cycle.step()
            losses.append(loss.item())
        loss = sum((tau * (torch.exp((gap / tau).clamp(max=4)) - 1)).mean() / K for gap in gaps(points))
        f_adam.zero_grad()
        loss.backward()
        f_adam.step()
        f_cycle.step()
        losses.append(loss.item())

    return step


def steps(seeds: int, *, rounds: int = 5, count: int = 20) -> Iterator[Row]:
    """CPU seconds in turns in one process, at the batch of the authors' code and at our default."""
    two, three = uotlab.load("spiral-to-8gaussians", n=20_000), uotlab.load("outlier-mixture", n=20_000, marginals=3)
    for words, problem, batch, shortcut in (
        ("K = 2", two, 1024, False), ("K = 2", two, 512, False), ("K = 2, one potential and its negative", two, 1024, True),
        ("K = 2, one potential and its negative", two, 512, True), ("K = 3", three, 512, False),
    ):  # fmt: skip
        method = uotlab.METHODS["unotb"](tau=TAU, batch_size=batch)
        state = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
        plain = plain_loop(problem, batch, method.map_steps, TAU, shortcut=shortcut)
        pair = {"ours": lambda m=method, s=state: m.step(s), "plain": plain}
        speed: dict[str, list[float]] = {name: [] for name in pair}
        for turn in range(rounds + 1):
            for name, step in pair.items():
                start = time.process_time()
                for _ in range(count):
                    step()
                if turn:  # the first warms up
                    speed[name].append(count / (time.process_time() - start))
        ratios = [a / b for a, b in zip(speed["ours"], speed["plain"], strict=True)]
        shown = f"{statistics.median(speed['ours']):.1f}/s and {statistics.median(speed['plain']):.1f}/s: {spread(ratios, '.2f')} times"
        yield f"steps, {words}, batch {batch}, {method.map_steps} map steps", "ours and the plain loop", shown, "at least 1.5 times"


PARTS: dict[str, Callable[..., Iterator[Row]]] = {"table": table, "classes": classes, "outliers": outliers, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none is all")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    for part in given.parts or PARTS:
        for row in PARTS[part](given.seeds):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
