"""The page of barycenters: every recipe, the address there and back, tasks that report and end, exports that run."""

import io
import json
import math
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.asking import ORIGIN, ask
from uotlab import InputError, barycenter
from uotlab.paths import ROOT
from uotlab.plans.barycenters.base import BARYCENTERS
from uotlab.ui import barycenters_work as work
from uotlab.ui.barycenters_out import command, link, python_code
from uotlab.ui.barycenters_results import cells_of, comparisons, digits_of, line_picture, quick, rows_of, rows_picture
from uotlab.ui.barycenters_route import task as route
from uotlab.ui.barycenters_simplex import clean
from uotlab.ui.barycenters_state import FIRST, KINDS, METHOD, RECIPES, Setup, checked, from_query, measures_of, names_of, to_query
from uotlab.ui.sources import find

PAGE = str(ROOT / "pages" / "barycenters.py")
SMALL = Setup(kind="clouds", measures=FIRST["clouds"][:2], weights=(0.5, 0.5), method="free-support", settings={"points": 10})


def opened(**query):
    at = AppTest.from_file(PAGE, default_timeout=120)
    for key, value in query.items():
        at.query_params[key.replace("__", ".")] = value
    at.run()
    assert not at.exception
    return at


def setup_of(at):
    return Setup.model_validate_json(at.session_state["b_setup"])


def finished(task, seconds=60):
    end = time.monotonic() + seconds
    while task.active and time.monotonic() < end:
        task.look()
        time.sleep(0.02)
    return task


# ---- the page -----------------------------------------------------------------------------------------
def test_the_page_opens_with_densities_and_their_numbers():
    at = opened()
    assert not at.error
    labels = [m.label for m in at.metric]
    assert labels == ["Sharpness", "Points in effect", "Objective", "Mass", "Time"]
    assert at.metric[3].value == "1"
    assert "densities" in at.query_params["kind"]


@pytest.mark.parametrize("name", [n for n, s in RECIPES.items() if s.kind == "densities"])
def test_recipes_are_one_click(name):
    at = opened()
    at.selectbox(key="b_recipe").set_value(name).run()
    assert not at.exception
    assert not at.error
    wanted = RECIPES[name]
    assert setup_of(at).measures == wanted.measures
    assert setup_of(at).method == wanted.method
    assert setup_of(at).settings == wanted.settings
    assert at.session_state["b_recipe"] is None


def test_widgets_change_measures_method_and_weights():
    at = opened()
    at.number_input(key="b.0.mean").set_value(-1.5).run()
    assert setup_of(at).measures[0] == "gaussian,-1.5,0.5"
    at.segmented_control(key="b.k").set_value(4).run()
    assert setup_of(at).weights == (0.25,) * 4
    at.selectbox(key="b.method").set_value("sinkhorn").run()
    assert setup_of(at).method == "sinkhorn"
    assert setup_of(at).settings == {}
    at.slider(key="b.1.outlier").set_value(0.2).run()
    assert setup_of(at).measures[1].endswith(",1,0.2")
    assert not at.exception
    assert not at.error


def test_unequal_masses_are_told_and_the_page_goes_on():
    at = opened()
    at.number_input(key="b.0.mass").set_value(3.0).run()
    assert "different masses" in at.error[0].value
    at.selectbox(key="b.method").set_value("unbalanced").run()
    assert not at.error
    assert any("No balanced barycenter to compare with" in c.value for c in at.caption)


def test_every_kind_opens_by_its_tab():
    at = opened()
    for kind in ("images", "clouds", "rows", "densities"):
        at.segmented_control(key="b.kind").set_value(kind).run()
        assert not at.exception
        assert not at.error
        assert setup_of(at).kind == kind
        assert setup_of(at).method == METHOD[kind]
    task = work.find(at.session_state["b_task"])
    if task is not None:
        task.cancel()
        finished(task)


def test_numbers_beyond_the_widgets_are_brought_into_their_range():
    at = opened(kind="densities", m="gaussian,4.9,0.05,20,0.9;box,-4.9,9")
    assert setup_of(at).measures == ("gaussian,4.5,0.1,10,0.5", "box,-4.5,3")
    at = opened(kind="clouds", method="free-support", m="ring,99,0,50;ring,0,-99,0.01")
    assert setup_of(at).measures == ("ring,10,0,10", "ring,0,-10,0.1")


def test_nonsense_in_the_address_is_told():
    at = opened(kind="densities", m="gaussian,a,b;box,1,1")
    assert any("makes no sense" in w.value for w in at.warning)
    assert setup_of(at) == next(iter(RECIPES.values()))


def test_the_figure_waits_for_a_click():
    at = opened(kind="rows", digits="1", count="2", eps="0.1")
    assert at.button(key="b_run").label == "Compute 2 barycenters"
    at.button(key="b_run").click().run()
    assert not at.exception
    task = work.find(at.session_state["b_task"])
    finished(task)
    assert task.state == "done", task.errors
    at.run()
    assert at.button(key="b_run").label == "Compute again"
    assert len(task.results) == 2


# ---- the record ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_the_address(name):
    setup = checked(RECIPES[name])
    again, sentence = from_query(to_query(setup))
    assert sentence is None
    assert again.model_copy(update={"weights": setup.weights}) == setup
    np.testing.assert_allclose(again.weights, setup.weights, atol=1e-5)


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "nothing"},
        {"method": "nothing"},
        {"kind": "densities", "method": "free-support"},
        {"m": "gaussian,0,1"},
        {"m": "gaussian,0,1;box,1,1", "w": "0.5,0.6"},
        {"m": "gaussian,0,1;box,1,1", "w": "a,b"},
        {"kind": "images", "m": "x;3"},
        {"kind": "images", "m": "12;3"},
        {"kind": "clouds", "method": "free-support", "m": "ring,0,0;ring,1,1,1"},
        {"kind": "rows", "eps": "-1"},
        {"kind": "rows", "digits": "abc"},
        {"kind": "rows", "count": "1000"},
        {"p.beta": "-1"},
        {"p.what": "1"},
    ],
)
def test_bad_addresses_fall_back_with_a_sentence(query):
    setup, sentence = from_query(query)
    assert setup == next(iter(RECIPES.values()))
    assert sentence.startswith("The address has a setting")


@pytest.mark.parametrize("kind", KINDS)
def test_first_measures_and_methods_exist(kind):
    assert METHOD[kind] in BARYCENTERS
    if kind != "rows":
        setup = checked(Setup(kind=kind, measures=FIRST[kind], weights=(0.2,) * 5, method=METHOD[kind]))
        assert len(measures_of(setup)[0]) == 5
        assert len(set(names_of(setup))) == 5


@pytest.mark.parametrize("given", [None, [1], [0.5, 0.6], [-0.5, 1.5], [True, False], ["a", "b"], [math.nan, 1], {"a": 1}])
def test_forged_weights_are_left_out(given):
    assert clean(given, 2) is None
    assert clean([0.25, 0.75], 2) == [0.25, 0.75]


# ---- results ------------------------------------------------------------------------------------------
def test_an_unbalanced_barycenter_is_compared_with_the_balanced_one():
    setup = RECIPES["Outlier mass, unbalanced"]
    found, others, why = quick(setup.model_dump_json())
    assert why is None
    assert [name for name, _ in others] == ["balanced, ε = 0.005"]
    far = found.support[:, 0] > 1.8
    assert found.q[far].sum() / found.mass < 0.2 * others[0][1].q[far].sum()
    picture = find(line_picture(setup, found, others)).snapshot.arrays
    assert {"bary/x", "bary/p", "bary/q", "bary/carried", "bary/other"} == set(picture)
    assert line_picture(setup, found, others) == line_picture(setup, found, others)


def test_ipot_is_the_sharpest_of_its_comparisons():
    found, others, _ = quick(Setup().model_dump_json())
    assert len(others) == 3
    assert found.sharpness > max(r.sharpness for _, r in others)
    assert found.value < min(r.value for _, r in others)
    assert comparisons(Setup(compare=False)) == []


def test_the_figure_has_a_row_a_method_and_fills_up():
    setup = Setup(kind="rows", measures=(), weights=(), digits="10", count=2, eps=(0.1,), settings={"iterations": 5})
    assert digits_of(setup) == [0, 1]
    assert [name for name, _, _ in rows_of(setup)] == ["Sinkhorn ε = 0.1", "IPOT β = 0.5"]
    cells = cells_of(setup)
    assert [(c.row, c.column) for c in cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    found = cells[3].compute(lambda share: None, lambda: False)
    arrays = find(rows_picture(setup, {(1, 1): found})).snapshot.arrays
    assert arrays["rows/image"].shape == (2, 2, 50, 50)
    assert np.isnan(arrays["rows/image"][0]).all()
    assert np.isfinite(arrays["rows/image"][1, 1]).all()


# ---- tasks --------------------------------------------------------------------------------------------
def test_a_task_computes_reports_and_ends():
    task = finished(work.start("key", cells_of(SMALL)))
    assert task.state == "done"
    assert task.progress == 1
    assert task.eta is None
    assert task.results[0, 0].method == "free-support"
    assert work.find(task.id) is task
    assert work.find("nothing") is None
    assert work.find(None) is None


def test_a_task_is_cancelled_by_the_next_and_by_nobody_looking(monkeypatch):
    def slow(progress, cancel):
        while not cancel():
            progress(0.5)
            time.sleep(0.01)
        return None

    first = work.start("a", [work.Cell(0, 0, "slow", slow)])
    while first.share == 0:
        time.sleep(0.01)
    assert first.eta is not None
    second = work.start("b", cells_of(SMALL), first.id)
    assert finished(second).state == "done"
    assert first.state == "cancelled"
    assert first.results == {}
    monkeypatch.setattr(work, "PATIENCE", 0.05)
    assert [finished_alone(work.start("c", [work.Cell(0, 0, "slow", slow)]))] == ["cancelled"]


def finished_alone(task):
    end = time.monotonic() + 30
    while task.active and time.monotonic() < end:
        time.sleep(0.02)
    return task.state


def test_what_goes_wrong_in_a_task_is_one_sentence():
    def bad(progress, cancel):
        raise InputError("Too small.")

    def worse(progress, cancel):
        raise RuntimeError("boom")

    task = finished(work.start("d", [work.Cell(0, 0, "one", bad), work.Cell(1, 0, "two", worse), *cells_of(SMALL)[:0]]))
    assert task.state == "done"
    assert task.errors == {(0, 0): "Too small.", (1, 0): "two failed: boom"}


# ---- to take away -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [n for n, s in RECIPES.items() if s.kind in ("densities", "clouds")])
def test_the_python_code_computes_the_same(name, capsys):
    setup = RECIPES[name]
    names: dict = {}
    exec(compile(python_code(setup), "shared", "exec"), names)
    measures, support = measures_of(setup)
    same = barycenter(setup.method, measures, setup.weights, support, **setup.settings)
    np.testing.assert_allclose(names["found"].q, same.q, atol=1e-6)
    assert capsys.readouterr().out


def test_the_command_computes_the_same(tmp_path, capsys):
    from uotlab.__main__ import main

    words = command(RECIPES["Outlier mass, unbalanced"]).replace("python -m uotlab ", "").split()
    assert main([*words[:-1], str(tmp_path)]) == 0
    saved = np.load(tmp_path / "barycenter.npz")
    found, _, _ = quick(RECIPES["Outlier mass, unbalanced"].model_dump_json())
    np.testing.assert_allclose(saved["q"], found.q, atol=1e-6)
    assert {"support", "q", "weights", "measure0", "measure1", "measure2"} == set(saved.files)
    assert (tmp_path / "barycenter.csv").read_text().startswith("x1,mass\n")
    assert "objective" in capsys.readouterr().out
    assert main(["barycenter", "ipot", "--densities", "nothing,0,1", "box,0,1"]) == 2
    assert "There is no density" in capsys.readouterr().err


def test_files_hold_the_result():
    found, _, _ = quick(Setup().model_dump_json())
    rows = np.genfromtxt(io.StringIO(found.csv()), delimiter=",", names=True)
    np.testing.assert_allclose(rows["mass"], found.q, rtol=1e-5, atol=1e-12)
    assert "barycenters?kind=densities" in link(Setup(), "http://127.0.0.1:8501/barycenters?me=secret")
    assert "secret" not in link(Setup(), "http://127.0.0.1:8501/barycenters?me=secret")


# ---- the route ----------------------------------------------------------------------------------------
def test_the_route_reports_cancels_and_refuses():
    task = finished(work.start("e", cells_of(SMALL)))
    status, told = ask(route, query=f"id={task.id}")
    assert status == 200
    assert (told["state"], told["finished"], told["cells"], told["share"], told["eta"]) == ("done", 1, 1, 1, None)
    assert ask(route, query="id=nothing")[0] == 404
    cancel = json.dumps({"id": task.id, "do": "cancel"}).encode()
    assert ask(route, method="POST", body=cancel)[0] == 403  # no Origin
    assert not task.stop.is_set()
    assert ask(route, method="POST", body=cancel, headers=ORIGIN)[0] == 200
    assert task.stop.is_set()
    assert ask(route, method="POST", body=cancel.replace(b"cancel", b"explode"), headers=ORIGIN)[0] == 422
    assert ask(route, method="POST", body=b"{", headers=ORIGIN)[0] == 422
    assert ask(route, method="POST", body=b" " * 20_000, headers=ORIGIN)[0] == 413
