"""Runs compared by any picture: the same one of every run in a panel of its own, zoom and pan linked between runs on the same data.

A picture is drawn as its view draws it; here its axes are only put into panels and numbered anew.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from uotlab.views.base import VIEWS, Arrays, View
from uotlab.views.compare_curves import run_names
from uotlab.views.compare_maps import columns_of, number
from uotlab.views.style import class_color, quiet_layout

AXIS = re.compile(r"([xy])axis(\d*)")
REFERENCE = re.compile(r"([xy])(\d*)( domain)?")
OWN = 200  #: views from this order on show several runs themselves
LEFT, RIGHT, BELOW, ABOVE = 0.035, 0.01, 0.11, 0.09  #: room around a panel's picture, as shares of the figure and of a row


def part(arrays: Arrays, k: int) -> dict[str, np.ndarray]:
    """The arrays of run k, named as in its own snapshot."""
    start = f"compare/{k}/"
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}


def able(arrays: Arrays) -> list[str]:
    """Names of the views that can show one run with these arrays."""
    return [name for name, cls in VIEWS.items() if cls.order < OWN and cls().applies(arrays)]


@VIEWS.register("compare-pictures")
class ComparePicturesView(View):
    """One panel a run. `names/compare/view` names the view, and then its options as JSON."""

    title = "Side by side"
    summary = "The same picture of every run side by side. Zoom in one panel, and those on the same data follow."
    needs = frozenset({"compare/color", "compare/group", "names/compare/view"})
    order = 212

    def applies(self, arrays: Arrays) -> bool:
        return super().applies(arrays) and bool(self._panels(arrays))

    def traces(self, arrays: Arrays, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        panels = self._panels(arrays)
        for i, (k, view, options) in enumerate(panels):
            own = part(arrays, k)
            numbers = self._numbers(arrays)[i]
            for trace in view.traces(own, **options):
                made = {"legendgroup": trace["name"], **trace}
                if "coloraxis" not in made and trace["type"] not in ("pie", "table"):
                    made |= {a: _renamed(str(trace.get(a, a[0])), numbers) for a in ("xaxis", "yaxis")}
                if i:
                    made["showlegend"] = False
                if i < len(panels) - 1:  # one bar says it for all
                    made |= {"showscale": False} if "showscale" in made else {}
                    made |= {"marker": {**made["marker"], "showscale": False}} if made.get("marker", {}).get("showscale") else {}
                found.append(made)
        return found

    def layout(self, arrays: Arrays, **_: Any) -> dict[str, Any]:
        count = len(self._panels(arrays))
        layout = quiet_layout(margin={"l": 40, "r": 12, "t": 58, "b": 40}) | self._placed(arrays, self._columns(arrays, count))
        layout["legend"] = {**layout["legend"], "y": 1.07}
        high = {"legend": {**layout["legend"], "y": 1 + 0.07 / max(count, 1)}}  # as far above the first panel as for one
        own = [_in_column(view.layout(part(arrays, k), **options)) for k, view, options in self._panels(arrays)]
        rows = sum(float(one["rows"]) + ABOVE + BELOW if one else 1 for one in own)
        narrow = {"rows": rows, "layout": self._placed(arrays, 1) | high}  # on a phone
        return layout | ({"meta": {"narrow": narrow}} if count > 1 else {})

    @staticmethod
    def _columns(arrays: Arrays, count: int) -> int:
        """Panels in a row: as `compare/columns` says, else as many as suit."""
        return int(arrays["compare/columns"][0]) if "compare/columns" in arrays else columns_of(count)

    @staticmethod
    def _panels(arrays: Arrays) -> list[tuple[int, View, dict[str, Any]]]:
        """(run, view, options) of the runs that the view can show."""
        asked = [str(v) for v in arrays["names/compare/view"]]
        view, options = VIEWS[asked[0]](), json.loads(asked[1]) if len(asked) > 1 else {}
        return [(k, view, options) for k in range(len(run_names(arrays))) if view.applies(part(arrays, k))]

    def _numbers(self, arrays: Arrays) -> list[dict[str, str]]:
        """For each panel, its axes' own names ("x", "y2") and the names they have here."""
        found, used = [], {"x": 0, "y": 0}
        for k, view, options in self._panels(arrays):
            names = {}
            for letter, own in _axes(view.layout(part(arrays, k), **options)):
                names[letter + own] = letter + number(used[letter])
                used[letter] += 1
            found.append(names)
        return found

    def _placed(self, arrays: Arrays, columns: int) -> dict[str, Any]:
        """Axes, titles and notes of the panels in so many columns; the first on each data leads the zoom of the others."""
        panels, numbers = self._panels(arrays), self._numbers(arrays)
        rows = max(1, -(-len(panels) // columns))
        found: dict[str, Any] = {"annotations": [], "shapes": []}
        leaders: dict[int, int] = {}
        for i, (k, view, options) in enumerate(panels):
            row, column = divmod(i, columns)
            left, low = column / columns + (LEFT if column else 0), 1 - (row + 1) / rows + (BELOW / rows if row < rows - 1 else 0)
            box = {"x": (left, (column + 1) / columns - RIGHT), "y": (low, 1 - (row + ABOVE) / rows)}
            layout = view.layout(part(arrays, k), **options)
            if column_of := _in_column(layout):
                layout |= column_of["layout"]
            lead = leaders.setdefault(int(arrays["compare/group"][k]), i)
            for letter, own in _axes(layout):
                axis = dict(layout[f"{letter}axis{own}"])
                axis["domain"] = _inside(axis.get("domain", (0, 1)), box[letter])
                for link in ("anchor", "scaleanchor", "overlaying", "matches"):
                    if link in axis:
                        axis[link] = _renamed(str(axis[link]), numbers[i])
                axis.setdefault("anchor", numbers[i].get(("y" if letter == "x" else "x") + own, "free"))
                leader = numbers[lead].get(letter + own)
                if lead != i and leader and axis.get("type") != "category" and axis.get("visible", True):
                    axis = {key: v for key, v in axis.items() if key not in ("range", "scaleanchor", "scaleratio", "rangemode")}
                    axis["matches"] = leader
                elif "range" not in axis:
                    axis.setdefault("autorange", True)  # plotly forgets it where the other axis of two panels is fixed and followed
                if (letter == "x" and row < rows - 1) or (letter == "y" and column):
                    axis["title"] = {"text": ""}
                here = numbers[i][letter + own]
                found[f"{letter}axis{here[1:]}"] = axis
            for kind in ("annotations", "shapes"):
                found[kind] += [_moved(mark, numbers[i], box) for mark in layout.get(kind, ())]
            found["annotations"].append(_heading(arrays, k, box))
        return found


def _in_column(layout: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a picture stands in a column, of those that are read better so where they have half the width or less; with its height."""
    narrow: dict[str, Any] = layout.get("meta", {}).get("narrow", {})
    return narrow if narrow.get("beside") else None


def _axes(layout: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(letter, number) of every axis of a layout: ("x", ""), ("y", "2"), ..."""
    return [(m[1], m[2]) for key in layout if (m := AXIS.fullmatch(key))]


def _renamed(reference: str, numbers: Mapping[str, str]) -> str:
    """Where "x2" or "y domain" points to here; anything else, such as "paper", as it is."""
    m = REFERENCE.fullmatch(reference)
    return reference if m is None else numbers.get(m[1] + m[2], reference) + (m[3] or "")


def _inside(domain: Any, box: tuple[float, float]) -> list[float]:
    """A domain in [0, 1] as a domain in the box."""
    return [box[0] + float(v) * (box[1] - box[0]) for v in domain]


def _moved(mark: Mapping[str, Any], numbers: Mapping[str, str], box: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """An annotation or a shape in its panel."""
    moved = dict(mark)
    for letter in "xy":
        reference = str(mark.get(f"{letter}ref", letter))
        moved[f"{letter}ref"] = _renamed(reference, numbers)
        if reference == "paper":
            moved |= {key: _inside([mark[key]], box[letter])[0] for key in (letter, f"{letter}0", f"{letter}1") if key in mark}
    return moved


def _heading(arrays: Arrays, k: int, box: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The run's name after a dot in its colour: in the panel colours mean other things."""
    place = {"x": box["x"][0], "y": box["y"][1], "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    dot = f'<span style="color:{class_color(int(arrays["compare/color"][k]))}">●</span>'
    return {**place, "text": f"{dot} <b>{run_names(arrays)[k][:48]}</b>", "showarrow": False, "font": {"size": 12}}
