"""Passes over a cost matrix or a plan, compiled: sums in float64 whatever the float type of the matrix.

Reference: altschuler2017near, Algorithm 2 (`scale_columns`, `fill`).
"""

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from uotlab.plans.compiled import compile_into, exp, exp64, greatest, log


def plan_sums(C, scale, a, b, f, g, hold1, P, rows, columns, costs):
    """P = a b exp(f + g - C scale), its row sums, column sums and <P, C> by rows, summed in float64.

    With `hold1`, f is first corrected so that the row sums are a, to a float's rounding.
    """
    n, m = C.shape
    weights, line = np.log(b) + g, np.empty(m)
    for j in range(m):
        columns[j] = 0.0
    for i in range(n):
        base = f[i] + math.log(a[i])
        r, c = 0.0, 0.0
        for j in range(m):
            line[j] = exp64(base + weights[j] - scale * C[i, j])
        for j in range(m):
            r += line[j]
            c += line[j] * C[i, j]
        ratio = 1.0
        if hold1 and r > 0.0:
            ratio = a[i] / r
            f[i] += math.log(ratio)
        for j in range(m):
            P[i, j] = ratio * line[j]
        for j in range(m):
            columns[j] += ratio * line[j]
        rows[i], costs[i] = ratio * r, ratio * c


def scale_columns(C, y, P, rows, costs):
    """P_ij y_j in place, its row sums and <P, C> by rows."""
    n, m = C.shape
    for i in range(n):
        r, c = 0.0, 0.0
        for j in range(m):
            p = P[i, j] * y[j]
            P[i, j] = p
            r += p
            c += p * C[i, j]
        rows[i], costs[i] = r, c


def fill(C, a, b, y, right, P, rows, columns, costs):
    """P_ij y_j + left_i right_j in place, left what rows then lack of a; its sums as in `plan_sums`. Returns sum P log(P / a b).

    The logarithms are taken in the float type of P: their errors are a few 1e-7 and cancel in the sum.
    """
    n, m = C.shape
    real = P.dtype.type
    logs, line = np.log(b), np.empty(m)
    entropy = 0.0
    for j in range(m):
        columns[j] = 0.0
    for i in range(n):
        r, c, e = 0.0, 0.0, 0.0
        for j in range(m):
            line[j] = P[i, j] * y[j]
        for j in range(m):
            r += line[j]
        left, r = max(a[i] - r, 0.0), 0.0
        for j in range(m):
            line[j] += left * right[j]
        for j in range(m):
            columns[j] += line[j]
        for j in range(m):
            P[i, j] = real(line[j])
        for j in range(m):
            r += line[j]
            c += line[j] * C[i, j]
        for j in range(m):
            e += line[j] * (log(P[i, j]) - logs[j])
        rows[i], costs[i] = r, c
        entropy += e - r * math.log(a[i])
    return entropy


def rough(C, scale, u, v, P):
    """P = exp(u + v - C scale) over its largest entry, in the float type of P; returns the logarithm of that entry."""
    n, m = C.shape
    real = P.dtype.type
    line, spare, top = np.empty(m), np.empty(m), -np.inf
    for i in range(n):
        for j in range(m):
            line[j] = v[j] - scale * C[i, j]
        top = max(top, greatest(line, m, spare) + u[i])
    for i in range(n):
        base = u[i] - top
        for j in range(m):
            P[i, j] = exp(real(base + v[j] - scale * C[i, j]))
    return top


def squares(X, Y, factor, a, b, C):
    """C = factor |x - y|² from points X (n, d) and Y (d, m) by differences, which lose no digits; returns sum a b C."""
    n, d = X.shape
    m = Y.shape[1]
    line = np.empty(m)
    total = 0.0
    for i in range(n):
        for j in range(m):
            line[j] = 0.0
        for k in range(d):
            t = X[i, k]
            for j in range(m):
                line[j] += (t - Y[k, j]) * (t - Y[k, j])
        r = 0.0
        for j in range(m):
            c = factor * line[j]
            C[i, j] = c
            r += b[j] * c
        total += a[i] * r
    return total


def side(p, q, u, rho):
    """(KL(p | q), -<q, e^{-u/rho} - 1>): what one relaxed marginal adds to the primal and to the dual, both over rho; q positive."""
    primal, dual = 0.0, 0.0
    for i in range(p.shape[0]):
        more = p[i] - q[i]
        if abs(more) < 0.5 * q[i]:  # log1p keeps the digits that a large rho brings out
            primal += p[i] * math.log1p(more / q[i]) - more
        elif p[i] > 0.0:
            primal += p[i] * math.log(p[i] / q[i]) - more
        else:
            primal += q[i]
        dual -= q[i] * math.expm1(-u[i] / rho)
    return primal, dual


@cache
def passes() -> Any:
    """The functions of this module by name, compiled."""
    names = ("plan_sums", "scale_columns", "fill", "rough", "side", "squares")
    compile_into(globals(), names)
    return SimpleNamespace(**{name: globals()[name] for name in names})
