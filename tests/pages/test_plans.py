"""The plans page without a browser: what opens, what nonsense gets, and what can be taken away."""

import csv
import io
import json
import math
import shlex

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from tests.pages.benches import bench_at
from uotlab.__main__ import main
from uotlab.data.base import DATASETS
from uotlab.paths import ROOT
from uotlab.plans.solver import SOLVERS
from uotlab.ui import plans_bench, plans_spec
from uotlab.ui.plans_bench import new_bench
from uotlab.ui.plans_dials import CELLS, KINDS, dials_of
from uotlab.ui.plans_out import command, link, npz, pairs_csv, python_code
from uotlab.ui.plans_spec import RECIPES, PlanSpec, from_query, to_query
from uotlab.views.base import VIEWS

PAGE = str(ROOT / "pages" / "plans.py")


def opened(query=None):
    at = AppTest.from_file(PAGE, default_timeout=60)
    for key, value in (query or {}).items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def told(at):
    return [box.value for box in (*at.warning, *at.error, *at.info)]


def query(at):
    return {k: v[0] if isinstance(v, list) else v for k, v in at.query_params.items()}


def bench_of(at):
    return plans_bench.bench(at.session_state["plans.bench"])


def answer_of(at):
    """The answer of the page's bench, which the script may not have waited for."""
    bench = bench_of(at)
    return bench.wait(bench._tickets, 60)


def dials_json(at):
    """What the dials' component was told."""
    found = [json.loads(block.proto.json) for block in at.get("bidi_component") if '"dials"' in block.proto.json]
    assert len(found) == 1
    return found[0]


# ---- the page ---------------------------------------------------------------------------------------
def test_a_first_visit_shows_a_plan_without_a_click():
    at = opened()
    assert not told(at)
    answer = answer_of(at)
    assert answer.numbers["n_iter"] > 0
    assert answer.numbers["seconds"] > 0
    assert answer.numbers["certificate"] <= 1e-4
    assert query(at)["data"] == "two-squares"
    data = dials_json(at)
    assert [d["name"] for d in data["dials"]] == ["eps", "rho1", "rho2"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_example_is_one_choice(name):
    at = opened()
    at.selectbox(key="plans_recipe").set_value(name).run()
    assert not at.exception
    assert not told(at)
    _, spec, view = RECIPES[name]
    assert answer_of(at).spec == spec
    assert not answer_of(at).failed
    assert query(at)["view"] == view


def test_the_address_opens_the_same_page():
    given = {
        "solver": "sinkhorn",
        "data": "p-to-q",
        "n": "80",
        "p.eps": "0.1",
        "p.rho1": "inf",
        "p.rho2": "0.5",
        "d.sd": "0.4",
        "view": "plan",
    }
    at = opened(given)
    assert not told(at)
    spec = answer_of(at).spec
    assert spec.params == {"eps": 0.1, "rho2": 0.5} | ({"rho1": math.inf} if "rho1" in spec.params else {})
    assert spec.data == {"sd": 0.4}
    assert query(at)["view"] == "plan"
    numbers = answer_of(at).numbers
    assert numbers["share"] == pytest.approx(1, abs=1e-5)  # the source is held
    assert numbers["destroyed2"] > 0


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"n": "5"}, "n must be a whole number from 50 to 2000"),
        ({"n": "1000000"}, "n must be a whole number"),
        ({"n": "many"}, "n must be a whole number"),
        ({"data": "nonsense"}, "no dataset named"),
        ({"data": "digits"}, "one or two columns"),
        ({"solver": "magic"}, "no solver named"),
        ({"p.eps": "-1"}, "eps"),
        ({"p.eps": "nan"}, "eps"),
        ({"p.rho1": "0"}, "rho1"),
        ({"p.colour": "red"}, "has no setting"),
        ({"d.share": "7"}, "share"),
        ({"d.seed": "-3"}, "seed"),
        ({"![](http://e.vil)": "1"}, "no setting"),
    ],
)
def test_nonsense_in_the_address_is_one_sentence_and_the_page_goes_on(given, part):
    at = opened(given)
    (sentence,) = told(at)
    assert "makes no sense" in sentence
    assert part in sentence.replace("\\", "")
    assert "](" not in sentence
    assert answer_of(at).numbers["n_iter"] > 0


def test_held_marginals_of_unequal_mass_are_one_sentence():
    at = opened({"data": "gaussians", "n": "60", "d.target_mass": "2", "p.rho1": "inf", "p.rho2": "inf"})
    answer = dials_json(at)["answer"]
    assert answer["failed"]
    assert "no plan exists" in answer["sentence"]
    assert answer["numbers"] == {}
    bench = bench_of(at)
    assert not bench.wait(bench.turn({"rho2": 1.0}), 60).failed  # a dial leads out of it


def test_too_many_columns_are_one_sentence():
    at = opened({"data": "gaussians", "n": "60", "d.d": "3"})
    (sentence,) = told(at)
    assert "one or two columns" in sentence


def test_a_low_mass_is_explained():
    at = opened({"n": "60", "p.rho1": "0.02", "p.rho2": "0.02"})
    assert "cheaper to let mass go" in dials_json(at)["answer"]["sentence"]


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_shows(name):
    at = opened({"solver": name, "n": "60"})
    assert not at.exception
    answer = answer_of(at)
    assert not answer.failed, answer.sentence
    assert answer.numbers["mass"] > 0
    assert [d["name"] for d in dials_json(at)["dials"]] == dials_of(SOLVERS[name])


def test_another_solver_and_another_cost():
    at = opened({"n": "60"})
    at.selectbox(key="q.cost").set_value("power").run()
    assert answer_of(at).spec.params["cost"] == "power"
    other = next(n for n, cls in SOLVERS.items() if "rho1" not in cls.model_fields)
    at.selectbox(key="q.solver").set_value(other).run()
    assert not at.exception
    answer = answer_of(at)
    assert answer.spec.solver == other
    assert answer.spec.params.get("cost") == "power"
    assert not answer.failed


def test_divergences_come_from_the_solver():
    able = [n for n, cls in SOLVERS.items() if "divergence1" in cls.model_fields]
    assert able
    at = opened({"solver": able[0], "n": "60"})
    box = at.selectbox(key=f"q.{able[0]}.divergence1")
    assert len(box.options) > 3
    box.set_value("hellinger").run()
    assert not at.exception
    assert answer_of(at).spec.params["divergence1"] == "hellinger"
    assert "part.divergence1" in answer_of(at).numbers


def test_settings_that_exclude_each_other_are_one_sentence():
    able = next(n for n, cls in SOLVERS.items() if {"lo", "hi"} <= set(cls.model_fields))
    at = opened({"solver": able, "n": "60"})
    at.number_input(key=f"q.m.{able}.hi").set_value(0.5).run()
    assert not at.exception
    (sentence,) = told(at)
    assert "hi" in sentence
    assert answer_of(at).numbers["mass"] > 0


def test_a_drawing_is_solved_and_changes():
    at = opened({"data": "drawn", "n": "60", "d.source": "-1,0;1,0", "d.target": "0,1;0,-1", "d.jitter": "0"})
    assert bench_of(at).plan.P.shape == (2, 2)
    at.selectbox(key="q.template").set_value("Unequal clusters").run()
    assert not at.exception
    assert query(at)["d.source"] == "-1.5,1.2,3;-1.5,-1.2,1"
    at.button(key="q.clear").click().run()
    assert not at.exception
    assert "2 to" in " ".join(told(at))


def test_pictures_change_and_stay_in_the_address():
    at = opened({"n": "60"})
    for name in (n for n in VIEWS if n.startswith("plan")):
        at.segmented_control(key="q.view").set_value(name).run()
        assert not at.exception
        assert query(at)["view"] == name


def test_benches_are_bounded_and_a_lost_one_is_made_anew(monkeypatch):
    at = opened({"n": "60"})
    first = at.session_state["plans.bench"]
    for _ in range(plans_bench.MOST_BENCHES):
        new_bench()
    assert plans_bench.bench(first) is None
    at.run()
    assert not at.exception
    assert at.session_state["plans.bench"] != first
    assert answer_of(at).numbers["n_iter"] > 0


# ---- taken away --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RECIPES)
def test_examples_survive_the_address(name):
    _, spec, view = RECIPES[name]
    again, sentence = from_query(to_query(spec))
    assert sentence is None
    assert again == spec
    assert view in VIEWS
    plans_spec.check(spec)
    assert link(spec, view, "http://127.0.0.1:8501/plans?me=secret").startswith("http://127.0.0.1:8501/plans?solver=")


def test_python_code_runs(capsys):
    spec = PlanSpec(dataset="p-to-q", n=50, data={"sd": 0.4, "seed": 3}, params={"eps": 0.1, "rho2": math.inf, "rho1": 0.5})
    exec(compile(python_code(spec), "copied", "exec"), {})
    mass = float(capsys.readouterr().out.split()[0])
    assert mass == pytest.approx(1, abs=1e-5)


def test_the_command_solves_the_same(capsys):
    spec = PlanSpec(n=60, data={"seed": 3}, params={"rho2": 0.5, "eps": 0.1})
    words = shlex.split(command(spec))
    assert words[:6] == ["python", "-m", "uotlab", "plan", "sinkhorn", "two-squares"]
    assert main([*words[3:], "--json"]) == 0
    value = json.loads(capsys.readouterr().out)["value"]
    assert value == pytest.approx(bench_at(spec).answer.numbers["value"], rel=3e-4)


def test_infinity_is_a_word_of_the_command_line():
    assert "rho1=inf" in shlex.split(command(PlanSpec(solver="scaling", params={"rho1": math.inf})))


def test_pairs_and_npz():
    plan = bench_at().plan
    rows = list(csv.DictReader(io.StringIO(pairs_csv(plan, 20))))
    assert len(rows) == 20
    masses = [float(r["mass"]) for r in rows]
    assert masses == sorted(masses, reverse=True)
    first = rows[0]
    assert float(plan.P[int(first["i"]), int(first["j"])]) == pytest.approx(masses[0], rel=1e-5) if torch.is_tensor(plan.P) else True
    with np.load(io.BytesIO(npz(plan))) as held:
        assert held["P"].shape == (60, 60)
        assert {"x", "y", "a", "b", "f", "g"} <= set(held)


def test_dials_and_cells_say_what_they_are():
    for kind, label, text, low, high in KINDS.values():
        assert kind in ("log", "rho", "share")
        assert label
        assert text
        assert 0 <= low < high
    assert {"carried", "destroyed", "created", "transport", "value", "certificate", "solved"} <= set(CELLS)


def test_only_toys_of_one_or_two_columns_are_offered():
    at = opened({"n": "60"})
    offered = at.selectbox(key="q.data")
    assert len(offered.options) == len([n for n in DATASETS if DATASETS[n].kind in ("line", "plane")])
