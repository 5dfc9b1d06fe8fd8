"""What a number is called: its metric's title, and what more its name says."""

from uotlab.metrics.base import METRICS


def plain_name(name: str) -> str:
    """Names are the same whatever joins their words."""
    return " ".join(str(name).lower().replace("-", " ").replace("_", " ").split())


def owner_of(name: str) -> str | None:
    """The metric in the registry that a number belongs to, such as "w2" for "w2 floor"; None for losses."""
    begin = _beginning(name)
    return None if begin is None else begin[0]


def _beginning(name: str) -> tuple[str, str] | None:
    """The metric of a number, and the words that its name has in common with all of that metric."""
    known = [(key, words) for key, cls in METRICS.items() for words in (key, *cls.begins)]
    own = [(key, words) for key, words in known if f"{plain_name(name)} ".startswith(f"{plain_name(words)} ")]
    return max(own, key=lambda pair: len(pair[1]), default=None)


def title_of(name: str, *, unit: bool = False) -> str:
    """Such as "Map error, share" or "Acceptance of marginal 1"; a loss is its name in words. With `unit`, the unit of a main number."""
    found = _beginning(name)
    if found is None:
        return plain_name(name).capitalize()
    owner, words = found
    if words != owner:
        return f"{name[:1].upper()}{name[1:]}"
    more = plain_name(name).removeprefix(plain_name(owner)).strip()
    own = f" ({METRICS[owner].unit})" if unit and METRICS[owner].unit and not more else ""
    return f"{METRICS[owner].title}{more and (' ' if more.startswith('of ') else ', ') + more}{own}"
