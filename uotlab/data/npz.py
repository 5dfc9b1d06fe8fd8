"""npy and npz files: every size is checked in the headers before anything is allocated, and nothing is ever unpickled."""

import io
import zipfile
from typing import IO

import numpy as np

from uotlab.errors import InputError, short

UNPACKED_LIMIT = 2**30  #: bytes of all arrays of a file
RATIO_LIMIT = 200  #: unpacked over packed size, for archives that unpack to more than RATIO_FREE bytes
RATIO_FREE = 64 * 2**20
MEMBERS_LIMIT = 100


def read_npy(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    """An array from an npy stream of `size` bytes, after its header has been checked."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{name} has columns of mixed types; it must hold one array of numbers. Save a plain float array.")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except InputError:
        raise
    except Exception:  # numpy raises many kinds of errors on damaged headers
        raise InputError(f"{name} is damaged: its header cannot be read. Save it again.") from None
    if dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects, that is a pickle, which can run code when opened and is refused. Save a float array."
        )
    count = 1
    for length in shape:
        count *= int(length)
    if any(length < 0 for length in shape) or not dtype.itemsize:
        raise InputError(f"{name} is damaged: its header says shape {short(shape)} of {dtype}. Save it again.")
    if count * dtype.itemsize > UNPACKED_LIMIT:
        raise InputError(
            f"{name} says that it has shape {short(shape)}, {count * dtype.itemsize / 2**30:.1f} GB unpacked; at most 1 GB is read."
        )
    if count * dtype.itemsize > size:
        raise InputError(f"{name} is cut off: its header says shape {short(shape)}, more than the file holds. Save or upload it again.")
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise InputError(f"{name} is cut off: it has {len(data)} of {count * dtype.itemsize} bytes. Save or upload it again.")
    try:
        return np.frombuffer(bytearray(data), dtype=dtype, count=count).reshape(shape, order="F" if fortran else "C")
    except (TypeError, ValueError):  # more axes, or longer ones, than numpy has
        raise InputError(f"{name} is damaged: its header says shape {short(shape)}. Save it again.") from None


def read_arrays(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Every array of an npz, after the sizes in its zip headers and npy headers have been checked. Never unpickles."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            total, packed = sum(m.file_size for m in archive.infolist()), max(len(content), 1)
            if total > UNPACKED_LIMIT or (total > RATIO_FREE and total > RATIO_LIMIT * packed):
                raise InputError(
                    f"{name} would unpack from {packed / 2**20:.1f} MB to {total / 2**20:.0f} MB, as a zip bomb does; "
                    f"at most {UNPACKED_LIMIT // 2**20} MB and {RATIO_LIMIT} times its size is read. Save fewer rows, or use npy."
                )
            if not members or len(members) > MEMBERS_LIMIT:
                raise InputError(f"{name} must hold 1 to {MEMBERS_LIMIT} arrays; it holds {len(members)}. Save it with numpy.savez.")
            arrays = {}
            for member in members:
                key = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    arrays[key] = read_npy(stream, member.file_size, f"'{key}' in {name}")
            return arrays
    except InputError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise InputError(f"{name} is damaged or encrypted: it cannot be unpacked. Save it again with numpy.savez.") from None
    except Exception as error:  # zlib.error and lzma errors have no common base
        if type(error).__name__ in ("error", "LZMAError"):
            raise InputError(f"{name} is damaged: it cannot be unpacked. Save it again with numpy.savez.") from None
        raise
