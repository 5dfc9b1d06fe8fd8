"""An outcome written out: an .h5ad that scanpy, scvelo and moscot users read at once, and tables.

Keys, with `key_added="uot"`: obs `uot_scaling` (mean 1 over the source, NaN elsewhere), `uot_scaling_log2`, `uot_high`; obsm
`X_pca_uot` (mapped source cells, NaN elsewhere), `velocity_pca` (T(x) - x, zero for cells that were not mapped); uns `uot`.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from uotlab.cells.outcome import HIGH, Outcome
from uotlab.cells.preparation import scanpy_quietly
from uotlab.engine.files import plain
from uotlab.errors import InputError, short
from uotlab.views.style import class_color

LEAST = 2.0**-20  #: of a scaling, before its logarithm is taken


def added(outcome: Outcome, key_added: str = "uot", percentile: float = HIGH) -> dict[str, dict[str, np.ndarray]]:
    """The obs columns and obsm arrays of an outcome, for all N prepared cells."""
    study = outcome.study
    n, rows = len(study.points), study.source
    scaling = np.full(n, np.nan)
    scaling[rows] = outcome.growth
    high = np.zeros(n, bool)
    if not outcome.alike:
        high[rows] = outcome.high(percentile)
    mapped = np.full(study.points.shape, np.nan, np.float32)
    mapped[rows] = outcome.mapped
    velocity = np.zeros(study.points.shape, np.float32)
    velocity[rows] = outcome.velocity
    log2 = np.log2(np.maximum(scaling, LEAST))
    space = study.rep.removeprefix("X_") or study.rep
    velocity_key = f"velocity_{space}" if key_added == "uot" else f"velocity_{space}_{key_added}"
    return {
        "obs": {f"{key_added}_scaling": scaling, f"{key_added}_scaling_log2": log2, f"{key_added}_high": high},
        "obsm": {f"X_{space}_{key_added}": mapped, velocity_key: velocity},
    }


def record(outcome: Outcome, transition: Any = None) -> dict[str, Any]:
    """What goes to uns: settings, mass, history, and a table of transitions where one is given (DataFrame, types x types)."""
    from uotlab import __version__

    settings, about = dict(outcome.settings), outcome.study.about
    eps = settings.get("eps")
    kept = {
        "params": _plain(settings.get("params", settings)),
        "method": settings.get("method", ""),
        "seed": settings.get("seed"),
        "tau": _taus(settings, 0.05 if eps is None else float(eps)),
        "eps": eps,
        "mass": float(outcome.mass),
        "history": {k: np.asarray(v, np.float32) for k, v in outcome.history.items()},
        "time": about.time,
        "source": about.source,
        "target": about.target,
        "rep": about.rep,
        "steps": list(about.steps),
        "notes": list(about.notes),
        "version": __version__,
    }
    if transition is not None:
        kept["transition"] = transition
    return {k: v for k, v in kept.items() if v is not None and not (isinstance(v, dict | list) and not v)}


def _taus(settings: Mapping[str, Any], eps: float) -> dict[str, float]:
    """rho of each side, and tau = rho / (rho + eps) in Sinkhorn's convention."""
    found: dict[str, float] = {}
    for side, key in (("source", "rho1"), ("target", "rho2")):
        if key in settings:
            rho = float(settings[key])
            found |= {f"rho_{side}": rho, side: 1.0 if np.isinf(rho) else rho / (rho + eps)}
    return found


def _plain(values: Any) -> Any:
    """The values in what an .h5ad holds: no None, no lists of mixed kinds."""
    if isinstance(values, Mapping):
        return {str(k): _plain(v) for k, v in values.items() if v is not None}
    if isinstance(values, bool | int | float | str | np.ndarray):
        return values
    return str(plain(values))


def write_h5ad(
    outcome: Outcome,
    path: str | Path,
    key_added: str = "uot",
    *,
    percentile: float = HIGH,
    transition: Any = None,
    uns: Mapping[str, Any] | None = None,
) -> Path:
    """All prepared cells with what the outcome says of them; see the module for the keys.

    Args:
        percentile: of the scaling, above which a source cell is `uot_high`.
        transition: a DataFrame of transitions, types x types, for uns.
        uns: more for uns, such as rank_genes_groups.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    if not path.name or not key_added.isidentifier():
        raise InputError(f"key_added must be a plain name such as uot, and path a file; they are '{short(key_added)}' and '{short(path)}'.")
    more = added(outcome, key_added, percentile)
    extra = {key_added: record(outcome, transition), **(uns or {}), **_colors(outcome)}
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scanpy_quietly():
            if isinstance(outcome.study.held, Path):
                _beside_values(outcome.study.held, part, more, extra)
            else:
                adata = outcome.study.adata.copy()
                adata.obs = adata.obs.assign(**more["obs"])
                adata.obsm.update(more["obsm"])
                adata.uns.update(extra)
                adata.write_h5ad(part, compression="gzip")
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{short(path)} cannot be written ({error.strerror or short(error)}); choose another place.") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _beside_values(held: Path, part: Path, more: Mapping[str, Mapping[str, np.ndarray]], uns: Mapping[str, Any]) -> None:
    """A copy of the prepared file, with the new keys written into it: the values are never read."""
    import anndata
    import h5py

    shutil.copyfile(held, part)
    with h5py.File(part, "a") as file:
        obs = anndata.io.read_elem(file["obs"]).assign(**more["obs"])
        anndata.io.write_elem(file, "obs", obs)
        for key, value in more["obsm"].items():
            anndata.io.write_elem(file["obsm"], key, value)
        for key, value in uns.items():
            anndata.io.write_elem(file["uns"], key, value)


def _colors(outcome: Outcome) -> dict[str, np.ndarray]:
    """The page's colours of the cell types, in the order of the categories."""
    study = outcome.study
    if not study.type or f"{study.type}_colors" in study.adata.uns or study.type not in study.adata.obs:
        return {}
    column = study.adata.obs[study.type]
    if column.dtype.name != "category":
        return {}
    return {f"{study.type}_colors": np.array([class_color(i) for i in range(len(column.cat.categories))])}


def cells_table(outcome: Outcome, key_added: str = "uot", *, mapped: bool = False, percentile: float = HIGH) -> Any:
    """A DataFrame of the source cells: name, type, time, scaling and, if asked for, where each goes."""
    import pandas as pd

    study = outcome.study
    more = added(outcome, key_added, percentile)
    columns: dict[str, Any] = {"row": study.source}
    for key in (study.type, study.time):
        if key:
            columns[key] = study.labels(key, "source")
    columns |= {key: value[study.source] for key, value in more["obs"].items()}
    if "growth" in study.truth:
        columns["true_growth"] = study.truth["growth"]
    if mapped:
        columns |= {f"T(PC{i + 1})": outcome.mapped[:, i] for i in range(study.d)}
    return pd.DataFrame(columns, index=pd.Index(np.array(study.adata.obs_names, dtype=str)[study.source], name="cell"))
