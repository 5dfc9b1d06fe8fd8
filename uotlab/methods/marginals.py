"""What a method of several marginals is told of each: weights as text, and penalties of the third to the fifth."""

from typing import Any, Literal

from pydantic import Field

from uotlab.errors import InputError, short

MOST = 5  #: marginals


def weights_from_text(text: str) -> list[float]:
    """Positive numbers with commas between, divided by their sum; none is an empty list.

    Raises:
        InputError: not of that form.
    """
    if not text.strip():
        return []
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not 2 <= len(values) <= MOST or not all(0 < v < 1e6 for v in values):
        raise InputError(
            f"weights must be 2 to {MOST} positive numbers with commas between, such as 0.5,0.3,0.2; they are '{short(text)}'."
        )
    return [v / sum(values) for v in values]


def further(kind: Literal["divergence", "rho", "tau"]) -> Any:
    """The field of a further marginal; None is what the second has."""
    text = {
        "divergence": "Divergence of this marginal; empty is marginal 2's",
        "rho": "Weight of this marginal's divergence in units of the mean cost; empty is marginal 2's",
        "tau": "τ of this marginal in the paper's convention, instead of its rho",
    }[kind]
    return Field(None, description=text) if kind == "divergence" else Field(None, gt=0, description=text)
