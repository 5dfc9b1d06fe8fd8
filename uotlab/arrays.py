"""Arrays in, the same kind of arrays out: the one place where numpy meets torch."""

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from uotlab.errors import InputError

LEAST_MASS, MOST_MASS = 1e-100, 1e100  #: products of two masses must be numbers
MOST_SINGLE = 3e38  #: greatest number that is kept in float32
Array: TypeAlias = np.ndarray | Tensor


def as_tensor(x: Any, name: str, *, ndim: int | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of numbers from an array, list or tensor.

    Raises:
        InputError: not numeric, wrong number of axes, empty, NaN or infinite.
    """
    if hasattr(x, "toarray"):
        raise InputError(f"{name} is a sparse matrix; give its dense form, {name}.toarray().")
    if np.ma.is_masked(x):
        raise InputError(f"{name} has masked values; drop those rows or fill them in first.")
    if isinstance(x, Tensor):
        if x.is_complex() or x.is_quantized or x.is_meta or x.layout != torch.strided:
            raise InputError(f"{name} must be a dense tensor of real numbers; it is {x.dtype}, {x.layout}. Convert it first.")
        x = x.detach()
    else:
        try:
            array = np.asarray(x)
            kind, size = array.dtype.kind, array.dtype.itemsize
            if kind not in "fiubOUS":  # complex numbers, dates and records
                raise TypeError
            # torch reads native float32 and float64; whole numbers and half precision become float32, the rest float64
            small = kind in "iub" or (kind == "f" and size <= 4)
            array = np.ascontiguousarray(array, dtype=np.float32 if small else np.float64).reshape(array.shape)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{name} must hold numbers only; it holds text or mixed values. Convert or drop them.") from None
        x = torch.from_numpy(array if array.flags.writeable else array.copy())
    if not x.is_floating_point() or x.element_size() < 4:
        x = x.float()
    if ndim is not None and x.ndim != ndim:
        shape = {1: "(n,)", 2: "(n, d)"}[ndim]
        raise InputError(f"{name} must have shape {shape}; it has shape {tuple(x.shape)}. Reshape it first.")
    if x.numel() == 0:
        raise InputError(f"{name} is empty (shape {tuple(x.shape)}); give at least one row.")
    if not (bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x).all())):  # a sum is quick, and not finite if one of them is not
        bad = int((~torch.isfinite(x)).sum())
        raise InputError(f"{name} has {bad} NaN or infinite value{'s' if bad > 1 else ''}; drop those rows or fill them in first.")
    if dtype is not None and dtype != x.dtype:
        x = x.to(dtype)
        if not bool(torch.isfinite(x).all()):
            raise InputError(
                f"{name} has numbers beyond 3e38, too large for float32; divide its columns, such as by their standard deviation."
            )
    return x


def two_clouds(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Points x (n, d) and y (m, d) as tensors.

    Raises:
        InputError: as `as_tensor`, or different numbers of columns.
    """
    X, Y = as_tensor(x, "x", ndim=2), as_tensor(y, "y", ndim=2)
    if X.shape[1] != Y.shape[1]:
        raise InputError(
            f"x and y must have the same number of columns; x has {X.shape[1]} and y has {Y.shape[1]}. Keep the same columns in both."
        )
    return X, Y


def like(reference: Any, x: Tensor) -> Any:
    """`x` as the kind of array that `reference` is: a tensor on its device, or numpy of its float type.

    Raises:
        InputError: a vector with numbers beyond those of float32, where the caller's arrays are of that type.
    """
    x = x.detach()
    if x.ndim == 1 and x.dtype == torch.float64 and _is_single(reference) and bool((x.isfinite() & (x.abs() > MOST_SINGLE)).any()):
        raise InputError("The result has numbers beyond 3e38, too large for float32; give float64 arrays, or rescale the points.")
    if isinstance(reference, Tensor):
        return x.to(reference.device, reference.dtype if reference.is_floating_point() else x.dtype)
    dtype = getattr(reference, "dtype", None)
    array = x.cpu().numpy()
    return array.astype(dtype) if dtype in (np.float32, np.float64) else array


def _is_single(reference: Any) -> bool:
    return getattr(reference, "dtype", None) in (np.float32, torch.float32)


def masses(a: Any, n: int, name: str, dtype: torch.dtype = torch.float64) -> Tensor:
    """Weights (n,) as masses: never normalised; None means n equal weights of total 1.

    Raises:
        InputError: wrong length, negative, not finite or all zero.
    """
    if a is None:
        return torch.full((n,), 1.0 / n, dtype=dtype)
    a = as_tensor(a, name, ndim=1).to(dtype)
    if len(a) != n:
        raise InputError(f"{name} must have one weight a point, {n}; it has {len(a)}.")
    if bool((a < 0).any()):
        raise InputError(f"{name} must not be negative; its smallest value is {float(a.min()):g}. Weights are masses.")
    if float(a.sum()) <= 0:
        raise InputError(f"{name} must have some mass; all its {n} weights are zero.")
    if not LEAST_MASS < float(a.sum()) < MOST_MASS:
        raise InputError(
            f"{name} must have a total mass from {LEAST_MASS:g} to {MOST_MASS:g}; it is {float(a.sum()):g}. Rescale all by one factor."
        )
    return a
