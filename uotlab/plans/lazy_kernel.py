"""A cell of rows of `blocks.Blocks.sweep`, compiled: exponents, exponentials and both sums of a row while it is in the cache.

For squared distances in few dimensions on a CPU, where it is three to four times as quick as products of matrices; by differences, which
lose no digits to cancellation. numba compiles it at its first use and keeps the result on disk.
"""

import math
import threading
from typing import Any

import numpy as np

MOST_DIMENSIONS = 6  #: up to which differences are quicker than a matrix product


def exp2(t):
    """2^t in float32 to an ulp or two for t in [-126, 127]: the series of 2^r for |r| <= 1/2, times a power of two."""
    k = np.floor(t + np.float32(0.5))
    r = t - k
    p = np.float32(1.535336188319500e-4)
    p = p * r + np.float32(1.339887440266574e-3)
    p = p * r + np.float32(9.618437357674640e-3)
    p = p * r + np.float32(5.550332471162809e-2)
    p = p * r + np.float32(2.402264791363012e-1)
    p = p * r + np.float32(6.931472028550421e-1)
    p = p * r + np.float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


def exponents(line, beta, w, start, z, i, top):
    """line_j = top + beta_j - |z_i - w_j|², w from `start` on."""
    for j in range(len(line)):
        line[j] = top + beta[j]
    for k in range(z.shape[1]):
        here, row = z[i, k], w[k][start : start + len(line)]
        for j in range(len(line)):
            line[j] -= (here - row[j]) * (here - row[j])


def exponentials(line, K, low):
    """K_j = 2^line_j; returns their sum, and that of K_j line_j."""
    total, weighted = np.float32(0), np.float32(0)
    for j in range(len(line)):
        t = min(max(np.float32(line[j]), low), np.float32(120))
        e = exp2(t)
        K[j] = e
        total += e
        weighted += e * t
    return total, weighted


def plane(K, beta, first, second, x, y, top, low):
    """`exponents` and `exponentials` in one loop, for points (x, y)."""
    total, weighted = np.float32(0), np.float32(0)
    for j in range(len(K)):
        p, q = x - first[j], y - second[j]
        t = min(max(np.float32(top + beta[j] - p * p - q * q), low), np.float32(120))
        e = exp2(t)
        K[j] = e
        total += e
        weighted += e * t
    return total, weighted


def add(part, K, u):
    """part += u K."""
    for j in range(len(part)):
        part[j] += u * K[j]


def cell_sweep(z, w, alpha, beta, phi, la, active, bounds, i0, i1, tau1, eps, trust, low, line, K, part, f, r1, r2, coupled):
    """f, r1 of rows i0 to i1 and what they add to r2 and to `coupled`, their sums by cell; returns (done, <P, exponents>).

    Args:
        z, w: scaled points (n, d) and (d, m), float32 or float64; exponents are alpha_i + beta_j - |z_i - w_j|².
        active, bounds: which cells of columns to take, and where they begin, k + 1.
        trust: greatest log of a row sum (0 is expected); beyond, nothing is done. Infinity keeps f.
        line, K, part: room for m numbers each, of the type of z, float32 and float32.
    """
    cells, m = len(bounds) - 1, w.shape[1]
    for j in range(m):
        part[j] = 0
    size, bits = -np.inf, 0.0
    for i in range(i0, i1):
        s, moved, top = 0.0, 0.0, alpha[i]
        c = 0
        while c < cells:
            if not active[c]:
                c += 1
                continue
            start = bounds[c]
            while c < cells and active[c]:
                c += 1
            end = bounds[c]
            if len(w) == 2:  # slices: loops from 0 on are vectorised
                total, weighted = plane(K[start:end], beta[start:end], w[0][start:end], w[1][start:end], z[i, 0], z[i, 1], top, low)
            else:
                exponents(line[start:end], beta[start:end], w, start, z, i, top)
                total, weighted = exponentials(line[start:end], K[start:end], low)
            s += total
            moved += weighted
        drop = math.log(s)
        if trust < np.inf:
            if not abs(drop) < trust:
                return False, 0.0
            f[i] = tau1 * (phi[i] - eps * drop)
        u = math.exp(la[i] + (f[i] - phi[i]) / eps - size) if size > -np.inf else 1.0
        if size == -np.inf:  # the scale of this cell's weights, so that float32 holds them
            size = la[i] + (f[i] - phi[i]) / eps
        r1[i] = math.exp(la[i] + (f[i] - phi[i]) / eps) * s
        bits += math.exp(la[i] + (f[i] - phi[i]) / eps) * moved
        light = np.float32(u)
        c = 0
        while c < cells:
            if not active[c]:
                c += 1
                continue
            start = bounds[c]
            while c < cells and active[c]:
                c += 1
            add(part[start : bounds[c]], K[start : bounds[c]], light)
    scale = math.exp(size)
    for c in range(cells):
        if active[c]:
            total = 0.0
            for j in range(bounds[c], bounds[c + 1]):
                r2[j] += scale * part[j]
                total += part[j]
            coupled[c] += scale * total
    return True, bits


class QuickRows:
    """Sweeps over cells of rows at given potentials; see `cell_sweep`."""

    def __init__(self, z: Any, w: Any, alpha: Any, beta: Any, phi: Any, la: Any, bounds: list[int], low: float) -> None:
        """Tensors, w (d, m); the type of z is that of the exponents, all else float64."""
        real = z.numpy().dtype
        self.points = z.numpy(), w.numpy(), alpha.numpy().astype(real), beta.numpy().astype(real), phi.numpy(), la.numpy()
        self.bounds, self.low = np.array(bounds), np.float32(low)
        self.room = [np.empty(w.shape[1], dtype) for dtype in (real, np.float32, np.float32)]
        self.everything = np.ones(len(bounds) - 1, dtype=bool)

    def cell(self, first: int, last: int, active: Any, tau1: float, eps: float, trust: float, sums: tuple[Any, ...]) -> float | None:
        """Rows first to last against the active cells, all if None; adds to sums, tensors f, r1, r2 and coupled. None: not trusted."""
        chosen = self.everything if active is None else active.numpy()
        arrays = (array.numpy() for array in sums)
        done, bits = compiled()(*self.points, chosen, self.bounds, first, last, tau1, eps, trust, self.low, *self.room, *arrays)
        return bits if done else None


_lock = threading.Lock()


def compiled() -> Any:
    """`cell_sweep`, compiled."""
    here = globals()
    with _lock:
        for name in ("exp2", "exponents", "exponentials", "plane", "add", "cell_sweep"):
            if not hasattr(here[name], "py_func"):
                here[name] = _compile(here[name], fast=name != "cell_sweep")
    return here["cell_sweep"]


def _compile(function: Any, fast: bool) -> Any:
    from numba import njit

    # without NaN the minimum of two numbers is one instruction; `cell_sweep` itself has to see them
    how: dict[str, Any] = {"fastmath": fast, "error_model": "numpy", "nogil": True}
    try:
        return njit(cache=True, **how)(function)
    except RuntimeError:  # no folder to keep the result in: compile anew in every process
        return njit(**how)(function)
