"""Ask a route as a browser would, in a thread of its own: a browser test before it may have left an event loop in this one."""

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

ORIGIN = {"origin": "http://127.0.0.1:8501"}


def ask(
    route: Callable[[Request], Any], *, method: str = "GET", query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, Any]]:
    """(status, JSON) of the route's answer."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    sent = {"host": "127.0.0.1:8501", **(headers or {})}
    scope = {
        "type": "http", "method": method, "path": "/", "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
    }  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asyncio.run, route(Request(scope, receive))).result()
    return answer.status_code, json.loads(answer.body)
