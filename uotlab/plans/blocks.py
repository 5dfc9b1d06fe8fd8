"""One Sinkhorn iteration over blocks of a kernel that is never held: one exponential a pair, for both updates.

A block holds the rows of a cell against all columns near enough to matter, K_ij = b_j exp((phi_i + g_j - C_ij) / eps), where
phi = f / tau1 of the sweep before makes rows sum to about 1, so that float32 needs no maximum. Its row sums update f; the block, still
in cache, then gives its share of the column sums. Pairs of cells whose bounding boxes prove their mass too small are left out.

Points, masses and potentials here are in the order of the cells, costs in units of the mean cost.
Notation: tau = rho / (rho + eps).
Reference: schmitzer2019stabilized, Section 3.3 (the boxes).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.penalty import Penalty
from uotlab.plans.cells import Cells, box_distances
from uotlab.plans.exponents import LOW, Exponents, Side
from uotlab.plans.ground import least_costs, soft_minimum

PAIRS = 2**19  #: pairs of a block on a CPU: 2 MB of float32, about the second-level cache
NEAR = 1e-6  #: relative error that pairs left out may make in any row or column sum, for a tolerance of 1e-4
TRUST = 12.0  #: log of a row sum (0 is expected) up to which the choice of pairs can be trusted
FIRST = 20.0  #: the same for a first sweep, whose potentials are a guess: it takes in pairs e^FIRST times smaller
Tick = Callable[[float], None]  #: called with the share of a sweep done; may raise to end the work


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep found at (f, g).

    Args:
        f, g: (n,), updated, and (m,), as given.
        r1: row sums of the plan of (f, g), (n,); log_r2: logs of its column sums, (m,).
        coupled: the plan summed over pairs of cells, (k, l).
        transport: <P, C>; NaN if not asked for.
        left_out: a bound of the mass of the pairs left out.
    """

    f: Tensor
    g: Tensor
    r1: Tensor
    log_r2: Tensor
    coupled: Tensor
    transport: float
    left_out: float


class Blocks:
    """The kernel between sorted points x (n, d), y (m, d) with positive masses a, b at one eps."""

    by_cell: ClassVar[bool] = True  #: whether sweeps give the plan summed over pairs of cells

    def __init__(
        self, cost: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, rows: Cells, cols: Cells, eps: float, penalty: Penalty,
        pairs: int = PAIRS, dtype: torch.dtype = torch.float32, near: float = NEAR,
    ) -> None:  # fmt: skip
        self.cost, self.x, self.y, self.a, self.b, self.rows, self.cols = cost, x, y, a, b, rows, cols
        self.eps, self.penalty, self.pairs, self.dtype, self.near = eps, penalty, pairs, dtype, near
        self.tau1, self.tau2 = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (penalty.rho1, penalty.rho2))
        self.la, self.lb = a.log(), b.log()
        self.mass_a, self.mass_b = rows.sums(a), cols.sums(b)
        self.least = None
        if len(rows) * len(cols) > 1:
            self.least = least_costs(cost, box_distances(*rows.boxes(x), *cols.boxes(y)))
        self.exponents = Exponents(cost, x, y, self.lb, cols, eps)

    def sweep(
        self, phi: Tensor, g: Tensor, *, careful: bool = False, first: bool = False, hold: bool = False, transport: bool = False,
        tick: Tick | None = None,
    ) -> Sweep:  # fmt: skip
        """Update f at g, and the plan's sums at (f, g).

        Args:
            phi: what f / tau1 is about.
            careful: exponents in float64.
            first: phi is a guess.
            hold: keep f = tau1 phi.
            transport: whether <P, C> is wanted.
        """
        dtype = torch.float64 if careful else self.dtype
        quick = self.exponents.quick(phi, g, self.la, dtype) if self.dtype == torch.float32 else None
        side = None if quick is not None else self.exponents.side(phi, g, dtype, self.dtype)
        active = self._active(phi, g, FIRST if first else 0.0)
        f, r1, r2 = self.tau1 * phi, torch.zeros_like(phi), torch.zeros_like(g)
        table, coupled = phi.new_zeros(len(self.cols), self.cols.size), phi.new_zeros(len(self.rows), len(self.cols))
        bits, trust = 0.0, math.inf if hold else FIRST if first else TRUST
        for c, e in self._groups(active, 1 if quick is not None else 8):
            more = None
            if quick is not None:
                cells, sums = None if active is None else active[c], (f, r1, r2, coupled[c])
                more = quick.cell(self.rows.bounds[c], self.rows.bounds[e], cells, self.tau1, self.eps, trust, sums)
            if more is None:
                side = side or self.exponents.side(phi, g, dtype, self.dtype)
                chosen = _numbers(active, c, e)
                found = None if quick is not None else self._rows(side, c, e, chosen, f, r1, trust, transport)
                if found is None:  # the guess was off: all columns, with a maximum
                    chosen = None
                    found = self._rows(side, c, e, None, f, r1, None, transport)
                assert found is not None
                part, more = found
                if chosen is None:
                    table += part.sum(0)
                    coupled[c:e] = part.sum(2)
                else:
                    table[chosen] += part.sum(0)
                    coupled[c:e, chosen] = part.sum(2)
            bits += more
            if tick is not None:
                tick(self.rows.bounds[e] / len(phi))
        r2 += table.view(-1)[self.exponents.places]
        moved = float(r1 @ phi + r2 @ (g + self.lb * self.eps)) - bits / self.exponents.unit if transport else math.nan
        return Sweep(f, g, r1, self._mended(f, g, r1, r2), coupled, moved, self._left_out(f, g, active))

    def _groups(self, active: Tensor | None, most: int) -> list[tuple[int, int]]:
        """Cells of rows to take together, so that a block is worth its overhead: (first, last + 1)."""
        share = 1.0 if active is None else float(active.double().mean())
        together = max(1, min(most, int(self.pairs / (self.rows.size * share * len(self.b) + 1))))
        return [(c, min(c + together, len(self.rows))) for c in range(0, len(self.rows), together)]

    def _rows(
        self, side: Side, c: int, e: int, chosen: Tensor | None, f: Tensor, r1: Tensor, trust: float | None, bits: bool
    ) -> tuple[Tensor, float] | None:
        """What the rows of cells c to e add to the column sums of the chosen cells, (e - c, chosen, size), and to <P, exponents>.

        Fills in their f and r1. trust: infinity keeps f, None takes a maximum. Returns None where row sums are further off.
        """
        right = side.columns(chosen)
        part, moved = f.new_zeros(e - c, len(right[0])), 0.0
        first, last = self.rows.bounds[c], self.rows.bounds[e]
        step = max(8, self.pairs // max(1, part.shape[1]))
        for i in range(first, last, step):
            j = min(i + step, last)
            K, E, top = side.block(slice(i, j), right, stable=trust is None, keep=bits)
            phi, sums = side.phi[i:j], K.sum(1).double()
            drop = sums.log()
            if trust is not None and trust < math.inf and not float(drop.abs().amax()) < trust:  # NaN, too
                return None
            if trust is None or trust < math.inf:
                f[i:j] = self.tau1 * (phi - self.eps * (drop + top))
            log_u = self.la[i:j] + (f[i:j] - phi) / self.eps + top
            size = log_u.max().exp()
            u = (log_u - log_u.max()).exp_()
            r1[i:j] = u * sums * size
            light = u.to(K.dtype)
            for k in range(c, e):
                p, q = max(self.rows.bounds[k], i) - i, min(self.rows.bounds[k + 1], j) - i
                if p < q:
                    part[k - c].add_(torch.mv(K[p:q].t(), light[p:q]), alpha=float(size))
            if bits:  # of no weight in the certificate
                moved += float(size * (u @ K.mul_(E).sum(1).double()))
        return part.view(e - c, -1, self.cols.size), moved

    def _active(self, phi: Tensor, g: Tensor, slack: float = 0.0) -> Tensor | None:
        """Pairs of cells that matter to a row or a column, (k, l) bool; None if all do."""
        if self.least is None:
            return None
        top_f, top_g = self.rows.peaks(phi), self.cols.peaks(g)
        to_rows = (top_f[:, None] + top_g[None] - self.least) / self.eps + (self.mass_b.log() + math.log(len(self.cols)))[None]
        top_f, top_g = self.tau1 * top_f, self.cols.peaks(g / self.tau2)
        to_columns = (top_f[:, None] + top_g[None] - self.least) / self.eps + (self.mass_a.log() + math.log(len(self.rows)))[:, None]
        active = torch.maximum(to_rows, to_columns) > math.log(self.near) - slack
        return None if float(active.double().mean()) > 0.9 else active

    def _left_out(self, f: Tensor, g: Tensor, active: Tensor | None) -> float:
        if active is None or self.least is None:
            return 0.0
        top = (self.rows.peaks(f)[:, None] + self.cols.peaks(g)[None] - self.least) / self.eps
        bound = self.mass_a[:, None] * self.mass_b[None] * top.exp()
        return float(bound[~active].sum())

    def _mended(self, f: Tensor, g: Tensor, r1: Tensor, r2: Tensor) -> Tensor:
        """Logs of column sums; those that are too small for the float type are computed anew, in the log domain."""
        lost = r2 <= 2.0 ** (LOW[self.dtype] + 10) * float(r1.sum())
        log_r2 = r2.log()
        if bool(lost.any()):
            best = soft_minimum(self.cost, self.y[lost], self.x, f / self.eps + self.la, self.eps, self.pairs)
            log_r2[lost] = (g[lost] - best) / self.eps + self.lb[lost]
        return log_r2

    def conditionals(self, f: Tensor, g: Tensor, wanted: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(rows (k,), columns (p,), K (k, p)) block by block, K proportional to the plan of (f, g) in each row.

        Some columns come twice, once with 0. wanted: (n,) bool, which rows to give; None gives all.
        """
        phi = f / self.tau1
        side, active = self.exponents.side(phi, g, torch.float64, self.dtype), self._active(phi, g)
        table = self.exponents.numbers.view(len(self.cols), -1)
        for c in range(len(self.rows)):
            rows = torch.arange(*self.rows.bounds[c : c + 2], device=f.device)
            rows = rows if wanted is None else rows[wanted[rows]]
            chosen = _numbers(active, c, c + 1)
            numbers = (table if chosen is None else table[chosen]).view(-1)
            right = side.columns(chosen) if len(rows) else None
            for some in rows.split(max(1, self.pairs // max(1, len(numbers)))):
                if right is not None:
                    K, _, _ = side.block(some, right, stable=True, keep=False)
                    yield some, numbers, K.mul_(side.filled(chosen))


def _numbers(active: Tensor | None, c: int, e: int) -> Tensor | None:
    """The cells of columns that rows of cells c to e need; None for all, which is also taken where there seem to be none."""
    chosen = torch.empty(0) if active is None else active[c:e].any(0).nonzero()[:, 0]
    return chosen if len(chosen) else None
