"""The neural half of the page of barycenters, without a browser: what opens, what a click does, what the address holds."""

import shlex
import time
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from uotlab.__main__ import make_parser
from uotlab.data.drawn import points_from_text
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.paths import ROOT
from uotlab.penalty import rho_from_tau
from uotlab.ui import barycenters_neural_state as kept
from uotlab.ui import barycenters_state as discrete
from uotlab.ui.barycenters_link import learners
from uotlab.ui.barycenters_neural import name_of, twin
from uotlab.ui.barycenters_neural_out import link, samples_csv
from uotlab.ui.barycenters_neural_strip import TAUS, specs
from uotlab.ui.config import mean_cost
from uotlab.ui.controls import same_run
from uotlab.ui.share import command, python_code

PAGE = str(ROOT / "pages" / "barycenters.py")
LONG, SHORT = "1000000", "3"
QUICK = {"data": "class-imbalance", "n": "200", "p.batch_size": "16"}


@pytest.fixture
def token():
    return f"test-neural-{time.monotonic_ns()}"


def opened(token, **query):
    at = AppTest.from_file(PAGE, default_timeout=120)
    at.query_params["me"] = token
    for key, value in ({"kind": "neural"} | QUICK | {k.replace("__", "."): v for k, v in query.items()}).items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def words(at):
    return " ".join(e.value for e in (*at.markdown, *at.caption, *at.warning, *at.error, *at.info))


def query(at):
    return {k: v[0] if isinstance(v, list) else v for k, v in at.query_params.items()}


def jobs(at, key="job"):
    return [engine().job(name) for name in query(at).get(key, "").split(",") if name]


def spec_of(at):
    return RunSpec.model_validate_json(at.session_state["bn_spec"])


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def click(at, key):
    at.button(key=key).click().run()
    assert not at.exception
    return at


def end(*found):
    for job in found:
        job.stop()
    for job in found:
        assert job.wait(60)


# ---- what opens ------------------------------------------------------------------------------------
def test_the_half_opens_by_its_address_and_says_what_to_do(token):
    at = opened(token)
    assert not at.error
    assert at.button(key="play").label == "Play"
    assert "then press Play" in words(at)
    assert spec_of(at).dataset == "class-imbalance"
    assert "job" not in query(at)


def test_the_halves_change_places_and_keep_their_settings(token):
    at = opened(token, seed="7")
    at.segmented_control(key="b_half_menu").set_value("discrete").run()
    assert not at.exception
    assert query(at)["kind"] == "densities"
    assert "seed" not in query(at)
    assert at.metric
    at.segmented_control(key="b_half_menu").set_value("neural").run()
    assert not at.exception
    assert (query(at)["kind"], query(at)["seed"]) == ("neural", "7")
    assert spec_of(at).seed == 7


def test_nonsense_in_the_address_is_told(token):
    at = opened(token, p__nothing="3")
    assert "makes no sense" in words(at)
    at = opened(token, job="forged-id-0000000000")
    assert "not here any more" in words(at)


# ---- training --------------------------------------------------------------------------------------
def test_play_trains_both_at_once_and_pause_step_and_stop_speak_to_both(token):
    at = click(opened(token, steps=LONG), "play")
    first, beside = *jobs(at), *jobs(at, "beside")
    assert same_run(first.spec, spec_of(at))
    assert same_run(beside.spec, twin(first.spec))
    until(lambda: first.step > 3 and beside.step > 3)
    assert first.state == beside.state == "running"
    click(at.run(), "play")
    assert first.state == beside.state == "paused"
    steps = first.step, beside.step
    click(at, "step")
    until(lambda: (first.state, beside.state) == ("paused", "paused") and first.step > steps[0] and beside.step > steps[1])
    assert (first.step, beside.step) == (steps[0] + 1, steps[1] + 1)
    click(at.run(), "stop")
    assert first.wait(30)
    assert beside.wait(30)
    assert first.state == beside.state == "stopped"
    click(at.run(), "reset")
    assert "job" not in query(at)
    assert "beside" not in query(at)


def test_without_the_twin_one_run_is_drawn_and_the_twin_can_be_added(token):
    at = opened(token, steps=SHORT)
    at.toggle(key="bn.twin").set_value(False).run()
    click(at, "play")
    (job,) = jobs(at)
    assert "beside" not in query(at)
    assert job.wait(60)
    at.toggle(key="bn.twin").set_value(True).run()
    click(at, "bn_add")
    (beside,) = jobs(at, "beside")
    assert beside.wait(60)
    assert beside.spec.method == kept.TWIN
    at.run()
    assert not at.exception
    assert at.segmented_control(key="bn.view").options


def test_other_weights_are_offered_as_a_new_run(token):
    at = click(opened(token, steps=SHORT), "play")
    first = jobs(at) + jobs(at, "beside")
    for job in first:
        assert job.wait(60)
    at = opened(token, steps=SHORT, p__weights="0.3,0.7", job=first[0].id)
    assert spec_of(at).params.get("weights") in (None, "")  # a run that is opened brings its own settings
    at.number_input(key="bn.seed").set_value(5).run()
    assert "The settings have changed since this run" in words(at)
    click(at, "retrain")
    again = jobs(at) + jobs(at, "beside")
    assert {job.id for job in again}.isdisjoint(job.id for job in first)
    assert again[0].spec.seed == 5
    end(*again)


def test_the_strip_goes_through_the_queue_and_takes_a_known_run(token):
    at = opened(token, steps="40")
    wanted = specs(spec_of(at))
    click(at, "bn_strip")
    strip = jobs(at, "strip")
    assert all(same_run(job.spec, spec) for job, spec in zip(strip, wanted, strict=True))
    for job in strip:
        assert job.wait(60)
    at.run()
    assert [job.state for job in strip] == ["done"] * 3
    assert [job.name.rpartition(" ")[2] for job in strip] == [f"{tau:g}" for tau in TAUS]
    click(at, "bn_strip")
    assert jobs(at, "strip") == strip  # nothing is trained twice
    at.number_input(key="bn.seed").set_value(1).run()
    click(at, "bn_strip")
    others = jobs(at, "strip")
    assert {job.id for job in others}.isdisjoint(job.id for job in strip)
    end(*others)


# ---- the side --------------------------------------------------------------------------------------
def test_the_marginals_have_one_price_or_one_each(token):
    at = opened(token, p__rho1="2", p__rho2="inf")
    assert not at.toggle(key="bn.alike").value
    assert [float(spec_of(at).params[f"rho{k}"]) for k in (1, 2)] == [2.0, float("inf")]  # JSON holds infinity as text
    at.select_slider(key="bn.rho.2.slider").set_value(5.0).run()
    assert spec_of(at).params["rho2"] == 5.0
    at.toggle(key="bn.alike").set_value(True).run()
    assert spec_of(at).params["rho"] == 2.0
    at.number_input(key="bn.rho.1.divergence-weight").set_value(100.0).run()
    scale = mean_cost(spec_of(at))
    assert spec_of(at).params["rho"] == pytest.approx(rho_from_tau("divergence-weight", 100.0, scale))
    assert not at.exception


def test_a_tau_in_the_address_is_the_paper_s(token):
    at = opened(token, p__tau="20")
    scale = mean_cost(spec_of(at))
    assert spec_of(at).params["rho"] == pytest.approx(rho_from_tau("divergence-weight", 20.0, scale))


def test_own_measures_are_chosen_drawn_and_refused(token):
    at = opened(token, data="measures", n="100")
    assert at.segmented_control(key="bn.k").value == 3
    at.segmented_control(key="bn.k").set_value(4).run()
    at.segmented_control(key="bn.own.0.way").set_value("points").run()
    assert not at.exception
    text = spec_of(at).data["measures"]
    assert text.startswith("points:")
    assert text.count("|") == 3
    at.text_area(key="bn.own.0.points").set_value("0,0\n2,1,3").run()
    points, masses = points_from_text(spec_of(at).data["measures"].split("|")[0].removeprefix("points:"), "P1")
    assert points.tolist() == [[0, 0], [2, 1]]
    assert masses.tolist() == [1, 3]
    at.text_area(key="bn.own.0.points").set_value("0,0").run()
    assert "P1 must have 2" in words(at)
    at.selectbox(key="bn.own.1.shape").set_value("spiral").run()
    assert "|spiral," in spec_of(at).data["measures"]
    at.segmented_control(key="bn.own.2.way").set_value("file").run()
    assert not at.exception
    assert "Until then a shape stands here" in words(at)


def test_an_example_is_one_click(token):
    at = opened(token)
    for title, spec in kept.examples().items():
        at.selectbox(key="bn_example").set_value(title).run()
        assert not at.exception
        assert not at.error
        found = spec_of(at)
        assert (found.method, found.dataset, found.data, found.steps) == (spec.method, spec.dataset, spec.data, spec.steps)


# ---- the record ------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [2, 3, 5])
def test_weights_become_text_and_come_back(k):
    rng = np.random.default_rng(k)
    for _ in range(20):
        weights = rng.dirichlet(np.ones(k)).tolist()
        params = kept.weights_param(weights)
        again = kept.weights_of(RunSpec(params=params), k)
        assert sum(again) == pytest.approx(1)
        np.testing.assert_allclose(again, weights, atol=2e-4 * k)
    assert kept.weights_param([1 / k] * k) == {}
    assert kept.weights_of(RunSpec(params={"weights": "0.5,0.6"}), k) == [1 / k] * k
    assert kept.weights_of(RunSpec(params={"weights": "a,b"}), k) == [1 / k] * k


def test_the_address_holds_everything_and_only_this_half():
    spec = RunSpec(method="unotb", dataset="class-imbalance", n=100, params={"weights": "0.25,0.75", "rho": 2.0}, steps=7, seed=3)
    assert kept.from_query(kept.to_query(spec)) == (spec, None)
    assert kept.ours({"kind": "densities", "method": "ipot"}) == {}
    found = urlsplit(link(spec, "http://127.0.0.1:8501/barycenters?me=secret"))
    assert found.path == "/barycenters"
    assert dict(parse_qsl(found.query)) == kept.to_query(spec)
    assert discrete.from_query(kept.to_query(spec))[1] is not None


def test_the_twin_is_balanced_and_otherwise_the_same():
    spec = RunSpec(method="unotb", dataset="class-imbalance", params={"weights": "0.25,0.75", "rho1": 2.0, "divergence2": "chi2"}, seed=3)
    other = twin(spec)
    assert (other.method, other.params, other.seed) == (kept.TWIN, {"weights": "0.25,0.75"}, 3)
    assert "balanced" in name_of(other)
    assert "ρ1 2" in name_of(spec)
    assert name_of(RunSpec(method="unotb", params={"rho": 0.014182060159})) == "U-NOTB, ρ 0.0142"
    assert {spec.method, other.method} <= set(learners())


# ---- to take away ----------------------------------------------------------------------------------
def test_samples_code_and_command_are_of_the_run(token):
    spec = RunSpec(method="unotb", dataset="class-imbalance", n=200, params={"batch_size": 16, "weights": "0.3,0.7"}, steps=4)
    job = engine().submit(spec, token)
    assert job.wait(60)
    rows = samples_csv(job.id, 50).splitlines()
    assert rows[0] == "x1,x2"
    assert np.isfinite(np.array([row.split(",") for row in rows[1:]], float)).all()
    assert len(rows) == 51
    names: dict = {}
    exec(compile(python_code(spec), "shared", "exec"), names)
    assert names["samples"].shape == (2000, 2)
    parsed = make_parser().parse_args(shlex.split(command(spec))[3:])
    assert (parsed.method, parsed.dataset, parsed.steps) == ("unotb", "class-imbalance", 4)
