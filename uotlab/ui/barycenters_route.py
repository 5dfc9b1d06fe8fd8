"""The route of a task of the page of barycenters: how far it is, and its end on request. Looking keeps the task alive."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from uotlab.ui.barycenters_work import find
from uotlab.ui.routes import NO_STORE, Refused, answers, small_body
from uotlab.ui.sources import finite


@answers
async def task(request: Request) -> Response:
    """GET ?id=...: {"state", "label", "share", "eta", "finished", "cells"}; POST {"id": ..., "do": "cancel"} ends it first."""
    if request.method == "POST":
        try:
            asked = json.loads(await small_body(request))
            name, do = str(asked["id"]), asked["do"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Refused(422, 'Send JSON such as {"id": "...", "do": "cancel"}.') from None
        if do != "cancel":
            raise Refused(422, f"do must be cancel; it is {do!r}.")
    else:
        name, do = request.query_params.get("id", ""), None
    found = find(name)
    if found is None:
        raise Refused(404, "This computation is no longer in memory; change a setting to begin anew.")
    if do:
        found.cancel()
    found.look()
    return JSONResponse(
        {
            "state": found.state, "label": found.label, "share": found.progress, "eta": finite(found.eta),
            "finished": found.finished, "cells": len(found.cells),
        },
        headers=NO_STORE,
    )  # fmt: skip


TASK_ROUTES = [Route("/live/task", task, methods=["GET", "POST"])]  # a GET that is not ours would get the page itself
