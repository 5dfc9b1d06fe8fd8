"""Loops compiled by numba at their first use, never at import, and cached on disk; and the exponentials they share.

A module of kernels holds plain functions; `compile_into(globals(), names)` puts their compiled forms in their place, in the order given,
callees first. The exponentials are written out so that a compiler turns them into vector instructions: several times faster than libm's.
"""

import hashlib
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FAST = {"reassoc", "contract", "nsz", "arcp"}  #: sums may be reordered; infinities and NaN keep their meaning
_lock = threading.RLock()


def exp32(x):
    """e^x in float32 to an ulp or two in [-87, 88], constant beyond: Cody and Waite's reduction and a minimax polynomial."""
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


def exp64(x):
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


def log64(x):
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


def log32(x):
    """log x in float32 to a few ulp for normal positive x: the mantissa's series in (m - 1) / (m + 1)."""
    bits = np.float32(x).view(np.int32)
    e = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    m = np.int32(bits - np.int32(e << np.int32(23))).view(np.float32)
    z = (m - np.float32(1.0)) / (m + np.float32(1.0))
    t = z * z
    p = np.float32(2.0 / 9)
    p = p * t + np.float32(2.0 / 7)
    p = p * t + np.float32(2.0 / 5)
    p = p * t + np.float32(2.0 / 3)
    return np.float32(e) * np.float32(0.6931471805599453) + (np.float32(2.0) * z + z * t * p)


def exp(x):
    """e^x in the float type of x."""
    raise NotImplementedError  # replaced when the kernels are compiled


def log(x):
    """log x in the float type of x."""
    raise NotImplementedError


def greatest(line, n, spare):
    """The maximum of line[:n] by folding halves onto each other, which becomes vector instructions where a running maximum does not."""
    while n > 16:
        half = n // 2
        rest = n - half
        for j in range(half):
            spare[j] = max(line[j], line[rest + j])
        if rest > half:
            spare[half] = line[half]
        line, n = spare, rest
    top = line[0]
    for j in range(1, n):
        top = max(top, line[j])
    return top


SHARED = ("exp32", "exp64", "log32", "log64", "exp", "log", "greatest")


def _compile(function: Any) -> Any:
    from numba import njit

    # numpy's divisions: Python's look for zeros, and a loop that may raise is not turned into vector instructions
    how: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy", "nogil": True}
    try:
        made = njit(cache=True, **how)(function)
    except RuntimeError:  # no folder to keep the result in: compile anew in every process
        return njit(**how)(function)
    # numba looks at a function's own file only, and would keep what a changed callee in another file was compiled into
    made._cache._cache_file._source_stamp = sources()
    return made


@cache
def sources() -> str:
    """A digest of all modules with compiled functions: what is kept on disk holds for these."""
    folder = Path(__file__).parent
    texts = (folder.joinpath(f"{name}.py").read_bytes() for name in ("compiled", "sweeps", "accelerated", "passes"))
    return hashlib.sha256(b"".join(texts)).hexdigest()


def compile_into(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Replaces functions of a module's globals by their compiled forms: seconds the first time on a machine, then a fraction of one."""
    with _lock:  # over the import too: a second thread would find numba half imported
        from numba.core import types
        from numba.extending import overload

        here = globals()
        if not hasattr(here["exp32"], "py_func"):
            for name in (*SHARED[:4], SHARED[-1]):
                here[name] = _compile(here[name])

            @overload(exp, inline="always")
            def exp_of(x):  # type: ignore[no-untyped-def]  # numba compares the names of the arguments, annotations included
                return (lambda x: exp32(x)) if x == types.float32 else (lambda x: exp64(x))

            @overload(log, inline="always")
            def log_of(x):  # type: ignore[no-untyped-def]
                return (lambda x: log32(x)) if x == types.float32 else (lambda x: log64(x))

        namespace.update({name: here[name] for name in SHARED})
        for name in names:
            if not hasattr(namespace[name], "py_func"):
                namespace[name] = _compile(namespace[name])
