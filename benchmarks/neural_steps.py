"""Cost of one training step beside the peers' own code: same problem, batch (256) and width (128 x 3), one core, one thread, in turns.

    python benchmarks/neural_steps.py [flow unbalanced gap convex semidual] [--dataset NAME] [--rounds 7] [--seconds 0.4]

`make bench-neural` installs the peers (`neural_peers.py`) and runs it. Contenders train, warm and compiled, in rounds of about `--seconds`,
one after the other in one process; CPU and wall milliseconds a step are medians over the rounds, ratios (times as fast as the peer) are
taken within each. Both sides draw batches from points loaded once. "same": the same objective and eps, nets as equal as the peer's own
allow; what ours does beyond (moving averages, clipped gradients, falling learning rates, scaling nets) is not taken out. "other": the
same thing asked for, by another algorithm. Errors of plans are L1 errors of the marginals over the mass, medians of ten batches.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
for backend in ("JAX", "TENSORFLOW", "CUPY"):
    os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")

import neural_peers as peers  # noqa: E402  # what is set above is read at import
import numpy as np  # noqa: E402
import steps as plain  # noqa: E402
import torch  # noqa: E402

import uotlab  # noqa: E402
from uotlab.methods.otmg import OTMG, fitting_loss  # noqa: E402
from uotlab.methods.rebalance import Batch  # noqa: E402
from uotlab.methods.uotfm import UOTFM  # noqa: E402
from uotlab.plans.sinkhorn import plan_matrix, solve  # noqa: E402

WIDTH, DEPTH, BATCH = 128, 3, 256
SETTLE = 300  #: steps before the first round: plans cost then what they cost in training


@dataclass
class Contender:
    """One way of training: `step` does one step, `wait` ends what is under way; the size of its nets, and a word on its plans."""

    name: str
    step: Callable[[], object]
    wait: Callable[[], object] = lambda: None
    parameters: int = 0
    plans: Callable[[], str] = lambda: ""
    settle: int = SETTLE
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def round(self, steps: int) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(steps):
            self.step()
        self.wait()
        self.cpu.append((time.process_time() - cpu) / steps)
        self.wall.append((time.perf_counter() - wall) / steps)


class FullGap(OTMG):
    """OT-MG with the Sinkhorn divergence of the whole batch, its self-term included, as the paper and ott have it."""

    def fit(self, state: Any, images: Batch) -> torch.Tensor:
        C, C_self = state.cost.matrix(images.x, images.y), state.cost.matrix(images.x, images.x)
        P, P_self = (self.held_plan(c, images.a, b, self.eps_at(self.eps_fit, images.x)) for c, b in ((C, images.b), (C_self, images.a)))
        return fitting_loss(C, C_self, P, P_self)


class PairsOnly(UOTFM):
    """UOT-FM without the nets that learn the scaling factors, which torchcfm has not."""

    def learn_rescaling(self, state: Any, x: Any, y: Any, found: Any) -> torch.Tensor:
        return torch.zeros(())


def ours(problem: uotlab.Problem, method: Any, name: str, **settings: Any) -> Contender:
    """A method of uotlab at its defaults, but for `settings`."""
    chosen = method(batch_size=BATCH, width=WIDTH, **settings)
    state = chosen.init(problem, torch.Generator().manual_seed(0), torch.device("cpu"))
    nets = [value for value in vars(state).values() if isinstance(value, torch.nn.Module)]
    size = sum(p.numel() for net in nets for p in net.parameters() if p.requires_grad)
    return Contender(name, lambda: chosen.step(state), parameters=size, plans=lambda: own_plans(chosen, state))


def own_plans(method: Any, state: Any) -> str:
    """Errors of the marginals of our mini-batch plans, before any rounding, where both are held."""
    of_gap = isinstance(method, OTMG)
    if not state.penalty.balanced or not (of_gap or getattr(method, "coupling", "") == "sinkhorn"):
        return ""
    a, found = torch.full((BATCH,), 1 / BATCH, dtype=torch.float64), []
    for _ in range(10):
        x, y = state.batch(0, BATCH), state.batch(1, BATCH)
        if of_gap:
            with torch.no_grad():
                y = state.T(x)
        C, eps, tol = (
            state.cost.matrix(x, y),
            *((method.eps_at(method.eps_gap, x), method.tol) if of_gap else (method.eps, method.plan_tol)),
        )
        p = solve(C, a, a, eps, state.penalty, tol)
        P = plan_matrix(C.double(), a, a, p.f, p.g, eps)
        found.append(max(float((P.sum(k) - a).abs().sum()) for k in (0, 1)))
    return f"{statistics.median(found):.0e}"


def points(problem: uotlab.Problem) -> tuple[np.ndarray, np.ndarray]:
    x, y = (m.points for m in problem.marginals[:2])
    return x, y


def mean_cost(problem: uotlab.Problem) -> float:
    return uotlab.METHODS["otfm"]().calibrated_cost(problem).scale


def flow(problem: uotlab.Problem) -> list[tuple[str, list[Contender]]]:
    x, y = points(problem)
    tensors, s, otfm = tuple(map(torch.from_numpy, (x, y))), mean_cost(problem), uotlab.METHODS["otfm"]
    exact = Contender("torchcfm, exact", *peers.torchcfm_flow(*tensors, BATCH, WIDTH, "exact"))
    entropic = Contender("torchcfm, sinkhorn", *peers.torchcfm_flow(*tensors, BATCH, WIDTH, "sinkhorn", eps=0.05 * s))
    jaxed = Contender("ott flow matching, threshold .01", *peers.ott_flow(x, y, BATCH, WIDTH, DEPTH, 0.05 * s, 1e-2))
    return [
        ("same: OT-FM, exact pairs", [ours(problem, otfm, "OT-FM, exact", coupling="exact"), exact]),
        ("same: OT-FM, entropic pairs, eps .05", [ours(problem, otfm, "OT-FM"), entropic, jaxed]),
        ("other: OT-FM at its defaults (eps .05) against exact pairs", [ours(problem, otfm, "OT-FM"), exact]),
    ]


def unbalanced(problem: uotlab.Problem) -> list[tuple[str, list[Contender]]]:
    tensors, s = tuple(map(torch.from_numpy, points(problem))), mean_cost(problem)
    peer = Contender("torchcfm, unbalanced", *peers.torchcfm_flow(*tensors, BATCH, WIDTH, "unbalanced", eps=0.05 * s, rho=s))
    return [
        ("same: UOT-FM, pairs only, eps .05, rho 1", [ours(problem, PairsOnly, "UOT-FM, no scaling nets", rho=1.0, debias=False), peer]),
        ("same: UOT-FM with its scaling nets", [ours(problem, UOTFM, "UOT-FM", rho=1.0), peer]),
    ]


def gap(problem: uotlab.Problem) -> list[tuple[str, list[Contender]]]:
    x, y = points(problem)
    unit = float(np.sqrt(np.concatenate([x, y]).var()))  # ott's net does not standardise
    x, y, eps = x / unit, y / unit, 0.01 * mean_cost(problem) / unit**2

    def peer(how: str, threshold: float) -> Contender:
        steps, errors = peers.ott_gap(x, y, BATCH, WIDTH, DEPTH, eps, threshold, how, 0.3)
        told = lambda: f"{statistics.median(errors()['gap'] for _ in range(10)):.0e}"  # noqa: E731
        return Contender(f"ott Monge gap, {how}, threshold {threshold:g}", *steps, plans=told)

    rivals = [peer("momentum", 1e-2), peer("Anderson", 1e-2), peer("Anderson", 1e-3)]
    return [
        (
            "same: OT-MG, whole batch in each term, eps .01",
            [ours(problem, FullGap, "OT-MG, whole batch", gap_pairs="own", gap_keeps="nothing", eps_fit=0.01, eps_gap=0.01), *rivals],
        ),
        ("other: OT-MG at its defaults, self-term between halves", [ours(problem, OTMG, "OT-MG"), *rivals]),
    ]


def convex(problem: uotlab.Problem) -> list[tuple[str, list[Contender]]]:
    x, y = points(problem)
    unit = float(np.sqrt(np.concatenate([x, y]).var()))
    x, y, icnn = x / unit, y / unit, uotlab.METHODS["oticnn"]

    def peer(name: str, settle: int = SETTLE, **how: Any) -> Contender:
        return Contender(name, *peers.ott_dual(x, y, BATCH, WIDTH, DEPTH, **how), settle=settle)

    alternating = ours(problem, icnn, "OT-ICNN, 2 inner steps", inner_steps=2, select_every=0)
    return [
        ("same: OT-ICNN, 2 inner steps, equal nets", [alternating, peer("ott dual, equal net", inner=2, equal_net=True, conjugate=False)]),
        ("same: OT-ICNN, ott's own ICNN", [alternating, peer("ott dual, own ICNN", inner=2, equal_net=False, conjugate=False)]),
        (
            "other: OT-ICNN, 1 inner step, against one gradient for both nets",
            [ours(problem, icnn, "OT-ICNN, 1 inner step", inner_steps=1, select_every=0),
             peer("ott dual, parallel, equal net", inner=1, equal_net=True, conjugate=False)],
        ),
        (
            "other: OT-ICNN against ott's defaults (conjugates by L-BFGS)",
            [alternating, peer("ott dual, defaults", settle=2, inner=1, equal_net=False, conjugate=True)],
        ),
    ]  # fmt: skip


def semidual(problem: uotlab.Problem) -> list[tuple[str, list[Contender]]]:
    return [
        (f"same: {name} against the plain loop", [Contender(f"{name}", own), Contender("plain loop", loop)])
        for name, (own, loop) in (("UOTM", plain.uotm_pair(problem)), ("UOT-FM", plain.uotfm_pair(problem)))
    ]


PARTS = {"flow": flow, "unbalanced": unbalanced, "gap": gap, "convex": convex, "semidual": semidual}


def compare(title: str, contenders: list[Contender], rounds: int, seconds: float) -> None:
    counts = []
    for c in contenders:
        c.cpu, c.wall = [], []
        for _ in range(c.settle):
            c.step()
        c.wait()
        c.settle = 0  # those that come again are warm
        c.round(1)
        c.round(3)
        counts.append(max(1, round(seconds / c.cpu[-1])) if c.cpu[-1] < seconds else 1)
        c.cpu.clear(), c.wall.clear()
    for _ in range(rounds):
        for c, count in zip(contenders, counts, strict=True):
            c.round(count)
    own = contenders[0]
    print(f"\n{title}\n\n| | CPU ms | wall ms | ours is times as fast, CPU (least to most) | wall | parameters | plans' error |")
    print("|---|---|---|---|---|---|---|")
    for c in contenders:
        times = ["", ""]
        if c is not own:
            cpu = [a / b for a, b in zip(c.cpu, own.cpu, strict=True)]
            times = [f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"]
            times.append(f"{statistics.median([a / b for a, b in zip(c.wall, own.wall, strict=True)]):.2f}")
        cells = [c.name, f"{1e3 * statistics.median(c.cpu):.2f}", f"{1e3 * statistics.median(c.wall):.2f}", *times]
        print(f"| {' | '.join([*cells, str(c.parameters or ''), c.plans()])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--dataset", default="moons-to-spiral")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    problem = uotlab.load(options.dataset, n=4000, seed=0)
    for part in options.parts or PARTS:
        for title, contenders in PARTS[part](problem):
            compare(title, contenders, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
