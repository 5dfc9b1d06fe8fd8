"""Sections of the page of cells: each is one file and opens; what they compute; long computations grow, and end when told to."""

import math
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from tests.cells.test_published import perturbed
from tests.pages.test_cells import opened, told, trained, wait_for  # noqa: F401 - trained is a fixture
from uotlab import cells
from uotlab.cells.embedding import embedding
from uotlab.cells.fates import coupling, push
from uotlab.cells.looking import Quality
from uotlab.cells.perturbation import condition_arrays, effect
from uotlab.cells.running import growth_settings
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.methods.base import METHODS
from uotlab.ui import cells_setup
from uotlab.ui.cells_branches import read_branches, rows_of
from uotlab.ui.cells_groups import group_arrays
from uotlab.ui.cells_moving import Moving, Received
from uotlab.ui.cells_part import part, place
from uotlab.ui.cells_quality import quality_arrays, staying
from uotlab.ui.cells_scene import SELECTED, SELECTED_TARGET, scene_of
from uotlab.ui.cells_section import SECTIONS
from uotlab.ui.cells_sections.growth import with_selected
from uotlab.ui.cells_sections.out import _python, said
from uotlab.ui.cells_sections.perturbation import FLOOR, compared, shift_arrays, unseen
from uotlab.ui.cells_sections.sweep import swept
from uotlab.ui.later import Cancelled, Later, duration, later
from uotlab.views.base import VIEWS


@pytest.fixture(scope="module")
def outcome():
    """A short run on cells with types, genes and a truth."""
    return cells.run(cells.load("zebrafish-simulated", n=120), "uotm", steps=20, width=16, depth=1)


class Impatient(Later):
    """Cancelled as soon as there is something."""

    def __call__(self, words: str, share: float) -> None:
        if self.partial:
            self.cancel()
        super().__call__(words, share)


def test_sections_are_files_with_titles():
    assert {"cells", "growth", "fates", "genes", "perturbation", "sweep", "training", "out"} <= set(SECTIONS)
    assert len({SECTIONS[name].title for name in SECTIONS}) == len(SECTIONS)


def test_a_part_draws_only_while_its_section_is_shown(monkeypatch):
    """Streamlit may run it again after another section was chosen."""
    parts, drawn = [], []
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "container", lambda key: nullcontext(key))
    monkeypatch.setattr(st, "fragment", lambda draw, run_every=None: parts.append(draw) or draw)
    for name in ("one", "two"):
        with place(name, ("one", "two")) as where:
            assert where == f"section-{name}"
            part(lambda name=name: drawn.append(name), 1.0)
    assert drawn == ["one", "two"]
    for again in parts:
        again()
    assert drawn == ["one", "two", "two"]
    place("", ("one", "two"))
    for again in parts:
        again()
    assert drawn == ["one", "two", "two"]


@pytest.mark.slow
def test_every_section_opens_after_a_run_and_before_one(trained):  # noqa: F811
    at, before = opened(job=trained.id), opened()
    for name in SECTIONS:
        for page in (at, before):
            page.session_state["w.section"] = name
            page.run()
            assert not page.exception, name
    for _ in range(60):
        at.session_state["w.section"] = "perturbation"
        at.run()
        if any("neither took part in training" in c.value for c in at.caption):
            break
        time.sleep(0.3)
    assert {"L2 drug signature", "Sinkhorn divergence", "MMD"} <= {m.label for m in at.metric}


@pytest.mark.slow
def test_a_selection_is_followed_by_growth_fates_and_genes(trained):  # noqa: F811
    at = opened(job=trained.id, section="growth")
    scene = scene_of(trained, trained.spec)
    at.session_state[SELECTED] = {scene.data: list(range(12))}

    def until(test):
        def ready() -> bool:
            at.run()
            assert not at.exception
            return test()

        wait_for(ready)

    until(lambda: any(m.label == "Mean growth of the selected" for m in at.metric))
    assert at.dataframe[0].value["type"][0] == "selected cells"
    at.session_state["w.section"] = "fates"
    until(lambda: any(box.key == "fates_push" for box in at.selectbox))
    assert at.selectbox(key="fates_push").value == "the selected cells"
    assert at.selectbox(key="fates_pull").value != "the selected cells"
    at.session_state[SELECTED_TARGET] = {scene.data: [1, 4, 7]}
    until(lambda: at.selectbox(key="fates_pull").value == "the selected cells")
    at.session_state["w.section"] = "genes"
    until(lambda: any("Genes of 12 selected cells" in m.value for m in at.markdown))
    at.session_state[SELECTED] = {scene.data: []}
    until(lambda: at.selectbox(key="genes_group").value == "Growing cells")


def test_held_out_cells_beside_no_map_and_other_treated_ones(outcome):
    found = unseen(outcome)
    held = outcome.study.split(0)[1]
    rows = found.distances.set_index("predicted by")
    assert list(rows.index) == ["No map", "This run", FLOOR]
    assert rows.loc["No map", "l2"] == pytest.approx(effect(held.x, held.y).l2)
    place = np.searchsorted(outcome.study.source, held.source)
    assert rows.loc["This run", "sinkhorn"] == pytest.approx(effect(outcome.mapped[place], held.y).sinkhorn)
    assert rows.loc[FLOOR, "l2"] < rows.loc["No map", "l2"]
    assert (found.control, found.treated) == (len(held.source), len(held.target))
    assert VIEWS["feature-shift"]().figure(shift_arrays(found.features))


def test_conditions_are_compared_row_by_row():
    study = cells.load("hsmm", n=60)
    seen = Later("")
    rows = compared(study, ["24", "72"], ("otfm", "uotfm"), 3, 1, {"rho1": 0.95, "rho2": math.inf}, seen)
    assert [(r["condition"], r["method"]) for r in rows] == [(c, m) for c in ("24", "72") for m in ("otfm", "uotfm")]
    assert seen.share == 1
    assert seen.partial == rows
    impatient = Impatient("")
    with pytest.raises(Cancelled):
        compared(study, ["24", "72"], ("otfm", "uotfm"), 3, 1, {}, impatient)
    assert len(impatient.partial) == 1


def test_drugs_of_a_screen_are_conditions(tmp_path, monkeypatch):
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path))
    (tmp_path / "4i").mkdir()
    values = np.random.default_rng(0).gamma(2, size=(90, 4)).astype(np.float32)
    perturbed(np.repeat(["control", "cisplatin", "dasatinib"], 30), values).write_h5ad(tmp_path / "4i" / "8h.h5ad")
    rows = compared(cells.load("cellot-4i"), ["cisplatin", "dasatinib"], ("otfm", "uotfm"), 3, 1, {}, Later(""))
    arrays = condition_arrays(pd.DataFrame(rows), "otfm", "uotfm", "sinkhorn")
    assert arrays["names/conditions"].tolist() == ["cisplatin", "dasatinib"]
    assert np.isfinite(arrays["conditions/x"]).all()


def test_a_sweep_is_swept_and_told(outcome):
    seen = Later("")
    rows = swept(outcome.study, ("sinkhorn", "uotfm"), (0.2, 0.95), 1, 3, None, False, seen)
    assert [(r.method, r.rho) for r in rows] == [("sinkhorn", 0.2), ("sinkhorn", 0.95), ("uotfm", 0.2), ("uotfm", 0.95)]
    assert not any(r.error for r in rows)
    assert seen.share == 1


def test_long_work_is_cancelled_and_keeps_what_it_has():
    def work(found: Later) -> str:
        for k in range(10_000):
            found.partial = k
            found(f"step {k}", k / 10_000)
            time.sleep(0.005)
        return "all"

    found = later(("test", time.monotonic_ns()), work, "Working", "long")
    quick = later(("test", time.monotonic_ns()), lambda told: 5, "At once")
    wait_for(lambda: quick.done and found.partial)
    assert quick.result == 5
    assert not found.done
    found.cancel()
    wait_for(lambda: found.done)
    assert found.result is None
    assert not found.error
    assert 0 < found.partial < 9999
    assert [duration(s) for s in (0.2, 80, 200, 9000)] == ["1 s", "80 s", "3 min", "2.5 h"]


def test_mass_that_arrives_and_the_field_of_a_snapshot(outcome):
    study = outcome.study
    received = Received(study, study.target).arrays(outcome.mapped, outcome.scaling)
    assert received["cells/value_y"].sum() / len(study.target) == pytest.approx(outcome.mass, rel=1e-5)
    np.testing.assert_allclose(
        received["cells/value_y"] / len(study.target), np.asarray(coupling(outcome).sum(0)).ravel(), rtol=1e-4, atol=1e-7
    )
    places = embedding(study).points
    moving = Moving(study, places, study.target)
    first = moving.arrays(study.source, outcome.mapped)
    graph = moving._graph
    again = moving.arrays(study.source, outcome.mapped)
    assert moving._graph is graph
    np.testing.assert_array_equal(first["cells/arrows"], again["cells/arrows"])
    assert first["cells/arrows"].shape[1:] == (2, 2)
    assert len(first["cells/streams"])


def test_a_group_on_the_map(outcome):
    study = outcome.study
    high = study.types("source") == study.types("source")[0]
    mass = push(outcome, high)
    arrays = group_arrays(embedding(study), study.target, mass, study.source[high], ("target cells", "the group"))
    assert arrays["fate-map/mass"].mean() == pytest.approx(1)
    assert len(arrays["fate-map/chosen"]) == high.sum()
    assert VIEWS["fate-map"]().figure(arrays)


def test_selected_cells_head_the_table_of_types(outcome):
    types = pd.DataFrame({"type": ["a"], "cells": [3], "mean": [1.0], "low": [0.9], "high": [1.1], "truth": [1.0]})
    assert with_selected(types, outcome, np.zeros(0, np.int64)) is types
    row = with_selected(types, outcome, np.arange(7)).iloc[0]
    assert (row["type"], row["cells"]) == ("selected cells", 7)
    assert row["mean"] == pytest.approx(outcome.growth[:7].mean())
    assert row["low"] <= row["mean"] <= row["high"]
    assert row["truth"] == pytest.approx(outcome.study.truth["growth"][:7].mean())


def test_limits_of_quality_control_are_drawn_and_counted():
    found = Quality(np.array([5.0, 20, 30, 400]), np.array([10.0, 50, 60, 9000]), np.array([0.0, 2, 60, 1]), np.zeros(3, np.int64))
    limits = {"min_genes": 10, "max_genes": 0, "min_counts": 0.0, "max_mito": 50.0}
    np.testing.assert_array_equal(staying(found, limits), [False, True, False, True])
    arrays = quality_arrays(found, limits)
    assert arrays["quality/heights"].sum(1).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(arrays["quality/limits"], np.float32([[10, np.nan], [np.nan, np.nan], [np.nan, 50]]))
    figure = VIEWS["cell-quality"]().figure(arrays)
    assert len(figure.layout.shapes) == 2
    found = replace(found, mito=np.zeros(4))
    assert len(quality_arrays(found, limits)["names/quality"]) == 2


def test_branches_are_read_back_as_they_were_written():
    found = {"up": {"a": ("b", "c"), "d": ("b",)}, "down": {"e": ("c",)}}
    assert read_branches(rows_of(found), {"b", "c"}) == found
    edited = [*rows_of(found), {"branch": "up", "type": "", "allowed": "b"}, {"branch": None, "type": "a", "allowed": "b"}]
    assert read_branches(edited, {"b"}) == {"up": {"a": ("b",), "d": ("b",)}}


@pytest.mark.slow
def test_the_page_of_a_run_is_the_reports(trained):  # noqa: F811
    at = opened(job=trained.id, section="out")

    def ready() -> bool:
        at.run()
        assert not at.exception
        return any(b.key == "report_start" for b in at.button)

    wait_for(ready)
    assert any("--run uotm" in code.value and "--genes --fates --report" in code.value for code in at.code)
    at.button(key="report_start").click().run()
    wait_for(lambda: (at.run(), any("Everything" in str(b) for b in at.get("download_button")))[1], 120)
    assert not told(at)


def test_a_balanced_run_says_that_none_grows():
    spec = cells_setup.FIRST.model_copy(update={"method": "otfm", "steps": 3, "params": {}})
    job = engine().submit(spec, owner="test-owner-of-cells")
    assert job.wait(60)
    at = opened(job=job.id, section="growth")

    def ready() -> bool:
        at.run()
        assert not at.exception
        return "none grows" in told(at) or "no growth" in told(at)

    wait_for(ready)


def test_the_same_in_python_is_the_same_run():
    """What `cells.run` would choose by itself for a held target is told, where the page's run is another one."""
    for name, cls in METHODS.items():
        own = {k: cls.model_fields[k].default for k in cls.held_target if k != "steps"}
        if not own or not all(cls.relaxed):
            continue
        spec = RunSpec(method=name, dataset="pancreas-simulated", params={"rho1": 0.95, "rho2": math.inf}, steps=40)
        told_all = said(spec)
        assert told_all.params == spec.params | own, name
        assert told_all.steps == 40
        assert growth_settings(cls, told_all.params).items() >= told_all.params.items()
    own = {k: v for k, v in METHODS["uotm"].held_target.items() if k != "steps"}
    kept = RunSpec(method="uotm", dataset="pancreas-simulated", params={"rho1": 0.95, "rho2": math.inf} | own | {"r1": 3.0}, steps=40)
    assert said(kept) == kept
    assert said(RunSpec(method="uotm", dataset="pancreas-simulated")).params["rho1"] == 10.0  # both sides relaxed, as the page has it


def test_the_same_in_python_draws_the_same_cells():
    spec = RunSpec(method="uotm", dataset="zebrafish-simulated", n=50, data={"seed": 3, "pcs": 5}, steps=4)
    code = _python(scene_of(None, spec))
    assert "seed=3, pcs=5)" in code
    names = {}
    exec(compile(code[: code.index("outcome =")], "the page", "exec"), names)
    assert np.array_equal(names["study"].points, scene_of(None, spec).study.points)
