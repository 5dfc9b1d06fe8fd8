"""Options of the methods that train by a game, all off unless asked for; what each is worth is in benchmarks/quality.md.

How the players step (`nets/optimistic.py`), batches that grow late, and more steps of the opponent (potential or critic) early. The two
schedules are functions of the step alone, so that a run that is stopped goes on exactly.
"""

from pydantic import Field

from uotlab.methods.base import Method
from uotlab.nets.optimistic import Dynamics


def early(step: int, until: int, first: int, then: int) -> int:
    """`first` before step `until`, `then` from it on; `then` always where `first` is 0."""
    return first if first and step < until else then


class GameOptions(Method):
    """The fields and what they come to at a step; put it before `Method` among the bases."""

    dynamics: Dynamics = Field(
        "plain", description="How both players step: Adam's own way (plain), optimistic, or extragradient (two turns make one step)"
    )
    opponent_steps_early: int = Field(
        0, ge=0, le=50, description="Steps of the potential or critic for each turn before `early_until`; 0 takes as many as later"
    )
    early_until: int = Field(200, ge=0, description="Step up to which `opponent_steps_early` counts")
    batch_size_late: int = Field(
        0, ge=0, le=65536, description="Points a side in each step from `batch_late_from` on; 0 keeps the batch size"
    )
    batch_late_from: int = Field(1000, ge=0, description="Step from which `batch_size_late` counts")

    def points(self, step: int) -> int:
        """`batch_size`, or `batch_size_late` from `batch_late_from` on."""
        return early(step, self.batch_late_from, self.batch_size, self.batch_size_late or self.batch_size)

    def opponent_steps(self, step: int, usual: int) -> int:
        """Steps of the potential or critic in the turn at `step`."""
        return early(step, self.early_until, self.opponent_steps_early, usual)
