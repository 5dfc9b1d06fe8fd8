"""Robust barycenters: steps per second of U-NOTB against the plain loop of the same maths, in turns in one process.

make bench-barycenters        or: python benchmarks/barycenters_steps.py
"""

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import uotlab

TAU = 5.0


def plain_net(d_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, d_out))


def plain_loop(problem: uotlab.Problem, batch: int, map_steps: int, tau: float, *, shortcut: bool) -> Callable[[], object]:
    """What one writes first, the search included: OneCycle Adam, a graph through the maps in the potential step, losses read each step.

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

    def value(k: int, y: Tensor) -> Tensor:
        """f_k(y), (n,)."""
        if shortcut:
            return (1, -1)[k] * g[0](y)[:, 0]
        values = [net(y)[:, 0] for net in g]
        return values[k] - sum(values[n] for n in range(K) if n != k) / (K - 1)

    def gaps(points: list[Tensor], images: list[Tensor]) -> list[Tensor]:
        return [value(k, q) - (p - q).square().sum(1) / 2 for k, (p, q) in enumerate(zip(points, images, strict=True))]

    def step() -> None:
        points = [z[torch.randint(len(z), (batch,))] for z in data]
        images = [T(p) for T, p in zip(maps, points, strict=True)]
        y = torch.cat([q.detach() for q in images] + [sum(points) / K])
        best = [(value(k, y) - torch.cdist(p, y).square() / 2).max(1) for k, p in enumerate(points)]
        own = gaps(points, images)
        better = [(b.values > v).float().detach() for b, v in zip(best, own, strict=True)]
        taken = [torch.maximum(b.values, v) for b, v in zip(best, own, strict=True)]
        loss = sum((tau * (torch.exp((v / tau).clamp(max=4)) - 1)).mean() / K for v in taken)
        f_adam.zero_grad()
        loss.backward()
        f_adam.step()
        f_cycle.step()
        losses.append(loss.item())
        for _ in range(map_steps):
            images = [T(p) for T, p in zip(maps, points, strict=True)]
            pulls = [(won * (q - y[b.indices]).square().sum(1)).mean() for won, q, b in zip(better, images, best, strict=True)]
            loss = sum((pull - v.mean()) / K for pull, v in zip(pulls, gaps(points, images), strict=True))
            T_adam.zero_grad()
            loss.backward()
            T_adam.step()
            T_cycle.step()
            losses.append(loss.item())

    return step


def rows(rounds: int = 5, count: int = 20) -> Iterator[tuple[str, str, str, str]]:
    """CPU seconds in turns, at the batch of the authors' code and at our default."""
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
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        shown = f"{statistics.median(speed['ours']):.1f}/s and {statistics.median(speed['plain']):.1f}/s: {spread} times"
        yield f"steps, {words}, batch {batch}, {method.map_steps} map steps", "ours and the plain loop", shown, "at least 1.5 times"


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| run | figure | measured | wanted |\n|---|---|---|---|")
    for row in rows():
        print("| " + " | ".join(row) + " |", flush=True)
