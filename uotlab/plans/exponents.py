"""log2 of b_j exp((phi_i + g_j - C_ij) / eps) in blocks: for squared distances one matrix product, potentials folded in.

Columns are kept as a table of cells of equal length, filled up with columns of no mass, so that a choice of cells is a choice of rows.
"""

import math

import torch
from torch import Tensor

from uotlab.costs import Cost
from uotlab.plans.cells import Cells
from uotlab.plans.ground import embedded
from uotlab.plans.lazy_kernel import MOST_DIMENSIONS, QuickRows

LOW = {torch.float32: -100.0, torch.float64: -960.0}  #: least binary exponent: exp2 is slow where it underflows
NAT = math.log2(math.e)


class Exponents:
    """What does not change with the potentials: points of rows (n, d) and of the cells of columns."""

    def __init__(self, cost: Cost, x: Tensor, y: Tensor, lb: Tensor, cols: Cells, eps: float) -> None:
        self.cost, self.x, self.lb, self.cols, self.unit = cost, x, lb, cols, NAT / eps
        self.places = cols.places()
        self.numbers = torch.zeros(len(cols) * cols.size, dtype=torch.long, device=x.device)
        self.numbers[self.places] = torch.arange(len(y), device=x.device)  #: the column in each place of the table
        self.y = y[self.numbers]
        left, right = embedded(cost, x), embedded(cost, y)
        self.z, self.plain = None, None
        if left is not None and right is not None:
            centre, root = (left[0].mean(0) + right[0].mean(0)) / 2, math.sqrt(2 * self.unit * left[1])
            self.z, self.w = root * (left[0] - centre), root * (right[0] - centre)[self.numbers]
            self.z_half, self.w_half = self.z.square().sum(1) / 2, self.w.square().sum(1) / 2
            if x.device.type == "cpu" and self.z.shape[1] <= MOST_DIMENSIONS:
                half = math.sqrt(0.5)
                self.plain = half * self.z, (half * root * (right[0] - centre)).T.contiguous()

    def quick(self, phi: Tensor, g: Tensor, la: Tensor, dtype: torch.dtype) -> QuickRows | None:
        """Compiled sweeps with exponents in `dtype` and float32 exponentials, where the cost and the device allow them."""
        if self.plain is None:
            return None
        z, w = (points.to(dtype) for points in self.plain)
        middle = float(g.mean())
        return QuickRows(
            z, w, self.unit * (phi + middle), self.unit * (g - middle) + self.lb * NAT, phi, la, self.cols.bounds, LOW[torch.float32]
        )

    def side(self, phi: Tensor, g: Tensor, dtype: torch.dtype, work: torch.dtype) -> "Side":
        """With potentials phi (n,), g (m,): exponents in `dtype`, their exponentials in `work`."""
        return Side(self, phi, g, dtype, work)


class Side:
    """Exponents at given potentials."""

    def __init__(self, points: Exponents, phi: Tensor, g: Tensor, dtype: torch.dtype, work: torch.dtype) -> None:
        self.points, self.phi, self.dtype, self.work = points, phi, dtype, work
        middle = float(g.mean())  # a large constant between f and g must not reach float32
        self.alpha = points.unit * (phi + middle)
        self.beta = g.new_full((len(points.numbers),), -math.inf)
        self.beta[points.places] = points.unit * (g - middle) + points.lb * NAT
        if points.z is None:
            self.right = points.y.to(dtype)
        else:
            one = g.new_ones(1)
            self.left = torch.cat([points.z, (self.alpha - points.z_half)[:, None], one.expand(len(phi), 1)], 1).to(dtype)
            self.right = torch.cat([points.w, one.expand(len(self.beta), 1), (self.beta - points.w_half)[:, None]], 1).to(dtype)
        self.memory = torch.empty(0, dtype=dtype, device=g.device)

    def columns(self, chosen: Tensor | None) -> tuple[Tensor, Tensor]:
        """What `block` needs of the chosen cells, all if None: their places (p, ...) and the beta of each."""
        if chosen is None:
            return self.right, self.beta
        size = self.points.cols.size
        beta = self.beta if self.points.z is not None else self.beta.view(-1, size)[chosen].view(-1)
        return self.right.view(-1, size, self.right.shape[1])[chosen].view(len(chosen) * size, -1), beta

    def block(self, rows: slice | Tensor, right: tuple[Tensor, Tensor], *, stable: bool, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """(K, E, top) of some rows: K = 2^(E - top), E kept if asked, top in nats, (rows,): the greatest where `stable`, else 0."""
        E = self._exponents(rows, right)
        top = E.new_zeros(len(E), 1)
        if stable:
            top = E.amax(1, keepdim=True)
            E -= top
        E = E.clamp_(min=LOW[self.work]).to(self.work)
        K = torch.exp2(E) if keep else E.exp2_()
        return K, E.add_(top.to(E)) if stable and keep else E, top[:, 0].double() / NAT

    def filled(self, chosen: Tensor | None) -> Tensor:
        """1 in the chosen places that hold a column, 0 in those that fill the table up."""
        held = (self.beta > -math.inf).to(self.work)
        return held if chosen is None else held.view(-1, self.points.cols.size)[chosen].view(-1)

    def _exponents(self, rows: slice | Tensor, right: tuple[Tensor, Tensor]) -> Tensor:
        side, beta = right
        points = self.points
        if points.z is None:
            C = points.cost.matrix(points.x[rows].to(self.dtype), side)
            return C.mul_(-points.unit).add_(self.alpha[rows].to(C)[:, None]).add_(beta.to(C)[None])
        left = self.left[rows]
        size = len(left) * len(side)
        if len(self.memory) < size:
            self.memory = torch.empty(size, dtype=self.dtype, device=side.device)
        return torch.mm(left, side.T, out=self.memory[:size].view(len(left), len(side)))
