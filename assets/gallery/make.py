"""Make the gallery's thumbnails: run every recipe with exactly its settings, draw its picture, keep it as a small webp.

    python assets/gallery/make.py                 all recipes
    python assets/gallery/make.py choi-2a yang-4  these only

Needs Chromium (UOTLAB_CHROMIUM, or one in the path) and the packages of requirements-dev.txt. Writes NAME.webp, 480 px wide with a clear
ground, whose colours read on light and dark pages, and the seconds that the runs took into runs.json.
"""

import base64
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from uotlab.engine.begin import begin, make_method, threads_for  # noqa: E402
from uotlab.engine.frames import Camera  # noqa: E402
from uotlab.engine.history import History  # noqa: E402
from uotlab.engine.loop import train  # noqa: E402
from uotlab.engine.runner import engine  # noqa: E402
from uotlab.engine.sweep.picture import arrays_of_sweep  # noqa: E402
from uotlab.engine.sweep.run import start  # noqa: E402
from uotlab.engine.sweep.summary import better_end, pick_metric  # noqa: E402
from uotlab.recipes.base import RECIPES, THUMBNAILS, Recipe  # noqa: E402
from uotlab.ui import barycenters_state, learn, plans_spec, sweep_state  # noqa: E402
from uotlab.ui.barycenters_results import Named, cells_of, cloud_picture, image_picture, line_picture, quick, rows_picture  # noqa: E402
from uotlab.ui.config import problem_of  # noqa: E402
from uotlab.ui.plans_bench import new_bench  # noqa: E402
from uotlab.ui.routes import PLOTLY_JS  # noqa: E402
from uotlab.ui.sources import Still, find  # noqa: E402
from uotlab.ui.wire import arrays_of, draw, figure_json, plain  # noqa: E402

Arrays = Mapping[str, np.ndarray]
SIZE, SCALE = (480, 320), 1.25  #: px of the drawing, and how much finer it is drawn
MOST_BYTES = 25_000
SHOWN = 1000  #: points a side
PATIENCE = 300.0  #: s for one plan
HALF_WAY = {"t": 0.5}  #: pictures with a time are kept at this one
BARYCENTERS = {"densities": "barycenter", "images": "barycenter-images", "clouds": "barycenter-clouds", "rows": "barycenter-rows"}
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
DRAW = """async ([figure, width, height, scale]) => {
  const small = { family: 'sans-serif', size: 12 };
  const layout = { ...figure.layout, width, height, margin: { l: 40, r: 10, t: 26, b: 34 } };
  layout.font = { ...layout.font, ...small };
  for (const [name, axis] of Object.entries(layout)) {
    if (/^[xy]axis/.test(name)) layout[name] = { ...axis, title: { ...axis.title, font: small, standoff: 2 } };
  }
  layout.annotations = layout.annotations?.map((a) => ({ ...a, font: { ...a.font, size: Math.min(a.font?.size ?? 12, 9) } }));
  const holder = document.body.appendChild(document.createElement('div'));
  await Plotly.newPlot(holder, figure.data, layout, { staticPlot: true });
  const address = await Plotly.toImage(holder, { format: 'png', width, height, scale });
  Plotly.purge(holder);
  holder.remove();
  return address;
}"""


def main(names: list[str]) -> None:
    """Make the thumbnails of these recipes, or of all."""
    from playwright.sync_api import sync_playwright

    path = THUMBNAILS / "runs.json"
    took = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGS)
        page = browser.new_page()
        page.add_script_tag(path=PLOTLY_JS)
        for recipe in [RECIPES[name] for name in names or RECIPES]:
            figure, seconds = run(recipe)
            size = keep(page.evaluate(DRAW, [figure, *SIZE, SCALE]), recipe.thumbnail())
            took[recipe.name] = {"seconds": round(seconds, 1)}
            sys.stderr.write(f"{recipe.name}: {seconds:.1f} s, {size} bytes\n")
            took = {name: took[name] for name in RECIPES if name in took}
            path.write_text(json.dumps(took, indent=1) + "\n", encoding="utf-8")
        browser.close()


def run(recipe: type[Recipe]) -> tuple[dict[str, Any], float]:
    """The recipe's figure as JSON, and the seconds of CPU that its run took."""
    start = time.thread_time()
    if recipe.page == "learn":
        return _learn(), 0.0
    view, arrays = {"lab": _lab, "plans": _plans, "barycenters": _barycenters, "sweep": _sweep}[recipe.page](recipe)
    return figure_json(draw(view, arrays, HALF_WAY if view == "plan-path" else {})), time.thread_time() - start


def _lab(recipe: type[Recipe]) -> tuple[str, Arrays]:
    assert recipe.run is not None
    spec, history = recipe.run, History()
    steps = spec.steps or make_method(spec.method, spec.params).default_steps
    made = begin(spec)
    camera = Camera(made.method, made.state, made.problem)

    def follow(step: int, losses: Mapping[str, float], still: bool) -> None:
        history.live = camera.metrics()

    with threads_for(made.state.device):
        train(made.method, made.state, steps, publish=follow, history=history)
        arrays = dict(camera.arrays(shown=SHOWN))
    arrays |= {f"history/{name}": values for name, values in history.arrays().items()}
    return recipe.view, arrays | {f"names/{name}": np.asarray(names) for name, names in camera.labels.items()}


def _plans(recipe: type[Recipe]) -> tuple[str, Arrays]:
    spec, sentence = plans_spec.from_query(recipe.query)
    assert sentence is None
    bench = new_bench()
    bench.wait(bench.show(spec, problem_of(spec.cloud)), PATIENCE)
    bench.want(recipe.view)
    return recipe.view, _arrays(bench.source, settle=True)


def _barycenters(recipe: type[Recipe]) -> tuple[str, Arrays]:
    setup, sentence = barycenters_state.from_query(recipe.query)
    assert sentence is None
    if setup.kind == "densities":
        found, others, _ = quick(setup.model_dump_json())
        return BARYCENTERS[setup.kind], _arrays(line_picture(setup, found, others))
    cells = cells_of(setup)
    done = {(cell.row, cell.column): cell.compute(lambda *_: None, lambda: False) for cell in cells}
    named: list[Named] = [(cell.label, done[cell.row, cell.column]) for cell in cells]
    source = {"rows": lambda: rows_picture(setup, done), "images": lambda: image_picture(setup, named)}
    return BARYCENTERS[setup.kind], _arrays(source.get(setup.kind, lambda: cloud_picture(setup, named[0][1]))())


def _sweep(recipe: type[Recipe]) -> tuple[str, Arrays]:
    spec, sentence = sweep_state.from_query(recipe.query)
    assert sentence is None
    sweep = start(engine(), spec, "the gallery's own sweep")
    while sweep.active:
        time.sleep(1)
    rows = sweep.rows()
    return "sweep", arrays_of_sweep(spec, rows, pick_metric(rows, recipe.query["metric"]), better=better_end(recipe.query["metric"]))


def _learn() -> dict[str, Any]:
    colors = {name: learn.class_color(i) for i, name in enumerate(learn.DIVERGENCES)}
    figure = learn.divergence_figure("star", list(learn.FIRST), 1.0, colors, "t", "ψ*(t)", [-2, learn.TOP])
    return {k: plain(v) for k, v in figure.to_plotly_json().items()}


def _arrays(name: str, *, settle: bool = False) -> Arrays:
    """What a held picture shows; with `settle` once nothing has been added to it for a while."""
    source, version = find(name), -1
    while settle and isinstance(source, Still) and source.snapshot.version != version:
        version = source.snapshot.version
        time.sleep(10)
        source = find(name)
    assert isinstance(source, Still)
    return arrays_of(source.snapshot)


def keep(data: str, path: Path) -> int:
    """Store a PNG as webp, as fine as 25 kB allow; returns the bytes."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(data.split(",", 1)[1])))
    for quality, width in ((80, 600), (65, 600), (50, 600), (35, 600), (35, 540), (30, 480)):
        image.resize((width, width * image.height // image.width)).save(path, "WEBP", quality=quality, method=6, alpha_quality=60)
        if path.stat().st_size <= MOST_BYTES:
            break
    return path.stat().st_size


def chromium() -> str:
    """The Chromium that tests drive."""
    found = os.environ.get("UOTLAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        sys.exit("Chromium is needed: apt install chromium, or name one in UOTLAB_CHROMIUM.")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
