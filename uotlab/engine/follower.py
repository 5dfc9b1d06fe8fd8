"""Follows the metrics of a run while it trains: the cheap ones about once a second, the others in the background, seconds apart.

The training thread only asks the method for its answers; what is computed from them in more than a few milliseconds is the background's.
"""

import time
from functools import cached_property
from typing import Any

import torch

from uotlab.costs import make_cost
from uotlab.engine.background import background
from uotlab.engine.references import Request
from uotlab.engine.scoring import evaluation, fresh_draws, held_draws
from uotlab.methods.base import Method, State
from uotlab.metrics.base import Answers, Evaluation, Scores, evaluate
from uotlab.metrics.reference import Question, discrete
from uotlab.penalty import Penalty
from uotlab.problem import Problem

POINTS, SECONDS, SHARE = 1000, 1.0, 0.02  #: of the cheap metrics: points a side, least time between, most of the training thread's time
# of the others: points a side, most of the reference's, least seconds between two, and the most of the background thread's time
SLOW_POINTS, SLOW_REFERENCE, SLOW_SECONDS, SLOW_SHARE = 1000, 2000, 10.0, 0.1
SLOW_ASKING = 0.01  #: most of the training thread's time that asking for the others' answers may take


class Follower:
    """Belongs to the thread that trains. Without a `request` of a reference only the cheap metrics are followed."""

    def __init__(self, method: Method, state: State, problem: Problem, request: Request | None = None) -> None:
        self.method, self.state, self.problem, self.request = method, state, problem, request
        self._live, self._slow = Scores(), Scores()
        self._due = 0.0
        self._slow_due = time.perf_counter() + SLOW_SECONDS / 2

    def scores(self, *, still: bool = False) -> Scores:
        """The newest numbers and notes."""
        now = time.perf_counter()
        if still or now >= self._due:
            e = evaluation(self.method, self.state, self._points, path=False, request=self.request, most=POINTS)
            self._live = evaluate(e, "live")
            end = time.perf_counter()
            self._due = end + max(SECONDS, (end - now) / SHARE)
        elif self.request is not None and now >= self._slow_due and not background().busy:
            e = evaluation(self.method, self.state, self._slow_points, request=self.request, most=SLOW_REFERENCE)
            self._slow_due = now + max(SLOW_SECONDS, (time.perf_counter() - now) / SLOW_ASKING)
            background().submit(lambda: self._score(e))
        found = Scores()
        for scores in (self._slow, self._live):
            found.take(scores)
        return found

    def _score(self, e: Evaluation) -> None:
        start = time.perf_counter()
        self._slow = evaluate(e, "slow")
        end = time.perf_counter()
        self._slow_due = max(self._slow_due, end + (end - start) / SLOW_SHARE)

    @cached_property
    def _points(self) -> Any:
        return held_draws(self.problem, POINTS, seed=0)

    @cached_property
    def _slow_points(self) -> Any:
        draw = fresh_draws if self.problem.samplable else held_draws
        return draw(self.problem, SLOW_POINTS, seed=1)


def score_something() -> None:
    """Score a tiny problem: what is imported and compiled for it then does not hold up a training thread, which shares Python's lock."""
    x = torch.randn(128, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, a = x.flip(0) + 1, torch.full((128,), 1 / 128, dtype=torch.float64)
    cost, penalty = make_cost(None).calibrated(x, y), Penalty(1.0, 1.0)
    best = discrete(Question(x, y, a, a, cost, ("kl", "kl"), penalty))
    xi = best.xi.float().clamp(min=0.5)
    answers = Answers(best.Tx, xi, xi, xi, xi)
    evaluate(Evaluation(best.x, best.y, best.Tx, xi, xi, (1.0, 1.0), cost, penalty, reference=best, answers=answers))
