"""POT, imported late and alone: by itself it would load every array library that is installed."""

import os
from functools import cache
from types import ModuleType

BACKENDS = ("JAX", "CUPY", "TENSORFLOW", "PYTORCH")


@cache
def pot() -> ModuleType:
    """The package `ot` for numpy arrays; takes about a second at the first call."""
    before = {}
    for backend in BACKENDS:
        name = f"POT_BACKEND_DISABLE_{backend}"
        before[name] = os.environ.get(name)
        os.environ[name] = "1"
    try:
        import ot
    finally:  # other code of the same process may want them
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return ot
