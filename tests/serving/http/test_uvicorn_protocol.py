"""What is known of uvicorn's inside: where another version of it differs, these say what changed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import uvicorn.config
from uvicorn import Config
from uvicorn.protocols.http import flow_control, httptools_impl

from thresher.serving.app import create_app
from thresher.serving.http.asgi_front import Front
from thresher.serving.http.fast_path_cycle import HotCycle
from thresher.serving.http.uvicorn_protocol import GuardedProtocol, guard_all_servers

PROTOCOL, CYCLE = httptools_impl.HttpToolsProtocol, httptools_impl.RequestResponseCycle
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


@pytest.fixture
def guarded() -> Iterator[None]:
    before = dict(uvicorn.config.HTTP_PROTOCOLS)
    guard_all_servers()
    yield
    uvicorn.config.HTTP_PROTOCOLS.clear()
    uvicorn.config.HTTP_PROTOCOLS.update(before)


def test_a_server_that_may_choose_takes_our_protocol(guarded: None) -> None:
    config = Config(Front(create_app()), log_config=None)  # type: ignore[arg-type]  # as BentoML's: http is not named
    config.load()
    assert config.http_protocol_class is GuardedProtocol


@pytest.mark.parametrize("name", METHODS)
def test_the_protocol_has_what_is_overridden(name: str) -> None:
    assert list(inspect.signature(getattr(PROTOCOL, name)).parameters) == METHODS[name]


def test_the_protocol_asks_nothing_else_of_a_cycle() -> None:
    """A hot request stands where a cycle does: all that the protocol reads or sets of one must be there."""
    source = inspect.getsource(PROTOCOL)
    used = {
        part.split("(")[0].split(".")[0].split(":")[0].strip().split(" ")[0].rstrip(")")
        for name in ("self.cycle.", "existing_cycle.")
        for part in source.split(name)[1:]
    }
    assert used <= {name for name in dir(HotCycle) if not name.startswith("_")}, used
    assert "run_asgi" in dir(CYCLE)


def test_reading_stops_beyond_what_a_hot_body_may_have() -> None:
    assert flow_control.HIGH_WATER_LIMIT == 65536
    assert "> HIGH_WATER_LIMIT" in inspect.getsource(PROTOCOL.on_body)
