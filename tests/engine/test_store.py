"""The store: owners, files, dead processes, and going on bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from uotlab.engine.files import load_tensors, plain, save_tensors, to_json
from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec
from uotlab.engine.store import Store
from uotlab.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys, time
sys.path.insert(0, {root!r})
from tests.engine import toy
from uotlab.engine import loop
loop.CHECKPOINT_SECONDS = 0.1
from uotlab.engine.runner import Engine
from uotlab.engine.spec import RunSpec
engine = Engine({folder!r})
spec = RunSpec(method="toy", dataset="two-squares", n=200, steps=200, params=dict(nap=0.004))
job, waiting = engine.submit(spec, "me"), engine.submit(spec, "me")
while not engine.store.checkpoint_path(job.id).exists() or job.step < 40:
    time.sleep(0.01)
print(job.id, waiting.id, flush=True)
time.sleep(60)
"""


def test_owners_see_their_own(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.add("a", "me", "mine", RunSpec(), 10)
    store.add("b", "you", "yours", RunSpec(), 10)
    assert [r.id for r in store.list("me")] == ["a"]
    assert store.get("b", "me") is None
    for forbidden in (lambda: store.rename("b", "x", "me"), lambda: store.delete("b", "me")):
        with pytest.raises(InputError, match="no such run"):
            forbidden()
    monkeypatch.setenv("UOTLAB_SHARED", "1")
    assert [r.id for r in store.list("me")] == ["b", "a"]
    assert store.get("b", "me").name == "yours"
    store.delete("b", "me")
    store.close()


def test_infinite_numbers_go_in_and_out(tmp_path):
    store = Store(tmp_path)
    store.add("a", "me", "mine", RunSpec(params={"rho1": float("inf")}), 10)
    store.update("a", metrics={"loss": float("nan"), "far": float("-inf"), "near": 1.5})
    record = store.get("a")
    assert record.metrics["near"] == 1.5
    assert record.metrics["far"] == float("-inf")
    assert float(record.spec.params["rho1"]) == float("inf")
    store.close()


def test_json_is_valid():
    assert to_json({"a": [float("nan"), 1.0], "b": float("inf")}) == '{"a": ["NaN", 1.0], "b": "Infinity"}'
    assert plain((1, "x", None)) == [1, "x", None]


def test_files_are_whole_or_absent(tmp_path):
    path = tmp_path / "t.pt"
    save_tensors(path, {"a": torch.arange(3)})
    with pytest.raises(TypeError):
        save_tensors(path, {"a": (i for i in range(3))})
    assert torch.equal(load_tensors(path)["a"], torch.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["t.pt"]


def test_foreign_files_are_refused(tmp_path):
    import zipfile

    torch.save({"x": Path("evil")}, tmp_path / "pickle.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "short.pt").write_bytes((tmp_path / "pickle.pt").read_bytes()[:100])
    torch.save([1, 2], tmp_path / "list.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as file:
        file.writestr("a", "b")
    for path in (*tmp_path.iterdir(), tmp_path / "absent.pt"):
        with pytest.raises(InputError, match=path.name):
            load_tensors(path)


def test_checkpoint_paths_stay_inside(tmp_path):
    store = Store(tmp_path)
    for bad in ("../x", "a/b", "", "a.b"):
        with pytest.raises(InputError):
            store.checkpoint_path(bad)
    store.close()


def test_killed_process_is_interrupted_and_goes_on_bit_for_bit(tmp_path):
    folder = tmp_path / "store"
    code = WORKER.format(root=str(ROOT), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        run_id, waiting_id = process.stdout.readline().split()
        living = Store(folder)
        assert living.recover() == (), "the runs of a living process are its own"
        assert living.get(run_id).state == "running"
        living.close()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    engine = Engine(folder)
    try:
        assert {engine.store.get(i).state for i in (run_id, waiting_id)} == {"interrupted"}
        saved = engine.store.checkpoint(run_id)
        assert 0 < saved["state"]["step"] < 200
        job = engine.job(run_id)
        end = time.monotonic() + 20
        while job.snapshot is None and time.monotonic() < end:
            time.sleep(0.01)
        assert job.snapshot.step == saved["state"]["step"]
        with pytest.raises(InputError, match="no such run"):
            engine.resume_run(run_id, "a stranger")
        assert engine.resume_run(run_id, "me") is job
        assert job.wait(60)
        assert (job.state, job.step) == ("done", 200)
        whole = engine.submit(job.spec, "me")
        assert whole.wait(60)
        a, b = engine.store.checkpoint(run_id), engine.store.checkpoint(whole.id)
        assert_equal(a["state"], b["state"])
        assert torch.equal(a["history"]["steps"], b["history"]["steps"])
        assert torch.equal(a["history"]["columns"]["loss"], b["history"]["columns"]["loss"])
        assert a["seconds"] > saved["seconds"]
    finally:
        engine.close()


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b):
            assert_equal(left, right)
    else:
        assert a == b


def test_closing_interrupts_and_a_new_engine_goes_on(tmp_path, spec):
    first = Engine(tmp_path)
    job = first.submit(spec(steps=500, nap=0.002), "me")
    while job.step < 10:
        time.sleep(0.005)
    first.close()
    assert job.state == "interrupted"
    second = Engine(tmp_path)
    again = second.resume_run(job.id, "me")
    again.wait(30)
    assert (again.state, again.step) == ("done", 500)
    assert len(again.history) == 500
    second.close()
