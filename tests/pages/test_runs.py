"""The runs page: empty, listed, searched, renamed, resumed, deleted, and taken away."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from uotlab import Fitted
from uotlab.engine.runner import engine
from uotlab.engine.spec import RunSpec
from uotlab.paths import ROOT
from uotlab.ui import runs

PAGE = str(ROOT / "pages" / "runs.py")


@pytest.fixture
def token():
    return f"test-runs-{time.monotonic_ns()}"


def opened(token):
    at = AppTest.from_file(PAGE, default_timeout=60)
    at.query_params["me"] = token
    at.run()
    assert not at.exception
    return at


def trained(token, name="first", steps=3, dataset="moons-to-spiral"):
    job = engine().submit(RunSpec(dataset=dataset, n=64, steps=steps, params={"batch_size": 16}), token, name)
    assert job.wait(60)
    return job


def test_without_runs_it_says_what_to_do(token):
    at = opened(token)
    assert "No runs yet" in at.markdown[0].value
    assert not at.dataframe


def test_a_run_is_listed_and_renamed(token):
    job = trained(token)
    at = opened(token)
    table = at.dataframe[0].value
    assert list(table["run"]) == ["first"]
    assert list(table["steps"]) == ["3 / 3"]
    at.text_input(key=f"name_{job.id}").set_value("better *name*").run()
    at.button(key=f"rename_{job.id}").click().run()
    assert not at.exception
    assert engine().store.get(job.id).name == "better *name*"
    at.text_input(key=f"name_{job.id}").set_value("  ").run()
    at.button(key=f"rename_{job.id}").click().run()
    assert "must not be empty" in " ".join(i.value for i in at.info)


def test_search_state_and_sort(token):
    trained(token, "alpha")
    trained(token, "beta", dataset="p-to-q")
    at = opened(token)
    assert list(at.dataframe[0].value["run"]) == ["beta", "alpha"]
    at.selectbox(key="runs_sort").set_value("Name").run()
    assert list(at.dataframe[0].value["run"]) == ["alpha", "beta"]
    at.text_input(key="runs_words").set_value("p to q").run()
    assert list(at.dataframe[0].value["run"]) == ["beta"]
    at.text_input(key="runs_words").set_value("nothing like it").run()
    assert "No run matches" in at.info[0].value
    for sort in runs.SORTS:
        assert len(runs.chosen(runs.rows(token), "", "done", sort)) == 2


def test_a_stopped_run_goes_on(token):
    job = engine().submit(RunSpec(n=64, steps=1_000_000, params={"batch_size": 16}), token, "long")
    end = time.monotonic() + 30
    while job.step < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    job.stop()
    assert job.wait(30)
    at = opened(token)
    at.button(key=f"resume_{job.id}").click().run()
    assert not at.exception
    assert job.state in ("queued", "running")
    job.stop()
    job.wait(30)


def test_deleting_asks_first_and_removes_the_files(token):
    job = trained(token)
    path = engine().store.checkpoint_path(job.id)
    assert path.exists()
    at = opened(token)
    assert "cannot be undone" in " ".join(m.value for m in at.markdown)
    at.button(key=f"delete_{job.id}").click().run()
    assert not at.exception
    assert engine().store.get(job.id) is None
    assert not path.exists()


def test_others_runs_are_not_shown(token):
    trained(token)
    assert "No runs yet" in opened(token + "-other").markdown[0].value


def test_weights_open_in_python(token, tmp_path):
    job = trained(token)
    path = tmp_path / "run.pt"
    path.write_bytes(runs.weights(job.id))
    assert Fitted.load(path).spec.method == job.spec.method
    assert engine().store.history_csv(job.id).startswith("step,")
