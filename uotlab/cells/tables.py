"""Expression as text: csv, tsv and txt tables, and Matrix Market files with names beside them. Read in pieces, held sparse."""

import bz2
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import scipy.sparse as sp

from uotlab.errors import InputError, short

UNPACKED = 32 * 2**30  #: bytes of text that are read of one file
VALUES = 4_000_000  #: numbers that are dense at one time
MOST_STORED = 400_000_000  #: numbers other than 0 that are held
LABEL = re.compile(
    r"^(time|timepoint|time_point|day|days|hour|hours|hpf|dpf|age|age_days|stage|batch|condition|treatment|drug|group|dose|sample|"
    r"cell_?type|celltype|clusters?|louvain|leiden|annotation)$",
    re.IGNORECASE,
)


class Bounded(io.RawIOBase):
    """A stream that ends with a sentence where it unpacks to more than a limit."""

    def __init__(self, stream: IO[bytes], name: str, limit: int = UNPACKED) -> None:
        self.stream, self.name, self.left = stream, name, limit

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.stream.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise InputError(f"{self.name} unpacks to too much text; save it as .h5ad, which is smaller and quicker.")
        buffer[: len(data)] = data
        return len(data)


def text_of(path: Path, name: str) -> io.TextIOWrapper:
    """The text of a file, plain or packed with gzip, bzip2 or xz."""
    packed: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    stream = packed.get(path.suffix.lower(), open)(path, "rb")
    return io.TextIOWrapper(io.BufferedReader(Bounded(stream, name), 2**20), encoding="utf-8-sig")


def plain_suffix(path: Path) -> str:
    """The ending below that of a packer: .tsv of x.tsv.gz."""
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending in (".gz", ".bz2", ".xz") else ending


# ---- tables -----------------------------------------------------------------------------------------
def read_table(
    path: Path, name: str, *, transpose: bool = False, labels: Sequence[str] = (), only: Callable[[str], bool] | None = None
) -> Any:
    """AnnData of a table with names in its first row and first column.

    Columns of text, those named in `labels`, and numbers under such names as day or batch become obs columns.

    Args:
        transpose: the rows are genes and the columns cells.
        only: which columns are read, by their names; None is all.
    """
    import pandas as pd

    stored, blocks, rows, texts = 0, [], [], []
    columns: list[str] = []
    try:
        with text_of(path, name) as text, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            separator = _separator(text, path)
            layout = _layout(path, name, separator, only)
            for chunk in pd.read_csv(text, sep=separator, index_col=0, low_memory=False, **layout):
                kept = _label_columns(chunk, labels, columns, transpose)
                genes = chunk.drop(columns=kept)
                columns = columns or [str(c) for c in genes.columns]
                block = sp.csr_matrix(genes.to_numpy(dtype=np.float32))
                stored += block.nnz
                if stored > MOST_STORED:
                    raise InputError(f"{name} holds more than {MOST_STORED} values; save it as .h5ad, which is read from disk.")
                blocks.append(block)
                rows += [str(v) for v in chunk.index]
                texts.append(chunk[kept])
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text; save it again as csv or tsv.") from None
    except (OSError, EOFError, lzma.LZMAError):
        raise InputError(f"{name} is damaged or cut off: it cannot be unpacked. Download or save it again.") from None
    except (ValueError, TypeError):  # pandas' parser errors are ValueErrors
        raise InputError(
            f"{name} is no table of numbers with names in its first row and column. Check its rows, or save it again."
        ) from None
    if not blocks or not columns:
        raise InputError(f"{name} has no columns of numbers. Give one row a cell, with the genes' names in the first row.")
    return _anndata(sp.vstack(blocks).tocsr(), rows, columns, pd.concat(texts), transpose)


def _anndata(matrix: sp.csr_matrix, rows: list[str], columns: list[str], labels: Any, transpose: bool) -> Any:
    import anndata
    import pandas as pd

    if transpose:
        return anndata.AnnData(matrix.T.tocsr(), pd.DataFrame(index=columns), pd.DataFrame(index=rows))
    labels.index = rows
    return anndata.AnnData(
        matrix, labels.astype({k: "category" for k in labels if labels[k].dtype.kind == "O"}), pd.DataFrame(index=columns)
    )


def _label_columns(chunk: Any, labels: Sequence[str], known: list[str], transpose: bool) -> list[Any]:
    """Columns of a chunk that describe the cells; of later chunks the ones that the first left."""
    if transpose:
        return []
    if known:
        held = set(known)
        return [c for c in chunk.columns if str(c) not in held]
    missing = [c for c in labels if c not in chunk.columns]
    if missing:
        raise InputError(f"The table has no column '{short(missing[0])}'. Check its name.")
    return [c for c in chunk.columns if chunk[c].dtype.kind == "O" or str(c) in labels or LABEL.match(str(c))]


def _separator(text: io.TextIOWrapper, path: Path) -> str:
    """What stands between cells; the stream is back at its start afterwards."""
    peeked = text.buffer.peek(65536)[:65536].decode("utf-8", "replace").split("\n", 1)[0]  # type: ignore[attr-defined]
    counts = {s: peeked.count(s) for s in ("\t", ",", ";", " ")}
    best = max(counts, key=lambda s: counts[s])
    return best if counts[best] else ("," if plain_suffix(path) == ".csv" else "\t")


def _layout(path: Path, name: str, separator: str, only: Callable[[str], bool] | None) -> dict[str, Any]:
    """Names of the columns, those that are read, and rows of a piece. R leaves the corner out of the first line."""
    with text_of(path, name) as text:
        first, second = ([v.strip('"') for v in text.readline().rstrip("\r\n").split(separator)] for _ in range(2))
    names = ["", *first] if len(second) == len(first) + 1 else first
    if only is None and names is first:
        return {"chunksize": max(VALUES // max(len(names), 1), 50)}
    used = [0, *(i for i, v in enumerate(names) if i and (only is None or only(v)))]
    if len(used) < 2:
        raise InputError(f"None of the {len(names) - 1} columns of {name} is one of the cells that are asked for.")
    unique = [f"{v}\0{i}" if v in names[:i] else v for i, v in enumerate(names)] if len(set(names)) < len(names) else names
    return {"chunksize": max(VALUES // len(used), 50), "names": unique, "header": 0, "usecols": used}


# ---- Matrix Market ----------------------------------------------------------------------------------
def read_mtx(files: Sequence[Path], name: str, *, transpose: bool | None = None) -> Any:
    """AnnData of a .mtx file with the names of cells and genes in two text files, as 10x and others write them.

    Args:
        files: the .mtx and its names; packed with gzip or not.
        transpose: whether the rows of the matrix are genes; None finds out from the lengths and names of the files.
    """
    import anndata
    import pandas as pd
    from scipy.io import mmread

    matrices = [f for f in files if plain_suffix(f) == ".mtx"]
    if len(matrices) != 1:
        raise InputError(f"{name} must have one .mtx file; it has {len(matrices)}.")
    try:
        matrix = sp.csr_matrix(mmread(str(matrices[0])), dtype=np.float32)
    except (OSError, EOFError, ValueError, TypeError, OverflowError):
        raise InputError(f"{short(matrices[0].name)} is damaged or no Matrix Market file. Download or save it again.") from None
    lists = {f: _names(f) for f in files if f != matrices[0] and plain_suffix(f) in (".tsv", ".txt", ".csv", "")}
    genes = _pick(lists, ("gene", "feature"))
    cells = _pick(lists, ("barcode", "cell"))
    rest = [f for f in lists if f not in (genes, cells)]
    genes, cells = genes or (rest.pop(0) if rest and cells else None), cells or (rest.pop(0) if rest else None)
    if genes is None or cells is None:
        raise InputError(f"{name} needs the names of cells and genes beside the .mtx: barcodes.tsv and features.tsv, or genes.tsv.")
    g, n = len(lists[genes]), len(lists[cells])
    if transpose is None:
        transpose = matrix.shape == (g, n)
    matrix = matrix.T.tocsr() if transpose else matrix
    if matrix.shape != (n, g):
        raise InputError(
            f"The matrix of {name} has shape {matrix.shape}, but there are {n} names of cells in {short(cells.name)} and {g} of genes in "
            f"{short(genes.name)}."
        )
    return anndata.AnnData(matrix, pd.DataFrame(index=lists[cells]), pd.DataFrame(index=lists[genes]))


def _pick(lists: dict[Path, list[str]], words: tuple[str, ...]) -> Path | None:
    return next((f for f in lists if any(word in f.name.lower() for word in words)), None)


def _names(path: Path) -> list[str]:
    """One name a line; of 10x's features, whose lines are id, symbol and type, the symbol."""
    try:
        with text_of(path, short(path.name)) as text:
            cells = [re.split(r"[\t,]", line.rstrip("\r\n")) for line in text if line.strip()]
    except (UnicodeDecodeError, OSError, EOFError, lzma.LZMAError):
        raise InputError(f"{short(path.name)} cannot be read as names, one a line. Download or save it again.") from None
    several = [c[1] if len(c) > 1 and ("feature" in path.name or "gene" in path.name) else c[0] for c in cells]
    return [v.strip('"') for v in several]
