"""One page of HTML that says what was done and what came out: settings, versions, seeds, warnings, figures and tables.

It needs nothing else: plotly.js is written into it from the installed package, 4.6 MB of its size; `figures=False` leaves both out.
Every text is escaped, and the page may load nothing from anywhere.
"""

import html
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.cells.enriched import GeneAnalysis, analyse, term_arrays
from uotlab.cells.fates import Branches, accuracy, fate_arrays, mass_of_types, transition
from uotlab.cells.genes import dot_arrays, volcano_arrays
from uotlab.cells.growth import against_arrays, growth_by_type, mass_note, proliferation, recovery, type_arrays
from uotlab.cells.hierarchy import NOTE, graph_arrays
from uotlab.cells.outcome import HIGH, Outcome
from uotlab.engine.files import to_json
from uotlab.errors import InputError
from uotlab.views.base import VIEWS, Arrays

LIBRARIES = ("uotlab", "torch", "numpy", "scanpy", "anndata", "gseapy", "scikit-learn", "plotly")
ROWS = 40
MOST_POINTS = 4000  #: points of a picture, drawn as SVG so that the page may forbid code made from text
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262e; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #d9dce2 }
table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; display: block; overflow-x: auto }
td, th { padding: .15rem .6rem; border-bottom: 1px solid #e6e8ec; text-align: left; white-space: nowrap }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.note { background: #fff6df; border-left: 3px solid #e69f00; padding: .3rem .8rem; margin: .5rem 0 }
.figure { height: 420px }
"""
DRAW = """
for (const held of document.querySelectorAll("script[type='application/json']")) {
  const figure = JSON.parse(held.textContent);
  Plotly.newPlot(held.dataset.at, figure.data, figure.layout, {responsive: true, displaylogo: false});
}
"""


@dataclass
class _Page:
    """Pieces of the body, in order."""

    figures: bool
    parts: list[str] = field(default_factory=list)
    count: int = 0

    def heading(self, text: str) -> None:
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def note(self, text: str) -> None:
        self.parts.append(f'<p class="note">{html.escape(text)}</p>')

    def table(self, frame: Any, most: int = ROWS) -> None:
        head = "".join(f"<th>{html.escape(str(c))}</th>" for c in frame.columns)
        rows = ("".join(_cell(v) for v in row) for row in frame.head(most).itertuples(index=False))
        self.parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>")
        if len(frame) > most:
            self.text(f"The first {most} of {len(frame)} rows.")

    def view(self, name: str, arrays: Arrays, height: int = 420, **options: Any) -> None:
        if not self.figures:
            return
        view = VIEWS[name]()
        figure = json.loads(view.figure(arrays, **options).to_json())
        for trace in figure["data"]:
            trace["type"] = {"scattergl": "scatter"}.get(trace["type"], trace["type"])
        figure["layout"].pop("template", None)  # the view says all that it needs
        figure["layout"] |= {"height": height, "font": {"color": "#22262e", "size": 13}}
        self.count += 1
        held = json.dumps(figure).replace("<", "\\u003c")  # no tag of a text can end the script
        label = html.escape(view.summary, quote=True)
        self.parts.append(f'<div class="figure" style="height:{height}px" id="figure{self.count}" role="img" aria-label="{label}"></div>')
        self.parts.append(f'<script type="application/json" data-at="figure{self.count}">{held}</script>')


def report(
    outcome: Outcome,
    path: str | Path | None = None,
    *,
    percentile: float = HIGH,
    genes: GeneAnalysis | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    branches: Branches | None = None,
    figures: bool = True,
    shuffles: int = 10,
    seed: int = 0,
    with_genes: bool = True,
) -> str:
    """The page as text, also written to `path` where one is given.

    Args:
        outcome: what to report on.
        path: of the .html file.
        percentile: above which a cell counts as growing.
        genes: an analysis that is already there; None makes it, with `sets`, `shuffles` and `seed`.
        branches: as in `accuracy`.
        figures: False leaves out pictures and plotly.js.
        with_genes: False leaves the genes out, which take the most time.

    Raises:
        InputError: the file cannot be written. A part that cannot be computed says why on the page.
    """
    page = _Page(figures)
    sections: tuple[tuple[str, Callable[[], None]], ...] = (
        ("Growth", lambda: _growth(page, outcome)),
        ("Fates", lambda: _fates(page, outcome, branches)),
        ("Genes", lambda: _genes(page, outcome, genes or analyse(outcome, percentile, sets, shuffles=shuffles, seed=seed), percentile)),
        ("Training", lambda: _training(page, outcome)),
    )
    _settings(page, outcome)
    for title, write in sections:
        if title == "Genes" and not with_genes:
            continue
        page.heading(title)
        try:
            write()
        except InputError as error:
            page.note(str(error))
    text = _whole(page, outcome.study.title)
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"The report cannot be written to {path} ({error.strerror}). Name a file in a folder that you may write to."
            ) from None
    return text


def _whole(page: _Page, title: str) -> str:
    script = ""
    if page.count:
        from plotly.offline import get_plotlyjs

        script = f"<script>{get_plotlyjs()}</script>\n<script>{DRAW}</script>"
    title = html.escape(f"uotlab: {title}")
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{title}</title><style>{STYLE}</style>'
    )
    body = "\n".join(page.parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><h1>{title}</h1>\n{body}\n{script}</body></html>\n'


def _settings(page: _Page, outcome: Outcome) -> None:
    import pandas as pd

    study = outcome.study
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    size = f"{len(study.source)} source cells ({study.source_value}) and {len(study.target)} target cells ({study.target_value})"
    page.text(f"Made {when}. {size}, {study.d} dimensions of {study.rep}{', simulated' if study.simulated else ''}.")
    for note in (mass_note(outcome), *study.notes):
        if note:
            page.note(note)
    page.heading("Settings")
    rows = [*_flat(outcome.settings), ("transported mass", outcome.mass), *((f"data: {k}", v) for k, v in _flat(study.origin or {}))]
    page.table(pd.DataFrame(rows, columns=["setting", "value"]), most=200)
    if study.about.steps:
        page.text("Preparation: " + "; ".join(study.about.steps) + ".")
    page.table(pd.DataFrame(versions(), columns=["library", "version"]))


def _growth(page: _Page, outcome: Outcome) -> None:
    table = growth_by_type(outcome)
    page.view("scaling", {"xi": outcome.growth.astype(np.float32)}, classes=False)
    page.view("growth-types", type_arrays(table))
    page.table(table)
    if "growth" in outcome.study.truth:
        found = recovery(outcome)
        page.text(f"Spearman of growth with the truth: {found.spearman:.3f} over cells, {found.spearman_types:.3f} over types.")
        page.view("growth-against", _fewer(against_arrays(outcome, found.truth, "true growth")))
    if outcome.study.has_genes:
        score = proliferation(outcome.study)
        page.view("growth-against", _fewer(against_arrays(outcome, score.score, "proliferation score")))
        page.text(f"The proliferation score rests on {score.found} measured genes of the cell cycle.")


def _fates(page: _Page, outcome: Outcome, branches: Branches | None) -> None:
    table = transition(outcome)
    arrays = fate_arrays(table, mass_of_types(outcome, table))
    page.view("transitions", arrays)
    page.view("fate-flow", arrays)
    page.table(table.reset_index())
    found = accuracy(outcome, branches)
    page.text(f"Transition accuracy by the correlation kernel and by {found.how}; terminal types: {', '.join(found.terminal)}.")
    page.table(found.branches)
    page.table(found.table)


def _genes(page: _Page, outcome: Outcome, found: GeneAnalysis, percentile: float) -> None:
    page.text(f"{found.settings['cells']} cells against {found.settings['rest']}; {found.settings.get('group', 'a chosen group')}.")
    for note in found.notes:
        page.note(note)
    page.view("volcano", volcano_arrays(found.genes, 2000))
    high = np.where(outcome.high(percentile), "high", "rest")
    page.view("dot-plot", dot_arrays(outcome.study, found.genes["gene"].head(16), high), 260)
    page.table(found.genes)
    if len(found.terms):
        page.view("terms", term_arrays(found))
        page.view("term-graph", graph_arrays(found.terms, found.sets), 620)
        page.text(NOTE)
        page.table(found.terms.drop(columns="genes"))


def _training(page: _Page, outcome: Outcome) -> None:
    losses = {k: np.asarray(v) for k, v in outcome.history.items()}
    if "step" not in losses or not len(losses["step"]):
        page.text("A discrete plan is solved, not trained." if outcome.plan is not None else "No history was kept.")
        return
    page.view("losses", {f"history/{k}": v.astype(np.float32) for k, v in losses.items()})


def _fewer(arrays: Arrays, most: int = MOST_POINTS) -> Arrays:
    """At most so many points, evenly chosen."""
    n = len(arrays["against/x"])
    rows = np.linspace(0, n - 1, min(n, most)).astype(np.intp)
    return {k: v[rows] if k in ("against/x", "against/y", "against/class") else v for k, v in arrays.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float) else to_json(value)


def versions() -> list[tuple[str, str]]:
    """Versions of Python and of the libraries that a result depends on."""
    found = [("python", platform.python_version())]
    for name in LIBRARIES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return f"<td>{html.escape(str(value))}</td>"
    return f'<td class="number">{html.escape(f"{value:.4g}" if isinstance(value, float | np.floating) else str(value))}</td>'
