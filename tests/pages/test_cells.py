"""The page of cells without a browser: what opens, a run, its sections, a person's own file, and what goes wrong."""

import math
import time

import anndata
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from uotlab.cells.files import store_upload
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.methods.base import METHODS
from uotlab.paths import ROOT
from uotlab.ui import cells_setup, state
from uotlab.ui.cells_scene import SELECTED, scene_of
from uotlab.ui.cells_source import CellsPicture, Colouring

SHELL = ROOT / "uotlab" / "ui" / "shell.py"
PAGE = str(ROOT / "pages" / "cells.py")


def opened(**query) -> AppTest:
    at = AppTest.from_file(str(SHELL), default_timeout=90)
    at.session_state["owner"] = f"test-owner-{time.monotonic_ns()}"
    at.run()
    for key, value in query.items():
        at.query_params[key] = value
    return at.switch_page(PAGE).run()


def first(at, key):
    value = at.query_params.get(key)
    return value[0] if isinstance(value, list) else value


def told(at):
    return " ".join(box.value for box in (*at.warning, *at.error, *at.info))


def wait_for(test, seconds=60.0):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def trained():
    """A short run on the shipped cells."""
    spec = cells_setup.FIRST.model_copy(update={"steps": 30, "params": cells_setup.FIRST.params | {"width": 16, "depth": 1}})
    job = engine().submit(spec, owner="test-owner-of-cells")
    assert job.wait(60)
    assert job.state == "done"
    return job


def test_opens_with_the_shipped_cells_and_the_target_held():
    at = opened()
    assert not at.exception
    assert not told(at)
    assert at.button(key="play").label == "Play"
    assert first(at, "data") == "dentate-gyrus"
    assert first(at, "p.rho2") == "inf"
    assert any("73 cells of age_days 12 to 127 of 35" in c.value.replace("\\", "") for c in at.caption)


def test_what_a_method_asks_for_with_a_held_target_is_offered_and_taken():
    for name, cls in METHODS.items():
        own = {k: v for k, v in cls.held_target.items() if k not in cls.model_fields or cls.model_fields[k].default != v}
        if not own or not all(cls.relaxed):
            continue
        at = opened(method=name, data="dentate-gyrus", **{"p.rho1": "0.95", "p.rho2": "inf"})
        assert not at.exception
        at.button(key="held_settings").click().run()
        assert not at.exception
        spec, _ = state.from_query({key: first(at, key) for key in at.query_params})
        assert spec.params.items() >= {k: v for k, v in own.items() if k != "steps"}.items(), name
        assert (spec.steps or cls.default_steps) == own.get("steps", cls.default_steps)
        assert not any(b.key == "held_settings" for b in at.button)


def test_infinity_comes_back_from_json_as_a_number():
    spec = RunSpec.model_validate_json(cells_setup.FIRST.model_dump_json())
    assert spec == cells_setup.FIRST
    assert spec.params["rho2"] == math.inf


@pytest.mark.slow
def test_genes_and_downloads_of_a_run(trained):
    at = opened(job=trained.id, section="genes")
    assert not at.exception
    for _ in range(120):
        if any("Gene sets (" in m.value for m in at.markdown):
            break
        time.sleep(0.5)
        at.run()
    assert any("Genes of" in m.value for m in at.markdown)
    assert any("descriptive" in c.value.lower() for c in at.caption)
    tables = [t.value for t in at.dataframe]
    assert {"gene", "p_adjusted"} <= set(tables[0].columns)
    at.query_params["section"] = "out"
    at.session_state["w.section"] = "out"
    for _ in range(60):
        at.run()
        assert not at.exception
        if any("cells.export" in code.value for code in at.code):
            break
        time.sleep(0.5)
    assert any("cells.export" in code.value and "math.inf" in code.value for code in at.code)


def test_genes_before_a_run_say_what_to_do():
    at = opened(section="genes")
    assert not at.exception
    assert "Press Play first" in told(at)


def test_the_picture_knows_which_cells_it_shows(trained):
    scene = scene_of(trained, trained.spec)
    from uotlab.cells.embedding import embedding

    picture = CellsPicture(scene.study, embedding(scene.study), Colouring("column", "clusters"), trained)
    arrays = picture.arrays()
    rows = picture.rows_of(trained.snapshot.arrays["x"])
    np.testing.assert_array_equal(scene.study.x[rows], trained.snapshot.arrays["x"])
    np.testing.assert_allclose(arrays["cells/x"], scene.study.x[rows, :2], rtol=1e-6)
    np.testing.assert_allclose(arrays["cells/Tx"], trained.snapshot.arrays["Tx"][:, :2], rtol=1e-5)
    names = arrays["names/cells/value"][arrays["cells/value"].astype(int)]
    np.testing.assert_array_equal(names, scene.study.types("source")[rows])
    np.testing.assert_array_equal(picture.positions(np.array([2, 0])), rows[[2, 0]])
    np.testing.assert_array_equal(scene.study.y[picture.positions(np.array([5, 1]), "target"), :2], arrays["cells/y"][[5, 1]])


def test_a_selection_belongs_to_its_data(trained):
    at = opened(job=trained.id)
    scene = scene_of(trained, trained.spec)
    at.session_state[SELECTED] = {scene.data: [0, 3, 5]}
    at.run()
    assert any("3 cells selected" in m.value for m in at.markdown)
    at.button(key="cells_let_go").click().run()
    assert not any("cells selected" in m.value for m in at.markdown)
    at.session_state[SELECTED] = {"another": [0, 3, 5]}
    at.run()
    assert not any("cells selected" in m.value for m in at.markdown)


def own_file(n: int = 60) -> bytes:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"day": np.repeat(["d1", "d2"], n // 2), "kind": rng.choice(["a", "b"], n)}, index=[f"c{i}" for i in range(n)])
    adata = anndata.AnnData(rng.poisson(3, (n, 40)).astype(np.float32), obs, pd.DataFrame(index=[f"Gene{i}" for i in range(40)]))
    path = store_upload({"x.csv": b"a"}).with_name(f"made-{time.monotonic_ns()}.h5ad")
    adata.write_h5ad(path)
    return path.read_bytes()


@pytest.mark.slow
def test_a_persons_own_file_from_a_path_to_the_picture():
    path = store_upload({"mine.h5ad": own_file()})
    at = opened()
    at.button(key="open_cells").click().run()
    at.text_input(key="cells_path").set_value(str(path)).run()
    assert not at.exception
    assert any("60 cells, 40 genes" in box.value for box in at.success)
    assert at.selectbox(key="cells_time").value == "day"
    at.button(key="cells_prepare").click().run()
    for _ in range(60):
        if first(at, "data") == "cells-study":
            break
        time.sleep(0.5)
        at.run()
    assert first(at, "data") == "cells-study"
    assert not at.exception
    assert any("30 cells of day d1 to 30 of d2" in c.value for c in at.caption)
    assert any("mine.h5ad with" in m.value.replace("\\", "") for m in at.markdown)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("broken.h5ad", b"\x89HDF\r\n\x1a\n" + b"0" * 64, "damaged"),
        ("evil.h5ad", b"\x80\x04\x95abc", "pickle"),
        ("x.csv", b"a\n", "no columns of numbers"),
    ],
)
def test_a_bad_file_gets_one_sentence(name, content, word):
    at = opened()
    at.button(key="open_cells").click().run()
    at.text_input(key="cells_path").set_value(str(store_upload({name: content}))).run()
    assert not at.exception
    assert word in told(at)
    at.text_input(key="cells_path").set_value("/nowhere/at/all.h5ad").run()
    assert "no file or folder at this path" in told(at)
