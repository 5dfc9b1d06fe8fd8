"""What every test shares: an own store, one torch thread, seeded generators, and Chromium where there is one."""

import os
import shutil
import tempfile
from pathlib import Path

# before uotlab is imported anywhere: no test may touch a person's own runs
_STORE = Path(tempfile.mkdtemp(prefix="uotlab-test-store-"))
os.environ["UOTLAB_STORE"] = str(_STORE)
for _name in ("UOTLAB_SHARED", "UOTLAB_DATABASE_URL", "UOTLAB_SCHEDULER"):
    os.environ.pop(_name, None)

import hypothesis
import pytest
import torch

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

hypothesis.settings.register_profile("uotlab", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "uotlab")


def pytest_configure() -> None:
    # as many threads as cores make small nets slower, and two test processes share the cores
    torch.set_num_threads(1)


def pytest_sessionfinish() -> None:
    shutil.rmtree(_STORE, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium to drive. Without one the test skips, or fails under UOTLAB_REQUIRE_BROWSER=1."""
    found = next(filter(None, map(shutil.which, (os.environ.get("UOTLAB_CHROMIUM", ""), *CHROMIUM))), None)
    if found is not None:
        return found
    reason = "no Chromium on this machine (Debian, Ubuntu: apt install chromium), or name one in UOTLAB_CHROMIUM"
    if os.environ.get("UOTLAB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"UOTLAB_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of this test's own."""
    path = tmp_path / "store"
    monkeypatch.setenv("UOTLAB_STORE", str(path))
    return path
