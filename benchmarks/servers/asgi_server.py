"""The least that ASGI can do: one route under uvicorn, ONNX Runtime called for each request, raw bytes both ways."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import uvicorn
from in_process import open_model

session, name = open_model(sys.argv[1])
HEADERS = [(b"content-type", b"application/octet-stream")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer the probabilities' bytes."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = session.run(None, {name: np.frombuffer(body, np.uint8).reshape(1, 1, 28, 28)})[0].tobytes()
    headers = [*HEADERS, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False, lifespan="off")
