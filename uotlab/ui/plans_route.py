"""The route of the plans page's dials: new values in, the numbers of the newest plan out. The picture follows by itself."""

import asyncio
import json
import time
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from uotlab.ui.plans_bench import bench
from uotlab.ui.routes import HOLD_SECONDS, NO_STORE, Refused, answers, small_body

LOOK_SECONDS = 0.005  #: time between two looks for the answer
WORDS = {"inf": float("inf"), "Infinity": float("inf")}  #: JSON has no infinity


@answers
async def dial(request: Request) -> Response:
    """POST {"id": bench, "values": {"eps": 0.05, "rho1": "inf"}}: the answer to these values, or to newer ones.

    Where it takes long, the answer is an older one: its `ticket` is less than `asked`.
    """
    if request.method != "POST":
        raise Refused(405, "Dials are turned by POST only.")
    try:
        asked = json.loads(await small_body(request))
        name, values = str(asked["id"]), dict(asked["values"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(422, 'Send JSON such as {"id": "...", "values": {"eps": 0.05, "rho1": "inf"}}.') from None
    found = bench(name)
    if found is None or found.spec is None:
        raise Refused(404, "This page's plans are no longer in memory; open the page anew.")
    ticket = await to_thread.run_sync(found.turn, {k: _number(v) for k, v in values.items()})
    end = time.monotonic() + HOLD_SECONDS
    while not found.ready(ticket) and time.monotonic() < end:
        await asyncio.sleep(LOOK_SECONDS)
    answer = found.answer
    return JSONResponse({"asked": ticket, **(answer.json() if answer is not None else {})}, headers=NO_STORE)


def _number(value: Any) -> Any:
    return WORDS.get(value, value) if isinstance(value, str) else value


PLAN_ROUTES = [Route("/live/dial", dial, methods=["GET", "POST"])]  # a GET that is not ours would get the page itself
