"""Sweeps on a real dask scheduler with two workers on loopback: same numbers as in threads, stop and go on, a lost worker."""

import math
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from uotlab.engine.runner import Engine
from uotlab.engine.sweep import cell
from uotlab.engine.sweep.cluster import connected
from uotlab.engine.sweep.run import find, start
from uotlab.engine.sweep.spec import make_sweep
from uotlab.errors import InputError
from uotlab.paths import ROOT

pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install -r requirements-cluster.txt")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SMALL = {"width": 8, "depth": 1, "batch_size": 16}


@pytest.fixture(autouse=True)
def few_points(monkeypatch):
    """Scores on few points, there too: the number goes with each run."""
    monkeypatch.setattr(cell, "POINTS", 200)


def grid(steps, rho=(1.0, 10.0), **data):
    return make_sweep("uotm", "gaussians", {"rho": rho}, [0, 1], steps=steps, n=64, data=data, params=SMALL)


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


class Cluster:
    """One scheduler and its workers, as a person would start them."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.folder = folder
        self.workers = []
        self.scheduler = self.run("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        until(lambda: self.answers(port))

    def run(self, module, *words):
        # a store of its own: nothing is shared with the one who asks
        environment = {**os.environ, "UOTLAB_STORE": str(self.folder / "worker-store"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        with (self.folder / f"{module}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *words], cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    def answers(self, port):
        assert self.scheduler.poll() is None, (self.folder / "dask_scheduler.log").read_text()
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", port)) == 0

    def add(self, count=1):
        for _ in range(count):
            self.workers.append(self.run("dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"))

    def close(self):
        for process in (*self.workers, self.scheduler):
            end(process)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.add(2)
    yield made
    made.close()


@pytest.fixture
def scheduled(cluster, monkeypatch):
    monkeypatch.setenv("UOTLAB_SCHEDULER", cluster.address)
    return cluster


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "store")
    yield made
    made.close()


def test_equal_numbers_on_the_cluster_and_in_threads(engine, scheduled, tmp_path, monkeypatch):
    sweep = start(engine, grid(20), "me")
    assert sweep.wait(280)
    assert (sweep.state, sweep.note) == ("done", "")
    assert sweep.workers == 2
    there = [row.metrics for row in sweep.rows()]
    assert all(row.step == 20 for row in sweep.rows())
    assert engine.store.history_csv(sweep.rows()[0].run).count("\n") == 21  # the whole run came back
    assert engine.fitted(sweep.rows()[0].run).state.step == 20
    monkeypatch.delenv("UOTLAB_SCHEDULER")
    other = Engine(tmp_path / "other")
    here = start(other, grid(20), "me")
    assert here.wait(280)
    for a, b in zip(there, (row.metrics for row in here.rows()), strict=True):
        assert a.keys() == b.keys()
        assert a == pytest.approx(b, rel=1e-5, nan_ok=True)
    other.close()


def test_stop_on_the_cluster_and_go_on(engine, scheduled):
    sweep = start(engine, grid(3000), "me")
    until(lambda: sum(row.state == "running" and row.step > 20 for row in sweep.rows()) == 2)
    sweep.cancel()
    assert sweep.wait(60)
    stopped = [row for row in sweep.rows() if row.state == "stopped"]
    assert len(stopped) == 2
    assert all(0 < row.step < 3000 for row in stopped)
    assert sweep.state == "stopped"
    assert engine.store.checkpoint(stopped[0].run)["state"]["step"] == stopped[0].step
    begun = {row.run: row.step for row in stopped}
    found = find(engine, sweep.id)
    found.begin()
    until(lambda: all(row.step > begun[row.run] for row in found.rows() if row.run in begun))  # from where they were
    found.cancel()
    assert found.wait(60)


def test_a_run_that_fails_there_is_a_sentence_and_the_others_go_on(engine, scheduled):
    sweep = start(engine, grid(5, (1.0, math.inf), target_mass=2.0), "me")
    assert sweep.wait(100)
    assert sweep.state == "done"
    assert [row.state for row in sweep.rows()] == ["done", "failed"] * 2
    assert all(("masses differ" in row.error) == (row.state == "failed") for row in sweep.rows() if row.error)


def test_a_killed_worker_costs_only_time(engine, scheduled):
    sweep = start(engine, grid(800, [1.0]), "me")
    until(lambda: any(row.state == "running" and row.step > 5 for row in sweep.rows()))
    scheduled.workers[0].kill()
    scheduled.add()
    assert sweep.wait(280)
    assert sweep.state == "done"
    assert [row.state for row in sweep.rows()] == ["done", "done"]


def test_where_no_scheduler_answers(engine, monkeypatch):
    monkeypatch.setattr("uotlab.engine.sweep.cluster.ANSWER_SECONDS", 0.5)
    with pytest.raises(InputError, match="no dask scheduler answers"):
        connected("tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="no dask scheduler answers"):
        connected("nonsense://x")
    monkeypatch.setenv("UOTLAB_SCHEDULER", "tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="UOTLAB_SCHEDULER"):
        start(engine, grid(5), "me")
    assert engine.runs() == []
