"""A real server on a free port with its own store, and a real browser. Other browser tests share these fixtures."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from uotlab.paths import ROOT

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  #: ms; the machine may be busy
OFFLINE = ("net::ERR_NAME_NOT_RESOLVED", "net::ERR_INTERNET_DISCONNECTED", "net::ERR_CONNECTION_REFUSED")


def start_server(folder: Path) -> tuple[subprocess.Popen, str]:
    """`streamlit run app.py` as a person would, on a free port; returns the process and the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "UOTLAB_STORE": str(folder / "store")}
    words = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return process, address
        except OSError:
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
    process.terminate()
    pytest.fail(f"the server did not start:\n{(folder / 'server.log').read_text()}")


def end_server(process: subprocess.Popen) -> None:
    """End the one process that was started."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[str]:
    """Address of one server for all browser tests."""
    process, address = start_server(tmp_path_factory.mktemp("server"))
    yield address
    end_server(process)


@pytest.fixture
def fresh_server(tmp_path: Path, chromium: str) -> Iterator[Callable[[], str]]:
    """Starts a server that nobody has opened yet."""
    started: list[subprocess.Popen] = []

    def start() -> str:
        process, address = start_server(tmp_path / f"server{len(started)}")
        started.append(process)
        return address

    yield start
    for process in started:
        end_server(process)


def _expected(message: Any) -> bool:
    """Streamlit asks other hosts for news, below a page's address for what lies at the root, and lets go of a left page's pictures."""
    url, text = message.location.get("url", ""), message.text
    left = ("404" in text and "/media/" in url) or ("Image source error" in text and "/media/" in text)  # the same, told twice
    return any(words in text for words in OFFLINE) or "/_stcore/" in url or left


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh window; at the end of the test nothing may have gone wrong in its console."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" and not _expected(message) else None)
    opened.wrong = wrong
    yield opened
    context.close()
    assert not wrong, wrong
