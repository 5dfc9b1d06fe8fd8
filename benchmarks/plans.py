"""Dense Sinkhorn against POT, ott-jax and geomloss: same points, same process, one thread, in turns. `make bench-plans` runs it.

    python benchmarks/plans.py [--n 256 1024 4096] [--d 2 50] [--tau .9 .95 .99 1] [--repeat 7] [--seeds 3] [--coupling] [--no-float64]

From points and masses to a plan, whole calls (costs divided by their mean, eps = .01, tau = rho / (rho + eps) on both sides). Each solver
runs at the loosest of its tolerances whose plan reaches an objective error of 1e-4 and a marginal error of 1e-3 (L1 over the mass)
against a float64 plan with a certificate of 1e-10 (1e-8 where tau = 1), on each seed by itself. Figures are medians of `--repeat` runs
in turns, then of the seeds. ott is compiled and warm before it is timed, and gets C - eps log a - eps log b, its reference being the
counting measure; its kernel mode ends in NaN here or never and is left out, as are POT in float32, whose kernel underflows, and POT's
`sinkhorn_stabilized` where unbalanced, which is wrong. The mini-batch plan of UOT-FM is measured first.
"""

import argparse
import dataclasses
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402

import uotlab  # noqa: E402
from uotlab.plans.pot import pot  # noqa: E402

EPS = 0.01
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8)
SCALINGS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)  #: geomloss has no tolerance, only how finely eps is annealed
GIVE_UP, LONG = 12.0, 3.0  #: a solver whose one call takes this many times ours, and so many seconds, is left at that one call
LOG_UP_TO = 1024  #: points up to which POT's log domain is tried: there it takes 80 times as long, and at 4096 half an hour
Solve = Callable[[float], np.ndarray]  #: tolerance -> plan (n, m)


@dataclasses.dataclass(frozen=True)
class Case:
    """One problem: points (n, d), (m, d), masses, the exponent tau and the float64 reference plan."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    tau: float
    reference: Any

    @property
    def rho(self) -> float:
        return math.inf if self.tau == 1 else EPS * self.tau / (1 - self.tau)

    def cost(self) -> np.ndarray:
        C = ((self.x[:, None] - self.y[None]) ** 2).sum(2) if self.x.shape[1] < 5 else pot().dist(self.x, self.y)
        return C / C.mean()


def case(n: int, d: int, tau: float, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = rng.normal(size=(n, d)) * (0.7 if d < 10 else 1.0) + (1.0 if d < 10 else 0.3)
    a, b = np.full(n, 1 / n), np.full(n, 1 / n)
    rho = math.inf if tau == 1 else EPS * tau / (1 - tau)
    reference = uotlab.sinkhorn(x, y, a, b, eps=EPS, rho1=rho, rho2=rho, tol=1e-8 if tau == 1 else 1e-10)
    assert reference.certificate <= 1e-7, reference.certificate
    return Case(x, y, a, b, tau, reference)


def errors(c: Case, P: np.ndarray) -> tuple[float, float]:
    """(relative error of the objective, L1 error of both marginals over the mass) of a plan, in float64."""
    P, wanted = np.asarray(P, dtype=np.float64), c.reference.P
    if not np.isfinite(P).all():
        return math.inf, math.inf
    s = c.reference.cost_scale
    held = np.where(P > 0, P, 1.0)
    C = ((c.x**2).sum(1)[:, None] + (c.y**2).sum(1)[None] - 2 * c.x @ c.y.T) / s
    value = (P * C).sum() + EPS * ((P * np.log(held / (c.a[:, None] * c.b[None]))).sum() - P.sum() + c.a.sum() * c.b.sum())
    if math.isfinite(c.rho):
        for p, q in ((P.sum(1), c.a), (P.sum(0), c.b)):
            value += c.rho * ((p * np.log(np.where(p > 0, p, 1.0) / q)).sum() - p.sum() + q.sum())
    marginal = max(np.abs(P.sum(k) - wanted.sum(k)).sum() for k in (0, 1)) / wanted.sum()
    return abs(value - c.reference.value / s) / abs(c.reference.value / s), marginal


def ours(c: Case, dtype: type) -> Solve:
    x, y = c.x.astype(dtype), c.y.astype(dtype)
    return lambda tol: uotlab.sinkhorn(x, y, c.a, c.b, eps=EPS, rho1=c.rho, rho2=c.rho, tol=tol).P


def of_pot(c: Case, method: str) -> Solve:
    ot = pot()
    x, y, a, b = c.x, c.y, c.a, c.b

    def solve(tol: float) -> np.ndarray:
        C = ot.dist(x, y)
        C /= C.mean()
        if c.tau == 1:
            return ot.sinkhorn(a, b, C, EPS, method=method, stopThr=tol, numItermax=20_000, warn=False)
        return ot.unbalanced.sinkhorn_unbalanced(a, b, C, EPS, c.rho, method=method, stopThr=tol, numItermax=20_000)

    return solve


def of_ott(c: Case, **how: Any) -> Solve:
    import jax
    import jax.numpy as jnp
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import acceleration, sinkhorn

    faster: dict[str, Any] = {}
    if "anderson" in how:
        faster["anderson"] = acceleration.AndersonAcceleration(memory=how["anderson"])
    if "momentum" in how:
        faster["momentum"] = acceleration.Momentum(**how["momentum"])

    def plan(x: Any, y: Any, a: Any, b: Any, tol: Any) -> Any:
        if x.shape[1] < 5:
            C = ((x[:, None] - y[None]) ** 2).sum(2)
        else:
            C = jnp.maximum((x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * x @ y.T, 0)
        C = C / C.mean()
        geom = geometry.Geometry(cost_matrix=C - EPS * jnp.log(a)[:, None] - EPS * jnp.log(b)[None], epsilon=EPS)
        solver = sinkhorn.Sinkhorn(threshold=tol, max_iterations=20_000, recenter_potentials=c.tau < 1, implicit_diff=None, **faster)
        return solver(linear_problem.LinearProblem(geom, a=a, b=b, tau_a=c.tau, tau_b=c.tau)).matrix

    compiled = jax.jit(plan)
    arrays = [jnp.asarray(z, jnp.float32) for z in (c.x, c.y, c.a, c.b)]
    compiled(*arrays, 1.0).block_until_ready()
    return lambda tol: np.asarray(compiled(*arrays, tol).block_until_ready())


def of_geomloss(c: Case) -> Solve:
    from geomloss import SamplesLoss

    s = c.reference.cost_scale  # geomloss halves the squared distance; it is told the scale and does not have to find it
    x, y, a, b = (torch.from_numpy(z.astype(np.float32)) for z in (c.x, c.y, c.a, c.b))
    blur, reach = (EPS * s / 2) ** 0.5, None if c.tau == 1 else (c.rho * s / 2) ** 0.5

    def solve(scaling: float) -> np.ndarray:
        loss = SamplesLoss("sinkhorn", p=2, blur=blur, reach=reach, scaling=scaling, debias=False, potentials=True, backend="tensorized")
        f, g = (p.flatten() for p in loss(a, x, b, y))
        C = ((x[:, None] - y[None]) ** 2).sum(2) / 2 if x.shape[1] < 5 else torch.cdist(x, y).square() / 2
        return ((f[:, None] + g[None] - C) / blur**2).exp_().mul_(a[:, None] * b[None]).numpy()

    return solve


def solvers(c: Case, double: bool) -> Iterator[tuple[str, Callable[[], Solve], tuple[float, ...]]]:
    yield "ours f32", lambda: ours(c, np.float32), TOLERANCES
    if double:
        yield "ours f64", lambda: ours(c, np.float64), TOLERANCES
    methods: tuple[str, ...] = ("sinkhorn", "sinkhorn_stabilized") if c.tau == 1 else ("sinkhorn", "sinkhorn_translation_invariant")
    if c.tau == 1 and len(c.x) <= LOG_UP_TO:
        methods += ("sinkhorn_log",)
    for method in methods:
        yield f"POT {method} f64", lambda method=method: of_pot(c, method), TOLERANCES
    yield "ott f32", lambda: of_ott(c), TOLERANCES
    yield "ott momentum auto f32", lambda: of_ott(c, momentum={"start": 20}), TOLERANCES
    yield "ott momentum 1.5 f32", lambda: of_ott(c, momentum={"value": 1.5}), TOLERANCES
    yield "ott Anderson f32", lambda: of_ott(c, anderson=5), TOLERANCES
    yield "geomloss f32", lambda: of_geomloss(c), SCALINGS


def clock(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


@dataclasses.dataclass
class Entry:
    """One solver on one case: its tolerance, errors there, and the (CPU, wall) seconds of its runs."""

    solve: Solve
    tol: float = math.nan
    error: tuple[float, float] = (math.inf, math.inf)
    runs: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def find(self, c: Case, tolerances: tuple[float, ...], patience: float) -> bool:
        """The loosest tolerance that is accurate enough; False where none is, or one call takes longer than `patience`."""
        for tol in tolerances:
            start = time.process_time()
            P = self.solve(tol)
            took = time.process_time() - start
            self.tol, self.error = tol, errors(c, P)
            if self.error[0] <= 1e-4 and self.error[1] <= 1e-3:
                self.runs = [(took, took)] if took > patience else []
                return True
            if took > patience:
                return False
        return False


def measure(c: Case, repeat: int, double: bool) -> dict[str, Entry]:
    """Every solver that is accurate enough, run in turns."""
    found: dict[str, Entry] = {}
    patience = math.inf
    for name, make, tolerances in solvers(c, double):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                entry = Entry(make())
                if not entry.find(c, tolerances, patience):
                    print(
                        f"  {name}: not accurate enough (tolerance {entry.tol:g}, errors {entry.error[0]:.0e} and {entry.error[1]:.0e})",
                        file=sys.stderr,
                    )
                    continue
        except Exception as error:  # a peer that fails is reported, and the others go on
            print(f"  {name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
            continue
        found[name] = entry
        if name == "ours f32":
            patience = max(LONG, GIVE_UP * clock(lambda: entry.solve(entry.tol))[0])  # noqa: B023
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fastest = min((clock(lambda: e.solve(e.tol))[0] for e in found.values() if not e.runs), default=1.0)  # noqa: B023
        for _ in range(repeat):
            for entry in found.values():
                if len(entry.runs) != 1 or entry.runs[0][0] <= max(LONG, GIVE_UP * fastest):
                    entry.runs.append(clock(lambda: entry.solve(entry.tol)))  # noqa: B023
    return found


def table(label: str, seeds: list[dict[str, Entry]]) -> None:
    """Markdown: medians over the seeds, and how many times ours the fastest peer takes, seed by seed."""
    print(f"\n**{label}**\n")
    print("| solver | tolerance | objective error | marginal error | CPU ms | wall ms | over ours |\n|---|---|---|---|---|---|---|")
    median = statistics.median
    held = [n for n in seeds[0] if all(n in s for s in seeds)]
    cpu = {n: [median(r[0] for r in s[n].runs) for s in seeds] for n in held}
    for n in sorted(held, key=lambda n: median(cpu[n])):
        entries = [s[n] for s in seeds]
        tolerances, error, marginal = "/".join(f"{e.tol:g}" for e in entries), *(max(e.error[k] for e in entries) for k in (0, 1))
        wall = median(median(r[1] for r in e.runs) for e in entries)
        ratio = median(t / u for t, u in zip(cpu[n], cpu["ours f32"], strict=True))
        print(f"| {n} | {tolerances} | {error:.0e} | {marginal:.0e} | {1e3 * median(cpu[n]):.3g} | {1e3 * wall:.3g} | {ratio:.2f} |")
    for own, peers in (("ours f32", ("POT", "ott", "geomloss")), ("ours f64", ("POT",))):
        rivals = [n for n in held if n.startswith(peers)]
        if own in cpu and rivals:
            ratios = [min(cpu[n][k] for n in rivals) / cpu[own][k] for k in range(len(seeds))]
            print(f"\n{own}: {median(ratios):.2f} times the fastest of {', '.join(peers)} (least of the seeds {min(ratios):.2f})")
    sys.stdout.flush()


def coupling(repeat: int, batches: int = 50) -> None:
    """The mini-batch plan of UOT-FM, batch 256, eps = .05, certificate 1e-3: ours from the float32 cost, POT from its float64."""
    from uotlab.penalty import Penalty
    from uotlab.plans.sinkhorn import certify, rough_plan, solve

    ot, eps, mass = pot(), 0.05, torch.full((256,), 1 / 256, dtype=torch.float64)
    problem, rng = uotlab.load("moons-to-spiral", n=4000, seed=0), torch.Generator().manual_seed(0)
    ground = uotlab.costs.make_cost(None).calibrated(*(m.sample(2000, rng).double() for m in problem.marginals))
    Cs = [ground.matrix(*(m.sample(256, rng) for m in problem.marginals)) for _ in range(batches)]
    singles, doubles, a = Cs, [C.double().numpy() for C in Cs], mass.numpy()
    print("\n**UOT-FM coupling, batch 256, eps = 0.05**\n\n| solver | rho | tolerance | median certificate | CPU µs | over ours |")
    print("|---|---|---|---|---|---|")
    for rho in (1.0, math.inf):
        penalty = Penalty(rho, rho)

        def gap(C: np.ndarray, f: Any, g: Any, penalty: Any = penalty) -> float:
            f, g, C = (torch.as_tensor(z, dtype=torch.float64) for z in (f, g, C))
            P = ((f[:, None] + g[None] - C) / eps).exp() / 256**2
            primal, dual, P = certify(C, mass, mass, P, f, g, eps, penalty)
            return (primal - dual) / max(abs(primal), float(P.sum()))

        def own(k: int, penalty: Any = penalty) -> Any:
            found = solve(singles[k], mass, mass, eps, penalty, 1e-3)
            return rough_plan(singles[k], mass, mass, found.f, found.g, eps), found

        def of(method: str, tol: float, k: int, log: bool, rho: float = rho) -> Any:
            if math.isinf(rho):
                return ot.sinkhorn(a, a, doubles[k], eps, method=method, stopThr=tol, log=log, warn=False)
            return ot.unbalanced.sinkhorn_unbalanced(a, a, doubles[k], eps, rho, method=method, stopThr=tol, log=log)

        rows = [("ours f32", 1e-3, statistics.median(gap(doubles[k], own(k)[1].f, own(k)[1].g) for k in range(batches)), own)]
        for method in ("sinkhorn",) if math.isinf(rho) else ("sinkhorn", "sinkhorn_translation_invariant"):
            for tol in (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5):
                logs = [of(method, tol, k, True)[1] for k in range(batches)]
                if math.isinf(rho):  # POT's u, v leave the masses out
                    pairs = [(eps * np.log(256 * log["u"]), eps * np.log(256 * log["v"])) for log in logs]
                else:
                    pairs = [(eps * log["logu"], eps * log["logv"]) for log in logs]
                reached = statistics.median(gap(C, *pair) for C, pair in zip(doubles, pairs, strict=True))
                if reached <= 1e-3:
                    rows.append((f"POT {method} f64", tol, reached, lambda k, m=method, t=tol, of=of: of(m, t, k, False)))
                    break
        seconds: dict[str, list[float]] = {name: [] for name, *_ in rows}
        for _ in range(repeat):
            for name, _, _, call in rows:
                seconds[name].append(clock(lambda call=call: [call(k) for k in range(batches)])[0] / batches)
        mine = statistics.median(seconds["ours f32"])
        for name, tol, reached, _ in rows:
            t = statistics.median(seconds[name])
            print(f"| {name} | {rho:g} | {tol:g} | {reached:.0e} | {1e6 * t:.0f} | {t / mine:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--d", type=int, nargs="+", default=[2, 50])
    parser.add_argument("--tau", type=float, nargs="+", default=[0.9, 0.95, 0.99, 1.0])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--float64", action=argparse.BooleanOptionalAction, default=True, help="float64 points too")
    parser.add_argument("--coupling", action="store_true", help="only the mini-batch plan of UOT-FM")
    options = parser.parse_args()
    torch.set_num_threads(1)
    coupling(options.repeat)
    if options.coupling:
        return
    for n in options.n:
        for d in options.d:
            for tau in options.tau:
                cases = [case(n, d, tau, seed) for seed in range(options.seeds)]
                table(f"n = {n}, d = {d}, tau = {tau:g}", [measure(c, options.repeat, options.float64) for c in cases])


if __name__ == "__main__":
    main()
