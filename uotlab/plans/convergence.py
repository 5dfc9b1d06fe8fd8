"""How Sinkhorn and IPOT come near the exact value, iteration by iteration, and how sparse their plans are.

Sinkhorn at a temperature eps stops short of the optimum by the entropy's bias; IPOT at any beta goes on. Every plan is rounded to its
marginals before its cost counts, so that no error is below 0. Both run in the log domain, in float64.

Reference: xie2020fast, Figures 2 and 4 (in the thesis: Figures 2.2 and 2.4).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from uotlab.arrays import as_tensor, masses
from uotlab.errors import InputError
from uotlab.parameters import check_count
from uotlab.plans.certificate import plan_matrix, round_plan
from uotlab.plans.emd import optimal
from uotlab.plans.ipot import Steps
from uotlab.plans.setting import check_equal, positive

NONZERO = 1e-4  #: a pair counts where it holds more than this share of an average point's mass


@dataclass(frozen=True, eq=False)
class Curve:
    """One method's way to the optimum.

    Args:
        iterations: where it was looked at, (k,) int.
        error: |<P, C> - W| / W of the plan rounded to its marginals, (k,); W is the exact value.
        nonzeros: pairs with more than 1e-4 of an average point's mass, before rounding, (k,) int.
        plans: the plans (n, m), not rounded, of the iterations asked for.
    """

    iterations: np.ndarray
    error: np.ndarray
    nonzeros: np.ndarray
    plans: Mapping[int, np.ndarray] = field(default_factory=dict)


def convergence(
    C: object, a: object = None, b: object = None, *, eps: Iterable[float] = (0.1, 0.01, 0.001), beta: float = 0.1,
    iterations: int = 500, looks: int = 40, keep: Iterable[int] = (), cancel: Callable[[], bool] | None = None,
) -> dict[str, Curve]:  # fmt: skip
    """Curves of Sinkhorn at each eps and of IPOT at beta, by name: "Sinkhorn ε = 0.1", ..., "IPOT β = 0.1".

    Args:
        C: cost, (n, m), in any unit; eps and beta are in units of its mean under the masses.
        a, b: masses (n,), (m,) of equal total; None is equal weights.
        iterations: how far to go; looks: at how many of them, evenly spaced in the logarithm, the plan is measured.
        keep: iterations whose plans are kept.
        cancel: asked now and then; True ends with the curves as they are.

    Raises:
        InputError: bad costs, masses or numbers.
    """
    cost = as_tensor(C, "C", ndim=2, dtype=torch.float64)
    A, B = masses(a, cost.shape[0], "a").to(cost.device), masses(b, cost.shape[1], "b").to(cost.device)
    if not bool((A > 0).all() and (B > 0).all()):
        raise InputError("a and b must be positive for curves of convergence; some weight is zero. Drop those points.")
    check_equal(A, B, "A curve of convergence", "Give weights of equal total.")
    check_count("iterations", iterations, least=1, most=1_000_000)
    mean = float(A @ cost @ B) / float(A.sum() * B.sum())
    if not mean > 0:
        raise InputError("The mean of C is 0: nothing has to move. Check that the points differ.")
    cost = cost / mean
    exact = float((optimal(cost.cpu(), A.cpu(), B.cpu())[0].to(cost) * cost).sum())
    kept = sorted({check_count("keep", k, least=1, most=iterations) for k in keep})
    at = sorted({*np.geomspace(1, iterations, looks).round().astype(int).tolist(), *kept})
    walks = {f"Sinkhorn ε = {e:g}": _sinkhorn(cost, A, B, positive("eps", e, "Such as 0.01.")) for e in eps}
    walks[f"IPOT β = {beta:g}"] = _ipot(cost, A, B, positive("beta", beta, "Such as 0.1."))
    return {name: _walk(walk, cost, A, B, exact, at, set(kept), cancel) for name, walk in walks.items()}


def _walk(
    plans: Iterator[Callable[[], Tensor]], C: Tensor, a: Tensor, b: Tensor, exact: float, at: list[int], keep: set[int],
    cancel: Callable[[], bool] | None,
) -> Curve:  # fmt: skip
    """What each plan of `at` is worth."""
    rows: list[tuple[int, float, int]] = []
    held: dict[int, np.ndarray] = {}
    wanted = set(at)
    for t, plan in enumerate(plans, 1):
        if t in wanted:
            P = plan()
            gap = float((round_plan(P, a, b) * C).sum()) - exact
            scale = exact if exact > 1e-12 else float(a.sum())  # where nothing has to move, in units of the mean cost
            rows.append((t, abs(gap) / scale, int((P > NONZERO * float(a.sum()) / max(P.shape)).sum())))
            if t in keep:
                held[t] = P.cpu().numpy()
        if t == at[-1] or (cancel is not None and cancel()):
            break
    steps, errors, counts = zip(*rows, strict=True) if rows else ((), (), ())
    return Curve(np.array(steps, dtype=int), np.array(errors, dtype=float), np.array(counts, dtype=int), held)


def _sinkhorn(C: Tensor, a: Tensor, b: Tensor, eps: float) -> Iterator[Callable[[], Tensor]]:
    """Plans of the balanced Sinkhorn algorithm from zero potentials; one is made only where it is looked at."""
    Ce, la, lb = C / eps, a.log(), b.log()
    # potentials stay within the range of Ce, so that up to e^300 nothing can overflow, and an exp an iteration is saved
    K = torch.exp(-Ce) if float(Ce.max()) < 300 else None
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    while True:
        f = -((K @ (g + lb).exp()).log() if K is not None else torch.logsumexp((g + lb)[None] - Ce, 1))
        g = -((K.T @ (f + la).exp()).log() if K is not None else torch.logsumexp((f + la)[:, None] - Ce, 0))
        yield partial(plan_matrix, Ce, a, b, f, g, 1.0)


def _ipot(C: Tensor, a: Tensor, b: Tensor, beta: float) -> Iterator[Callable[[], Tensor]]:
    steps = Steps(C, a, b, beta)
    while True:
        steps.advance(1)
        yield steps.plan
