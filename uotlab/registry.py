"""Registries: a decorator puts a class in, a look-up discovers every one-file plug-in of its packages."""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from uotlab.errors import UnknownName, did_you_mean, short

T = TypeVar("T", bound=type)


def _plain(name: str) -> str:
    return str(name).lower().replace("-", "").replace("_", "").strip()


class Registry(Generic[T]):
    """Named classes that can be made without arguments.

    Iterating gives the names, `registry[name]` the class; look-ups ignore case, hyphens and underscores.
    The modules of `packages` are imported at the first look-up, so a new file there is all a plug-in needs. A package may lie in
    a layer above the registry's own: it is known by name only.
    """

    def __init__(self, kind: str, *packages: str) -> None:
        self.kind = kind
        self.packages = packages
        self._classes: dict[str, T] = {}
        self._discovered = self._discovering = False
        self._lock = threading.RLock()  # a second thread waits until the first has found them all

    def register(self, name: str) -> Callable[[T], T]:
        """Class decorator: file the class under `name` (lower case, hyphens) and set its `name` attribute."""

        def put(cls: T) -> T:
            held = self._classes.get(name)
            if held is not None and held.__qualname__ != cls.__qualname__:
                raise ValueError(f"{self.kind} name '{name}' is taken by {held.__qualname__}; choose another")
            cls.name = name  # type: ignore[attr-defined]
            self._classes[name] = cls
            return cls

        return put

    def __getitem__(self, name: str) -> T:
        self._discover()
        for key, cls in self._classes.items():
            if _plain(key) == _plain(name):
                return cls
        raise UnknownName(f"There is no {self.kind} named '{short(name)}'. {did_you_mean(str(name), self._classes)}")

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._classes, key=lambda k: (getattr(self._classes[k], "order", 100), k)))

    def __len__(self) -> int:
        self._discover()
        return len(self._classes)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return any(_plain(key) == _plain(str(name)) for key in self._classes)

    def __repr__(self) -> str:
        return f"<{self.kind} registry: {', '.join(self)}>"

    def keys(self) -> list[str]:
        return list(self)

    def items(self) -> list[tuple[str, T]]:
        return [(name, self._classes[name]) for name in self]

    def _discover(self) -> None:
        if self._discovered:
            return
        with self._lock:
            if self._discovered or self._discovering:
                return
            self._discovering = True  # the modules may look things up while they are imported
            try:
                for name in self.packages:
                    for module in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", [])):
                        importlib.import_module(f"{name}.{module.name}")
                self._discovered = True
            finally:
                self._discovering = False
