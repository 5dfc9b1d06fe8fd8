"""A bench: two clouds and the newest plan between them, solved again in a thread whenever a dial is turned.

The page makes one a session, under an unguessable id; the route `/live/dial` turns its dials. The picture is a held one
(`uotlab.ui.sources`) that is replaced with every plan, so the live component draws it without a script rerun.
"""

import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from uotlab.engine.begin import use_threads
from uotlab.engine.spec import Snapshot
from uotlab.errors import InputError
from uotlab.parameters import make_model
from uotlab.plans.base import Plan
from uotlab.plans.solver import SOLVERS
from uotlab.problem import Problem
from uotlab.ui.low_mass import low_mass
from uotlab.ui.plans_extras import EXTRAS
from uotlab.ui.plans_latest import Latest
from uotlab.ui.plans_scene import Arrays, Names, Scene, arrays_of_plan, make_scene, numbers_of, solve, unfinished, warm
from uotlab.ui.plans_spec import PlanSpec, check
from uotlab.ui.sources import hold, let_go

MOST_BENCHES = 16  #: kept in memory; the one not used for longest goes first, and its page makes a new one
WARM_AFTER = 5.0  #: s after the start, so that the first page need not share its time
PATIENCE = 0.6  #: s after which a solve gives way to newer values
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What is known of the newest plan.

    Args:
        ticket: of the request that it answers.
        spec: what was solved.
        numbers: named numbers, JSON-ready; empty where there is no plan.
        sentence: what went wrong, or what the numbers mean; empty where there is nothing to say.
        failed: whether the sentence says why there is no plan.
    """

    ticket: int
    spec: PlanSpec
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    sentence: str = ""
    failed: bool = False

    def json(self) -> dict[str, Any]:
        return {"ticket": self.ticket, "numbers": dict(self.numbers), "sentence": self.sentence, "failed": self.failed}


class Bench:
    """Clouds, settings, the newest plan and what further pictures need."""

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(16)
        self.spec: PlanSpec | None = None
        self.scene: Scene | None = None
        self.plan: Plan | None = None
        self.answer: Answer | None = None
        self.view = ""
        self.source = ""  #: id of the held picture
        self._tickets = 0
        self._version = self._scenes = 0
        self._arrays: Arrays = {}
        self._extras: dict[str, tuple[str, Arrays, Names]] = {}
        self._solves, self._others = Latest("plans-solve"), Latest("plans-extra")
        self._lock = threading.Condition()

    # ---- asked from the page and from the route --------------------------------------------------
    def show(self, spec: PlanSpec, problem: Problem) -> int:
        """Solve `spec` on these data; returns the ticket to wait for, that of the present answer where nothing has changed."""
        with self._lock:
            if self.spec == spec and self._tickets:  # solved, or under way
                return self._tickets
            key = spec.cloud.model_dump_json()
            if self.scene is None or self.scene.key != key:
                scene = make_scene(key, problem)
                let_go(self._key)  # a new id, so that the picture of new data forgets the old one's zoom
                self._scenes += 1
                self.scene, self.plan, self.answer, self._arrays, self._extras, self.source = scene, None, None, {}, {}, ""
                self._publish({})  # the clouds alone, until there is a plan
        return self._ask(spec)

    def turn(self, values: Mapping[str, Any]) -> int:
        """Solve the same with some settings changed.

        Raises:
            InputError: an unknown setting or a value outside its rule.
        """
        assert self.spec is not None
        fields = SOLVERS[self.spec.solver].model_fields
        strange = [name for name in values if name not in fields]
        if strange:
            raise InputError(f"There is no dial {str(strange[0])[:40]!r}; this solver has {', '.join(fields)}.")
        spec = self.spec.turned(values)
        check(spec)
        with self._lock:
            if spec == self.spec:
                return self._tickets
        return self._ask(spec)

    def want(self, view: str) -> None:
        """Which picture is looked at: what it needs beyond the plan is computed when the plan is there."""
        self.view = view
        if self.plan is not None:
            self._begin_extra()

    def ready(self, ticket: int) -> bool:
        """Whether the answer to `ticket`, or to a newer one, is there."""
        return self.answer is not None and self.answer.ticket >= ticket

    def wait(self, ticket: int, seconds: float) -> Answer | None:
        """The answer to `ticket` or a newer one; None where it takes longer."""
        with self._lock:
            self._lock.wait_for(lambda: self.ready(ticket), seconds)
        return self.answer

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._solves.drop()
        self._others.drop()
        let_go(self._key)

    # ---- in its threads ----------------------------------------------------------------------------
    def _ask(self, spec: PlanSpec) -> int:
        with self._lock:
            self._tickets += 1
            self.spec, ticket, scene = spec, self._tickets, self.scene
        assert scene is not None
        self._solves.put(lambda: self._solve(ticket, spec, scene))
        return ticket

    def _solve(self, ticket: int, spec: PlanSpec, scene: Scene) -> None:
        use_threads(torch.device("cpu"))
        try:
            before = self.plan if self.answer is not None and warm(self.answer.spec, spec) else None
            begin = time.monotonic()
            plan, seconds = solve(spec, scene, before, lambda: self._solves.waiting and time.monotonic() - begin > PATIENCE)
            arrays, numbers = arrays_of_plan(plan), numbers_of(plan, scene)
            numbers["seconds"] = round(seconds, 5)
            said = low_mass(numbers["share"]) or ("" if plan.converged else unfinished(plan))
            answer = Answer(ticket, spec, numbers, said)
        except InputError as error:
            self._tell(Answer(ticket, spec, {}, str(error), failed=True))
            return
        except Exception:
            log.exception("a plan failed")
            self._tell(Answer(ticket, spec, {}, "The solver failed on these values. Choose a larger ε or another solver.", failed=True))
            return
        if scene is self.scene:
            self.plan, self._arrays = replace(plan, P=arrays["P"]), arrays  # float32, and the picture's own
            self._publish(numbers)
        self._tell(answer)
        self._begin_extra()

    def _tell(self, answer: Answer) -> None:
        with self._lock:
            self.answer = answer
            self._lock.notify_all()

    def _begin_extra(self) -> None:
        extra, spec, scene, plan = EXTRAS.get(self.view), self.spec, self.scene, self.plan
        if extra is None or spec is None or scene is None or plan is None:
            return
        name, key = extra.name, extra.key(spec)
        if self._extras.get(name, ("",))[0] == key:
            return

        def publish(arrays: Arrays, names: Names | None = None) -> None:
            if scene is self.scene:
                before = self._extras.get(name, ("", {}, {}))[1]  # old curves stay until there are new ones
                self._extras[name] = ("", {**before, **arrays}, names or {})
                self._publish(None)

        def stale() -> bool:
            newest = self.spec
            return scene is not self.scene or EXTRAS.get(self.view) is not extra or newest is None or extra.key(newest) != key

        def work() -> None:
            use_threads(torch.device("cpu"))
            if self._extras.get(name, ("",))[0] == key or stale():
                return
            try:
                extra.run(spec, scene, plan, publish, stale)
            except InputError as error:
                publish({}, {f"{name}/said": (str(error),)})
            except Exception:
                log.exception("a picture failed")
                publish({}, {f"{name}/said": ("This picture could not be made.",)})
            if not stale() and name in self._extras:
                self._extras[name] = (key, *self._extras[name][1:])

        self._others.put(work)

    def _publish(self, numbers: Mapping[str, float | None] | None) -> None:
        """Replace the held picture by what is known now."""
        with self._lock:
            scene = self.scene
            assert scene is not None
            arrays, names = {**scene.arrays, **self._arrays}, dict(scene.names)
            for _, more, words in self._extras.values():
                arrays |= more
                names |= words
            self._version += 1
            shown = numbers if numbers is not None else self.answer.numbers if self.answer is not None else {}
            metrics = {k: math.nan if v is None else v for k, v in shown.items()}
            self.source = hold(Snapshot(self._version, 0, 0.0, metrics, {}, arrays, names), self._key, moving=True)

    @property
    def _key(self) -> str:
        return f"plans {self.id} {self._scenes}"


# ---- the benches of all sessions -------------------------------------------------------------------
_benches: "OrderedDict[str, Bench]" = OrderedDict()
_guard = threading.Lock()


def bench(name: str | None) -> Bench | None:
    """The bench with this id, or None; one that is used stays."""
    with _guard:
        found = _benches.get(name or "")
        if found is not None:
            _benches.move_to_end(found.id)
        return found


def new_bench() -> Bench:
    """An empty bench; where there are too many, the one not used for longest goes."""
    made = Bench()
    with _guard:
        _benches[made.id] = made
        gone = [_benches.popitem(last=False)[1] for _ in range(len(_benches) - MOST_BENCHES)]
    for old in gone:
        old.close()
    return made


def warm_up() -> None:
    """Solve something small in the background: on a new machine the first plan waits for the solver's loops to be compiled."""

    def work() -> None:
        time.sleep(WARM_AFTER)
        x = torch.rand(64, 2, generator=torch.Generator().manual_seed(0))
        for rho in (1.0, math.inf):
            make_model(SOLVERS[PlanSpec().solver], {"rho1": rho, "rho2": rho}).plan(x, x + 1)

    threading.Thread(target=work, name="plans-warm-up", daemon=True).start()
