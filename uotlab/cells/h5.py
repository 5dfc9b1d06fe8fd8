"""HDF5 files from people, looked through before anything is read: no links elsewhere, no objects, no raw bytes, no sizes to burst.

h5py never unpickles. What is refused here is what would read other files of this machine, or carries a pickle for somebody else to open.
"""

from pathlib import Path
from typing import Any

from uotlab.errors import InputError, short

MOST_OBJECTS = 100_000  #: groups and datasets of a file
UNPACKED = 4 * 2**30  #: bytes of all that is read whole: everything but expression values
EXPRESSION = ("X", "raw/X", "layers/", "matrix", "obsp/", "varp/", "raw/varm", "col_graphs/", "row_graphs/")
PICKLE = (2, 3, 4, 5)


def opened(path: Path, name: str) -> Any:
    """The h5py file, open for reading, once all of it has been looked through.

    Raises:
        InputError: no HDF5 file, cut off, or holding what is not read here.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        why = "it is cut off, so that its end is missing" if "truncated" in str(error) else "it cannot be opened as HDF5"
        raise InputError(f"{name} is damaged: {why}. Download or save it again.") from None
    try:
        _look_through(file, name)
    except BaseException:
        file.close()
        raise
    return file


def _look_through(file: Any, name: str) -> None:
    import h5py

    count, size = 0, 0
    todo = [("", file)]
    while todo:
        where, group = todo.pop()
        for key in group:
            place = f"{where}{key}"
            count += 1
            if count > MOST_OBJECTS:
                raise InputError(f"{name} has more than {MOST_OBJECTS} parts; save X, obs and var only.")
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise InputError(
                    f"{name} has a link at '{short(place)}' to somewhere else, which is not followed. Save the data themselves."
                )
            try:
                part = group[key]
            except (KeyError, OSError, RuntimeError):
                raise InputError(f"{name} is damaged: its part '{short(place)}' cannot be read. Download or save it again.") from None
            if isinstance(part, h5py.Group):
                todo.append((f"{place}/", part))
                continue
            _check(part, place, name)
            if not place.startswith(EXPRESSION):
                size += part.size * max(part.dtype.itemsize, 1) if part.shape is not None else 0
        if size > UNPACKED:
            raise InputError(
                f"{name} would unpack to more than {UNPACKED / 2**30:.0f} GB besides its expression values. Save X, obs and var only."
            )


def _check(part: Any, place: str, name: str) -> None:
    """Raises InputError for a dataset that is not plain numbers or text."""
    import h5py

    if not isinstance(part, h5py.Dataset) or part.shape is None:
        return
    if part.external or part.is_virtual:
        raise InputError(f"{name} keeps '{short(place)}' in another file, which is not read. Save the data themselves.")
    for dtype in [part.dtype[k] for k in part.dtype.names] if part.dtype.names else [part.dtype]:
        if (dtype.kind == "O" and h5py.check_string_dtype(dtype) is None) or (dtype.kind == "V" and not dtype.subdtype):
            raise InputError(
                f"{name} holds Python objects or raw bytes at '{short(place)}', as a pickle does, which can run code when opened and is "
                "refused. Save numbers and text only, such as with adata.X.astype('float32')."
            )
    if not place.startswith(EXPRESSION) and part.ndim <= 1 and part.size > 2 and part.dtype.kind in "iuS" and _starts_as_pickle(part):
        raise InputError(
            f"{name} holds a Python pickle at '{short(place)}', which can run code when opened and is refused. Delete it from the file."
        )


def _starts_as_pickle(part: Any) -> bool:
    """Whether bytes begin and end as pickles do."""
    if part.ndim == 0:
        content = bytes(part[()]) if part.dtype.kind == "S" else b""
    elif part.dtype.itemsize == 1:
        content = part[:2].tobytes() + part[-1:].tobytes()
    else:
        return False
    return len(content) > 2 and content[0] == 0x80 and content[1] in PICKLE and content[-1:] == b"."
