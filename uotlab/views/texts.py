"""Texts that a person's file brings into a picture: names of genes, terms and cell types."""

import numpy as np

from uotlab.views.base import Arrays


def plain(text: object) -> str:
    """A text in which plotly sees no tags."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def texts(arrays: Arrays, key: str) -> list[str]:
    """The names under `names/<key>`, plain; none where there are none."""
    return [plain(name) for name in arrays.get(f"names/{key}", ())]


def wrapped(text: str, width: int = 24, lines: int = 3) -> str:
    """At most `lines` lines of about `width` letters, broken at spaces."""
    rows: list[str] = [""]
    for word in text.split(" "):
        if rows[-1] and len(rows[-1]) + 1 + len(word) > width:
            rows.append(word)
        else:
            rows[-1] = f"{rows[-1]} {word}".strip()
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1] + " …"]
    return "<br>".join(rows)


def without_number(term: str) -> str:
    """A Gene Ontology term without its number in brackets."""
    return term.split(" (GO:")[0]


def strongest(values: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest values, the largest first."""
    return np.argsort(-np.asarray(values), kind="stable")[:k]
