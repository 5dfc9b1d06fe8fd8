"""Pictures as files: SVG and PNG drawn by a browser without a window, or a page of HTML that needs nothing else.

plotly draws in a browser only. Chromium, Chrome or Edge is found by itself, or named by UOTLAB_CHROMIUM; it is given one local page, which
may load nothing, and its answer is read from what it prints.
"""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from uotlab.errors import InputError, did_you_mean, short
from uotlab.views.base import VIEWS, Arrays

Format = Literal["svg", "png", "html"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
WIDTH, SCALE = 900, 2  #: px of a picture, and how much finer a PNG is drawn
PATIENCE = 120  #: s for all pictures of one call
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
FLAGS = ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync")
SCRIPT = """
const { format, scale, figures } = JSON.parse(document.getElementById("figures").textContent);
async function draw() {
  for (const { name, figure } of figures) {
    const holder = document.body.appendChild(document.createElement("div"));
    const { width, height } = figure.layout;
    await Plotly.newPlot(holder, figure.data, figure.layout, { staticPlot: true });
    const address = await Plotly.toImage(holder, { format, width, height, scale: format === "png" ? scale : 1 });
    Plotly.purge(holder);
    holder.remove();
    const found = document.body.appendChild(document.createElement("pre"));
    found.className = "picture";
    found.dataset.name = name;
    found.textContent = address;
  }
  document.body.appendChild(document.createElement("pre")).className = "done";
}
draw();
"""


class Picture(NamedTuple):
    """A view of arrays under a name, which becomes the file's; `height` in px."""

    name: str
    view: str
    arrays: Arrays
    options: Mapping[str, Any] = {}
    height: int = 480


def draw(pictures: Sequence[Picture], folder: str | Path, format: Format = "svg") -> list[Path]:
    """Draw pictures into a folder, one file each.

    Raises:
        InputError: another format, no browser where one is needed, or a folder that cannot be written.
    """
    if format not in get_args(Format):
        raise InputError(
            f"format must be one of {', '.join(get_args(Format))}; it is '{short(str(format))}'. {did_you_mean(format, get_args(Format))}"
        )
    contents = _pages(pictures) if format == "html" else _drawn(pictures, format)
    paths = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            paths.append(Path(folder) / f"{name}.{format}")
            paths[-1].write_bytes(content)
    except OSError as error:
        raise InputError(f"Pictures cannot be written to {short(folder)} ({error.strerror}); choose another folder.") from None
    return paths


def browser() -> str:
    """The program that draws.

    Raises:
        InputError: there is none.
    """
    named = os.environ.get("UOTLAB_CHROMIUM", "")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, (*BROWSERS, *PLACES))), None)
    if found is None:
        wrong = f"UOTLAB_CHROMIUM names {short(named)}, which cannot be run" if named else "No Chromium, Chrome or Edge is found here"
        raise InputError(f"{wrong}, and SVG and PNG are drawn by one. Install it, name it in UOTLAB_CHROMIUM, or take html instead.")
    return found


def figure(picture: Picture) -> dict[str, Any]:
    """The plotly figure as plain JSON, on white, its points as paths that stay sharp."""
    import plotly.graph_objects as go

    view = VIEWS[picture.view]()
    made = go.Figure({"data": view.traces(picture.arrays, **picture.options), "layout": view.layout(picture.arrays, **picture.options)})
    found: dict[str, Any] = json.loads(str(made.to_json()))
    for trace in found["data"]:
        trace["type"] = {"scattergl": "scatter"}.get(trace["type"], trace["type"])
    found["layout"].pop("template", None)
    found["layout"] |= {"width": WIDTH, "height": picture.height, "paper_bgcolor": "#fff", "font": {"color": "#22262e", "size": 13}}
    return found


def _drawn(pictures: Sequence[Picture], format: str) -> dict[str, bytes]:
    """Names and contents of the files, from one run of the browser."""
    if not pictures:
        return {}
    program = browser()
    given = {"format": format, "scale": SCALE, "figures": [{"name": p.name, "figure": figure(p)} for p in pictures]}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a browser may still be writing its profile
        page = Path(folder) / "page.html"
        page.write_text(_page(f'<script type="application/json" id="figures">{_held(given)}</script>', SCRIPT), encoding="utf-8")
        own = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root has no sandbox
        command = [program, *FLAGS, *own, f"--user-data-dir={folder}/profile", "--virtual-time-budget=60000", "--dump-dom", page.as_uri()]
        try:
            text = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout.decode("utf-8", "replace")
        except (subprocess.SubprocessError, OSError):
            raise InputError(f"{short(Path(program).name)} could not draw the pictures. Try it by hand, or take html instead.") from None
    found = {name: _content(address) for name, address in re.findall(r'<pre class="picture" data-name="([^"]*)">([^<]*)</pre>', text)}
    missing = [p.name for p in pictures if p.name not in found]
    if missing:
        raise InputError(f"{short(Path(program).name)} did not draw {', '.join(missing)}. Take html instead.")
    return found


def _content(address: str) -> bytes:
    """The bytes of a data address."""
    from urllib.parse import unquote_to_bytes

    head, _, body = html.unescape(address).partition(",")
    return base64.b64decode(body) if head.endswith("base64") else unquote_to_bytes(body)


def _pages(pictures: Sequence[Picture]) -> dict[str, bytes]:
    """Names and contents of pages that one can zoom into."""
    script = 'const f = JSON.parse(document.getElementById("figure").textContent); Plotly.newPlot(document.body, f.data, f.layout);'
    return {p.name: _page(f'<script type="application/json" id="figure">{_held(figure(p))}</script>', script).encode() for p in pictures}


def _held(values: Any) -> str:
    return json.dumps(values).replace("<", "\\u003c")  # no tag of a text can end the script


def _page(held: str, script: str) -> str:
    from plotly.offline import get_plotlyjs

    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}"><script>{get_plotlyjs()}</script>'
    return f"<!doctype html>\n<html><head>{head}</head><body>{held}<script>{script}</script></body></html>\n"
