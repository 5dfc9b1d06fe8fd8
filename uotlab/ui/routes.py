"""Our own routes beside Streamlit's: newest frame, whole figure, control, plotly.js. They never block the event loop."""

import asyncio
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import plotly
import streamlit as st
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from uotlab.engine.job import Job
from uotlab.errors import InputError
from uotlab.ui.low_mass import low_mass
from uotlab.ui.sources import Source, Still, find, pulse, status
from uotlab.ui.wire import Picture, arrays_of, draw, figure_json, frame_bytes, views_of

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PLOTLY_URL = f"/live/plotly.min.js?v={plotly.__version__}"
HOLD_SECONDS = 20.0  #: a request for a newer frame waits at most this long
LOOK_SECONDS = 0.025  #: time between two looks for a newer frame: one attribute read each
SETTLED = 0.2  #: share of the steps before which a low mass says nothing yet
MOST_STEPS = 100_000_000
MOST_BYTES = 10_000  #: of a control request
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Refused(Exception):
    """A request that gets a status and a sentence instead of an answer."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


def answers(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Check where the request comes from, and turn what goes wrong into one sentence."""

    async def wrapped(request: Request) -> Response:
        try:
            check_sender(request)
            return await handler(request)
        except Refused as error:
            return JSONResponse({"error": error.sentence}, error.code, NO_STORE)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422, NO_STORE)

    return wrapped


def check_sender(request: Request) -> None:
    """Raises Refused for another site's page (Origin) or a name that only points here (Host)."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    try:
        name, sender = urlsplit(f"//{host}").hostname or "", urlsplit(origin or "").netloc
    except ValueError:
        raise Refused(403, "The Host or Origin header is no address. Open the app itself.") from None
    bound = st.get_option("server.address")
    if bound in LOOPBACK and name not in LOOPBACK | {st.get_option("browser.serverAddress")}:
        raise Refused(403, f"This server answers on {bound} only, not as '{name}'. Open it under its own address.")
    if origin is not None and sender != host:
        raise Refused(403, "Requests from pages of another site are refused. Open the app itself.")
    if request.method == "POST" and origin is None:
        raise Refused(403, "A control request needs an Origin header that names this server.")


async def source_of(request: Request) -> Source:
    """The job or held picture that the request names."""
    source = await to_thread.run_sync(find, request.query_params.get("job", ""))
    if source is None:
        raise Refused(404, "There is no run with this id here. It may have been deleted, or the link is incomplete; look under Runs.")
    return source


def _options(request: Request) -> dict[str, Any]:
    text = request.query_params.get("options", "{}")
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise Refused(422, 'options must be a JSON object such as {"arrows": true}.')
    return options


def _picture(source: Source, view: str, options: dict[str, Any]) -> tuple[dict[str, Any], Picture | None]:
    """The newest status and picture, taken together; no picture while there is nothing to draw."""
    snapshot = source.snapshot
    header = status(source) | {"pulse": pulse(source), "views": []}
    if snapshot is None:
        return header, None
    arrays = arrays_of(snapshot)
    header["views"] = views_of(arrays)
    if header["state"] == "running" and header["step"] >= SETTLED * header["steps_total"]:
        header["note"] = low_mass(header["metrics"].get("mass"))
    if view == "metrics" and snapshot.notes:  # beneath the curves: what their numbers cannot tell
        header["note"] = "\n".join([*filter(None, [header.get("note")]), *snapshot.notes.values()])
    try:
        return header, draw(view, arrays, options)
    except InputError as error:
        return header | {"note": str(error)}, None


@answers
async def frame(request: Request) -> Response:
    """Newest frame of a run for one view. `since` is the pulse already seen: the answer waits for a newer one, else 204.

    With another `signature` than the client's `have` the header says so, and the client asks for the figure.
    """
    source, query = await source_of(request), request.query_params
    view, options, since = query.get("view", ""), _options(request), query.get("since", "")
    watch(source)
    end = time.monotonic() + HOLD_SECONDS
    while since and pulse(source) == since:
        if time.monotonic() > end or await request.is_disconnected():
            return Response(status_code=204, headers=NO_STORE)
        await asyncio.sleep(LOOK_SECONDS)
        if isinstance(source, Still):  # a moving one is replaced as a whole
            source = find(source.id) or source

    def build() -> bytes:
        header, picture = _picture(source, view, options)
        if picture is None:
            return frame_bytes(header, None)
        header |= {"signature": picture.signature, "layout_id": picture.layout_id}
        if picture.signature != query.get("have"):
            return frame_bytes(header | {"stale": True}, None)
        if picture.layout_id != query.get("layout"):
            header["layout"] = picture.layout
        return frame_bytes(header, picture)

    body = await to_thread.run_sync(build)
    return Response(body, media_type="application/octet-stream", headers={**NO_STORE, "ETag": f'"{pulse(source)}"'})


@answers
async def figure(request: Request) -> Response:
    """The whole figure as JSON, with the status beside it: the first picture, and whenever the signature changes."""
    source, view, options = await source_of(request), request.query_params.get("view", ""), _options(request)
    watch(source)

    def build() -> bytes:
        header, picture = _picture(source, view, options)
        return json.dumps({**header, "figure": figure_json(picture) if picture else None}, allow_nan=False).encode()

    return Response(await to_thread.run_sync(build), media_type="application/json", headers=NO_STORE)


async def small_body(request: Request) -> bytes:
    """A small request body; Refused beyond MOST_BYTES, read no further than that."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refused(413, f"A control request has at most {MOST_BYTES} bytes.")
    return body


@answers
async def control(request: Request) -> Response:
    """POST {"job": id, "do": "pause" | "resume" | "step" | "stop" | "speed" | "extend", "value": number or null}."""
    if request.method != "POST":
        raise Refused(405, "Control is by POST only.")
    try:
        asked = json.loads(await small_body(request))
        name, do, value = asked["job"], asked["do"], asked.get("value")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(422, 'Send JSON such as {"job": "...", "do": "pause"}.') from None
    source = await to_thread.run_sync(find, str(name))
    if not isinstance(source, Job):
        raise Refused(404, "There is no run with this id here; look under Runs.")
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if do == "speed":
        if value is not None and (number is None or not 0 < number <= 1e6):
            raise Refused(422, f"value of speed is steps a second in (0, 1000000], or null for full speed; it is {value!r}.")
        source.set_speed(number)
    elif do == "extend":
        if number is None or not math.isfinite(number) or number != int(number) or not 1 <= number <= MOST_STEPS:
            raise Refused(422, f"value of extend is a whole number of steps from 1 to {MOST_STEPS}; it is {value!r}.")
        source.extend(int(number))
    elif do in ("pause", "resume", "step", "stop"):
        {"pause": source.pause, "resume": source.resume, "step": source.step_once, "stop": source.stop}[do]()
    else:
        raise Refused(422, f"do must be one of pause, resume, step, stop, speed, extend; it is {do!r}.")
    return JSONResponse(status(source), headers=NO_STORE)


@answers
async def plotly_js(request: Request) -> Response:
    """plotly.js of the installed package; its version is in the address, so browsers may keep it for good."""
    return FileResponse(PLOTLY_JS, media_type="text/javascript", headers={"Cache-Control": "public, max-age=31536000, immutable"})


def watch(source: Source) -> None:
    """Tell the engine that someone looks: frames then come at full rate."""
    if isinstance(source, Job):
        source.touch()


ROUTES = [
    Route("/live/frame", frame, methods=["GET"]),
    Route("/live/figure", figure, methods=["GET"]),
    Route("/live/control", control, methods=["GET", "POST"]),  # a GET that is not ours would get the page itself
    Route("/live/plotly.min.js", plotly_js, methods=["GET"]),
]
