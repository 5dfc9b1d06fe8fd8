"""Perturbation: how near predicted cells come to treated ones that were held out, of this run and of two methods for every condition."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st

from uotlab.cells import Outcome, Study
from uotlab.cells.perturbation import MEASURES, condition_arrays, effect, held_out, perturb
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.ui import state
from uotlab.ui.cells_long import long_work
from uotlab.ui.cells_pictures import still
from uotlab.ui.cells_scene import Scene, analysed
from uotlab.ui.cells_section import SECTIONS, Section
from uotlab.ui.cells_tables import table
from uotlab.ui.later import Later
from uotlab.ui.plain import plain

LEAST = 10  #: cells of a condition
FEW = 50  #: held-out cells below which a number is noise
FLOOR = "Other treated cells"
SHORT = {"l2": "L2 signature", "sinkhorn": "Sinkhorn", "mmd": "MMD", "mmd_median": "MMD median"}


@dataclass(frozen=True)
class HeldOut:
    """Distances to the held-out treated cells, one row each for no map, the run and the floor; means of features; numbers of cells."""

    distances: Any
    features: Any
    control: int
    treated: int


def unseen(outcome: Outcome) -> HeldOut:
    """What a run predicts for the cells that its training left out."""
    import pandas as pd

    found, means = held_out(outcome)
    train, held = outcome.study.split(int(outcome.settings.get("seed") or 0))
    rows = [
        {"predicted by": "No map"} | {k: found[f"{k} without a map"] for k in MEASURES},
        {"predicted by": "This run"} | {k: found[k] for k in MEASURES},
    ]
    if train is not held:
        other = train.y[np.linspace(0, len(train.y) - 1, min(len(train.y), len(held.x))).astype(np.intp)]
        rows.append({"predicted by": FLOOR} | asdict(effect(other, held.y)))
    return HeldOut(pd.DataFrame(rows), means, len(held.source), len(held.target))


def shift_arrays(found: Any) -> dict[str, np.ndarray]:
    """What the view "feature-shift" draws of a table of `features`."""
    control = found["control"].to_numpy()
    return {
        "shift/measured": (found["treated"].to_numpy() - control).astype(np.float32),
        "shift/predicted": (found["predicted"].to_numpy() - control).astype(np.float32),
        "names/shift": found["feature"].to_numpy(str),
    }


@SECTIONS.register("perturbation")
class PerturbationSection(Section):
    """Control to treated, on held-out cells."""

    title = "Perturbation"
    order = 50
    keeps = ("pert_conditions", "pert_balanced", "pert_unbalanced", "pert_seeds", "pert_steps", "pert_measure")

    def show(self, scene: Scene) -> None:
        st.markdown("##### This run, on cells it has not seen")
        analysed(scene, "held-out", lambda outcome, progress: unseen(outcome), "Measuring held-out cells", _of_run)
        st.markdown("##### A balanced and an unbalanced method, condition by condition")
        _conditions(scene)


def _of_run(scene: Scene, outcome: Outcome, found: HeldOut) -> None:
    """Distances as numbers, and the means of features."""
    rows = found.distances.set_index("predicted by")
    for column, (name, title) in zip(st.columns(len(MEASURES)), MEASURES.items(), strict=True):
        before, now = rows.loc["No map", name], rows.loc["This run", name]
        change = f"{now / before - 1:+.0%} against no map" if before > 0 else None
        column.metric(title, f"{float(f'{now:.3g}'):,.10g}", change, delta_color="inverse", help=HELP[name])
    words = f"{found.control:,} control cells, mapped, against {found.treated:,} treated cells; neither took part in training."
    if FLOOR in rows.index:
        words += f" {FLOOR} are treated cells of the training part: nothing can be expected to come nearer than they do."
    if min(found.control, found.treated) < FEW:
        words += " So few cells make all of these numbers rough."
    st.caption(words)
    left, right = st.columns(2, gap="large")
    with left:
        table(found.distances.rename(columns=SHORT), "predicted by", "heldout", "held-out.csv")
        st.caption("Means of features, those that change most first")
        table(found.features, "feature", "features", "feature-means.csv")
    with right:
        still("feature-shift", shift_arrays(found.features), "feature shift", 420)


HELP = {
    "l2": "Distance between the mean of predicted and of treated cells",
    "sinkhorn": "Debiased entropic transport cost between the two clouds, at ε = .01 of the mean cost",
    "mmd": "Squared maximum mean discrepancy, mean over RBF kernels of six fixed widths (CellOT's); nearly 0 where cells lie far apart",
    "mmd_median": "The same with a kernel as wide as the median distance",
}


def _conditions(scene: Scene) -> None:
    """The choices, and the comparison."""
    study = scene.study
    counts = study.values()
    known = [v for v, n in counts.items() if v != study.source_value and n >= LEAST]
    if not known:
        st.caption(f"No other value of {plain(study.time)} has {LEAST} cells, so there is nothing to compare.")
        return
    balanced = [k for k in METHODS if not any(METHODS[k].relaxed) and len(METHODS[k].relaxed) == 2]
    unbalanced = [k for k in METHODS if any(METHODS[k].relaxed) and len(METHODS[k].relaxed) == 2]
    state.start_with("pert_conditions", known)
    state.start_with("pert_balanced", "oticnn")
    state.start_with("pert_unbalanced", "uoticnn")
    state.start_with("pert_steps", 500)
    state.start_with("pert_seeds", 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="pert-choices"):
        conditions = st.multiselect(
            f"{study.time} (cells); control {study.source_value}", known, key="pert_conditions", width=300,
            format_func=lambda v: f"{v} ({counts[v]:,})",
        )  # fmt: skip
        one = st.selectbox("Balanced", balanced, key="pert_balanced", format_func=lambda k: METHODS[k].title, width=130)
        two = st.selectbox("Unbalanced", unbalanced, key="pert_unbalanced", format_func=lambda k: METHODS[k].title, width=130)
        steps = st.number_input("Steps each", 10, 100_000, step=100, key="pert_steps", width=130)
        seeds = st.number_input("Seeds", 1, 10, step=1, key="pert_seeds", width=110)
    rho = {k: float(v) for k, v in scene.spec.params.items() if k in ("rho1", "rho2") and isinstance(v, int | float)}
    runs = len(conditions) * 2 * int(seeds)
    st.caption(f"{runs} runs of {int(steps):,} steps each, one after the other, each with its own held-out fifth; ρ as in the side panel.")
    if not conditions:
        return
    choice = (tuple(conditions), one, two, int(steps), int(seeds), tuple(sorted(rho.items())))
    long_work(
        scene, "pert", choice, lambda told: compared(study, conditions, (one, two), int(steps), int(seeds), rho, told),
        lambda rows: _compared(rows, one, two), "Comparing", "Compare",
    )  # fmt: skip


def compared(
    study: Study, conditions: Sequence[str], methods: tuple[str, str], steps: int, seeds: int, rho: dict[str, float], told: Later
) -> list[dict[str, Any]]:
    """Rows of `perturb`, told as they come."""
    order = [(c, s, m) for c in conditions for s in range(seeds) for m in methods]
    rows: list[dict[str, Any]] = []

    def step(k: int, of: int, losses: Any) -> None:
        condition, seed, method = order[min(len(rows), len(order) - 1)]
        told(f"{condition}, {METHODS[method].title}, seed {seed}: run {len(rows) + 1} of {len(order)}", (len(rows) + k / of) / len(order))

    for row in perturb(study, methods, conditions, range(seeds), steps, progress=step, **rho):
        rows.append(row)
        told.partial = list(rows)
        told(told.words, len(rows) / len(order))
    return rows


def _compared(rows: list[dict[str, Any]], balanced: str, unbalanced: str) -> None:
    """The scatter plot and the table of the rows that are there."""
    import pandas as pd

    found = pd.DataFrame(rows)
    methods = list(dict.fromkeys(found["method"]))
    balanced, unbalanced = methods if len(methods) == 2 else (balanced, unbalanced)
    left, right = st.columns(2, gap="large")
    with left:
        state.start_with("pert_measure", "sinkhorn")
        measure = st.selectbox("Measure", list(MEASURES), key="pert_measure", format_func=MEASURES.__getitem__, width=260)
        try:
            arrays = dict(condition_arrays(found, balanced, unbalanced, measure))
        except InputError:
            st.caption("The first condition is not through yet.")
        else:
            titles = [MEASURES[measure], *(METHODS[k].title for k in (balanced, unbalanced))]
            still("conditions", arrays | {"names/conditions/title": np.array(titles)}, "conditions", 420)
            x, y = arrays["conditions/x"], arrays["conditions/y"]
            st.caption(f"{METHODS[unbalanced].title} is nearer to the treated cells in {int((y < x).sum())} of {len(x)} conditions.")
    with right:
        shown = found.assign(method=[METHODS[m].title for m in found["method"]])
        table(shown, "condition", "conditions", "conditions.csv")
        st.caption("Lower is nearer to the treated cells; columns that end in no map are of the control cells as they are.")
