"""From a setup to results and pictures: quick ones at once, slow ones as tasks, each picture held for the live component."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from uotlab.data.densities import placed_digits
from uotlab.engine.spec import Snapshot
from uotlab.errors import InputError
from uotlab.plans.barycenters.base import BARYCENTERS, barycenter
from uotlab.plans.barycenters.result import BarycenterResult
from uotlab.plans.pot import pot
from uotlab.plans.solver import Cancel, Progress
from uotlab.ui.barycenters_state import Setup, measures_of, names_of
from uotlab.ui.barycenters_work import Cell, Task
from uotlab.ui.sources import held, hold

BLURS = (0.1, 0.03, 0.01)  #: eps of the Sinkhorn barycenters that a barycenter is compared with
ROUGH = 1e-3  #: tolerance of what is only compared with
VALUE_UP_TO = 16  #: images of a digit up to which the figure computes exact objectives
Named = tuple[str, BarycenterResult]
Row = tuple[str, str, dict[str, Any]]  #: label, method, settings


def comparisons(setup: Setup) -> list[Row]:
    """What is drawn beside the chosen method."""
    cls = BARYCENTERS[setup.method]
    if not setup.compare or "clouds" in cls.takes:
        return []
    plain = "convolutional" if setup.kind == "images" else "sinkhorn"
    own = float(setup.settings.get("eps", cls.model_fields["eps"].default)) if "eps" in cls.model_fields else None  # type: ignore[arg-type]
    if cls.relaxed and own is not None:  # first of all with the same blur and all mass carried
        return [(f"balanced, ε = {own:g}", plain, {"eps": own, "tol": ROUGH})]
    return [(f"Sinkhorn ε = {e:g}", plain, {"eps": e, "tol": ROUGH}) for e in BLURS if (setup.method, own) != (plain, e)]


@lru_cache(maxsize=64)
def quick(text: str) -> tuple[BarycenterResult, list[Named], str | None]:
    """The barycenter of densities, what it is compared with, and why that could not be computed.

    Raises:
        InputError: the chosen method cannot answer.
    """
    setup = Setup.model_validate_json(text)
    pot()  # the first import takes a second, which is nobody's time
    measures, x = measures_of(setup)
    found = barycenter(setup.method, measures, setup.weights, x, **dict[str, Any](setup.settings))
    others: list[Named] = []
    for label, method, settings in comparisons(setup):
        try:
            others.append((label, barycenter(method, measures, setup.weights, x, **settings)))
        except InputError as error:
            return found, others, str(error)
    return found, others, None


def cells_of(setup: Setup) -> list[Cell]:
    """The computations of a slow setup, the chosen method first; row by row for the figure."""
    if setup.kind == "rows":
        return [
            Cell(r, c, f"{row[0]}, digit {d}", partial(_figure, setup, row, d))
            for r, row in enumerate(rows_of(setup))
            for c, d in enumerate(digits_of(setup))
        ]
    wanted: list[Row] = [(setup.title, setup.method, dict(setup.settings)), *comparisons(setup)]
    return [Cell(r, 0, label, partial(_one, setup, method, settings)) for r, (label, method, settings) in enumerate(wanted)]


def rows_of(setup: Setup) -> list[Row]:
    """The figure's rows: Sinkhorn from blurred to sharp, and the chosen method below."""
    blurs: list[Row] = [(f"Sinkhorn ε = {e:g}", "convolutional", {"eps": e}) for e in setup.eps]
    fields = BARYCENTERS[setup.method].model_fields
    value = {k: setup.settings.get(k, f.default) for k, f in fields.items() if k in ("beta", "eps", "rho1")}
    letters = {"beta": "β", "eps": "ε", "rho1": "ρ"}
    own = ", ".join(f"{letters[k]} = {float(v):g}" for k, v in value.items())
    last: Row = (f"{setup.title} {own}", setup.method, dict(setup.settings))
    return [b for b in blurs if b[1:] != last[1:]] + [last]


def digits_of(setup: Setup) -> list[int]:
    """Columns of the figure."""
    return sorted({int(d) for d in setup.digits})


def _figure(setup: Setup, row: Row, digit: int, progress: Progress, cancel: Cancel) -> BarycenterResult:
    images = placed_digits(digit, setup.count, setup.seed)
    return barycenter(row[1], images, value=setup.count <= VALUE_UP_TO, progress=progress, cancel=cancel, **row[2])


def _one(setup: Setup, method: str, settings: dict[str, Any], progress: Progress, cancel: Cancel) -> BarycenterResult:
    measures, support = measures_of(setup)
    return barycenter(method, measures, setup.weights, support, progress=progress, cancel=cancel, **settings)


# ---- pictures -----------------------------------------------------------------------------------------
def line_picture(setup: Setup, found: BarycenterResult, others: Sequence[Named]) -> str:
    """Id of the picture of densities."""
    measures, x = measures_of(setup)
    arrays = {"bary/x": x, "bary/p": measures, "bary/q": found.q}
    labels = {"bary/p": tuple(names_of(setup))}
    if found.carried is not None:
        arrays["bary/carried"] = found.carried
    if others:
        arrays["bary/other"] = np.stack([r.q for _, r in others])
        labels["bary/other"] = tuple(name for name, _ in others)
    return _held(arrays, labels)


def cloud_picture(setup: Setup, found: BarycenterResult | None) -> str:
    """Id of the picture of clouds; without a result, of the clouds alone."""
    clouds, _ = measures_of(setup)
    arrays = {
        "bary/points": np.concatenate(clouds), "bary/group": np.repeat(np.arange(len(clouds)), [len(c) for c in clouds]),
        "bary/support": np.zeros((0, 2)) if found is None else found.support,
    }  # fmt: skip
    return _held(arrays, {"bary/group": tuple(names_of(setup))})


def image_picture(setup: Setup, results: Sequence[Named]) -> str:
    """Id of the mosaic of images and results; what is not there yet stays empty."""
    images, _ = measures_of(setup)
    found = dict(results)
    labels = list(dict.fromkeys([*(cell.label for cell in cells_of(setup)), *found]))
    made = np.full((len(labels), *images.shape[1:]), np.nan)
    for k, label in enumerate(labels):
        if label in found:
            made[k] = found[label].q.reshape(images.shape[1:])
    names = tuple(f"{n}<br>sharpness {found[n].sharpness:.2f}" if n in found else f"{n}<br>…" for n in labels)
    inputs = tuple(f"{w:.2f}" for w in setup.weights)
    return _held({"tiles/input": images, "tiles/image": made}, {"tiles/input": inputs, "tiles/image": names})


def rows_picture(setup: Setup, results: Mapping[tuple[int, int], BarycenterResult]) -> str:
    """Id of the figure as far as it is done."""
    digits, rows = digits_of(setup), rows_of(setup)
    inputs = np.stack([placed_digits(d, setup.count, setup.seed)[:9] for d in digits])
    made = np.full((len(rows), len(digits), *inputs.shape[2:]), np.nan)
    sharp = np.full((len(rows), len(digits)), np.nan)
    for (r, c), found in results.items():
        made[r, c], sharp[r, c] = found.q.reshape(inputs.shape[2:]), found.sharpness
    labels = {"rows/image": tuple(name for name, _, _ in rows), "rows/columns": tuple(f"digit {d}" for d in digits)}
    return _held({"rows/input": inputs, "rows/image": made, "rows/sharpness": sharp}, labels)


def sharpness_picture(results: Sequence[Named]) -> str:
    """Id of the bars."""
    return _held({"sharp/value": np.array([r.sharpness for _, r in results])}, {"sharp/value": tuple(n for n, _ in results)})


def results_of(task: Task | None) -> list[Named]:
    """A task's results so far, in order."""
    if task is None:
        return []
    found = dict(task.results)
    return [(cell.label, found[cell.row, cell.column]) for cell in task.cells if (cell.row, cell.column) in found]


def _held(arrays: Mapping[str, np.ndarray], labels: Mapping[str, tuple[str, ...]]) -> str:
    """The picture's id: another picture has another id, which is how the live component notices."""
    made = {k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()}
    digest = hashlib.blake2b(repr(sorted(labels.items())).encode(), digest_size=16)
    for name in sorted(made):
        digest.update(name.encode() + made[name].tobytes())
    key = f"barycenter {digest.hexdigest()}"
    return held(key) or hold(Snapshot(0, 0, 0.0, {}, {}, made, labels), key)
