"""What the balance does to cells: mass, growth, fates and genes against τ, a panel each; τ is Sinkhorn's, rho stands beside it."""

from typing import Any, ClassVar

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.style import INK, axis, class_color, f32, quiet_layout
from uotlab.views.texts import texts, wrapped

GAP = 0.09
NARROW_ROW = 0.55  #: height of a panel on a phone, in widths of it
LEAST = 0.1  #: height of a panel, in its measure


@VIEWS.register("cells-sweep")
class CellsSweepView(View):
    """One line a method in every panel, with the spread over seeds."""

    title = "τ and the cells"
    summary = "Mass, growth recovery or agreement, transition accuracy and the stability of growing cells and their gene sets against τ."
    needs = frozenset({"cells-sweep/rho", "cells-sweep/tau", "cells-sweep/value", "cells-sweep/spread", "cells-sweep/curve"})
    order = 340
    options: ClassVar[dict[str, Any]] = {"spread": True}

    def traces(self, arrays: Arrays, *, spread=True, **_: Any) -> list[dict[str, Any]]:
        found, place = [], self._places(arrays)
        curve, prices = np.asarray(arrays["cells-sweep/curve"]), np.array(self._prices(arrays), dtype=str)
        for k, measure in enumerate(texts(arrays, "cells-sweep/measure")):
            number = str(k + 1) if k else ""
            for c, name in enumerate(texts(arrays, "cells-sweep/curve")):
                rows = np.flatnonzero(curve == c)
                rows = rows[np.argsort(place[rows], kind="stable")]
                value, sd = (np.asarray(arrays[f"cells-sweep/{key}"][k][rows], dtype=np.float64) for key in ("value", "spread"))
                known = np.isfinite(value)
                look: dict[str, Any] = {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "line": {"color": class_color(c), "width": 2},
                    "marker": {"size": 6},
                }
                trace: dict[str, Any] = {**look, "name": name, "x": f32(place[rows][known]), "y": f32(value[known]), "legendgroup": name}
                if spread:
                    bars = {"type": "data", "array": f32(sd[known]), "thickness": 1, "color": class_color(c)}
                    trace["error_y"] = bars
                trace |= {"xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": k == 0}
                trace["text"] = prices[rows][known].tolist()
                found.append({**trace, "hovertemplate": f"%{{text}}<br>{measure}: %{{y:.3f}}<extra>{name}</extra>"})
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        count = len(texts(arrays, "cells-sweep/measure"))
        columns = 2 if count > 1 else 1
        narrow = {"rows": max(NARROW_ROW * count, 1), "layout": self._panels(arrays, 1)}
        layout = quiet_layout(**self._panels(arrays, columns), meta={"narrow": narrow})
        layout["legend"] |= {"y": 1.08}
        return layout

    def _panels(self, arrays: Arrays, columns: int) -> dict[str, Any]:
        """Axes and titles of the panels in so many columns."""
        measures = texts(arrays, "cells-sweep/measure")
        down = max(-(-len(measures) // columns), 1)
        ticks = {float(p): f"{tau:.3g}" for p, tau in zip(self._places(arrays), np.asarray(arrays["cells-sweep/tau"], dtype=np.float64))}
        layout: dict[str, Any] = {"annotations": [], "shapes": []}
        gap = min(GAP, 0.36 / down)
        tall, wide = (1 - gap * (down - 1)) / down, (1 - GAP * (columns - 1)) / columns
        for k, measure in enumerate(measures):
            number, row, column = str(k + 1) if k else "", k // columns, k % columns
            top, left = min(1 - row * (tall + gap), 1), column * (wide + GAP)
            last = k + columns >= len(measures)
            first = axis("τ of the source" if last else "", domain=[left, left + wide], anchor=f"y{number}", tickangle=0)
            layout[f"xaxis{number}"] = first | {"tickvals": list(ticks), "ticktext": list(ticks.values())}
            down_to_up = {"domain": [max(top - tall, 0), top], "range": self._range(arrays, k)}
            layout[f"yaxis{number}"] = axis("", anchor=f"x{number}", nticks=5, **down_to_up)
            layout["shapes"] += self._mark(arrays, number)
            words: dict[str, Any] = {"text": wrapped(measure, 48), "showarrow": False, "xref": "paper", "yref": "paper"}
            look = {"font": {"size": 11, "color": INK}, "xanchor": "left", "yanchor": "bottom"}
            layout["annotations"].append({**words, **look, "x": left, "y": top})
        return layout

    @staticmethod
    def _prices(arrays: Arrays) -> list[str]:
        """τ and rho of each row, in words."""
        pairs = zip(np.asarray(arrays["cells-sweep/tau"]), np.asarray(arrays["cells-sweep/rho"]), strict=True)
        return [f"τ {tau:.3g}, ρ {'∞' if not np.isfinite(rho) else f'{rho:.3g}'}" for tau, rho in pairs]

    def _mark(self, arrays: Arrays, number: str) -> list[dict[str, Any]]:
        """A dotted line at the τ of the run, where it lies within what was swept."""
        own, place = float(arrays.get("cells-sweep/own", [np.nan])[0]), self._places(arrays)
        at = self._places({"cells-sweep/rho": np.append(arrays["cells-sweep/rho"], own)})[-1]
        if not own > 0 or not len(place) or not place.min() <= at <= place.max():
            return []
        line = {"type": "line", "xref": f"x{number}", "yref": f"y{number} domain", "x0": float(at), "x1": float(at), "y0": 0, "y1": 1}
        return [{**line, "line": {"color": INK, "width": 1, "dash": "dot"}}]

    @staticmethod
    def _range(arrays: Arrays, k: int) -> list[float]:
        """Of the k-th measure: what is drawn with its bars, never so narrow that noise of rounding is seen."""
        value, sd = (np.asarray(arrays[f"cells-sweep/{key}"][k], dtype=np.float64) for key in ("value", "spread"))
        known = np.isfinite(value)
        if not known.any():
            return [0.0, 1.0]
        bars = np.where(np.isfinite(sd), sd, 0)[known]
        low, high = float((value[known] - bars).min()), float((value[known] + bars).max())
        room = max(0.08 * (high - low), (LEAST - (high - low)) / 2)
        return [low - room, high + room]

    @staticmethod
    def _places(arrays: Arrays) -> np.ndarray:
        """log10 of rho (k,); infinity a step beyond the largest."""
        rho = np.asarray(arrays["cells-sweep/rho"], dtype=np.float64)
        finite = np.isfinite(rho) & (rho > 0)
        end = float(np.log10(rho[finite]).max(initial=-np.inf)) if finite.any() else 0.0
        return np.where(finite, np.log10(np.where(finite, rho, 1)), end + 0.5)
