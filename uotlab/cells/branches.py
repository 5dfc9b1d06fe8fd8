"""Branches: which cell types may become which, to begin with and as a person edits them.

References: eyring2024unbalancedness, Appendix F.5.4; bastidas2019comprehensive.
"""

from collections.abc import Mapping, Sequence

from uotlab.cells.growth import groups
from uotlab.cells.study import Study
from uotlab.errors import InputError, did_you_mean, short

Branches = Mapping[str, Mapping[str, Sequence[str]]]
SAME = "same type"  #: the branch of a study of which nothing is known
_ENDOCRINE = ("Alpha", "Beta", "Delta", "Epsilon")
PANCREAS: Branches = {
    "EB": {
        "Fev+": _ENDOCRINE,
        **{f"Fev+ {kind}": (kind,) for kind in _ENDOCRINE},
        **{kind: (kind,) for kind in _ENDOCRINE},
    },
    "Ngn3 EP": dict.fromkeys(("Ngn3 EP", "Ngn3 high early", "Ngn3 high late", "Ngn3 high EP"), _ENDOCRINE),
    "NEB": {"Ductal": ("Ductal",), "Tip": ("Acinar",), "Acinar": ("Acinar",)},
}  #: of the paper, under its own names and under those of the simulator


def branches_of(study: Study, key: str | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    """Branches to begin with: the paper's where these types occur, else the known truth, else each type to itself."""
    source, target = (set(groups(study, key, side)) for side in ("source", "target"))
    found = _present(PANCREAS, source, target)
    if {"EB", "NEB"} <= found.keys():
        return found
    truth = study.truth.get("transition")
    if truth:
        return _present({kind: {kind: tuple(to)} for kind, to in truth.items()}, source, target)
    return {SAME: {kind: (kind,) for kind in sorted(source & target)}}


def _present(branches: Branches, source: set[str], target: set[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """What of the branches the study's types know; capital letters make no difference."""
    before, after = ({name.casefold(): name for name in side} for side in (source, target))
    found = {}
    for branch, table in branches.items():
        kept = {
            before[kind.casefold()]: tuple(after[t.casefold()] for t in to if t.casefold() in after)
            for kind, to in table.items()
            if kind.casefold() in before
        }
        kept = {kind: to for kind, to in kept.items() if to}
        if kept:
            found[branch] = kept
    return found


def check_branches(branches: Branches, ends: Sequence[str], source: set[str], target: set[str]) -> None:
    """Whether every branch speaks of types that are there.

    Raises:
        InputError: no branch, an unknown type, or an allowed type that is not among the ends.
    """
    if not any(branches.values()):
        raise InputError("No branch is given. Name at least one source type with the target types that it may become.")
    for table in branches.values():
        for kind, allowed in table.items():
            if kind not in source:
                raise InputError(f"No source cell has the type '{short(kind)}'. {did_you_mean(kind, sorted(source))}")
            if not allowed:
                raise InputError(f"The type '{short(kind)}' may become nothing. Name at least one target type for it.")
            for to in allowed:
                if to not in ends:
                    raise InputError(f"'{short(kind)}' may become '{short(to)}', which is no terminal type. Add it to the terminal ones.")
    for to in ends:
        if to not in target:
            raise InputError(f"No target cell has the type '{short(to)}'. {did_you_mean(to, sorted(target))}")
