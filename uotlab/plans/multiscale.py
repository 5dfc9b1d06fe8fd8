"""Sinkhorn on blocks from coarse to fine: potentials of cell means first, then sweeps with a Newton correction by cells between them.

Reference: sejourne2022faster, Section 3; schmitzer2019stabilized, Sections 3.2 and 3.3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.penalty import Penalty
from uotlab.plans.anderson import Anderson
from uotlab.plans.blocks import NEAR, PAIRS, Blocks, Sweep, Tick
from uotlab.plans.cells import Cells, make_cells
from uotlab.plans.coarse import cell_shifts
from uotlab.plans.sinkhorn import solve

FEW = 2048**2  #: pairs up to which a coarse problem is solved on its dense matrix
POINTS = 8  #: points of a cell that one coarse point stands for, at least
MISSTEPS = 5  #: falls of the dual after shifts by cell, which Sinkhorn's own updates do not make, before these stop
COARSE_TOL = 1e-3  #: relative gap to which coarse problems are solved


class Cancelled(Exception):
    """Raised by a tick: the work is to end with what there is."""


@dataclass(frozen=True, eq=False)
class State:
    """Where the iterations are: potentials to start the next sweep from, the last sweep, its relative gap, sweeps done."""

    phi: Tensor
    g: Tensor
    last: Sweep | None
    gap: float
    n_iter: int
    cancelled: bool = False


class Level:
    """A problem between sorted points, with what its iterations need; built from unsorted points of positive mass.

    f, phi and g are in the order of `fine_x` and `fine_y`.
    """

    def __init__(
        self, cost: Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, eps: float, penalty: Penalty, pairs: int = PAIRS,
        dtype: torch.dtype = torch.float32, near: float = NEAR, kind: type[Blocks] = Blocks,
    ) -> None:  # fmt: skip
        self.cost, self.eps, self.penalty, self.pairs = cost, eps, penalty, pairs
        self.fine_x, self.fine_y = (make_cells(p, max(_cells(len(p)), len(p) // POINTS)) for p in (x, y))
        rows, cols = (fine.merged(_cells(len(fine.order))) for fine in (self.fine_x, self.fine_y))
        x, y, a, b = x[self.fine_x.order], y[self.fine_y.order], a[self.fine_x.order], b[self.fine_y.order]
        self.blocks = kind(cost, x, y, a, b, rows, cols, eps, penalty, pairs, dtype, near)
        self.by_cell = kind.by_cell

    def start(self, tick: Tick) -> tuple[Tensor, Tensor]:
        """(phi, g) from the means of the finest cells: their problem is solved, its potentials are extended by one update."""
        blocks, tau1, tau2 = self.blocks, self.blocks.tau1, self.blocks.tau2
        (xc, ac), (yc, bc) = _means(self.fine_x, blocks.x, blocks.a), _means(self.fine_y, blocks.y, blocks.b)
        if len(xc) * len(yc) <= FEW:
            found = solve(self.cost.matrix(xc, yc), ac, bc, self.eps, self.penalty, COARSE_TOL)
            f, g = found.f, found.g
        else:
            level = Level(self.cost, xc, yc, ac, bc, self.eps, self.penalty, self.pairs)
            state = level.iterate(*level.start(tick), COARSE_TOL, 100, lambda gap: tick)
            f, g = level.fine_x.unsorted(level.blocks.tau1 * state.phi), level.fine_y.unsorted(state.g)
        swapped = Penalty(self.penalty.rho2, self.penalty.rho1)
        one = Cells(torch.arange(len(xc)), [0, len(xc)], torch.zeros(len(xc), dtype=torch.long, device=xc.device))
        back = Blocks(self.cost, blocks.y, xc, blocks.b, ac, blocks.cols, one, self.eps, swapped, self.pairs)
        extended = back.sweep(g[self.fine_y.owner] / tau2, f, first=True, tick=lambda share: tick(0.0))
        return f[self.fine_x.owner] / tau1, extended.f

    def iterate(self, phi: Tensor, g: Tensor, target: float, most: int, watch: Callable[[float], Tick]) -> State:
        """Sweeps until the relative gap is at most `target`; `watch(gap so far)` gives what a sweep is to tick."""
        last, gap, best, i = None, math.inf, -math.inf, 0
        weights = torch.cat([torch.zeros_like(phi), self.blocks.b])
        mixed, plain, missteps = Anderson(weights), None, 0
        for i in range(1, max(1, most) + 1):
            try:
                last = self.blocks.sweep(phi, g, first=i == 1, tick=watch(gap))
            except Cancelled:
                return State(phi, g, last, gap, i - 1, True)
            gap, dual = self.gap(last), self.dual(last)
            fell = not dual >= best - 0.1 * gap * float(last.r1.sum())
            best = max(best, dual)
            if fell and plain is not None:  # mixing went astray: back to where the update itself led
                (phi, g), plain, mixed = plain, None, Anderson(weights)
                continue
            if fell and i > 1:
                missteps += 1
                self.by_cell = self.blocks.by_cell and missteps < MISSTEPS
            new = self.advance(last)
            plain = new
            if gap <= target:
                phi, g = new
                break
            phi, g = mixed.step(torch.cat([phi, g]), torch.cat(new)).split([len(phi), len(g)])
        return State(phi, g, last, gap, i)

    def advance(self, last: Sweep) -> tuple[Tensor, Tensor]:
        """(phi, g) after shifts by cell, then an update of g: its column sums are those of the shifted plan, cell by cell."""
        blocks, rho1, rho2 = self.blocks, self.penalty.rho1, self.penalty.rho2
        wanted = (blocks.lb - last.g / rho2).exp()
        coupled, A, B = last.coupled, blocks.rows.sums(last.r1), blocks.cols.sums(wanted)
        x_owner, y_owner = blocks.rows.owner, blocks.cols.owner
        if not self.by_cell:
            coupled, A, B = coupled.sum().view(1, 1), A.sum().view(1), B.sum().view(1)
            x_owner, y_owner = torch.zeros_like(x_owner), torch.zeros_like(y_owner)
        s, t = cell_shifts(coupled, A, B, self.eps, rho1, rho2)
        before, after = coupled.sum(0), (coupled * ((s[:, None] + t[None]) / self.eps).exp_()).sum(0)
        sound = (before > 1e-200) & (after > 1e-200) & (after < 1e200)  # else the cell has no mass yet: its update alone
        t, growth = torch.where(sound, t, 0.0), torch.where(sound, after.log() - before.log(), 0.0)
        g = last.g + t[y_owner]
        log_r2 = last.log_r2 + growth[y_owner]
        g = g + blocks.tau2 * self.eps * (blocks.lb - g / rho2 - log_r2)
        return (last.f + s[x_owner]) / blocks.tau1, g

    def gap(self, last: Sweep) -> float:
        """The relative gap primal - dual after an update of f; where side 2 is hard, the L1 error of its marginal."""
        blocks, rho2 = self.blocks, self.penalty.rho2
        log_r = last.log_r2 - blocks.lb + last.g / rho2
        if math.isinf(rho2):
            return float((blocks.b * log_r.expm1().abs()).sum() / blocks.b.sum())
        wanted = (blocks.lb - last.g / rho2).exp()
        return rho2 * float((wanted * (log_r.exp() * log_r - log_r.expm1())).sum()) / max(float(last.r1.sum()), 1e-12)

    def dual(self, last: Sweep) -> float:
        """The dual objective at (f, g)."""
        a, b = self.blocks.a, self.blocks.b
        sides = _side(a, last.f, self.penalty.rho1) + _side(b, last.g, self.penalty.rho2)
        return sides - self.eps * (float(last.r1.sum()) + last.left_out - float(a.sum() * b.sum()))


def _side(a: Tensor, f: Tensor, rho: float) -> float:
    return float(a @ f) if math.isinf(rho) else -rho * float(a @ torch.expm1(-f / rho))


def _cells(n: int) -> int:
    """Cells of the Newton correction, a power of two: about 2.5 sqrt(n), so that its linear system costs less than a sweep."""
    return 2 ** min(10, max(round(math.log2(2.5 * math.sqrt(n))), min(8, round(math.log2(8 * math.sqrt(n))))))


def _means(cells: Cells, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and mass of each cell."""
    mass = cells.sums(a)
    return cells.sums(x * a[:, None]) / mass[:, None], mass
