"""The file layouts that digit collections come in: MNIST's idx, libsvm text; packed or not, never more than fits."""

import bz2
import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.errors import InputError

UNPACKED_LIMIT = 512 * 2**20


def unpacked(path: Path) -> bytes:
    """The content of a plain, .gz or .bz2 file, up to a limit.

    Raises:
        InputError: damaged, or larger than the limit once unpacked.
    """
    opened: Callable[..., Any] = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)  # type: ignore[assignment]
    try:
        with opened(path, "rb") as file:
            content = file.read(UNPACKED_LIMIT + 1)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{path.name} is damaged: it cannot be unpacked. Download it again.") from None
    if len(content) > UNPACKED_LIMIT:
        raise InputError(f"{path.name} unpacks to more than {UNPACKED_LIMIT // 2**20} MB and is not read. Check that it is the right file.")
    return content


def read_idx(path: Path) -> np.ndarray:
    """An idx file of unsigned bytes: images (n, height, width) or labels (n,), uint8.

    Layout, big-endian: 0, 0, type (8 = unsigned byte), number of axes, one 4-byte length an axis, the values.
    """
    content = unpacked(path)
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not 1 <= content[3] <= 3 or len(content) < 4 + 4 * content[3]:
        raise InputError(f"{path.name} is not an idx file of unsigned bytes. Check that it is the right file.")
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    if math.prod(shape) != len(content) - 4 - 4 * axes:
        raise InputError(
            f"{path.name} is cut off: its header says shape {shape}, which its {len(content)} bytes are not. Download it again."
        )
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * axes).reshape(shape)


def read_libsvm(path: Path, pixels: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, pixels) float32 and labels (n,) int64 as written in libsvm text, such as `usps.bz2`."""
    from sklearn.datasets import load_svmlight_file

    try:
        images, labels = load_svmlight_file(io.BytesIO(unpacked(path)), n_features=pixels, dtype=np.float32)
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{path.name} is not libsvm text with {pixels} values a line. Check that it is the right file.") from None
    return images.toarray(), labels.astype(np.int64)
