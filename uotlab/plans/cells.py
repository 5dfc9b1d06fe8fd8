"""Cells: points sorted so that neighbours are stored together, cut into pieces of nearly equal number.

A recursive median split (a k-d tree). Cells make blocks of a kernel local, so that far pairs can be left out by their bounding
boxes, and their weighted means stand for their points where a coarse problem is solved first.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Cells:
    """k cells of n points: cell c holds the sorted points bounds[c] to bounds[c + 1].

    Args:
        order: (n,) the points' numbers in sorted order.
        bounds: k + 1 whole numbers from 0 to n.
        owner: (n,) the cell of each sorted point.
    """

    order: Tensor
    bounds: list[int]
    owner: Tensor

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def size(self) -> int:
        """Points of the largest cell."""
        return max(last - first for first, last in itertools.pairwise(self.bounds))

    def merged(self, k: int) -> "Cells":
        """The same points in k cells, both numbers powers of two: the same split, stopped earlier."""
        step = max(1, len(self) // k)
        return Cells(self.order, self.bounds[::step], self.owner // step)

    def places(self) -> Tensor:
        """Where each sorted point stands in a table of equal rows, one a cell, (n,): `table.view(-1)[places]` are the points again."""
        start = torch.tensor(self.bounds[:-1], device=self.owner.device)
        return (
            torch.arange(len(self.owner), device=self.owner.device)
            + (torch.arange(len(self), device=start.device) * self.size - start)[self.owner]
        )

    def sums(self, values: Tensor) -> Tensor:
        """Sums over each cell of sorted values (n, ...), -> (k, ...)."""
        return values.new_zeros(len(self), *values.shape[1:]).index_add_(0, self.owner, values)

    def peaks(self, values: Tensor) -> Tensor:
        """Greatest of sorted values (n,) in each cell, (k,)."""
        return values.new_full((len(self),), -torch.inf).scatter_reduce_(0, self.owner, values, "amax")

    def boxes(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Least and greatest coordinates of sorted points (n, d) in each cell, two (k, d)."""
        index, empty = self.owner[:, None].expand_as(points), points.new_zeros(len(self), points.shape[1])
        low, high = (empty.scatter_reduce(0, index, points, reduce, include_self=False) for reduce in ("amin", "amax"))
        return low, high

    def unsorted(self, values: Tensor) -> Tensor:
        """Sorted values (n, ...) in the points' own order."""
        return torch.empty_like(values).index_copy_(0, self.order, values)


def make_cells(points: Tensor, k: int) -> Cells:
    """At most k cells of points (n, d), a power of two, none of them empty; split along the axis of greatest variance."""
    pieces = [torch.arange(len(points), device=points.device)]
    while 2 * len(pieces) <= min(k, len(points)):
        halves = []
        for piece in pieces:
            inside = points[piece]
            along = inside[:, int(inside.var(0, correction=0).argmax())]
            ranked = piece[along.argsort(stable=True)]
            middle = len(ranked) // 2
            halves += [ranked[:middle], ranked[middle:]]
        pieces = halves
    bounds = [0]
    for piece in pieces:
        bounds.append(bounds[-1] + len(piece))
    sizes = torch.tensor([len(piece) for piece in pieces], device=points.device)
    owner = torch.repeat_interleave(torch.arange(len(pieces), device=points.device), sizes)
    return Cells(torch.cat(pieces), bounds, owner)


def box_distances(low: Tensor, high: Tensor, low2: Tensor, high2: Tensor) -> Tensor:
    """Euclidean distances between boxes, (k, d) and (l, d) -> (k, l): the least that any two of their points can have."""
    total = low.new_zeros(len(low), len(low2))
    for axis in range(low.shape[1]):
        apart = torch.maximum(low2[None, :, axis] - high[:, None, axis], low[:, None, axis] - high2[None, :, axis])
        total += apart.clamp_(min=0).square_()
    return total.sqrt_()
