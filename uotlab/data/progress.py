"""Long preparations of data say how far they are, to whoever listens in the same thread: a page, a run, a command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, float], object]  #: what is being done, and the fraction done in [0, 1]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of all preparations inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(what: str, done: float) -> None:
    """A preparation is so far; nothing happens where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done)
