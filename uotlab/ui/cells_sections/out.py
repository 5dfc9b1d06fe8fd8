"""What a person takes away: the cells as .h5ad, tables, a report of one page, and the same in Python and as a command."""

import io
import shlex
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.cells import Outcome, analyse, cells_table, export, write_h5ad
from uotlab.cells.fates import Branches, transition
from uotlab.cells.genes import genes_of, scanpy_ranks
from uotlab.cells.outcome import HIGH
from uotlab.cells.running import growth_settings
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui.cells_branches import branches
from uotlab.ui.cells_long import long_work
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.plain import plain
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
            help="obs: uot_scaling, uot_high; obsm: X_pca_uot, velocity_pca; uns: uot (settings, transitions), rank_genes_groups",
        )  # fmt: skip
        st.download_button(
            "Source cells (.csv)", partial(_csv, outcome, percentile), f"{name}.csv", "text/csv",
            icon=":material/download:", key="cells_csv", on_click="ignore", help="One row a source cell, with its scaling",
        )  # fmt: skip
    st.caption("Pictures are saved as PNG or SVG by the buttons at their upper right, tables as csv by the button over each.")
    st.markdown("##### Report, and everything in one file")
    st.caption(
        "The report is one page of HTML: settings, versions, seeds, warnings, pictures and tables; it needs nothing else to be read. "
        "The archive has it, the cells, every table, and the settings as JSON."
    )
    _everything(scene, outcome, percentile, name)
    st.markdown("##### The same in Python")
    st.code(_python(scene), language="python", wrap_lines=True)
    st.markdown("##### The same on the command line")
    st.code(_command(scene), language="bash", wrap_lines=True)


def _everything(scene: Scene, outcome: Outcome, percentile: float, name: str) -> None:
    """The button, its progress, and the downloads."""
    allowed = branches(scene)
    choice = (scene.outcome_key(), percentile, repr(allowed))

    def draw(found: Made) -> None:
        with st.container(horizontal=True, key="out-made"):
            st.download_button(
                f"Report (.html, {len(found.report) / 1e6:.1f} MB)", found.report, f"{name}.html", "text/html",
                icon=":material/download:", key="cells_report", on_click="ignore",
            )  # fmt: skip
            st.download_button(
                f"Everything (.zip, {len(found.archive) / 1e6:.1f} MB)", found.archive, f"{name}.zip", "application/zip",
                icon=":material/folder_zip:", key="cells_everything", on_click="ignore",
            )  # fmt: skip
        st.caption(plain(f"In the archive: {', '.join(found.files)}."))

    long_work(scene, "report", choice, lambda told: made(outcome, percentile, allowed, told), draw, "Writing the report", "Make them")


@dataclass(frozen=True)
class Made:
    """The report, an archive of all, and what is in it."""

    report: bytes
    archive: bytes
    files: tuple[str, ...]


def made(outcome: Outcome, percentile: float, allowed: Branches | None, told: Callable[[str, float], None]) -> Made:
    """Everything that `export` writes, with the genes of growing cells where some grow."""
    genes = None
    with suppress(InputError):  # the report says what stands in the way
        genes = analyse(outcome, percentile, progress=lambda words, share: told(f"Genes: {words}", 0.6 * share))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = export(
            outcome, folder, genes=genes, branches=_usable(outcome, allowed), percentile=percentile,
            progress=lambda words, share: told(words, 0.6 + 0.4 * share),
        )  # fmt: skip
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(folder / file, file)
        return Made((folder / "report.html").read_bytes(), packed.getvalue(), tuple(files))


def _usable(outcome: Outcome, allowed: Branches | None) -> Branches | None:
    """The branches, or None where there are none to speak of."""
    return allowed if allowed and outcome.study.type else None


def _h5ad(outcome: Outcome, percentile: float) -> bytes:
    fates = transition(outcome) if outcome.study.type else None
    ranks: dict[str, Any] = {}
    with suppress(InputError):  # no genes, or no cell that grows
        ranks["rank_genes_groups"] = scanpy_ranks(genes_of(outcome, percentile))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_h5ad(outcome, path, percentile=percentile, transition=fates, uns=ranks)
        return path.read_bytes()


def _csv(outcome: Outcome, percentile: float) -> bytes:
    return cells_table(outcome, percentile=percentile).to_csv().encode()


def said(spec: RunSpec) -> RunSpec:
    """The same run with all told that `cells.run` and the command would otherwise choose for a held target (`growth_settings`)."""
    cls = METHODS[spec.method]
    chosen = growth_settings(cls, spec.params).keys() - spec.params.keys() - {"steps"}
    own = {name: cls.model_fields[name].default for name in sorted(chosen)}
    return spec.model_copy(update={"params": {**spec.params, **own}, "steps": spec.steps or cls.default_steps})


def _python(scene: Scene) -> str:
    spec = said(scene.spec)
    load = ", ".join([quoted(spec.dataset), *([f"n={spec.n}"] if spec.n else []), *arguments(spec.data)])
    words = [f"steps={spec.steps}", f"seed={spec.seed}", *arguments(spec.params)]
    genes = "cells.analyse(outcome)" if scene.study.has_genes else "None"
    return (
        ("import math\n\n" if "math.inf" in load + "".join(words) else "") + "from uotlab import cells\n\n"
        f"study = cells.load({load})\n"
        f"outcome = cells.run(study, {quoted(spec.method)}, {', '.join(words)})\n"
        f"cells.export(outcome, {quoted(_folder(scene))}, genes={genes})\n"
    )


def _command(scene: Scene) -> str:
    spec = said(scene.spec)
    words: list[Any] = ["python", "-m", "uotlab", "cells", str(spec.dataset), "--run", spec.method, "--seed", str(spec.seed)]
    words += ["--n", str(spec.n)] if spec.n else []
    words += ["--steps", str(spec.steps)] if spec.steps else []
    for option, values in (("--set", spec.params), ("--data", spec.data)):
        for key, value in values.items():
            words += [option, f"{key}={word(value)}"]
    words += [*(["--genes"] if scene.study.has_genes else []), *(["--fates"] if scene.study.type else []), "--report"]
    return shlex.join([*words, "--out", _folder(scene)])


def _folder(scene: Scene) -> str:
    return f"runs/{scene.spec.dataset}-{scene.spec.method}"
