"""The live page: frames per second in headless Chromium, time to the first content and movement, and what watching costs training.

    python benchmarks/live.py [polling scoring page] [--seconds 10] [--method uotm]

1. polling: training steps/s of a job while a client polls its frames over HTTP as the page does (no browser), against nobody watching.
2. scoring: steps/s of the same job in windows of half a second, in turns with and without the background thread scoring without a pause,
   unwatched and watched. A run is scored at most a tenth of the time, so that a tenth of the difference is what it costs.
3. page: opens the app on a fresh server, presses Play, counts the frames drawn with 1000 and with 10000 points a side moving.

Wanted: first content within 3 s, movement within 3 s of Play, 8 frames/s at 1000 points and 5 at 10000, and at least 80% of the steps/s.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def served(store: str) -> tuple[subprocess.Popen, str]:
    """A server of our own on a free port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "UOTLAB_STORE": store}, stdout=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{base}/_stcore/health", timeout=1)
            return process, base
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def page(method: str, seconds: float) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as store, sync_playwright() as p:
        server, base = served(store)
        try:
            browser = p.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=CHROMIUM)
            for points in (1000, 10_000):
                tab = browser.new_page(viewport={"width": 1280, "height": 860})
                start = time.perf_counter()
                tab.goto(f"{base}/?method={method}&n={max(points, 4000)}")
                play = tab.locator(".st-key-play button")
                play.wait_for(timeout=60_000)
                opened = time.perf_counter() - start
                tab.wait_for_function("window.__uotlab && window.__uotlab.frames > 0", timeout=60_000)
                if points > 1000:
                    tab.locator(".st-key-shown").click()
                    tab.get_by_role("option", name=f"{points:,} points").click()
                    tab.wait_for_timeout(1000)
                before, start = tab.evaluate("window.__uotlab.frames"), time.perf_counter()
                play.click()
                tab.wait_for_function(f"window.__uotlab.frames > {before} + 1", timeout=60_000)
                moved = time.perf_counter() - start
                tab.wait_for_timeout(3000)
                before, start = tab.evaluate("window.__uotlab.frames"), time.perf_counter()
                tab.wait_for_timeout(1000 * seconds)
                rate = (tab.evaluate("window.__uotlab.frames") - before) / (time.perf_counter() - start)
                print(
                    f"{points} points a side: Play there {opened:.1f} s after opening, moving {moved:.1f} s after Play, {rate:.1f} frames/s"
                )
                tab.get_by_role("button", name="Stop").first.click()
                tab.wait_for_timeout(1000)
                tab.close()
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


def serving() -> tuple[Any, int]:
    """The routes of live pictures on a free port, in this process: the server, to be told to exit, and its port."""
    import uvicorn
    from starlette.applications import Starlette

    from uotlab.ui.routes import ROUTES

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=ROUTES), port=port, log_config=None, log_level="warning", access_log=False))
    threading.Thread(target=server.run, daemon=True).start()
    return server, port


def scoring(method: str, seconds: float) -> None:

    import uotlab
    from uotlab.engine.background import background
    from uotlab.engine.begin import begin
    from uotlab.engine.follower import SLOW_POINTS, SLOW_REFERENCE
    from uotlab.engine.references import find
    from uotlab.engine.runner import engine, warm_up
    from uotlab.engine.scoring import evaluation, fresh_draws
    from uotlab.metrics.base import evaluate

    warm_up()
    spec = uotlab.RunSpec(method=method, steps=10_000_000)
    run = begin(spec)
    for _ in range(50):
        run.method.step(run.state)
    request = find(run.method, run.state, run.problem)
    drawn = fresh_draws(run.problem, SLOW_POINTS, 1)
    e = evaluation(run.method, run.state, drawn, request=request, most=SLOW_REFERENCE)
    server, port = serving()
    job = engine().submit(spec, owner="benchmark")
    while job.snapshot is None or background().busy:  # its own reference is computed first
        time.sleep(0.05)
    on, ending, watching, times = threading.Event(), threading.Event(), threading.Event(), []

    def score() -> None:
        start = time.perf_counter()
        evaluate(e, "slow")
        times.append(time.perf_counter() - start)
        if on.is_set():
            background().submit(score)

    def watch() -> None:
        since = ""
        while not ending.is_set():
            if not watching.wait(0.2):
                continue
            query = urllib.parse.urlencode({"job": job.id, "view": "map", "since": since})
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/live/frame?{query}", timeout=30) as answer:
                since, _ = answer.headers["ETag"].strip('"'), answer.read()
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    for watched in (False, True):
        watching.set() if watched else watching.clear()
        ratios: list[float] = []
        begun = time.perf_counter()
        while time.perf_counter() - begun < 3 * seconds:
            rates = []
            for scored in (False, True):
                if scored:
                    on.set()
                    background().submit(score)
                step, start = job.step, time.perf_counter()
                time.sleep(0.5)
                rates.append((job.step - step) / (time.perf_counter() - start))
                on.clear()
                background().wait(30)
            ratios.append(rates[1] / rates[0])
        quarter = statistics.quantiles(ratios, n=4)
        kept = statistics.median(ratios)
        print(
            f"{method}, {'watched' if watched else 'unwatched'}: scoring without a pause keeps {kept:.0%} of the steps/s (quartiles "
            f"{quarter[0]:.0%}, {quarter[2]:.0%}, {len(ratios)} pairs), scoring a tenth of the time {0.9 + 0.1 * kept:.1%}; "
            f"one score takes {statistics.median(times):.2f} s"
        )
    ending.set()
    job.stop()
    job.wait(10)
    server.should_exit = True


def polling(method: str, seconds: float, rounds: int = 3) -> None:
    import uotlab
    from uotlab.engine.runner import engine, warm_up

    warm_up()
    server, port = serving()
    ratios = []
    for _ in range(rounds):
        job = engine().submit(uotlab.RunSpec(method=method, steps=10_000_000), owner="benchmark")
        while job.snapshot is None:
            time.sleep(0.05)
        rates, frames = [], 0
        for watched in (False, True):
            time.sleep(2)
            begin, start, since = job.step, time.perf_counter(), ""
            while time.perf_counter() - start < seconds:
                if not watched:
                    time.sleep(0.1)
                    continue
                query = urllib.parse.urlencode({"job": job.id, "view": "map", "since": since})
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/live/frame?{query}", timeout=30) as answer:
                    since, body = answer.headers["ETag"].strip('"'), answer.read()
                frames += bool(body)
            rates.append((job.step - begin) / (time.perf_counter() - start))
        ratios.append(rates[1] / rates[0])
        print(f"{method}: {rates[0]:.0f} steps/s unwatched, {rates[1]:.0f} watched at {frames / seconds:.1f} frames/s")
        job.stop()
        job.wait(10)
    server.should_exit = True
    print(f"watched training keeps {statistics.median(ratios):.0%} of its steps/s (median of {rounds})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["polling", "scoring", "page"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--method", default="uotm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        os.environ["UOTLAB_STORE"] = store
        for name, part in (("polling", polling), ("scoring", scoring)):
            if name in options.parts:
                part(options.method, options.seconds)
    if "page" in options.parts:
        page(options.method, options.seconds)


if __name__ == "__main__":
    main()
