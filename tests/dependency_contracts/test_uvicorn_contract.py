"""What `thresher.serving.http.uvicorn_protocol` relies on in uvicorn, beside what its own tests show by requests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import uvicorn.config
from helpers.contract import relied_on
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from thresher.serving.app import create_app
from thresher.serving.http.fast_path_cycle import FastPathCycle
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.http.uvicorn_protocol import BoundedHttpProtocol, use_bounded_protocol

PROTOCOL = "src/thresher/serving/http/uvicorn_protocol.py"
METHODS = {
    "connection_made": ["self", "transport"],
    "connection_lost": ["self", "exc"],
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_url": ["self", "url"],
    "on_header": ["self", "name", "value"],
    "on_headers_complete": ["self"],
    "on_body": ["self", "body"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "_start_asgi_task": ["self", "cycle", "app"],
    "_unset_keepalive_if_required": ["self"],
    "shutdown": ["self"],
    "pause_writing": ["self"],
    "resume_writing": ["self"],
}
"""Those that ours overrides or calls, and their parameters."""
READ = ("url", "headers", "pipeline", "cycle", "parser", "flow", "transport", "scope", "expect_100_continue")
OF_A_CYCLE = ("disconnected", "message_event", "response_complete", "response_started", "scope")


@pytest.fixture
def bounded() -> Iterator[None]:
    before = dict(uvicorn.config.HTTP_PROTOCOLS)
    use_bounded_protocol()
    yield
    uvicorn.config.HTTP_PROTOCOLS.clear()
    uvicorn.config.HTTP_PROTOCOLS.update(before)


def test_a_server_that_may_choose_takes_our_protocol(bounded: None) -> None:
    app = FastPathMiddleware(create_app())
    config = Config(app, log_config=None)  # type: ignore[arg-type]  # as BentoML's: http is not named
    config.load()
    assert config.http_protocol_class is BoundedHttpProtocol


@pytest.mark.parametrize("name", METHODS)
def test_the_protocol_has_the_methods_that_ours_overrides_or_calls(name: str) -> None:
    with relied_on("uvicorn", f"HttpToolsProtocol has the method {name}({', '.join(METHODS[name])})", PROTOCOL):
        assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == METHODS[name]


def test_the_protocol_asks_nothing_of_a_cycle_that_ours_has_not() -> None:
    source = inspect.getsource(HttpToolsProtocol)
    used = {
        part.split("(")[0].split(".")[0].split(":")[0].strip().split(" ")[0].rstrip(")")
        for name in ("self.cycle.", "existing_cycle.")
        for part in source.split(name)[1:]
    }
    with relied_on("uvicorn", "HttpToolsProtocol uses of a cycle what FastPathCycle has", PROTOCOL):
        assert used <= {name for name in dir(FastPathCycle) if not name.startswith("_")}, used


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
        assert "> HIGH_WATER_LIMIT" in inspect.getsource(HttpToolsProtocol.on_body)
    with relied_on("uvicorn", "HTTP_PROTOCOLS says by 'auto' which protocol a server takes", PROTOCOL):
        assert "auto" in uvicorn.config.HTTP_PROTOCOLS
