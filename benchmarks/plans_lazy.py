"""Sinkhorn without a matrix against the peers that fit, and several problems at once against one by one.

    python benchmarks/plans_lazy.py                                   all of the following
    python benchmarks/plans_lazy.py time [--n 10000] [--limit 30]     seconds to an objective error of 1e-4 and marginals to 1e-3
    python benchmarks/plans_lazy.py memory [--n 10000]                anonymous memory at its peak, over that before the call
    python benchmarks/plans_lazy.py large [--n 100000]                sweeps and seconds; no peer finishes
    python benchmarks/plans_lazy.py batch                             a strip of eight rho, and mini-batches of 256

One process, one thread, CPU seconds, float32 points; errors are measured from each solver's potentials in float64, against a plan with a
certificate of 1e-7. Solvers without a tolerance that suffices within `--limit` seconds are stopped; their error is printed.
ott is compiled before it is timed; its reference measure is the counting measure, hence its shifted cost where unbalanced. POT's lazy
solver is balanced only. geomloss goes without a matrix only where pykeops is installed (not pinned: it needs g++ as it runs).
"""

import argparse
import importlib.util
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402

import uotlab  # noqa: E402
from uotlab.plans.base import weighted_kl  # noqa: E402
from uotlab.plans.pot import pot  # noqa: E402

Potentials = tuple[Any, Any]  #: f, g in units of the mean cost, for the reference measure a (x) b
PARTS = ("time", "memory", "large", "batch")
CASES = ((2, 0.01, 1.0), (2, 0.01, math.inf), (2, 0.05, math.inf), (50, 0.05, 1.0), (50, 0.05, math.inf))  # d, eps, rho


def clouds(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian and a ring in the plane; two Gaussians that differ in spread and place in higher dimension."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    if d == 2:
        angle = rng.uniform(0, 2 * math.pi, n)
        y = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.2 * rng.normal(size=(n, 2)) + 1
    else:
        y = 0.7 * rng.normal(size=(n, d)) + (np.arange(d) < 3)
    return x.astype(np.float32), y.astype(np.float32)


class Yardstick:
    """What measures a solver's potentials: their plan's objective and marginals against a far better plan's."""

    def __init__(self, x: np.ndarray, y: np.ndarray, eps: float, rho: float) -> None:
        self.eps, self.rho = eps, rho
        self.best = uotlab.sinkhorn_lazy(x, y, eps=eps, rho1=rho, rho2=rho, tol=1e-7)
        self.kernel, self.s = self.best.kernel, self.best.cost_scale

    def errors(self, f: Any, g: Any) -> tuple[float, float]:
        """(relative objective error, greater L1 error of a marginal over the mass)."""
        blocks, kernel = self.kernel.blocks, self.kernel
        f, g = (torch.as_tensor(np.array(p, dtype=np.float64))[k] for p, k in ((f, kernel.x_numbers), (g, kernel.y_numbers)))
        at = blocks.sweep(f / blocks.tau1, g, careful=True, hold=True, transport=True)
        r1, r2 = at.r1, at.log_r2.exp()
        mass, sizes = float(r1.sum()), float(blocks.a.sum() * blocks.b.sum())
        value = float(r1 @ f + r2 @ g) - self.eps * (mass - sizes)
        value += weighted_kl(self.rho, r1, blocks.a) + weighted_kl(self.rho, r2, blocks.b)
        wanted = kernel.r1[kernel.x_numbers], kernel.r2[kernel.y_numbers]
        error = max(float((r - w).abs().sum() / w.sum()) for r, w in zip((r1, r2), wanted, strict=True))
        return abs(value / (self.best.value / self.s) - 1), error


def ours(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials:
    plan = uotlab.sinkhorn_lazy(x, y, eps=eps, rho1=rho, rho2=rho, tol=tol)
    return plan.f / s, plan.g / s


def ours_dense(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials:
    plan = uotlab.sinkhorn(x, y, eps=eps, rho1=rho, rho2=rho, tol=tol)
    return plan.f / s, plan.g / s


def pot_lazy(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials | None:
    if not math.isinf(rho):
        return None
    ot, shift = pot(), math.log(len(x))
    steps = max(2, int(limit / (4e-8 * len(x) * len(y))))  # about 40 ns a pair and iteration: it has no clock of its own
    f, g, _ = ot.bregman.empirical_sinkhorn(
        x / math.sqrt(s), y / math.sqrt(s), eps, isLazy=True, batchSize=500, numIterMax=steps, stopThr=tol, log=True, warn=False
    )
    return eps * (f + shift), eps * (g + shift)


def pot_dense(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials:
    ot, a, b = pot(), np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    C = ot.dist(x.astype(np.float64), y.astype(np.float64)) / s
    steps = max(10, int(limit / (1.5e-9 * len(x) * len(y))))
    if math.isinf(rho):
        _, log = ot.bregman.sinkhorn_knopp(a, b, C, eps, numItermax=steps, stopThr=tol, log=True, warn=False)
        return eps * (np.log(log["u"]) - np.log(a)), eps * (np.log(log["v"]) - np.log(b))
    how = ot.unbalanced.sinkhorn_unbalanced_translation_invariant
    _, log = how(a, b, C, eps, rho, numItermax=steps, stopThr=tol, log=True)
    return eps * log["logu"], eps * log["logv"]


def geomloss(backend: str) -> Callable[..., Potentials | None]:
    """Annealed in steps of `scaling`, which stands for a tolerance; "online" and "multiscale" need pykeops."""

    def run(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials | None:
        import geomloss

        if (backend != "tensorized" and importlib.util.find_spec("pykeops") is None) or (backend == "multiscale" and x.shape[1] > 3):
            return None
        u, v = (torch.from_numpy(p) * math.sqrt(2 / s) for p in (x, y))
        loss = geomloss.SamplesLoss(
            "sinkhorn", p=2, blur=math.sqrt(eps), reach=None if math.isinf(rho) else math.sqrt(rho), scaling=1 - tol,
            debias=False, potentials=True, backend=backend,
        )  # fmt: skip
        if (backend, u.shape[1]) not in seen:  # the first call compiles
            seen.add((backend, u.shape[1]))
            loss(u[:100], v[:100])
            clock.restart()
        f, g = loss(u, v)
        return f.flatten().numpy(), g.flatten().numpy()

    return run


seen: set[tuple[str, int]] = set()


def ott_online(batch: int | None) -> Callable[..., Potentials]:
    compiled: dict[Any, Any] = {}

    def run(x: np.ndarray, y: np.ndarray, eps: float, rho: float, s: float, tol: float, limit: float) -> Potentials:
        import jax
        import jax.numpy as jnp
        from jax._src.interpreters import batching

        if not hasattr(jax.interpreters.batching, "is_vmappable"):  # ott 0.6 asks for what jax 0.10 has moved
            jax.interpreters.batching.is_vmappable = batching.is_vmappable
        from ott.geometry import costs, pointcloud
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import acceleration, sinkhorn

        n, m = len(x), len(y)
        balanced = math.isinf(rho)
        shift = 0.0 if balanced else eps * (math.log(n) + math.log(m))  # from the counting measure to a (x) b
        tau = 1.0 if balanced else rho / (rho + eps)

        @jax.tree_util.register_pytree_node_class
        class Shifted(costs.CostFn):  # type: ignore[misc]
            def __call__(self, p, q):
                return jnp.sum((p - q) ** 2) + shift

            def tree_flatten(self):
                return (), None

            @classmethod
            def tree_unflatten(cls, aux, children):
                return cls()

        steps = max(10, int(limit / (8e-9 * n * m) / 10) * 10)  # about 8 ns a pair and iteration

        def solve(u, v):
            geometry = pointcloud.PointCloud(u, v, cost_fn=costs.SqEuclidean() if balanced else Shifted(), epsilon=eps, batch_size=batch)
            problem = linear_problem.LinearProblem(geometry, tau_a=tau, tau_b=tau)
            solver = sinkhorn.Sinkhorn(
                threshold=tol, max_iterations=steps, inner_iterations=10, momentum=acceleration.Momentum(start=100) if balanced else None
            )
            out = solver(problem)
            return out.f, out.g

        u, v = jnp.asarray(x / math.sqrt(s)), jnp.asarray(y / math.sqrt(s))
        key = (n, x.shape[1], eps, rho, tol)
        if key not in compiled:
            compiled.clear()
            compiled[key] = jax.jit(solve).lower(u, v).compile()
            return run(x, y, eps, rho, s, tol, limit)
        clock.restart()  # compiling is not counted
        f, g = (np.asarray(p, dtype=np.float64) for p in compiled[key](u, v))
        if balanced:
            return f + eps * math.log(n), g + eps * math.log(m)
        return f, g

    return run


class Clock:
    """CPU seconds of this process."""

    def restart(self) -> None:
        self.started = time.process_time()

    def read(self) -> float:
        return time.process_time() - self.started


clock = Clock()
SOLVERS: dict[str, tuple[Callable[..., Potentials | None], tuple[float, ...]]] = {
    "uotlab, lazy": (ours, (3e-4, 1e-4, 3e-5, 1e-5, 3e-6)),
    "uotlab, dense": (ours_dense, (3e-4, 1e-4, 3e-5, 1e-5, 3e-6)),
    "ott, online, batches of 1024": (ott_online(1024), (1e-2, 1e-3, 1e-4)),
    "ott, dense": (ott_online(None), (1e-2, 1e-3, 1e-4)),
    "POT, dense (unbalanced: translation invariant)": (pot_dense, (1e-3, 1e-5, 1e-7)),
    "POT, lazy": (pot_lazy, (1e-3, 1e-5)),
    "geomloss, dense": (geomloss("tensorized"), (0.5, 0.1, 0.02, 0.005)),
    "geomloss, online (KeOps)": (geomloss("online"), (0.5, 0.1, 0.02, 0.005)),
    "geomloss, multiscale (KeOps)": (geomloss("multiscale"), (0.5, 0.1, 0.02, 0.005)),
}


def compare(n: int, limit: float, seed: int, only: str) -> None:
    ours(*clouds(500, 2, 0), 0.05, 1.0, 1.0, 1e-4, 1.0)  # warm
    for d, eps, rho in CASES:
        x, y = clouds(n, d, seed)
        yardstick = Yardstick(x, y, eps, rho)
        print(f"\nn = {n}, d = {d}, eps = {eps}, rho = {rho:g}", flush=True)
        for name, (solve, tolerances) in SOLVERS.items():
            if only not in name:
                continue
            for tol in tolerances:
                clock.restart()
                found = solve(x, y, eps, rho, yardstick.s, tol, limit)
                seconds = clock.read()
                if found is None:
                    break
                value, marginal = yardstick.errors(*found)
                good = value <= 1e-4 and marginal <= 1e-3
                if good or seconds > limit / 3 or tol == tolerances[-1]:
                    word = "" if good else "  NOT accurate enough"
                    print(f"  {name:48s} {seconds:8.2f} s   tol {tol:g}, errors {value:.0e} and {marginal:.0e}{word}", flush=True)
                    break


def anonymous_mb() -> float:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def watched(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, CPU seconds, MB of anonymous memory at the peak over that before)."""
    peak, stop = [anonymous_mb()] * 2, threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            peak[1] = max(peak[1], anonymous_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    clock.restart()
    found = work()
    seconds = clock.read()
    stop.set()
    watcher.join()
    return found, seconds, peak[1] - peak[0]


def large(n: int, seed: int, cases: Any = CASES) -> None:
    uotlab.sinkhorn_lazy(*clouds(2000, 2, 1), eps=0.05)  # what is loaded once does not count
    for d, eps, rho in cases:
        x, y = clouds(n, d, seed)
        plan, seconds, mb = watched(lambda x=x, y=y, eps=eps, rho=rho: uotlab.sinkhorn_lazy(x, y, eps=eps, rho1=rho, rho2=rho))
        what = f"n = {n}, d = {d}, eps = {eps}, rho = {rho:g}"
        print(f"{what}: {plan.n_iter} sweeps, certificate {plan.certificate:.1e}, {seconds:.1f} s, {mb:.0f} MB more", flush=True)


def in_turns(*works: Callable[[], Any], repeat: int = 15) -> list[float]:
    """Median CPU milliseconds of each, run in turns."""
    times: list[list[float]] = [[] for _ in works]
    for k in range(repeat + 1):
        for work, mine in zip(works, times, strict=True):
            clock.restart()
            work()
            if k:
                mine.append(clock.read() * 1e3)
    return [float(np.median(mine)) for mine in times]


def batch(seed: int) -> None:
    x, y = clouds(300, 2, seed)
    C = ((x[:, None].astype(np.float64) - y[None]) ** 2).sum(-1)
    C32, rhos = (C / C.mean()).astype(np.float32), np.geomspace(0.02, 20, 8)
    for eps in (0.05, 0.01):
        one, all_of_them = in_turns(
            lambda eps=eps: [uotlab.sinkhorn(x, y, eps=eps, rho1=r, rho2=r) for r in rhos],
            lambda eps=eps: uotlab.sinkhorn_batch(C32, eps=eps, rho1=rhos, rho2=rhos),
        )
        print(f"strip of 8 rho, n = 300, eps = {eps}: one by one {one:.1f} ms, batch {all_of_them:.1f} ms, {one / all_of_them:.2f} times")
    ot, n, count = pot(), 256, 16
    w = np.full(n, 1 / n)
    for d in (2, 50):
        pairs = [clouds(n, d, seed + k) for k in range(count)]
        C = np.stack([((p[:, None].astype(np.float64) - q[None]) ** 2).sum(-1) for p, q in pairs])
        C /= C.mean()
        C32 = C.astype(np.float32)
        best = uotlab.sinkhorn_batch(C, eps=0.05, rho1=1, rho2=1, tol=1e-11)
        mine = uotlab.sinkhorn_batch(C32, eps=0.05, rho1=1, rho2=1, tol=1e-3)
        error = float(np.abs(mine.P - best.P).sum() / best.P.sum())
        print(f"{count} mini-batches of {n}, d = {d}: ours at tol 1e-3, L1 error of the plans {error:.1e}")

        def ours_at_once(C32=C32):
            return uotlab.sinkhorn_batch(C32, eps=0.05, rho1=1, rho2=1, tol=1e-3)

        for method in ("sinkhorn", "sinkhorn_translation_invariant"):
            for stop in (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5):

                def loop(C=C, method=method, stop=stop):
                    return [ot.unbalanced.sinkhorn_unbalanced(w, w, one, 0.05, 1.0, method=method, stopThr=stop) for one in C]

                its = float(np.abs(np.stack(loop()) - best.P).sum() / best.P.sum())
                if its <= error or stop == 1e-5:
                    ms, theirs = in_turns(ours_at_once, loop)
                    found = f"{theirs:.1f} ms, L1 error {its:.1e}; ours {ms:.1f} ms, {theirs / ms:.2f} times as fast"
                    print(f"  POT {method} {stop:g}: {found}")
                    break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", default=[*PARTS], metavar="part", help=f"of {', '.join(PARTS)}; without one, all")
    parser.add_argument("--n", type=int, default=None)
    parser.add_argument("--limit", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a solver's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.part:
        if part not in PARTS:
            parser.error(f"part must be of {', '.join(PARTS)}; it is {part!r}")
    for part in options.part:
        print(f"\n**{part}**\n", flush=True)
        if part == "time":
            compare(options.n or 10_000, options.limit, options.seed, options.only)
        elif part == "memory":
            large(options.n or 10_000, options.seed)
        elif part == "large":
            large(options.n or 100_000, options.seed, CASES[:3])
        else:
            batch(options.seed)


if __name__ == "__main__":
    main()
