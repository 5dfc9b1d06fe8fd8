"""What a low transported mass means, said in one sentence wherever it is seen."""

LOW_MASS = 0.5  #: share of the source's mass below which it is said


def low_mass(mass: float | None, remedy: str = "Move ρ to the right to carry more.") -> str:
    """The sentence for a transported share of the source's mass; empty where it is not low or not known."""
    if mass is None or not mass < LOW_MASS:
        return ""
    return f"Only {mass:.0%} of the source's mass is carried over: with this ρ it is cheaper to let mass go than to move it. {remedy}"
