"""Sinkhorn's sweeps at one temperature in one compiled loop: shift, Anderson acceleration, and the gap to stop at.

The map is g -> the g of one sweep, moved by the constant that maximises the dual. Anderson's combination of its last images is dropped,
and the best image so far taken up again, when the residual triples. Vectors are float64, potentials in units of eps.
Reference: sejourne2022faster, Section 3 (the shift); walker2011anderson, Section 2.
"""

import math
from functools import cache
from typing import Any

import numpy as np

from uotlab.plans import sweeps
from uotlab.plans.compiled import compile_into, exp64
from uotlab.plans.sweeps import absorb, sweep

DEPTH = 6  #: of the Anderson acceleration
WILD = 1e4  #: a coefficient of its combination that is no longer trusted
PATIENCE = 400  #: sweeps without the gap falling by a tenth, after which they end


def shift(la, lb, f, g, r1, r2):
    """The constant moved from g to f that maximises the dual; 0 where both sides are held."""
    if r1 == np.inf and r2 == np.inf:
        return 0.0
    log_a = log_mass(la, f, r1)
    log_b = log_mass(lb, g, r2)
    weight = r2 if r1 == np.inf else (r1 if r2 == np.inf else r1 * (r2 / (r1 + r2)))
    return weight * (log_a - log_b)


def middle(b, g, new):
    """The mean of new - g under b."""
    moved, mass = 0.0, 0.0
    for j in range(len(b)):
        moved += b[j] * (new[j] - g[j])
        mass += b[j]
    return moved / mass


def log_mass(la, f, r):
    """log sum a exp(-f / r)."""
    slope = 1.0 / r  # 0 where the side is held
    top = -np.inf
    for i in range(len(f)):
        top = max(top, la[i] - slope * f[i])
    total = 0.0
    for i in range(len(f)):
        total += exp64(la[i] - slope * f[i] - top)
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
            r = exp64(log_r)
            error += b[j] * abs(r - 1.0)
            # b log(b / c) - b + c with c = b r; its series where the difference would lose digits
            d = log_r
            near += b[j] * (d * d * (0.5 + d / 6) if abs(d) < 1e-3 else r - 1.0 - d)
            mass += b[j]
        l1 = 0.5 * error / mass
        return l1 if r1 == np.inf else min(l1, r1 * eps * near / mass)
    for j in range(len(b)):
        d = (g[j] - new[j]) / tau2
        wanted = b[j] * exp64(-g[j] / r2)
        r = exp64(d)
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
            v[j] = real(exp64(weights[j] - beta[j]))
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
        if r1 == np.inf and r2 == np.inf:  # any constant is as good: the combination below must not let it run away
            moved = middle(b, g, new)
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
            usable = solve_small(gram, right, held, ridge)
            for k in range(held):
                usable = usable and abs(right[k]) < WILD
            if not usable:  # nearly dependent differences: begin the memory anew
                held, slot, size_before = 0, 0, np.inf
            else:
                for k in range(held):
                    for j in range(m):
                        g[j] -= right[k] * dT[k, j]
    if r2 == np.inf:  # one more update holds side 2 as well as floats can
        for j in range(m):
            g[j] = new[j]
    return it, gap, stalled


@cache
def accelerated() -> Any:
    """`iterate`, compiled."""
    sweeps.compile_sweeps()
    globals().update(absorb=sweeps.absorb, sweep=sweeps.sweep)
    compile_into(globals(), ("log_mass", "shift", "middle", "gap_of", "solve_small", "iterate"))
    return iterate
