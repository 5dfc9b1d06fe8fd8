"""What a number is called: its metric's title, and what more its name says."""

from uotlab.metrics.base import METRICS


def plain_name(name: str) -> str:
    """Names are the same whatever joins their words."""
    return " ".join(str(name).lower().replace("-", " ").replace("_", " ").split())


def owner_of(name: str) -> str | None:
    """The metric in the registry that a number belongs to, such as "w2" for "w2 floor"; None for losses."""
    own = [key for key in METRICS if plain_name(name) == plain_name(key) or plain_name(name).startswith(plain_name(key) + " ")]
    return max(own, key=len, default=None)


def title_of(name: str, *, unit: bool = False) -> str:
    """Such as "Map error" or "Map error, share"; a loss is its name in words. With `unit`, the unit of a metric's main number."""
    owner = owner_of(name)
    if owner is None:
        return plain_name(name).capitalize()
    more = plain_name(name).removeprefix(plain_name(owner)).strip()
    own = f" ({METRICS[owner].unit})" if unit and METRICS[owner].unit and not more else ""
    return f"{METRICS[owner].title}{', ' + more if more else ''}{own}"
