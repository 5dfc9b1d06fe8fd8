"""Steps per second of UOTM and UOT-FM against the plain loop of the same maths, in turns in one process.

    python benchmarks/steps.py [--rounds 5] [--steps 150]

The plain loop is what a reader of the papers writes first: a DataLoader, Adam as a Python loop over tensors, a map that is
not detached in the potential step and run again for its own step; for UOT-FM the mini-batch plan is POT's unbalanced Sinkhorn at the
loosest stopping threshold whose plans reach the same certificate (1e-3). Networks, batch (256) and width (128) are the same,
and so is everything else that is trained. Figures are CPU seconds on one thread, so that a busy machine does not decide.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import uotlab
from uotlab.methods.fm import flow_matching_loss
from uotlab.methods.uotfm import rescaling_loss
from uotlab.methods.uotm import map_loss, potential_loss
from uotlab.plans.sinkhorn import certify

for backend in ("JAX", "TENSORFLOW", "CUPY"):
    os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")


def endless(points: Tensor, batch: int) -> Iterator[Tensor]:
    loader = DataLoader(TensorDataset(points), batch_size=batch, shuffle=True, drop_last=True)
    while True:
        yield from (x for (x,) in loader)


def slow_adam(net: nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(net.parameters(), lr=lr, foreach=False, fused=False)


def slow_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for p, q in zip(average.parameters(), net.parameters(), strict=True):
            p.mul_(decay).add_(q, alpha=1 - decay)


def uotm_pair(problem: uotlab.Problem) -> tuple[Callable[[], object], Callable[[], object]]:
    method = uotlab.METHODS["uotm"](batch_size=256, width=128, map_steps=1, search=False)  # the plain loop's maths
    ours = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    plain = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    xs, ys = (endless(torch.from_numpy(m.points), 256) for m in problem.marginals)
    T_optimiser, g_optimiser = slow_adam(plain.T, method.lr), slow_adam(plain.g, method.lr)
    psi, T, g, cost = method.psi(1), plain.T, plain.g, plain.cost

    def plain_step() -> None:
        x, y = next(xs), next(ys)
        g_optimiser.zero_grad()
        Tx = T(x)
        potential_loss(g(Tx), g(y), cost(x, Tx), psi, psi, plain.penalty).backward()
        g_optimiser.step()
        T_optimiser.zero_grad()
        Tx = T(x)
        loss = map_loss(g(Tx), cost(x, Tx))
        loss.backward()
        T_optimiser.step()
        slow_average(plain.T_ema, T, method.ema)
        slow_average(plain.g_ema, g, method.ema)
        loss.item()

    return lambda: method.step(ours), plain_step


def pot_threshold(problem: uotlab.Problem, method: object, state: object, tol: float) -> tuple[float, float]:
    """The loosest POT threshold whose plans reach `tol` in the median of five batches, and that median."""
    rng = torch.Generator().manual_seed(1)
    a = torch.full((256,), 1 / 256, dtype=torch.float64)
    for threshold in (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6):
        gaps = []
        for _ in range(5):
            x, y = (m.sample(256, rng) for m in problem.marginals)
            C = state.cost.matrix(x, y).double()
            _, log = pot_plan(C.numpy(), method.eps, state.penalty.rho1, threshold)
            f, g = (method.eps * torch.from_numpy(log[k]) for k in ("logu", "logv"))
            P = ((f[:, None] + g[None] - C) / method.eps).exp() / 256**2
            primal, dual, P = certify(C, a, a, P, f, g, method.eps, state.penalty)
            gaps.append((primal - dual) / max(abs(primal), float(P.sum())))
        if statistics.median(gaps) <= tol:
            return threshold, statistics.median(gaps)
    raise RuntimeError(f"POT does not reach a certificate of {tol:g} here")


def pot_plan(C: np.ndarray, eps: float, rho: float, threshold: float) -> tuple[np.ndarray, dict]:
    import ot

    a = np.full(len(C), 1 / len(C))
    return ot.unbalanced.sinkhorn_knopp_unbalanced(a, a, C, eps, rho, "kl", stopThr=threshold, numItermax=5000, log=True)


def uotfm_pair(problem: uotlab.Problem) -> tuple[Callable[[], object], Callable[[], object]]:
    method = uotlab.METHODS["uotfm"](batch_size=256, width=128, rho=1.0, debias=False)  # the plain loop's maths
    ours = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    plain = method.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    threshold, gap = pot_threshold(problem, method, plain, method.plan_tol)
    print(f"UOT-FM: eps {method.eps}, rho 1, POT stopThr {threshold:g} (median certificate {gap:.1e}), ours stops at {method.plan_tol:g}")
    xs, ys = (endless(torch.from_numpy(m.points), 256) for m in problem.marginals)
    rng = np.random.default_rng(0)
    nets = (plain.v, plain.rescaling["u"], plain.rescaling["w"])
    averages = (plain.v_ema, plain.rescaling_ema["u"], plain.rescaling_ema["w"])
    optimisers = [slow_adam(net, method.lr) for net in nets]

    def plain_step() -> None:
        x, y = next(xs), next(ys)
        C = plain.cost.matrix(x, y).double().numpy()
        P, _ = pot_plan(C, method.eps, plain.penalty.rho1, threshold)
        flat = rng.choice(P.size, size=256, p=(P / P.sum()).ravel())
        i, j = np.divmod(flat, P.shape[1])
        for optimiser in optimisers:
            optimiser.zero_grad()
        t = torch.rand(256)
        loss = flow_matching_loss(plain.v, x[i], y[j], t, torch.zeros_like(x), 0.0) / plain.v.standard.spread**2
        p1, p2 = (torch.from_numpy(256 * P.sum(k)).float() for k in (1, 0))
        loss = loss + rescaling_loss(nets[1](x), nets[2](y), p1, p2)
        loss.backward()
        nn.utils.clip_grad_norm_(plain.v.parameters(), 1.0)
        for optimiser, net, average in zip(optimisers, nets, averages, strict=True):
            optimiser.step()
            slow_average(average, net, method.ema)
        loss.item()

    return lambda: method.step(ours), plain_step


def compare(name: str, ours: Callable[[], object], plain: Callable[[], object], rounds: int, steps: int) -> None:
    ratios, rates = [], []
    for step in (ours, plain):
        for _ in range(20):
            step()
    for _ in range(rounds):
        seconds = []
        for step in (ours, plain):
            start = time.process_time()
            for _ in range(steps):
                step()
            seconds.append(time.process_time() - start)
        ratios.append(seconds[1] / seconds[0])
        rates.append(steps / seconds[0])
    print(
        f"{name}: {statistics.median(ratios):.2f} times the plain loop (min {min(ratios):.2f}, max {max(ratios):.2f}); "
        f"{statistics.median(rates):.0f} steps per CPU second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem = uotlab.load("moons-to-spiral", n=4000, seed=0)
    compare("UOTM", *uotm_pair(problem), options.rounds, options.steps)
    compare("UOT-FM", *uotfm_pair(problem), options.rounds, options.steps)


if __name__ == "__main__":
    main()
