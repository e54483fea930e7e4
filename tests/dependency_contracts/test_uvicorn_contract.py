"""What `thresher.serving.http.uvicorn_protocol` relies on in uvicorn, beside what its own tests show by requests."""

from __future__ import annotations

import inspect

import pytest
import uvicorn.config
from helpers.contract import relied_on
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

PROTOCOL = "src/thresher/serving/http/uvicorn_protocol.py"
OVERRIDDEN = (
    "connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing", "shutdown",
    "on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete",
    "on_response_complete", "_start_asgi_task",
)  # fmt: skip
CALLED = ("_unset_keepalive_if_required",)
READ = ("url", "headers", "pipeline", "cycle", "parser", "flow", "transport", "scope", "expect_100_continue")
OF_A_CYCLE = ("disconnected", "message_event", "response_complete", "response_started", "scope")


@pytest.mark.parametrize("name", [*OVERRIDDEN, *CALLED])
def test_the_protocol_has_the_methods_that_ours_overrides_or_calls(name: str) -> None:
    with relied_on("uvicorn", f"HttpToolsProtocol has the method {name}", PROTOCOL):
        assert callable(getattr(HttpToolsProtocol, name))


@pytest.mark.parametrize(("kind", "names"), [(HttpToolsProtocol, READ), (RequestResponseCycle, OF_A_CYCLE)])
def test_protocol_and_cycle_keep_what_ours_reads(kind: type, names: tuple[str, ...]) -> None:
    source = inspect.getsource(kind)
    with relied_on("uvicorn", f"{kind.__name__} keeps {', '.join(names)}", PROTOCOL):
        assert not [name for name in names if f"self.{name}" not in source]


def test_the_constants_that_ours_takes() -> None:
    with relied_on("uvicorn", "STATUS_LINE has the first line of each answer, by its status, as bytes", PROTOCOL):
        assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    with relied_on("uvicorn", "reading is paused where a body is longer than HIGH_WATER_LIMIT", PROTOCOL):
        assert HIGH_WATER_LIMIT == 65536
    with relied_on("uvicorn", "HTTP_PROTOCOLS says by 'auto' which protocol a server takes", PROTOCOL):
        assert "auto" in uvicorn.config.HTTP_PROTOCOLS
