"""Results that take their time: computed once for each key in a background thread, and looked at by pages until they are there.

They run one after the other, at a lower priority than training.
"""

import atexit
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from uotlab.engine.background import Background
from uotlab.errors import InputError
from uotlab.ui.plain import plain

KEPT = 64  #: results
LOOK_SECONDS = 1.0  #: between two looks at a result under way

Progress = Callable[[str, float], None]


@dataclass(eq=False)
class Later:
    """A result under way, or there: `result` once `done`, or `error`, a sentence."""

    words: str
    result: Any = None
    error: str = ""
    done: bool = False
    share: float = 0.0
    asked: float = field(default_factory=time.monotonic)
    started: float | None = None

    def progress(self, words: str, share: float) -> None:
        """Told by the computation: what it does now, and the share that is done."""
        self.words, self.share = words, min(max(share, 0.0), 1.0)

    @property
    def eta(self) -> float | None:
        """Seconds that are left, or None while that cannot be told."""
        if self.started is None or self.share < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.share) / self.share


_worker = Background()  # not the engine's: a person who asks should not wait for scores that nobody asked for
atexit.register(_worker.end)
_known: "OrderedDict[Hashable, Later]" = OrderedDict()
_lock = threading.Lock()


def later(key: Hashable, make: Callable[[Progress], Any], words: str) -> Later:
    """The result of `make` under `key`: known, under way, or begun now. What failed is tried again when it is asked for anew."""
    with _lock:
        found = _known.get(key)
        if found is not None:
            _known.move_to_end(key)
            return found
        found = _known[key] = Later(words)
        while len(_known) > KEPT:
            _known.popitem(last=False)

    def work() -> None:
        found.started = time.monotonic()
        try:
            found.result = make(found.progress)
        except InputError as error:
            found.error = str(error)
        except Exception as error:
            found.error = f"{found.words} failed ({type(error).__name__}: {error})."
        found.done = True

    _worker.submit(work)
    return found


def known(key: Hashable) -> Later | None:
    """The result under `key`, if it was ever asked for."""
    with _lock:
        return _known.get(key)


def forget(key: Hashable) -> None:
    """Compute it anew when it is asked for the next time."""
    with _lock:
        _known.pop(key, None)


def shown(found: Later) -> Any:
    """The result, or None while the page says how far it is, or what went wrong."""
    if not found.done:
        seconds = "" if found.eta is None else f", about {max(1, round(found.eta))} s left"
        waiting = "" if found.started is not None else " (waiting for another computation)"
        st.progress(found.share, text=plain(f"{found.words}{waiting}{seconds}"))
        return None
    if found.error:
        st.error(plain(found.error), icon=":material/error:")
        return None
    return found.result
