"""The c-transform by looking around: beside T(x), which descends c(x, y) - g(y) from where it is, the batch's target points are tried.

    g^c(x) = min_y c(x, y) - g(y)  <=  min( c(x, Tx) - g(Tx),  min_j c(x, y_j) - g(y_j) )

A map that only descends stays in the nearest valley, and the potential, pushed at images that are not the best answer, moves on for
ever: the two chase each other and end in another matching of the same clouds. Where a y_j beats T(x), the potential's step uses it,
and T is pulled to it. In many dimensions no y_j comes near the best answer and nothing changes. Costs one matrix of a batch's costs.
Reference: genevay2016stochastic, Section 3, for the minimum over a sample; the combination with a map is ours.
"""

import torch
from torch import Tensor

Found = tuple[Tensor, Tensor]  #: 1 where a target point beats the image, else 0, (n,); and that point's number, (n,)


def searched(gain: Tensor, C: Tensor, g_y: Tensor) -> tuple[Tensor, Found]:
    """max of g - c over T(x) and the batch's target points, (n,), and where which of them won.

    Args:
        gain: g(Tx) - c(x, Tx), (n,).
        C: c(x_i, y_j), (n, m).
        g_y: g(y_j), (m,).
    """
    there, j = (g_y - C).max(1)
    return torch.maximum(gain, there), ((there > gain).to(gain.dtype).detach(), j)


def pull(Tx: Tensor, y: Tensor, found: Found, spread: Tensor) -> Tensor:
    """Mean squared distance of images (n, d) from the target points that beat them, in units of spread²."""
    better, j = found
    return (better * (Tx - y[j]).square().sum(1)).mean() / spread.square()
