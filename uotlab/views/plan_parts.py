"""What the pictures of a plan share: its marginals, its strongest pairs, panels side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from uotlab.views.base import SOURCE, TARGET, Arrays
from uotlab.views.style import INK, area_sizes, axis, f32, is_line, pick, plane, point_size, scatter, span

HEAT = [[0.0, "rgba(37,131,197,0)"], [0.08, "rgba(37,131,197,0.35)"], [0.4, "#2583C5"], [0.7, "#8C5BB0"], [1.0, "#E4572E"]]
WIDTHS = ((0.0, 0.5), (0.1, 0.9), (0.25, 1.5), (0.45, 2.4), (0.7, 3.6))  #: from this share of the largest mass on, width in px
LINE = "37,131,197"


def given(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Masses a (n,) and b (m,); equal ones of total 1 where there are none."""
    n, m = arrays["P"].shape
    a, b = arrays.get("a"), arrays.get("b")
    return (f32(a) if a is not None else np.full(n, 1 / max(n, 1), np.float32)), (
        f32(b) if b is not None else np.full(m, 1 / max(m, 1), np.float32)
    )


def carried(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plan's own marginals, (n,) and (m,)."""
    return f32(P.sum(1)), f32(P.sum(0))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where the whole has no mass."""
    return f32(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def strongest(P: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and masses of the k largest entries of P, the smallest of them first; always min(k, size) of them."""
    flat = f32(P).ravel()
    k = min(k, flat.size)
    if not k:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.float32)
    best = np.argpartition(flat, flat.size - k)[-k:]
    best = best[np.argsort(flat[best], kind="stable")]
    return (*np.divmod(best, P.shape[1]), flat[best])


def chosen(P: np.ndarray, lines: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and masses that "2 a point" or "600 strongest" ask for, the smallest first."""
    k = int(lines.split()[0])
    if "strongest" in lines or not P.size:
        return strongest(P, k)
    P = f32(P)
    k = min(k, P.shape[1])
    columns = np.argpartition(P, P.shape[1] - k, axis=1)[:, -k:].ravel()
    rows = np.repeat(np.arange(len(P)), k)
    order = np.argsort(P[rows, columns], kind="stable")
    return rows[order], columns[order], P[rows, columns][order]


def sketched(P: np.ndarray, k: int) -> np.ndarray:
    """(i, j, mass) of the strongest pair of k points of the source, evenly chosen, as (k, 3) float32; the smallest first."""
    P = f32(P)
    rows = pick(len(P), k)
    columns = P[rows].argmax(axis=1)
    found = np.column_stack([rows, columns, P[rows, columns]]).astype(np.float32)
    return found[np.argsort(found[:, 2], kind="stable")]


def bins(n: int) -> int:
    """How many bins show n points of a line: a few points in each."""
    return int(np.clip(n // 5, 24, 100))


def binned(P: np.ndarray, x: np.ndarray, y: np.ndarray, k: int, xs: Sequence[float], ys: Sequence[float]) -> np.ndarray:
    """P summed over k x k cells of positions x (n,) in xs = [low, high] and y (m,) in ys; rows are x."""
    places = []
    for values, (low, high) in ((x, xs), (y, ys)):
        places.append(np.clip(((values - low) / max(high - low, 1e-30) * k).astype(np.intp), 0, k - 1))
    i, j = places
    return np.bincount((i[:, None] * k + j[None]).ravel(), weights=f32(P).ravel(), minlength=k * k).reshape(k, k)


def pair_traces(
    ends: np.ndarray, mass: np.ndarray, *, axes: tuple[str, str] = ("x", "y"), top: float | None = None, ink: float = 1.0
) -> list[dict[str, Any]]:
    """Segments `ends` (k, 2, 2) as one trace for each width; the width and the ink follow the mass (k,).

    Args:
        top: the mass of the widest line; None is the largest of all.
        ink: a factor of widths and inks, less than 1 in small panels.
    """
    top = float(mass.max(initial=0.0)) if top is None else top
    share = mass / max(top, 1e-30)
    thin = ink * float(np.clip((400 / max(len(mass), 1)) ** 0.5, 0.35, 1.0))  # many lines are told apart only where they are thin
    edges = [low for low, _ in WIDTHS[1:]] + [np.inf]
    found = []
    for (low, width), high in zip(WIDTHS, edges, strict=True):
        held = (share >= low) & (share < high)
        line = np.full((max(int(held.sum()), 1), 3, 2), np.nan, np.float32)
        line[: int(held.sum()), :2] = ends[held]
        look = {"width": round(width * thin, 2), "color": f"rgba({LINE},{thin * (0.3 + 0.5 * low):.2f})"}
        found.append(
            {
                "type": "scattergl", "mode": "lines", "name": "pairs", "x": np.ascontiguousarray(line[..., 0]).ravel(),
                "y": np.ascontiguousarray(line[..., 1]).ravel(), "line": look, "hoverinfo": "skip", "showlegend": False,
                "xaxis": axes[0], "yaxis": axes[1],
            }
        )  # fmt: skip
    return found


def cloud(
    name: str,
    points: np.ndarray,
    color: str,
    mass: np.ndarray,
    *,
    axes: tuple[str, str] = ("x", "y"),
    base: float = 5.0,
    legend: bool = True,
) -> dict[str, Any]:
    """Points (n, 2) whose area is their mass (n,), 1 being as given."""
    size = area_sizes(mass, base)
    return scatter(name, points, color, marker={"size": size, "opacity": 0.8}, xaxis=axes[0], yaxis=axes[1], showlegend=legend)


def flat(points: np.ndarray, height: float) -> np.ndarray:
    """Points of a line (n, 1) at one height of the plane, (n, 2)."""
    return np.stack([f32(points)[:, 0], np.full(len(points), height, np.float32)], axis=1)


def ends_of(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Source and target as points of the plane; on a line the source lies above the target."""
    if is_line(arrays):
        return flat(arrays["x"], 1.0), flat(arrays["y"], 0.0)
    return plane(arrays, "x"), plane(arrays, "y")


def panel(
    arrays: Arrays, rows: np.ndarray, columns: np.ndarray, mass: np.ndarray, xi: np.ndarray, zeta: np.ndarray, *,
    number: int = 1, base: float = 4.5, top: float | None = None, ink: float = 1.0, legend: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """One small picture of a plan: its pairs, and both sides with the share of their mass that is carried."""
    x, y = ends_of(arrays)
    axes = axis_names(number)
    ends = np.stack([x[rows], y[columns]], axis=1) if len(rows) else np.zeros((0, 2, 2), np.float32)
    base *= point_size(max(len(x), len(y))) / 5
    return [
        *pair_traces(ends, mass, axes=axes, top=top, ink=ink),
        cloud("source", x, SOURCE, xi, axes=axes, base=base, legend=legend),
        cloud("target", y, TARGET, zeta, axes=axes, base=base, legend=legend),
    ]


def axis_names(number: int) -> tuple[str, str]:
    """Plotly's names of the axes of panel 1, 2, ..."""
    return (f"x{number}", f"y{number}") if number > 1 else ("x", "y")


def panels(arrays: Arrays, titles: Sequence[str], columns: int, **first: Any) -> dict[str, Any]:
    """Axes and titles of equal panels in rows of `columns`; they zoom together, and the plane keeps its aspect."""
    line = is_line(arrays)
    x, y = ends_of(arrays)
    rows = -(-len(titles) // columns)
    wide, high = 1 / columns, 1 / rows
    found: dict[str, Any] = {"annotations": []}
    for k, text in enumerate(titles):
        row, column = divmod(k, columns)
        left, right = column * wide + (0.01 if column else 0), (column + 1) * wide - (0.01 if column < columns - 1 else 0)
        bottom, upper = 1 - (row + 1) * high + (0.02 if row < rows - 1 else 0), 1 - row * high - 0.08 / rows**0.5
        xname, yname = axis_names(k + 1)
        more: dict[str, Any] = {"matches": "x"} if k else {"range": span(x[:, 0], y[:, 0], pad=0.08)}
        found[f"xaxis{xname[1:]}"] = axis("", domain=[left, right], anchor=yname, **more, **first) | {"showticklabels": False}
        more = {"matches": "y"} if k else {"range": [-0.15, 1.15] if line else span(x[:, 1], y[:, 1], pad=0.08)}
        more |= {} if line else {"scaleanchor": xname, "scaleratio": 1}
        found[f"yaxis{yname[1:]}"] = axis("", domain=[bottom, upper], anchor=xname, **more) | {"showticklabels": False}
        found["annotations"].append(title_above(text, (left + right) / 2, upper))
    return found


def title_above(text: str, x: float, y: float, size: int = 12) -> dict[str, Any]:
    """The title of a panel, in paper coordinates."""
    return {
        "text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom",
        "showarrow": False, "font": {"size": size},
    }  # fmt: skip


def said(arrays: Arrays, name: str) -> str:
    """Why there is no picture of this name, as a sentence; empty where nothing is wrong."""
    words: Any = arrays.get(f"names/{name}/said", ())
    return "<br>".join(wrapped(str(words[0]), 60)) if len(words) else ""


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, where words allow it."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def message(text: str) -> dict[str, Any]:
    """A sentence in the middle of a picture that is not finished yet."""
    return {
        "text": text, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False, "font": {"size": 14, "color": INK},
    }  # fmt: skip
