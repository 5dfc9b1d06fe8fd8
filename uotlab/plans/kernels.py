"""The inner loops of dense Sinkhorn, compiled by numba at their first use and cached on disk; plain Python until then.

One sweep reads the kernel matrix once: blocks of rows give their sums, their potentials and at once their share of the column sums.
Nothing here checks its input. All vectors are float64 where not said otherwise; K (n, m), v, w are of the work's float type.
"""

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

DEPTH = 6  #: of the Anderson acceleration
PATIENCE = 400  #: sweeps without the gap falling by a tenth, after which they end
ROWS = 16  #: rows of the kernel a block: they stay in the cache between their two uses
FAST = {"reassoc", "contract", "nsz", "arcp"}  #: sums may be reordered, infinities and NaN keep their meaning


def _exp32(x):
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


def _exp64(x):
    """e^x to a few ulp in [-708, 709], constant beyond: Cody and Waite's reduction and Taylor's series."""
    x = min(max(x, -708.0), 709.0)
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = x - k * 6.93145751953125e-1 - k * 1.42860682030941723212e-6
    p = 1.6059043836821613e-10
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 1.6666666666666666e-01
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    return p * np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


def _log64(x):
    """log x to a few ulp for normal positive x: the mantissa's series in (m - 1) / (m + 1)."""
    bits = np.float64(x).view(np.int64)
    e = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    m = np.int64(bits - (e << np.int64(52))).view(np.float64)
    z = (m - 1.0) / (m + 1.0)
    t = z * z
    p = 1.0 / 21
    p = p * t + 1.0 / 19
    p = p * t + 1.0 / 17
    p = p * t + 1.0 / 15
    p = p * t + 1.0 / 13
    p = p * t + 1.0 / 11
    p = p * t + 1.0 / 9
    p = p * t + 1.0 / 7
    p = p * t + 1.0 / 5
    p = p * t + 1.0 / 3
    return np.float64(e) * 0.6931471805599453 + (2.0 * z + 2.0 * z * t * p)


def exp(x):
    """e^x in the float type of x."""
    raise NotImplementedError  # replaced when the kernels are compiled


def absorb(C, inv, weights, beta, alpha, s, K):
    """K = exp(alpha + beta - C inv), whose rows have the maximum 1, and its row sums s; weights = g + log b becomes beta."""
    n, m = C.shape
    for j in range(m):
        beta[j] = weights[j]
    for i in range(n):
        top = -np.inf
        for j in range(m):
            top = max(top, beta[j] - inv * C[i, j])
        total = 0.0
        for j in range(m):
            K[i, j] = exp(K.dtype.type(beta[j] - inv * C[i, j] - top))
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
        total += _exp64(weights[j] - inv * C[i, j] - top)
    return top + math.log(total)


def log_column(C, inv, j, weights):
    """log sum_i exp(weights_i - C_ij inv)."""
    n = C.shape[0]
    top = -np.inf
    for i in range(n):
        top = max(top, weights[i] - inv * C[i, j])
    total = 0.0
    for i in range(n):
        total += _exp64(weights[i] - inv * C[i, j] - top)
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
            f[i] = -tau1 * (_log64(s[i]) - alpha[i])
        for i in range(i0, i1):
            if not (tiny < s[i] < np.inf):
                f[i] = -tau1 * log_row(C, inv, i, weights)
        for i in range(i0, i1):
            e = f[i] + la[i] - alpha[i]
            high = max(high, e)
            u[i] = real(_exp64(e - off))
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
        g[j] = -tau2 * (_log64(np.float64(w[j])) - beta[j] + off)
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


def shift(la, lb, f, g, r1, r2):
    """The constant moved from g to f that maximises the dual; 0 where both sides are held."""
    if r1 == np.inf and r2 == np.inf:
        return 0.0
    log_a = log_mass(la, f, r1)
    log_b = log_mass(lb, g, r2)
    weight = r2 if r1 == np.inf else (r1 if r2 == np.inf else r1 * (r2 / (r1 + r2)))
    return weight * (log_a - log_b)


def log_mass(la, f, r):
    """log sum a exp(-f / r)."""
    slope = 1.0 / r  # 0 where the side is held
    top = -np.inf
    for i in range(len(f)):
        top = max(top, la[i] - slope * f[i])
    total = 0.0
    for i in range(len(f)):
        total += _exp64(la[i] - slope * f[i] - top)
    return top + math.log(total)


def gap_of(b, g, new, eps, r1, r2, tau2):
    """Relative primal - dual at f(g), g, from what one sweep has computed anyway.

    After an update of f the source marginal is the one that f asks for, and the gap is rho2 KL(P^T 1 | b e^{-g/rho2}), whose density
    ratio is r = exp((g - new) / tau2). Where side 2 is held, one more update of g makes its marginal exact: then the gap is at most
    rho1 KL(b | P^T 1), and where both are held about half the L1 error of that marginal.
    """
    near, mass, error = 0.0, 0.0, 0.0
    if r2 == np.inf:
        for j in range(len(b)):
            log_r = g[j] - new[j]
            r = _exp64(log_r)
            error += b[j] * abs(r - 1.0)
            # b log(b / c) - b + c with c = b r; its series where the difference would lose digits
            d = log_r
            near += b[j] * (d * d * (0.5 + d / 6) if abs(d) < 1e-3 else r - 1.0 - d)
            mass += b[j]
        l1 = 0.5 * error / mass
        return l1 if r1 == np.inf else min(l1, r1 * eps * near / mass)
    for j in range(len(b)):
        d = (g[j] - new[j]) / tau2
        wanted = b[j] * _exp64(-g[j] / r2)
        r = _exp64(d)
        near += wanted * (d * d * (0.5 + d / 3) if abs(d) < 1e-3 else r * d - r + 1.0)
        mass += wanted * r
    return r2 * eps * near / max(mass, 1e-300)


def solve_small(A, y, k, ridge):
    """x with (A + ridge tr(A)/k I) x = y for the leading k x k part, by Cholesky; y is overwritten. False where A is not positive."""
    trace = 0.0
    for i in range(k):
        trace += A[i, i]
    if not (0.0 < trace < np.inf):
        return False
    L = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            t = A[i, j] + (ridge * A[i, i] + 1e-300 if i == j else 0.0)
            for q in range(j):
                t -= L[i, q] * L[j, q]
            if i == j:
                if not t > 0.0:
                    return False
                L[i, i] = math.sqrt(t)
            else:
                L[i, j] = t / L[j, j]
    for i in range(k):
        for q in range(i):
            y[i] -= L[i, q] * y[q]
        y[i] /= L[i, i]
    for i in range(k - 1, -1, -1):
        for q in range(i + 1, k):
            y[i] -= L[q, i] * y[q]
        y[i] /= L[i, i]
    return True


def iterate(C, K, a, b, f, g, eps, scale, r1, r2, most, target, check, reach, tiny, ridge, depth):
    """Up to `most` sweeps at one eps from g, Anderson-accelerated. Potentials f, g in units of eps, overwritten.

    `scale` multiplies C into units of eps; `target` is the relative gap to stop at (0: never), looked at every `check` sweeps;
    `reach` is how far g may move before it is absorbed anew; `depth` 0 leaves the acceleration out.
    Returns (sweeps, last gap estimate, whether the gap stopped falling).
    """
    n, m = C.shape
    real = K.dtype.type
    tau1 = 1.0 if r1 == np.inf else r1 / (1.0 + r1)
    tau2 = 1.0 if r2 == np.inf else r2 / (1.0 + r2)
    la, lb = np.log(a), np.log(b)
    alpha, s = np.empty(n), np.empty(n)
    beta, weights, new, rest = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    u, v, w = np.empty(n, K.dtype), np.empty(m, K.dtype), np.empty(m, K.dtype)
    dR, dT = np.zeros((DEPTH, m)), np.zeros((DEPTH, m))
    old_rest, old_new, best_new = np.zeros(m), np.zeros(m), np.zeros(m)
    gram, right = np.zeros((DEPTH, DEPTH)), np.zeros(DEPTH)
    held, slot, size_before, best, calm, gap = 0, 0, np.inf, np.inf, 1, np.inf
    off, fresh, it, least, last, stalled = 0.0, True, 0, np.inf, 0, False
    while it < most:
        for j in range(m):
            weights[j] = g[j] + lb[j]
        if not fresh:
            far = 0.0
            for j in range(m):
                far = max(far, abs(weights[j] - beta[j]))
            fresh = not far < reach
        if fresh:
            absorb(C, scale, weights, beta, alpha, s, K)
            off = -np.inf
            for i in range(n):
                off = max(off, -tau1 * (math.log(s[i]) - alpha[i]) + la[i] - alpha[i])
            fresh = False
        for j in range(m):
            v[j] = real(_exp64(weights[j] - beta[j]))
        high = sweep(K, C, scale, v, weights, alpha, beta, la, tau1, tau2, off, tiny, s, u, w, f, new)
        if high > off + 40.0 or high < off - 40.0:  # the scale of u was a bad guess
            off = high
            sweep(K, C, scale, v, weights, alpha, beta, la, tau1, tau2, off, tiny, s, u, w, f, new)
        it += 1
        if target > 0 and (it % check == 0 or it == most or it == 1):
            gap = gap_of(b, g, new, eps, r1, r2, tau2)
            if gap <= target:
                break
            if gap < 0.9 * least:
                least, last = gap, it
            elif it - last > PATIENCE:
                stalled = True
                break
        if it == most:
            break
        # one step of the map g -> T(g), its residual, and Anderson's combination of the last of them
        moved = shift(la, lb, f, new, r1, r2)
        size = 0.0
        for j in range(m):
            new[j] -= moved
            rest[j] = new[j] - g[j]
            size += b[j] * rest[j] * rest[j]
        size = math.sqrt(size)
        if not size <= 3.0 * size_before:  # worse than before, or not finite: forget, go on from the best
            held, slot, size_before = 0, 0, np.inf
            if best < np.inf:
                for j in range(m):
                    g[j] = best_new[j]
                best, calm = np.inf, 2
                continue
            size = np.inf
        if size < best:
            best = size
            for j in range(m):
                best_new[j] = new[j]
        if depth > 0 and size_before < np.inf:
            for j in range(m):
                dR[slot, j] = rest[j] - old_rest[j]
                dT[slot, j] = new[j] - old_new[j]
            held = min(held + 1, DEPTH)
            for k in range(held):
                t = 0.0
                for j in range(m):
                    t += b[j] * dR[slot, j] * dR[k, j]
                gram[slot, k] = t
                gram[k, slot] = t
            slot = (slot + 1) % DEPTH
        for j in range(m):
            old_rest[j] = rest[j]
            old_new[j] = new[j]
        size_before = size
        for j in range(m):
            g[j] = new[j]
        if calm > 0:
            calm -= 1
        elif held > 0:
            for k in range(held):
                t = 0.0
                for j in range(m):
                    t += b[j] * dR[k, j] * rest[j]
                right[k] = t
            if solve_small(gram, right, held, ridge):
                for k in range(held):
                    for j in range(m):
                        g[j] -= right[k] * dT[k, j]
    if r2 == np.inf:  # one more update holds side 2 as well as floats can
        for j in range(m):
            g[j] = new[j]
    return it, gap, stalled


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
            line[j] = _exp64(base + weights[j] - scale * C[i, j])
        for j in range(m):
            r += line[j]
            c += line[j] * C[i, j]
        ratio = 1.0
        if hold1 and r > 0.0:
            ratio = a[i] / r
            f[i] += math.log(ratio)
        for j in range(m):
            p = ratio * line[j]
            P[i, j] = p
            columns[j] += p
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


def fill(C, a, b, left, right, P, rows, columns, costs):
    """P + left right^T in place, its sums as in `plan_sums`. Returns sum P log(P / a b)."""
    n, m = C.shape
    logs, line = np.log(b), np.empty(m)
    entropy = 0.0
    for j in range(m):
        columns[j] = 0.0
    for i in range(n):
        r, c, e, base = 0.0, 0.0, 0.0, math.log(a[i])
        for j in range(m):
            line[j] = P[i, j] + left[i] * right[j]
        for j in range(m):
            p = line[j]
            P[i, j] = p
            columns[j] += p
            r += p
            c += p * C[i, j]
            e += p * (_log64(p) - base - logs[j])
        rows[i], costs[i] = r, c
        entropy += e
    return entropy


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


INNER = ("_exp32", "_exp64", "_log64", "absorb", "log_row", "log_column", "sweep", "log_mass", "shift", "gap_of", "solve_small")
OUTER = ("iterate", "plan_sums", "scale_columns", "fill", "squares")


@cache
def compiled() -> Any:
    """The compiled kernels by name; takes seconds the very first time on a machine, then a fraction of one."""
    from numba import njit
    from numba.core import types
    from numba.extending import overload

    here = globals()
    for name in INNER[:3]:
        here[name] = njit(fastmath=FAST, cache=True)(here[name])

    @overload(exp, inline="always")
    def exp_of(x):
        return (lambda x: _exp32(x)) if x == types.float32 else (lambda x: _exp64(x))

    for name in (*INNER[3:], *OUTER):
        here[name] = njit(fastmath=FAST, cache=True, nogil=True)(here[name])
    return SimpleNamespace(**{name: here[name] for name in OUTER})
