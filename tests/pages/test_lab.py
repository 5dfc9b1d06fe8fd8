"""The lab's logic, without a browser: what opens, what a click does, and what the address holds."""

import math
import shlex
import time

import pytest
from streamlit.testing.v1 import AppTest

from uotlab.__main__ import make_parser
from uotlab.data.base import DATASETS
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.paths import ROOT
from uotlab.penalty import CONVENTIONS, rho_from_tau
from uotlab.ui import state
from uotlab.ui.share import command, link, python_code

SHELL = ROOT / "uotlab" / "ui" / "shell.py"


@pytest.fixture
def lab():
    """The lab as it opens, with nothing running."""
    at = AppTest.from_file(str(SHELL), default_timeout=60)
    at.session_state["owner"] = f"test-owner-{time.monotonic_ns()}"
    return at.run()


def told(at):
    return " ".join(box.value for box in (*at.warning, *at.error, *at.info))


def wait_for(test, seconds=30.0):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


def query(at):
    return {k: v[0] if isinstance(v, list) else v for k, v in at.query_params.items()}


def job_of(at):
    return engine().job(query(at)["job"])


def test_opens_ready_with_one_play_button(lab):
    assert not lab.exception
    assert not told(lab)
    assert lab.button(key="play").label == "Play"
    assert query(lab)["method"] == state.RECIPE.method
    assert "job" not in query(lab)


def test_play_pause_step_stop_reset_and_undo(lab):
    lab.number_input(key=f"w.steps.{state.RECIPE.method}").set_value(100_000).run()
    lab.button(key="play").click().run()
    job = job_of(lab)
    wait_for(lambda: job.step > 0)
    lab.button(key="play").click().run()
    wait_for(lambda: job.state == "paused")
    lab.run()
    assert lab.button(key="play").label == "Resume"
    before = job.step
    lab.button(key="step").click().run()
    wait_for(lambda: job.state == "paused" and job.step > before)
    assert job.step == before + 1
    lab.run().button(key="play").click().run()
    wait_for(lambda: job.step > before + 1)
    lab.button(key="reset").click().run()
    wait_for(lambda: job.state == "stopped")
    assert "job" not in query(lab)
    lab.button(key="undo").click().run()
    assert query(lab)["job"] == job.id
    wait_for(lambda: job.state == "running")
    lab.button(key="stop").click().run()
    wait_for(lambda: job.state == "stopped")


def test_new_settings_leave_the_run_alone_and_are_offered(lab):
    lab.button(key="play").click().run()
    job = job_of(lab)
    wait_for(lambda: job.state == "running")
    lab.number_input(key="w.seed").set_value(7).run()
    assert job.state == "running"
    assert job.spec.seed == 0
    lab.button(key="retrain").click().run()
    wait_for(lambda: job.state == "stopped")
    assert job_of(lab).id != job.id
    assert job_of(lab).spec.seed == 7
    job_of(lab).stop()


def test_extend_makes_a_finished_run_go_on(lab):
    lab.number_input(key=f"w.steps.{state.RECIPE.method}").set_value(3).run()
    lab.button(key="play").click().run()
    job = job_of(lab)
    wait_for(lambda: job.state == "done")
    lab.run()
    lab.number_input(key="extend_by").set_value(2).run()
    lab.button(key="extend").click().run()
    wait_for(lambda: job.state == "done" and job.step == 5)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_moves_the_others(lab, convention):
    s = _mean_cost(lab)
    tau = 0.9 if convention == "sinkhorn" else 3.0
    lab.number_input(key=f"rho.1.{convention}").set_value(tau).run()
    rho = rho_from_tau(convention, tau, s)
    assert float(query(lab)["p.rho1"]) == pytest.approx(rho, rel=1e-3)
    assert query(lab)["p.rho2"] == query(lab)["p.rho1"]
    for other in CONVENTIONS:
        assert rho_from_tau(other, lab.number_input(key=f"rho.1.{other}").value, s) == pytest.approx(rho, rel=1e-3)


def test_slider_at_its_end_is_balanced(lab):
    lab.select_slider(key="rho.1.slider").set_value(math.inf).run()
    assert query(lab)["p.rho1"] == "inf"
    assert not lab.exception


def _mean_cost(lab):
    from uotlab.ui.config import mean_cost

    return mean_cost(state.from_query(query(lab))[0])


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_has_its_form(lab, method):
    lab.selectbox(key="w.method").set_value(method).run()
    assert not lab.exception
    assert not told(lab)
    assert query(lab)["method"] == method


@pytest.mark.parametrize("dataset", list(DATASETS))
def test_every_dataset_has_its_form_and_its_preview(lab, dataset):
    lab.selectbox(key="w.data").set_value(dataset).run()
    assert not lab.exception
    assert query(lab)["data"] == dataset


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "nonsense"},
        {"data": "../../etc/passwd"},
        {"seed": "-1"},
        {"steps": "many"},
        {"n": "0"},
        {"p.rho1": "-3"},
        {"p.width": "<script>"},
        {"colour": "blue"},
        {"d.nothing": "1"},
    ],
)
def test_nonsense_in_the_address_is_one_sentence_and_defaults(bad):
    at = AppTest.from_file(str(SHELL), default_timeout=60)
    for key, value in bad.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    assert "address" in told(at)
    assert at.button(key="play").label == "Play"


def test_forged_job_is_one_sentence():
    at = AppTest.from_file(str(SHELL), default_timeout=60)
    at.query_params["job"] = "forged"
    at.run()
    assert not at.exception
    assert "no run" in told(at)
    assert "job" not in query(at)


def test_job_in_the_address_comes_back_with_itssettings_of(lab):
    lab.number_input(key="w.seed").set_value(5).run()
    lab.button(key="play").click().run()
    job = job_of(lab)
    again = AppTest.from_file(str(SHELL), default_timeout=60)
    again.query_params["job"] = job.id
    again.run()
    assert again.number_input(key="w.seed").value == 5
    assert not told(again)
    job.stop()


SPEC = RunSpec(
    method="uotm",
    dataset="moons-to-spiral",
    n=50,
    steps=2,
    seed=3,
    data={"seed": 1, "shift_x": 2.5},
    params={"rho1": math.inf, "rho2": 0.5, "divergence2": "chi2"},
)


def test_the_address_brings_the_spec_back():
    assert state.from_query(state.to_query(SPEC)) == (SPEC, None)
    assert "me=" not in link(SPEC, "http://127.0.0.1:8501/?me=secret&job=x")


def test_copied_python_runs(capsys):
    code = compile(python_code(SPEC), "copied", "exec")
    names: dict = {}
    exec(code, names)
    assert names["mapped"].shape == (50, 2)
    assert names["fitted"].spec.seed == 3


def test_copied_command_is_understood():
    words = shlex.split(command(SPEC))
    assert words[:3] == ["python", "-m", "uotlab"]
    arguments = make_parser().parse_args(words[3:])
    assert (arguments.method, arguments.steps, arguments.n, arguments.seed) == ("uotm", 2, 50, 3)
    assert "rho1=inf" in arguments.set
    assert "shift_x=2.5" in arguments.data


def test_unknown_method_in_the_address_suggests_the_nearest():
    _, sentence = state.from_query({"method": "uotn"})
    assert "uotm" in sentence
    with pytest.raises(InputError):
        METHODS["uotn"]
