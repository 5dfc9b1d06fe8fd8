"""Gene sets: GMT files (one set a line: name, note, symbols), a person's own or the Gene Ontology ones that are shipped.

Reference: ashburner2000gene.
"""

import gzip
import io
import lzma
from functools import lru_cache
from pathlib import Path

from uotlab.errors import InputError, short
from uotlab.paths import ASSETS

SPECIES = ("mouse", "zebrafish", "human")
GMT_LIMIT = 64 * 2**20  #: bytes of a file, unpacked
GeneSets = dict[str, tuple[str, ...]]


def read_gmt(path_or_bytes: str | Path | bytes, name: str = "") -> GeneSets:
    """Sets by name, {set: symbols}, from a .gmt, .gmt.gz or .gmt.xz file.

    Args:
        path_or_bytes: a path, or the content itself.
        name: the name that the person gave the file; empty is the path's own.

    Raises:
        InputError: no such file, too large, not text, or a line without a symbol.
    """
    if isinstance(path_or_bytes, bytes):
        content, name = path_or_bytes, short(name or "the GMT file")
    else:
        path = Path(path_or_bytes)
        name = short(name or path.name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read ({error.strerror}); check the path.") from None
    sets: GeneSets = {}
    for number, line in enumerate(_text(content, name).splitlines(), 1):
        if not line.strip():
            continue
        title, *rest = (part.strip() for part in line.split("\t"))
        genes = tuple(dict.fromkeys(filter(None, rest[1:])))
        if not title or not genes:
            raise InputError(
                f"Line {number} of {name} is no gene set: a GMT line is the name, a note and at least one symbol, with tabs between."
            )
        sets[title] = genes
    if not sets:
        raise InputError(f"{name} holds no gene sets. A GMT line is the name, a note and the symbols, with tabs between.")
    return sets


def _text(content: bytes, name: str) -> str:
    """The text of a file, unpacked where it is packed, never more than GMT_LIMIT of it."""
    try:
        if content[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(GMT_LIMIT + 1)
        elif content[:6] == b"\xfd7zXZ\x00":
            with lzma.LZMAFile(io.BytesIO(content)) as file:
                content = file.read(GMT_LIMIT + 1)
        if len(content) > GMT_LIMIT:
            raise InputError(f"{name} has more than {GMT_LIMIT // 2**20} MB of text; give fewer sets.")
        return content.decode("utf-8-sig")
    except (OSError, EOFError, lzma.LZMAError):
        raise InputError(f"{name} is damaged: it cannot be unpacked. Save or download it again.") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a GMT file: it is not text. Give one set a line: name, note and symbols, with tabs.") from None


@lru_cache(maxsize=len(SPECIES))
def shipped(species: str) -> GeneSets:
    """Gene Ontology's biological processes of 10 to 500 genes (January 2019, propagated) for mouse, zebrafish or human.

    Raises:
        InputError: another species.
    """
    if species not in SPECIES:
        raise InputError(f"Gene sets are shipped for {', '.join(SPECIES)}; there are none for '{short(species)}'. Give your own GMT file.")
    return read_gmt(ASSETS / "data" / f"go_bp_{species}.gmt.xz")


@lru_cache(maxsize=len(SPECIES))
def symbols(species: str) -> tuple[str, ...]:
    """All gene symbols of the shipped sets, sorted."""
    return tuple(sorted({gene for genes in shipped(species).values() for gene in genes}))
