"""What a person takes away: the cells as .h5ad, tables, a report of one page, and the same in Python and as a command."""

import shlex
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.cells import Outcome, cells_table, write_h5ad
from uotlab.cells.enriched import analyse
from uotlab.cells.fates import Branches, transition
from uotlab.cells.outcome import HIGH
from uotlab.cells.report import report
from uotlab.errors import InputError
from uotlab.ui.cells_branches import branches
from uotlab.ui.cells_long import long_work
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.later import Later
from uotlab.ui.share import arguments, quoted, word


@SECTIONS.register("out")
class OutSection(Section):
    """Files to take away."""

    title = "Take away"
    order = 80

    def show(self, scene: Scene) -> None:
        """Downloads of the run as it stands."""
        analysed(scene, "out", lambda outcome, progress: outcome, "Getting ready", _downloads)


def _downloads(scene: Scene, outcome: Outcome, _: Outcome) -> None:
    name = f"{scene.spec.dataset}-{scene.spec.method}".replace("/", "-")
    percentile = float(st.session_state.get("genes_percentile", HIGH))
    with st.container(horizontal=True, key="out-files"):
        st.download_button(
            "Cells (.h5ad)", partial(_h5ad, outcome, percentile), f"{name}.h5ad", "application/octet-stream",
            icon=":material/download:", key="cells_h5ad", on_click="ignore",
            help="All prepared cells; obs: uot_scaling, uot_high; obsm: X_pca_uot, velocity_pca; uns: uot, with settings and transitions",
        )  # fmt: skip
        st.download_button(
            "Source cells (.csv)", partial(_csv, outcome, percentile), f"{name}.csv", "text/csv",
            icon=":material/download:", key="cells_csv", on_click="ignore", help="One row a source cell, with its scaling",
        )  # fmt: skip
    st.caption("Pictures are saved as PNG or SVG by the buttons at their upper right, tables as csv by the button over each.")
    st.markdown("##### Report")
    st.caption("One page of HTML: settings, versions, seeds, warnings, pictures and tables. It needs nothing else to be read.")
    _report(scene, outcome, percentile, name)
    st.markdown("##### The same in Python")
    st.code(_python(scene), language="python", wrap_lines=True)
    st.markdown("##### The same on the command line")
    st.code(_command(scene), language="bash", wrap_lines=True)


def _report(scene: Scene, outcome: Outcome, percentile: float, name: str) -> None:
    """The button, its progress, and the download."""
    allowed = branches(scene)
    choice = (scene.outcome_key(), percentile, repr(allowed))

    def draw(text: bytes) -> None:
        st.download_button(
            f"Report (.html, {len(text) / 1e6:.1f} MB)", text, f"{name}.html", "text/html", icon=":material/download:",
            key="cells_report", on_click="ignore",
        )  # fmt: skip

    long_work(
        scene, "report", choice, lambda told: _written(outcome, percentile, allowed, told), draw, "Writing the report", "Make the report"
    )


def _written(outcome: Outcome, percentile: float, allowed: Branches | None, told: Later) -> bytes:
    genes = None
    with suppress(InputError):  # the report says what stands in the way
        genes = analyse(outcome, percentile, progress=lambda words, share: told(f"Genes: {words}", 0.8 * share))
    told("Writing the page", 0.9)
    return report(outcome, percentile=percentile, genes=genes, branches=allowed).encode()


def _h5ad(outcome: Outcome, percentile: float) -> bytes:
    fates = transition(outcome) if outcome.study.type else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_h5ad(outcome, path, percentile=percentile, transition=fates)
        return path.read_bytes()


def _csv(outcome: Outcome, percentile: float) -> bytes:
    return cells_table(outcome, percentile=percentile).to_csv().encode()


def _python(scene: Scene) -> str:
    data = {k: v for k, v in scene.spec.data.items() if k != "seed"}
    load = ", ".join([quoted(scene.spec.dataset), *([f"n={scene.spec.n}"] if scene.spec.n else []), *arguments(data)])
    words = [*([f"steps={scene.spec.steps}"] if scene.spec.steps else []), f"seed={scene.spec.seed}", *arguments(scene.spec.params)]
    return (
        "import math\n\nfrom uotlab import cells\nfrom uotlab.cells.report import report\n\n"
        f"study = cells.load({load})\n"
        f"outcome = cells.run(study, {quoted(scene.spec.method)}, {', '.join(words)})\n"
        'cells.write_h5ad(outcome, "cells.h5ad")\n'
        'cells.cells_table(outcome).to_csv("cells.csv")\n'
        'report(outcome, "report.html")\n'
    )


def _command(scene: Scene) -> str:
    spec = scene.spec
    words: list[Any] = ["python", "-m", "uotlab", "cells", str(spec.dataset), "--run", spec.method, "--seed", str(spec.seed)]
    words += ["--n", str(spec.n)] if spec.n else []
    words += ["--steps", str(spec.steps)] if spec.steps else []
    for option, values in (("--set", spec.params), ("--data", spec.data)):
        for key, value in values.items():
            words += [option, f"{key}={word(value)}"]
    return shlex.join([*words, "--out", f"runs/{spec.dataset}-{spec.method}"])
