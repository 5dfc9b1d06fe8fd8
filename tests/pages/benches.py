"""What tests of the plans page share: a bench at a small plan, and waiting."""

import time

from uotlab.engine.begin import make_problem
from uotlab.ui.plans_bench import new_bench
from uotlab.ui.plans_spec import PlanSpec

SMALL = PlanSpec(n=60, params={"eps": 0.05, "rho1": 1.0, "rho2": 1.0})


def bench_at(spec=SMALL):
    made = new_bench()
    assert made.wait(made.show(spec, make_problem(spec.cloud)), 60) is not None
    return made


def wait_for(test, seconds=60.0):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)
