"""The sweeps of dense Sinkhorn, compiled: one sweep reads the kernel matrix once and gives both potentials.

Blocks of rows give their sums, their potentials and at once their share of the column sums. Nothing here checks its input. Vectors are
float64 where not said otherwise; K (n, m), u, v, w are of the work's float type.
Reference: chizat2018scaling, Algorithm 1.
"""

import math

import numpy as np

from uotlab.plans.compiled import compile_into, exp, exp64, greatest, log64

ROWS = 16  #: rows of the kernel a block: they stay in the cache between their two uses


def absorb(C, inv, weights, beta, alpha, s, K):
    """K = exp(alpha + beta - C inv), whose rows have the maximum 1, and its row sums s; weights = g + log b becomes beta."""
    n, m = C.shape
    line, spare = np.empty(m), np.empty(m)
    for j in range(m):
        beta[j] = weights[j]
    for i in range(n):
        for j in range(m):
            line[j] = beta[j] - inv * C[i, j]
        top = greatest(line, m, spare)
        total = 0.0
        for j in range(m):
            K[i, j] = exp(K.dtype.type(line[j] - top))
        for j in range(m):
            total += K[i, j]
        alpha[i], s[i] = -top, total


def log_row(C, inv, i, weights):
    """log sum_j exp(weights_j - C_ij inv)."""
    m = C.shape[1]
    top = -np.inf
    for j in range(m):
        top = max(top, weights[j] - inv * C[i, j])
    total = 0.0
    for j in range(m):
        total += exp64(weights[j] - inv * C[i, j] - top)
    return top + math.log(total)


def log_column(C, inv, j, weights):
    """log sum_i exp(weights_i - C_ij inv)."""
    n = C.shape[0]
    top = -np.inf
    for i in range(n):
        top = max(top, weights[i] - inv * C[i, j])
    total = 0.0
    for i in range(n):
        total += exp64(weights[i] - inv * C[i, j] - top)
    return top + math.log(total)


def sweep(K, C, inv, v, weights, alpha, beta, la, tau1, tau2, off, tiny, s, u, w, f, g):
    """f from the row sums K v, then new potentials g from the column sums K^T u. Returns the greatest exponent of u.

    u = exp(f + log a - alpha - off); sums that the float type lost are taken again in the log domain, so that they are always right.
    """
    n, m = K.shape
    real = K.dtype.type
    for j in range(m):
        w[j] = 0
    high = -np.inf
    for i0 in range(0, n, ROWS):
        i1 = min(i0 + ROWS, n)
        i = i0
        while i + 4 <= i1:
            s0, s1, s2, s3 = real(0), real(0), real(0), real(0)
            for j in range(m):
                s0 += K[i, j] * v[j]
                s1 += K[i + 1, j] * v[j]
                s2 += K[i + 2, j] * v[j]
                s3 += K[i + 3, j] * v[j]
            s[i], s[i + 1], s[i + 2], s[i + 3] = s0, s1, s2, s3
            i += 4
        while i < i1:
            s0 = real(0)
            for j in range(m):
                s0 += K[i, j] * v[j]
            s[i] = s0
            i += 1
        for i in range(i0, i1):
            f[i] = -tau1 * (log64(s[i]) - alpha[i])
        for i in range(i0, i1):
            if not (tiny < s[i] < np.inf):
                f[i] = -tau1 * log_row(C, inv, i, weights)
        for i in range(i0, i1):
            e = f[i] + la[i] - alpha[i]
            high = max(high, e)
            u[i] = real(exp64(e - off))
        i = i0
        while i + 4 <= i1:
            u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
            for j in range(m):
                w[j] += (u0 * K[i, j] + u1 * K[i + 1, j]) + (u2 * K[i + 2, j] + u3 * K[i + 3, j])
            i += 4
        while i < i1:
            for j in range(m):
                w[j] += u[i] * K[i, j]
            i += 1
    for j in range(m):
        g[j] = -tau2 * (log64(np.float64(w[j])) - beta[j] + off)
    lost = 0
    for j in range(m):
        if not (tiny < w[j] < np.inf):
            lost += 1
    if lost > 0:
        for i in range(n):
            s[i] = f[i] + la[i]
        for j in range(m):
            if not (tiny < w[j] < np.inf):
                g[j] = -tau2 * log_column(C, inv, j, s)
    return high


def compile_sweeps() -> None:
    """Compiles the functions of this module in their places."""
    compile_into(globals(), ("absorb", "log_row", "log_column", "sweep"))
