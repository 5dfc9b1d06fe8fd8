"""Comparisons and sweeps without a browser: what opens, what is chosen, what is shown, and what the address holds."""

import shlex
import time
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from uotlab.__main__ import make_parser
from uotlab.cli.sweep import spec_of
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.engine.sweep import cell
from uotlab.engine.sweep.run import find, listed
from uotlab.engine.sweep.spec import make_sweep
from uotlab.paths import ROOT
from uotlab.ui import compare_runs, sweep_out, sweep_state
from uotlab.ui.compare_source import CurvesPicture, MapsPicture, SidePicture, views_for
from uotlab.ui.sources import find as find_source
from uotlab.ui.sources import gather, pulse
from uotlab.ui.wire import draw
from uotlab.views.style import class_color

SMALL = {"batch_size": 16, "width": 8, "depth": 1}


@pytest.fixture
def token():
    return f"test-compare-{time.monotonic_ns()}"


@pytest.fixture(autouse=True)
def few_points(monkeypatch):
    monkeypatch.setattr(cell, "POINTS", 100)


def opened(page, token, **query):
    at = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=120)
    at.query_params["me"] = token
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def trained(token, name, steps=3, dataset="moons-to-spiral", **params):
    job = engine().submit(RunSpec(dataset=dataset, n=64, steps=steps, params=SMALL | params), token, name)
    assert job.wait(60)
    return job


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def words(at):
    return " ".join(e.value for e in (*at.markdown, *at.caption, *at.warning, *at.error, *at.info))


# ---- compare ---------------------------------------------------------------------------------------
def test_an_empty_comparison_says_what_to_do(token):
    at = opened("compare", token)
    assert "Nothing to compare yet" in words(at)
    assert "Train two runs" in words(at)
    trained(token, "first")
    at = opened("compare", token)
    assert "Choose two or more runs above" in words(at)


def test_runs_that_read_the_same_stay_two(token):
    first, second = trained(token, "twin"), trained(token, "twin")
    at = opened("compare", token, runs=f"{first.id},{second.id}")
    assert len(set(at.multiselect(key="c.runs").options)) == 2
    at.toggle(key="compare_all").set_value(True).run()
    assert not at.exception
    assert at.multiselect(key="c.runs").value == [first.id, second.id]


def test_runs_are_chosen_in_the_menu_and_kept_in_the_address(token):
    first, second = trained(token, "first", rho=1.0), trained(token, "second", rho=5.0)
    at = opened("compare", token)
    at.multiselect(key="c.runs").set_value([first.id, second.id]).run()
    assert not at.exception
    assert at.query_params["runs"] in (f"{first.id},{second.id}", [f"{first.id},{second.id}"])
    settings, numbers = (table.value for table in at.dataframe)
    assert list(settings["run"]) == list(numbers["run"]) == ["first", "second"]
    assert list(settings["s rho1"]) == ["1", "5"]
    assert "s lr" not in settings  # the same in both
    assert list(numbers["mass"]) == [first.metrics["mass"], second.metrics["mass"]]
    assert list(settings["color"]) == list(numbers["color"])
    at.toggle(key="compare_all").set_value(True).run()
    assert "s lr" in at.dataframe[0].value
    at.multiselect(key="c.runs").set_value([second.id]).run()
    assert list(at.dataframe[0].value["run"]) == ["second"]


def test_the_address_opens_runs_and_says_which_are_gone(token):
    job = trained(token, "mine")
    at = opened("compare", token + "x", runs=f"{job.id},no-such-run")
    assert list(at.dataframe[0].value["run"]) == ["mine"]
    assert "1 of the runs in the address is not here any more" in words(at)
    many = [trained(token, "again", steps=1).id for _ in range(compare_runs.MOST + 1)]
    at = opened("compare", token, runs=",".join(many))
    assert len(at.dataframe[0].value) == compare_runs.MOST
    assert f"At most {compare_runs.MOST} runs" in words(at)
    assert len(set(at.dataframe[0].value["run"])) == compare_runs.MOST  # equal names are told apart


def test_one_colour_a_run_in_both_pictures(token):
    jobs = [trained(token, "plane", steps=4), trained(token, "line", steps=4, dataset="p-to-q")]
    runs = compare_runs.compared([job.id for job in jobs])
    curves = CurvesPicture(runs, compare_runs.telling_curve(runs)).snapshot.arrays
    lines = {t["name"]: t["line"]["color"] for t in draw("compare-curves", curves, {}).traces}
    maps = draw("compare-maps", MapsPicture(runs).snapshot.arrays, {})
    clouds = {t["name"]: t["marker"]["color"] for t in maps.traces if t["name"] in ("plane", "line")}
    assert clouds == {name: lines[name] for name in clouds} == {"plane": class_color(0), "line": class_color(1)}
    assert "matches" not in maps.layout["xaxis2"]  # other data, other axes
    same = compare_runs.compared([jobs[0].id, trained(token, "plane too").id])
    layout = draw("compare-maps", MapsPicture(same).snapshot.arrays, {}).layout
    assert (layout["xaxis2"]["matches"], layout["yaxis2"]["matches"]) == ("x", "y")  # zoom is linked


def test_any_picture_of_the_runs_side_by_side(token):
    jobs = [trained(token, f"run {k}", steps=4, rho=1.0 + k) for k in range(2)] + [trained(token, "line", dataset="p-to-q")]
    runs = compare_runs.compared([job.id for job in jobs])
    assert {"map", "scaling", "density", "losses"} <= set(views_for(runs))
    assert "compare-maps" not in views_for(runs)
    scaling = draw("compare-pictures", SidePicture(runs, "scaling", {"classes": False}).snapshot.arrays, {})
    assert {t["xaxis"] for t in scaling.traces} == {"x", "x2", "x3"}
    assert (scaling.layout["xaxis2"]["matches"], scaling.layout["xaxis2"]["anchor"]) == ("x", "y2")
    assert "matches" not in scaling.layout["xaxis3"]  # other data
    assert [n["text"].split(" ", 2)[2] for n in scaling.layout["annotations"]] == [f"<b>{run.name}</b>" for run in runs]
    assert scaling.layout["yaxis"]["autorange"] is True  # plotly forgets it where x is fixed and followed, and draws 0 to 4
    plane = draw("compare-pictures", SidePicture(runs, "map", {}).snapshot.arrays, {})
    assert len({t["xaxis"] for t in plane.traces}) == 2  # the line has no map in the plane
    assert plane.layout["yaxis"]["scaleanchor"] == "x"
    assert sum(bool(t["marker"].get("showscale")) for t in plane.traces if "marker" in t) == 1


def test_the_picture_is_chosen_and_kept_in_the_address(token):
    job = trained(token, "mine")
    at = opened("compare", token, runs=job.id)
    assert at.selectbox(key="compare_view").value == "compare-maps"
    at.selectbox(key="compare_view").set_value("scaling").run()
    assert not at.exception
    assert at.query_params["view"] in ("scaling", ["scaling"])
    at = opened("compare", token, runs=job.id, view="losses")
    assert at.selectbox(key="compare_view").value == "losses"


def test_a_run_under_way_keeps_the_picture_moving(token):
    job = engine().submit(RunSpec(n=64, steps=1_000_000, params=SMALL), token, "long")
    until(lambda: job.snapshot is not None and len(job.history) > 3)
    runs = compare_runs.compared([job.id])
    curve = compare_runs.curve_names(runs)[0]
    name = gather(f"test {token}", lambda: CurvesPicture(runs, curve))
    source = find_source(name)
    assert gather(f"test {token}", lambda: pytest.fail("made twice")) == name
    assert source.moving
    before = pulse(source)
    until(lambda: pulse(source) != before)
    job.stop()
    assert job.wait(30)
    assert not source.moving
    until(lambda: len(source.snapshot.arrays["compare/0/step"]) == len(job.history.arrays()["step"]))
    np.testing.assert_array_equal(source.snapshot.arrays["compare/0/value"], job.history.arrays()[curve])


def test_csv_of_settings_and_curves(token):
    runs = compare_runs.compared([trained(token, "a, b").id, trained(token, "c", rho=2.0).id])
    rows = compare_runs.table_csv(runs).splitlines()
    assert rows[0].startswith("run,id,state,step,seconds,method,dataset")
    assert rows[1].startswith('"a, b",')
    assert len(rows) == 3
    curves = compare_runs.curves_csv(runs).splitlines()
    assert curves[0] == "run,step,name,value"
    assert sum(line.startswith("c,3,") for line in curves) >= 2


# ---- sweep -----------------------------------------------------------------------------------------
SWEEP = {"methods": "uotm", "data": "gaussians", "grid.rho": "1,inf", "seeds": "0", "steps": "4", "n": "64",
         "p.width": "8", "p.depth": "1", "p.batch_size": "16"}  # fmt: skip


def test_the_first_sweep_is_ready_to_start(token):
    at = opened("sweep", token)
    assert f"{sweep_state.FIRST.size} runs" in words(at)
    assert at.button(key="sweep_start").label == "Start"
    assert not at.warning


def test_a_sweep_is_started_shown_and_taken_away(token):
    at = opened("sweep", token, **SWEEP)
    assert "2 runs" in words(at)
    at.button(key="sweep_start").click().run()
    assert not at.exception
    (sweep,) = listed(engine(), token)
    assert sweep.wait(100)
    at.run()
    assert not at.exception
    assert "2 of 2 runs done" in words(at)
    table = at.dataframe[0].value
    assert list(table["rho"]) == ["1", "inf"]
    assert [list(s) for s in table["state"]] == [["done"], ["done"]]
    metric = at.selectbox(key="sweep_metric").value
    assert list(table["value"]) == pytest.approx([row.metrics[metric] for row in sweep.rows()])
    assert at.button(key="sweep_start").label == "Start again"
    at.button(key="sweep_delete").click().run()
    assert listed(engine(), token) == []
    assert engine().runs(token) == []


def test_cancel_resume_and_a_second_visit(token):
    at = opened("sweep", token, **{**SWEEP, "steps": "200000"})
    at.button(key="sweep_start").click().run()
    (sweep,) = listed(engine(), token)
    until(lambda: any(row.step > 2 for row in sweep.rows()))
    at.run()
    at.button(key="sweep_cancel").click().run()
    assert sweep.wait(60)
    again = opened("sweep", token, sweep=sweep.id)  # its settings come with it
    assert again.query_params["grid.rho"] in ("1,inf", ["1,inf"])
    assert again.button(key="sweep_resume").label == "Resume"
    again.button(key="sweep_resume").click().run()
    assert find(engine(), sweep.id).active
    sweep.cancel()
    assert sweep.wait(60)


def test_failures_are_sentences_on_the_page(token):
    at = opened("sweep", token, **{**SWEEP, "d.target_mass": "2"})
    at.button(key="sweep_start").click().run()
    (sweep,) = listed(engine(), token)
    assert sweep.wait(100)
    at.run()
    assert "masses differ" in at.error[0].value
    assert at.button(key="sweep_failed")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"grid.rho": "-1"}, "greater than 0"),
        ({"methods": "utom"}, "Did you mean"),
        ({"grid.rhoo": "1"}, "rhoo"),
        ({"colour": "red"}, "no setting"),
        ({"seeds": "a"}, "seeds must be"),
        ({"sweep": "nothing-like-it"}, "no sweep with the id"),
    ],
)
def test_a_strange_address_is_one_sentence(token, query, sentence):
    at = opened("sweep", token, **query)
    assert sentence in words(at)


@pytest.mark.parametrize("text", ["", "1, x", "-1", ", ".join(map(str, range(1, 600)))])
def test_values_that_make_no_sense_leave_the_last_settings(token, text):
    at = opened("sweep", token, **SWEEP)
    at.text_input(key="s.axis.rho").set_value(text).run()
    assert not at.exception
    assert len(at.sidebar.error) == 1
    assert "2 runs" in words(at)


@pytest.mark.parametrize("axis", ["tau", "divergence", "lr", "steps", "n", "data.target_mass", "rho2", "batch_size"])
def test_every_kind_of_setting_can_be_chosen(token, axis):
    at = opened("sweep", token, methods="uotm", data="gaussians", **{"grid.rho": "1", "seeds": "0"})
    at.selectbox(key="s.axis").set_value(axis).run()
    assert not at.exception
    assert not at.sidebar.error, at.sidebar.error[0].value
    assert any(key == f"grid.{axis}" for key in at.query_params)


def test_the_link_the_script_and_the_command_sweep_the_same(token):
    spec = make_sweep(
        ["uotm", "otm"], "gaussians", {"rho": [0.5, float("inf")], "divergence": ["kl", "tv"]}, [0, 3], steps=20, n=100,
        data={"target_mass": 1.4}, params={"lr": 0.001},
    )  # fmt: skip
    query = dict(parse_qsl(urlsplit(sweep_out.link(spec)).query))
    assert sweep_state.from_query(query) == (spec, None)
    given = make_parser().parse_args(shlex.split(sweep_out.command(spec))[3:])
    assert spec_of(given) == spec
    code = sweep_out.python_code(spec)
    asked = {}

    def sweep(methods, dataset, grid, **more):
        asked["spec"] = make_sweep(
            methods, dataset, grid, more.pop("seeds"), steps=more.pop("steps"), n=more.pop("n"), data=more.pop("data"),
            params={k: v for k, v in more.items() if k != "progress"},
        )  # fmt: skip
        return type("Table", (), {"best": lambda self: {}, "frame": lambda self: None})()

    module = type("Module", (), {"sweep": staticmethod(sweep)})
    exec(code.replace("import uotlab", ""), {"uotlab": module})
    assert asked["spec"] == spec
