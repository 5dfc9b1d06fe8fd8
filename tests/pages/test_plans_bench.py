"""Benches of the plans page: what a dial does, what is computed beside, and the route that dials ask."""

import json
import math

import numpy as np
import pytest
import torch

import uotlab
from tests.pages.asking import ORIGIN, ask
from tests.pages.benches import SMALL, bench_at, wait_for
from uotlab.data.base import load
from uotlab.errors import InputError
from uotlab.plans.solver import SOLVERS
from uotlab.ui import plans_route
from uotlab.ui.plans import views_for
from uotlab.ui.plans_bench import Bench
from uotlab.ui.plans_extras import EXTRAS
from uotlab.ui.plans_latest import Latest
from uotlab.ui.plans_scene import solve
from uotlab.ui.plans_spec import PlanSpec
from uotlab.ui.sources import find
from uotlab.ui.wire import arrays_of, draw
from uotlab.views.base import VIEWS


# ---- the bench ---------------------------------------------------------------------------------------
def test_a_turned_dial_starts_from_the_last_potentials_and_moves_the_picture():
    bench = bench_at(SMALL.turned({"eps": 0.01}))
    before = find(bench.source).snapshot
    cold = bench.answer.numbers["n_iter"]
    answer = bench.wait(bench.turn({"rho1": 1.02, "rho2": 1.02}), 60)
    after = find(bench.source).snapshot
    assert after.version > before.version
    assert answer.numbers["n_iter"] < cold
    fresh = uotlab.plan("sinkhorn", load("two-squares", 60), eps=0.01, rho1=1.02, rho2=1.02)
    assert answer.numbers["value"] == pytest.approx(fresh.value, rel=3e-4)
    assert answer.numbers["mass"] == pytest.approx(fresh.mass, rel=1e-3)


def test_the_numbers_add_up():
    numbers = bench_at(PlanSpec(dataset="gaussians", n=80, data={"target_mass": 2.0}, params={"rho1": 0.3, "rho2": 0.7})).answer.numbers
    parts = sum(v for k, v in numbers.items() if k.startswith("part."))
    assert parts == pytest.approx(numbers["value"], rel=1e-6)
    assert numbers["source"] - numbers["mass"] == pytest.approx(numbers["destroyed1"] - numbers["created1"], abs=1e-6)
    assert numbers["target"] - numbers["mass"] == pytest.approx(2 * (numbers["created2"] - numbers["destroyed2"]), abs=1e-6)


def test_the_newest_values_win():
    bench = bench_at()
    tickets = [bench.turn({"rho1": 0.5 + k / 100, "rho2": 1.0}) for k in range(40)]
    answer = bench.wait(tickets[-1], 60)
    assert answer.ticket == tickets[-1]
    assert answer.spec.params["rho1"] == pytest.approx(0.89)
    assert tickets == sorted(tickets)


def test_what_waits_is_dropped_for_what_is_newer():
    import threading

    done, gate = [], threading.Event()
    latest = Latest("test")
    latest.put(lambda: (gate.wait(10), done.append(0)))
    for k in range(1, 6):
        latest.put(lambda k=k: done.append(k))
    gate.set()
    wait_for(lambda: 5 in done)
    assert done == [0, 5]


@pytest.mark.parametrize("values", [{"eps": -1}, {"eps": "much"}, {"rho1": float("nan")}, {"colour": 1}, {"eps": [1]}, {"eps": None}])
def test_bad_values_of_a_dial_are_a_sentence(values):
    bench = bench_at()
    with pytest.raises(InputError):
        bench.turn(values)
    assert not bench.wait(bench.turn({"eps": 0.06}), 60).failed


def test_potentials_that_are_not_finite_are_not_started_from():
    bench = bench_at()
    plan, _ = solve(SMALL, bench.scene, bench.plan)
    from dataclasses import replace

    broken = replace(bench.plan, f=torch.full_like(bench.plan.f, math.nan))
    again, _ = solve(SMALL, bench.scene, broken)
    assert again.value == pytest.approx(plan.value, rel=1e-4)


@pytest.mark.parametrize("view", EXTRAS)
def test_what_a_picture_needs_is_computed_in_the_background(view):
    bench = bench_at()
    bench.want(view)
    made = VIEWS[view]()
    wait_for(lambda: made.applies(arrays_of(find(bench.source).snapshot)) and bench._extras.get(EXTRAS[view].name, ("",))[0] != "")
    arrays = arrays_of(find(bench.source).snapshot)
    picture = draw(view, arrays, {})
    assert picture.traces


def test_the_strip_goes_from_all_mass_to_little():
    bench = bench_at()
    bench.want("plan-strip")
    wait_for(lambda: np.isfinite(find(bench.source).snapshot.arrays.get("strip/mass", np.array([np.nan]))).all())
    mass = find(bench.source).snapshot.arrays["strip/mass"]
    assert mass[0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(mass) < 0).all()


def test_without_a_balanced_plan_the_picture_says_so():
    bench = bench_at(PlanSpec(dataset="gaussians", n=60, data={"target_mass": 2.0}, params={"rho1": 1.0, "rho2": 1.0}))
    bench.want("plan-compare")
    wait_for(lambda: "balanced/said" in find(bench.source).snapshot.labels)
    text = json.dumps(draw("plan-compare", arrays_of(find(bench.source).snapshot), {}).layout)
    assert "no plan" in text.replace("<br>", " ")


def test_pictures_that_the_solver_cannot_fill_are_not_offered():
    held = next(n for n, cls in SOLVERS.items() if "rho1" not in cls.model_fields)
    bench = bench_at(PlanSpec(solver=held, n=60))
    assert "plan-strip" not in views_for(bench, bench.spec)
    assert "plan-strip" in views_for(bench_at(), SMALL)
    assert views_for(Bench(), SMALL) == ["data"]


# ---- the route ---------------------------------------------------------------------------------------
def test_a_dial_turned_over_http():
    bench = bench_at()
    code, answer = ask(
        plans_route.dial,
        method="POST",
        headers=ORIGIN,
        body=json.dumps({"id": bench.id, "values": {"eps": 0.1, "rho1": "inf", "rho2": 2}}).encode(),
    )
    assert code == 200
    assert answer["numbers"]["share"] == pytest.approx(1, abs=1e-5)
    assert bench.spec.params == {"eps": 0.1, "rho2": 2.0} | ({"rho1": math.inf} if "rho1" in bench.spec.params else {})


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"headers": {}}, 403),
        ({"headers": {"origin": "http://e.vil"}}, 403),
        ({"method": "GET"}, 405),
        ({"body": b"nonsense"}, 422),
        ({"body": b"[" * 5000}, 422),
        ({"body": b'{"id": "x", "values": 3}'}, 422),
        ({"body": b" " * 20_000}, 413),
        ({"body": b'{"id": "forged", "values": {"eps": 0.1}}'}, 404),
    ],
)
def test_requests_that_are_none_get_a_sentence(arguments, status):
    code, answer = ask(plans_route.dial, **{"method": "POST", "headers": ORIGIN, **arguments})
    assert code == status
    assert len(answer["error"]) > 20


def test_a_value_out_of_range_over_http():
    bench = bench_at()
    code, answer = ask(plans_route.dial, method="POST", headers=ORIGIN, body=json.dumps({"id": bench.id, "values": {"eps": 0}}).encode())
    assert code == 422
    assert "eps" in answer["error"]
