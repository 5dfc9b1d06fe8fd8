"""Pictures of cells: exact where they are linear, kept where they are not, the same after they were read again."""

import numpy as np
import pytest

from tests.cells.small import study_of_arrays
from uotlab import cells
from uotlab.cells import embedding as module
from uotlab.cells.embedding import embedding, kinds_of, pending
from uotlab.errors import InputError


@pytest.fixture(autouse=True)
def own_store(store):
    module._held.clear()
    module._pending.clear()


def test_principal_components_are_placed_exactly():
    study = cells.load("dentate-gyrus")
    made = embedding(study)
    assert np.array_equal(made.points, study.points[:, :2])
    assert np.array_equal(made.place(study.x), study.x[:, :2])
    assert np.array_equal(made.transform(study.x), study.x[:, :2])


def test_other_spaces_have_principal_axes():
    from dataclasses import replace

    study = cells.load("dentate-gyrus")
    turned = replace(study, points=study.points[:, ::-1] + 5, about=replace(study.about, rep="X_own"))
    made = embedding(turned)
    spread = np.abs(np.corrcoef(made.points.T, study.points[:, :2].T)[:2, 2:])
    assert np.allclose(spread, np.eye(2), atol=1e-3)
    assert np.allclose(made.place(turned.x), made.points[turned.source], atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # numba's own, while it compiles
@pytest.mark.parametrize("kind", ["umap", "tsne"])
def test_models_are_kept_and_place_alike_afterwards(kind):
    study = cells.load("dentate-gyrus")
    told = []
    first = embedding(study, kind, lambda step, share: told.append((step, share)))
    assert first.points.shape == (200, 2)
    assert np.isfinite(first.points).all()
    assert told[-1] == ("Done", 1.0)
    assert any(step == "Arranging cells" and 0.4 < share < 1 for step, share in told)
    images = (study.x + study.points[study.target[: len(study.x)]]) / 2
    exact, quick = first.transform(images), first.place(images)
    assert exact.shape == quick.shape == (len(images), 2)
    assert np.median(np.linalg.norm(exact - quick, axis=1)) < 0.5 * np.linalg.norm(first.points.std(0))
    # a cell's own distance is 0 but for rounding, which lets its neighbours have a small say
    assert np.allclose(first.place(study.x), first.points[study.source], atol=0.02 * np.ptp(first.points))
    module._held.clear()
    again = embedding(study, kind)
    assert again is not first
    assert np.array_equal(again.points, first.points)
    assert np.allclose(again.transform(images), exact, atol=1e-2 * np.ptp(first.points) if kind == "tsne" else 1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_datas_own_map_is_offered():
    study = cells.load("dentate-gyrus")
    assert "given" in kinds_of(study)
    made = embedding(study, "given")
    assert np.array_equal(made.points, study.adata.obsm["X_umap_given"].astype(np.float32))
    exact = made.transform(study.x)
    assert np.median(np.linalg.norm(exact - made.points[study.source], axis=1)) < 0.3 * np.linalg.norm(made.points.std(0))
    assert "given" not in kinds_of(cells.load("hsmm"))


def test_what_is_asked_for_twice_is_made_once(monkeypatch):
    study = cells.load("dentate-gyrus")
    calls = []

    def fit(points, progress):
        calls.append(1)
        progress("Arranging cells", 0.5)
        return module.TsneEmbedding(points, points[:, :2])

    monkeypatch.setattr(module, "_fit_tsne", fit)
    first, second = pending(study, "tsne"), pending(study, "tsne")
    assert first is second
    assert first.wait(30)
    assert first.result is not None
    assert first.share == 1
    assert len(calls) == 1


def test_failures_are_sentences(monkeypatch):
    study = cells.load("hsmm")
    for kind, says in (("given", "without a map"), ("circle", "no embedding 'circle'")):
        with pytest.raises(InputError, match=says):
            embedding(study, kind)
    few = study.subsample(3)
    from dataclasses import replace

    with pytest.raises(InputError, match="too few"):
        embedding(replace(few, points=few.points[:6]), "umap")
    assert pending(study, "given").wait(30)
    assert "without a map" in pending(study, "given").error or not pending(study, "given").ready
    monkeypatch.setattr(module, "_fit_umap", lambda *_: 1 / 0)
    failed = pending(study, "umap")
    failed.wait(30)
    assert "could not be computed (ZeroDivisionError" in failed.error


def test_what_failed_says_so_and_is_not_tried_at_once():
    few = study_of_arrays(np.zeros((3, 2)), np.ones((4, 2)), ["a"] * 3, ["a"] * 4)
    made = pending(few, "umap")
    assert made.wait(30)
    assert "too few" in made.error
    assert pending(few, "umap") is made
