"""Results that take their time: computed once for each key in a background thread, and looked at by pages until they are there.

They run one after the other in one of three lanes, at a lower priority than training, so that short ones need not wait for long ones.
Whoever waits may cancel.
"""

import atexit
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from uotlab.engine.background import Background
from uotlab.errors import InputError
from uotlab.ui.plain import plain

KEPT = 64  #: results
LOOK_SECONDS = 1.0  #: between two looks at a result under way

Progress = Callable[[str, float], None]
Lane = Literal["quick", "long", "maps"]


class Cancelled(Exception):
    """Raised in a computation that nobody wants any more, where it tells how far it is."""


@dataclass(eq=False)
class Later:
    """A result under way, or there: `result` once `done`, or `error`, a sentence. `partial` is what there is of it so far."""

    words: str
    result: Any = None
    partial: Any = None
    error: str = ""
    done: bool = False
    cancelled: bool = False
    share: float = 0.0
    asked: float = field(default_factory=time.monotonic)
    started: float | None = None

    def __call__(self, words: str, share: float) -> None:
        """Told by the computation: what it does now, and the share that is done.

        Raises:
            Cancelled: it is not wanted any more.
        """
        if self.cancelled:
            raise Cancelled
        self.words, self.share = words, min(max(share, 0.0), 1.0)

    def cancel(self) -> None:
        """End it the next time it tells how far it is; `partial` stays."""
        self.cancelled = True

    @property
    def eta(self) -> float | None:
        """Seconds that are left, or None while that cannot be told."""
        if self.started is None or not 0.02 <= self.share < 1:
            return None
        return (time.monotonic() - self.started) * (1 - self.share) / self.share


# threads of their own, not the engine's: a person who asks should not wait for scores that nobody asked for
_workers = {lane: Background() for lane in ("quick", "long", "maps")}
for _worker in _workers.values():
    atexit.register(_worker.end)
_known: "OrderedDict[Hashable, Later]" = OrderedDict()
_lock = threading.Lock()


def later(key: Hashable, make: Callable[[Later], Any], words: str, lane: Lane = "quick") -> Later:
    """The result of `make` under `key`: known, under way, or begun now. `forget` what failed to try it again.

    Args:
        make: is given the result, calls it now and then to say how far it is, and may set its `partial`.
        words: what is done, till `make` says more.
        lane: which thread does it: "long" for minutes rather than seconds, "maps" for what only improves a picture.
    """
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
            found(words, 0.0)
            found.result = make(found)
        except Cancelled:
            pass
        except InputError as error:
            found.error = str(error)
        except Exception as error:
            found.error = f"{found.words} failed ({type(error).__name__}: {error})."
        found.done = True

    _workers[lane].submit(work)
    return found


def known(key: Hashable) -> Later | None:
    """The result under `key`, if it was ever asked for."""
    with _lock:
        return _known.get(key)


def forget(key: Hashable) -> None:
    """Compute it anew when it is asked for the next time."""
    with _lock:
        _known.pop(key, None)


def shown(found: Later, cancel: str = "") -> Any:
    """The result, or None while the page says how far it is, or what went wrong. `cancel` is the key of a button to end it."""
    if not found.done:
        seconds = "" if found.eta is None else f", about {duration(found.eta)} left"
        waiting = "" if found.started is not None else " (waiting for another computation)"
        with st.container(horizontal=True, vertical_alignment="center", key=f"{cancel}-waiting" if cancel else None):
            st.progress(found.share, text=plain("Ending" if found.cancelled else f"{found.words}{waiting}{seconds}"))
            if cancel:
                st.button("Cancel", key=cancel, icon=":material/close:", on_click=found.cancel, disabled=found.cancelled)
        return None
    if found.error:
        st.error(plain(found.error), icon=":material/error:")
        return None
    return found.result


def duration(seconds: float) -> str:
    """A time in words, as short as it may be: "40 s", "3 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
