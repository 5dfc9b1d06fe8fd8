"""What a person takes away: the cells with their scaling as .h5ad, a table of the cells, and the same in Python and as a command."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from uotlab.cells import Outcome, cells_table, write_h5ad
from uotlab.ui.cells_scene import Scene, analysed


def show(scene: Scene) -> None:
    """Downloads of the run as it stands."""
    analysed(scene, "out", lambda outcome, progress: outcome, "Getting ready", _downloads)


def _downloads(scene: Scene, outcome: Outcome, _: Outcome) -> None:
    name = f"{scene.spec.dataset}-{scene.spec.method}".replace("/", "-")
    options: dict[str, Any] = {"on_click": "ignore"}
    st.download_button(
        "Cells with scaling and mapped positions (.h5ad)", partial(_h5ad, outcome), f"{name}.h5ad", "application/octet-stream",
        icon=":material/download:", key="cells_h5ad", help="obs: uot_scaling, uot_high; obsm: X_pca_uot, velocity_pca; uns: uot", **options,
    )  # fmt: skip
    st.download_button(
        "One row a source cell (.csv)",
        partial(_csv, outcome),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        key="cells_csv",
        **options,
    )
    st.caption("Pictures are saved by the two buttons at their upper right, as PNG or SVG; tables by the button over each.")
    st.markdown("The same in Python")
    st.code(_python(scene), language="python", wrap_lines=True)


def _h5ad(outcome: Outcome) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_h5ad(outcome, path)
        return path.read_bytes()


def _csv(outcome: Outcome) -> bytes:
    return cells_table(outcome).to_csv(index=False).encode()


def _python(scene: Scene) -> str:
    from uotlab.ui.share import arguments, quoted

    data = {k: v for k, v in scene.spec.data.items() if k != "seed"}
    load = ", ".join([quoted(scene.spec.dataset), *([f"n={scene.spec.n}"] if scene.spec.n else []), *arguments(data)])
    words = [*([f"steps={scene.spec.steps}"] if scene.spec.steps else []), f"seed={scene.spec.seed}", *arguments(scene.spec.params)]
    return (
        "import math\n\nfrom uotlab import cells\n\n"
        f"study = cells.load({load})\n"
        f"outcome = cells.run(study, {quoted(scene.spec.method)}, {', '.join(words)})\n"
        'cells.write_h5ad(outcome, "cells.h5ad")\n'
        "cells.cells_table(outcome)\n"
    )
