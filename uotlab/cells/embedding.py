"""Pictures of cells in the plane: principal components at once, UMAP and t-SNE when they are ready, kept on disk.

Mapped cells are placed among the study's own: quickly by their nearest neighbours while training, exactly by the fitted model at rest.

References: mcinnes2018umap; policar2024opentsne.
"""

import hashlib
import os
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from uotlab.cells.kept import key_of
from uotlab.cells.preparation import Progress, quiet, scanpy_quietly
from uotlab.cells.study import Study
from uotlab.data.npz import read_arrays
from uotlab.data.upload import pack_arrays, write_atomically
from uotlab.errors import InputError, short
from uotlab.paths import store_dir

ANCHORS = 10_000  #: cells among which mapped ones are placed while training
NEIGHBOURS = 15
GIVEN = re.compile(r"umap|tsne|t_sne|draw_graph|phate|mde|force|layout", re.IGNORECASE)
RETRY = 60.0  #: s till what failed is tried again when it is asked for
NICE = 10  #: of the thread that makes an embedding in the background
HELD = 4  #: embeddings kept in memory

_models = threading.Lock()  # numba's default threads may be used by one caller at a time only
_held: "OrderedDict[str, Embedding]" = OrderedDict()


class Embedding:
    """All cells of a study in the plane.

    Args:
        cells: (N, d) the study's points.
        points: (N, 2) float32.
        note: a sentence on how they were made.
    """

    kind: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, cells: np.ndarray, points: np.ndarray, note: str = "") -> None:
        self.cells, self.points, self.note = cells, np.ascontiguousarray(points, np.float32), note

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (k, d) lie among the cells: means of their nearest ones', (k, 2) float32. Quick."""
        return np.asarray(self._neighbours.predict(points), np.float32)

    def transform(self, points: np.ndarray) -> np.ndarray:
        """Where the fitted model puts points (k, d), (k, 2) float32; it may take seconds."""
        return self.place(points)

    @cached_property
    def _neighbours(self) -> Any:
        from sklearn.neighbors import KNeighborsRegressor

        n = len(self.cells)
        rows = np.arange(n) if n <= ANCHORS else np.sort(np.random.default_rng(0).permutation(n)[:ANCHORS])
        model = KNeighborsRegressor(min(NEIGHBOURS, len(rows)), weights="distance", algorithm="brute")
        return model.fit(self.cells[rows], self.points[rows])


class PcaEmbedding(Embedding):
    """The first two principal components, or the two principal axes of another space."""

    kind, title = "pca", "Principal components"

    def __init__(self, study: Study) -> None:
        if study.rep == "X_pca":
            self.centre, self.axes = np.zeros(study.d, np.float32), np.eye(study.d, 2, dtype=np.float32)
        else:
            self.centre = study.points.mean(0)
            _, vectors = np.linalg.eigh(np.cov(study.points.T.astype(np.float64)))
            axes = vectors[:, ::-1][:, :2]
            self.axes = (axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])).astype(np.float32)
        super().__init__(study.points, (study.points - self.centre) @ self.axes)

    def place(self, points: np.ndarray) -> np.ndarray:
        return np.asarray((points - self.centre) @ self.axes, np.float32)


class UmapEmbedding(Embedding):
    """UMAP with scanpy's defaults: 15 neighbours, minimal distance .5, and a fixed seed."""

    kind, title = "umap", "UMAP"
    settings: ClassVar[dict[str, Any]] = {"n_neighbors": NEIGHBOURS, "min_dist": 0.5, "random_state": 0}

    def transform(self, points: np.ndarray) -> np.ndarray:
        """As umap-learn places new points into a fitted embedding."""
        with _models, scanpy_quietly():
            return np.asarray(self._model.transform(np.asarray(points, np.float32)), np.float32)

    @cached_property
    def _model(self) -> Any:
        """The fitted model of an embedding that was read from disk: its graph made anew, its points put in."""
        model = _umap(len(self.cells), n_epochs=0, init=self.points)
        model.fit(self.cells)
        model.embedding_, model.n_epochs = self.points.copy(), None
        return model


class GivenEmbedding(UmapEmbedding):
    """The map that came with the data; new points are placed as UMAP would, with the map's own points held."""

    kind, title = "given", "The data's own map"


class TsneEmbedding(Embedding):
    """t-SNE by openTSNE's defaults, with a fixed seed."""

    kind, title = "tsne", "t-SNE"

    def transform(self, points: np.ndarray) -> np.ndarray:
        """As openTSNE places new points: each for itself, the fitted ones held."""
        with _models, scanpy_quietly():
            return np.asarray(self._model.transform(np.asarray(points, np.float64)), np.float32)

    @cached_property
    def _model(self) -> Any:
        import openTSNE

        affinities = openTSNE.affinity.PerplexityBasedNN(self.cells, perplexity=_perplexity(len(self.cells)), random_state=0, n_jobs=1)
        return openTSNE.TSNEEmbedding(self.points.astype(np.float64), affinities, random_state=0, n_jobs=1)


KINDS: dict[str, type[Embedding]] = {k.kind: k for k in (PcaEmbedding, UmapEmbedding, TsneEmbedding, GivenEmbedding)}


def kinds_of(study: Study) -> dict[str, str]:
    """Embeddings that a study can have, with their titles; "given" where the data came with one."""
    return {k: cls.title for k, cls in KINDS.items() if k != "given" or given_map(study)}


def given_map(study: Study) -> str:
    """The obsm of a map in the plane that came with the data, or ""."""
    found = [k for k, v in study.adata.obsm.items() if GIVEN.search(k) and getattr(v, "shape", (0, 0))[1] == 2]
    return found[0] if found else ""


def embedding(study: Study, kind: str = "pca", progress: Progress | None = None) -> Embedding:
    """The embedding of all cells of a study, from the store where it was made before.

    Args:
        kind: "pca" (at once), "umap", "tsne" (a minute or more), or "given".
        progress: called as progress(step, share).

    Raises:
        InputError: no such kind, too few cells, or no map came with the data.
    """
    if kind not in KINDS:
        raise InputError(f"There is no embedding '{short(kind)}'. Choose one of: {', '.join(KINDS)}.")
    if kind == "pca":
        return PcaEmbedding(study)
    digest = hashlib.sha256(np.ascontiguousarray(study.points).tobytes()).hexdigest()
    key = key_of("embedding", kind, digest, study.points.shape, given_map(study) if kind == "given" else "", UmapEmbedding.settings)
    if key not in _held:
        _held[key] = _made_or_read(study, kind, key, progress or quiet)
        while len(_held) > HELD:
            _held.popitem(last=False)
    return _held[key]


def _made_or_read(study: Study, kind: str, key: str, progress: Progress) -> Embedding:
    path = store_dir() / "cells" / "embeddings" / f"{key}.npz"
    if kind == "given":
        name = given_map(study)
        if not name:
            raise InputError("These data came without a map in the plane; choose pca, umap or tsne.")
        return GivenEmbedding(study.points, np.asarray(study.adata.obsm[name]), f"The map '{name}' that came with the data.")
    if path.is_file():
        return KINDS[kind](study.points, read_arrays(path.read_bytes(), "the embedding")["points"])
    if len(study.points) < 10:
        raise InputError(f"{len(study.points)} cells are too few for {KINDS[kind].title}; 10 are needed. Take pca.")
    with _models, scanpy_quietly():
        made = (_fit_umap if kind == "umap" else _fit_tsne)(study.points, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, pack_arrays({"points": made.points}))
    progress("Done", 1.0)
    return made


# ---- models -----------------------------------------------------------------------------------------
def _umap(n: int, **more: Any) -> Any:
    import umap

    settings = {**UmapEmbedding.settings, **more}
    settings["n_neighbors"] = min(NEIGHBOURS, n - 1)
    return umap.UMAP(**settings)


def _fit_umap(cells: np.ndarray, progress: Progress) -> Embedding:
    progress("Loading UMAP (the first time takes most of a minute)", 0.0)
    import umap  # noqa: F401 - its import compiles, which is told as a step of its own

    progress("Neighbours", 0.2)
    model = _umap(len(cells), tqdm_kwds={"disable": False, "file": _Epochs(lambda share: progress("Arranging cells", 0.4 + 0.6 * share))})
    made = UmapEmbedding(cells, model.fit_transform(cells))
    model.embedding_ = made.points.copy()
    made.__dict__["_model"] = model
    return made


class _Epochs:
    """A file for a progress bar, which tells how far it is."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell = tell

    def write(self, text: str) -> None:
        found = re.search(r"(\d+)/(\d+)", text)
        if found and int(found[2]):
            self.tell(int(found[1]) / int(found[2]))

    def flush(self) -> None:
        """Nothing is held back."""


def _perplexity(n: int) -> float:
    return float(min(30, max((n - 1) // 3, 2)))


def _fit_tsne(cells: np.ndarray, progress: Progress) -> Embedding:
    progress("Loading t-SNE", 0.0)
    import openTSNE

    progress("Neighbours", 0.1)
    done = [0]

    def told(*_: Any) -> bool:
        done[0] += 25
        progress("Arranging cells", min(0.2 + 0.8 * done[0] / 750, 0.99))
        return False

    model = openTSNE.TSNE(
        perplexity=_perplexity(len(cells)), random_state=0, n_jobs=1, callbacks=told, callbacks_every_iters=25, early_exaggeration_iter=250
    ).fit(cells)
    made = TsneEmbedding(cells, np.asarray(model))
    made.__dict__["_model"] = model
    return made


# ---- in the background ------------------------------------------------------------------------------
class Pending:
    """An embedding on its way: `step` and `share` while it works, then `result` or, as a sentence, `error`."""

    def __init__(self, study: Study, kind: str) -> None:
        self.kind, self.step, self.share = kind, "Waiting", 0.0
        self.result: Embedding | None = None
        self.error = ""
        self.ended = 0.0  #: when, on the monotonic clock
        self._thread = threading.Thread(target=self._work, args=(study,), name=f"uotlab-{kind}", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        return self.result is not None or bool(self.error)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is ready within so many seconds."""
        self._thread.join(seconds)
        return self.ready

    def _work(self, study: Study) -> None:
        if sys.platform == "linux":  # a thread's own priority: training goes before pictures
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            self.result = embedding(study, self.kind, self._tell)
        except InputError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{KINDS[self.kind].title} could not be computed ({type(error).__name__}: {short(error)})."
        finally:
            self.ended = time.monotonic()

    def _tell(self, step: str, share: float) -> None:
        self.step, self.share = step, share


_pending: dict[tuple[str, str], Pending] = {}
_asking = threading.Lock()


def pending(study: Study, kind: str) -> Pending:
    """The embedding, soon: the same one for whoever asks for it while it is made."""
    digest = hashlib.sha256(np.ascontiguousarray(study.points).tobytes()).hexdigest()
    with _asking:
        found = _pending.get((digest, kind))
        if found is None or (found.error and time.monotonic() - found.ended > RETRY):
            found = _pending[digest, kind] = Pending(study, kind)
        for key in [k for k, v in _pending.items() if v.ready][:-HELD]:
            del _pending[key]
        return found
